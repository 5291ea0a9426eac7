import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { S3Error } from "./errors.ts";

const ALGORITHM = "AWS4-HMAC-SHA256";
const MAX_SKEW_MS = 15 * 60 * 1000;
const MAX_EXPIRES_S = 7 * 24 * 60 * 60;

/** A request as it came over the wire: nothing decoded, nothing normalised. */
export interface SignedRequest {
  method: string;
  rawPath: string;
  rawQuery: string;
  headers: Headers;
}

/** What the server knows to check a signature with. */
export interface Verifier {
  /** Secret access key by access key id. */
  secrets: ReadonlyMap<string, string>;
  /** Regions that may stand in the credential scope; the first one is the bucket's own. */
  regions: readonly string[];
  /** The service in the scope; `s3` when absent. */
  service?: string;
  /** Hex SHA-256 of the body, where it is not said in a header as S3 wants it. */
  payloadHash?: string;
  /** Milliseconds since the epoch. */
  now: number;
}

/** A verified signature, with what chunk signatures build on. */
export interface Verified {
  presigned: boolean;
  /** `x-amz-content-sha256`, or `UNSIGNED-PAYLOAD` for a plain presigned URL. */
  payloadHash: string;
  signingKey: Buffer;
  /** `20260131/us-east-1/s3/aws4_request` */
  scope: string;
  /** `20260131T235959Z` */
  timestamp: string;
  signature: string;
}

/**
 * Verifies Signature Version 4 in the Authorization header or in the query of a presigned URL.
 *
 * String to sign: `AWS4-HMAC-SHA256 \n timestamp \n scope \n hex(sha256(canonical request))`;
 * canonical request: `method \n path \n query \n headers \n\n signed headers \n payload hash`.
 *
 * @throws S3Error with the code AWS answers
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
export function verifySignature(request: SignedRequest, verifier: Verifier): Verified {
  const query = parseQuery(request.rawQuery);
  const parameters = new Map(query);
  const presigned = parameters.has("X-Amz-Algorithm") || parameters.has("X-Amz-Signature");
  const header = request.headers.get("authorization");
  if (!presigned && !header) throw new S3Error("AccessDenied");
  if (presigned && header) {
    throw new S3Error(
      "InvalidArgument",
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
      { ArgumentName: "Authorization" },
    );
  }

  const { service: ownService = "s3" } = verifier;
  const claim = presigned
    ? readPresigned(parameters)
    : readHeader(header!, request.headers, verifier.payloadHash);
  const [accessKeyId = "", date, region, service, terminator] = claim.credential.split("/");
  if (service !== ownService) {
    throw new S3Error(
      presigned ? "AuthorizationQueryParametersError" : "AuthorizationHeaderMalformed",
      `incorrect service "${service}". This endpoint belongs to "${ownService}".`,
    );
  }
  checkScope(claim, { date, region, terminator }, verifier.regions, presigned);

  const secret = verifier.secrets.get(accessKeyId);
  if (secret === undefined) {
    throw new S3Error("InvalidAccessKeyId", undefined, { AWSAccessKeyId: accessKeyId });
  }
  checkTime(claim, verifier.now, presigned);
  checkSignedHeaders(request.headers, claim.signedHeaders);

  const scope = `${date}/${region}/${service}/${terminator}`;
  const signingKey = [date!, region!, service!, terminator!]
    .reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${secret}`) as Buffer;
  const canonicalRequest = [
    request.method,
    canonicalPath(request.rawPath),
    canonicalQuery(query.filter(([name]) => name !== "X-Amz-Signature")),
    ...claim.signedHeaders.map((name) => `${name}:${canonicalHeader(request.headers, name)}`),
    "",
    claim.signedHeaders.join(";"),
    claim.payloadHash,
  ].join("\n");
  const stringToSign = [ALGORITHM, claim.timestamp, scope, sha256(canonicalRequest)].join("\n");
  const expected = hmac(signingKey, stringToSign).toString("hex");
  if (!equalText(expected, claim.signature)) {
    throw new S3Error("SignatureDoesNotMatch", undefined, {
      AWSAccessKeyId: accessKeyId,
      StringToSign: stringToSign,
      SignatureProvided: claim.signature,
      CanonicalRequest: canonicalRequest,
    });
  }
  return {
    presigned,
    payloadHash: claim.payloadHash,
    signingKey,
    scope,
    timestamp: claim.timestamp,
    signature: claim.signature,
  };
}

interface Claim {
  credential: string;
  signedHeaders: string[];
  signature: string;
  timestamp: string;
  payloadHash: string;
  /** Seconds a presigned URL lives; 0 for a header signature. */
  expires: number;
}

function readHeader(authorization: string, headers: Headers, bodyHash?: string): Claim {
  const match =
    /^AWS4-HMAC-SHA256\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=(\S+)$/
      .exec(authorization);
  if (!match) {
    if (authorization.startsWith(ALGORITHM)) throw new S3Error("AuthorizationHeaderMalformed");
    throw new S3Error("InvalidArgument", "Unsupported Authorization Type", {
      ArgumentName: "Authorization",
    });
  }
  const payloadHash = bodyHash ?? headers.get("x-amz-content-sha256");
  if (!payloadHash) {
    throw new S3Error(
      "InvalidRequest",
      "Missing required header for this request: x-amz-content-sha256",
    );
  }
  const timestamp = headers.get("x-amz-date");
  if (!timestamp) {
    throw new S3Error(
      "AccessDenied",
      "AWS authentication requires a valid Date or x-amz-date header",
    );
  }
  return {
    credential: match[1]!,
    signedHeaders: match[2]!.split(";"),
    signature: match[3]!,
    timestamp,
    payloadHash,
    expires: 0,
  };
}

function readPresigned(parameters: ReadonlyMap<string, string>): Claim {
  const read = (name: string): string => {
    const value = parameters.get(name);
    if (!value) throw new S3Error("AuthorizationQueryParametersError");
    return value;
  };
  if (read("X-Amz-Algorithm") !== ALGORITHM) {
    throw new S3Error(
      "AuthorizationQueryParametersError",
      `X-Amz-Algorithm only supports "${ALGORITHM}"`,
    );
  }
  const expires = Number(read("X-Amz-Expires"));
  if (!Number.isInteger(expires) || expires < 0) {
    throw new S3Error("AuthorizationQueryParametersError", "X-Amz-Expires should be a number");
  }
  if (expires > MAX_EXPIRES_S) {
    throw new S3Error(
      "AuthorizationQueryParametersError",
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${MAX_EXPIRES_S} seconds`,
    );
  }
  return {
    credential: read("X-Amz-Credential"),
    signedHeaders: read("X-Amz-SignedHeaders").split(";"),
    signature: read("X-Amz-Signature"),
    timestamp: read("X-Amz-Date"),
    payloadHash: parameters.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD",
    expires,
  };
}

function checkScope(
  claim: Claim,
  scope: { date?: string; region?: string; terminator?: string },
  regions: readonly string[],
  presigned: boolean,
): void {
  const fail = (reason: string, details: Record<string, string> = {}) =>
    presigned
      ? new S3Error(
        "AuthorizationQueryParametersError",
        `Error parsing the X-Amz-Credential parameter; ${reason}`,
        details,
      )
      : new S3Error(
        "AuthorizationHeaderMalformed",
        `The authorization header is malformed; ${reason}`,
        details,
      );
  if (scope.terminator !== "aws4_request") {
    throw fail(
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    );
  }
  if (!regions.includes(scope.region ?? "")) {
    throw fail(`the region '${scope.region}' is wrong; expecting '${regions[0]}'`, {
      Region: regions[0]!,
    });
  }
  if (scope.date !== claim.timestamp.slice(0, 8)) {
    throw new S3Error(
      "SignatureDoesNotMatch",
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
    );
  }
}

function checkTime(claim: Claim, now: number, presigned: boolean): void {
  const signedAt = Date.parse(
    claim.timestamp.replace(
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/,
      "$1-$2-$3T$4:$5:$6Z",
    ),
  );
  if (Number.isNaN(signedAt)) {
    throw new S3Error(
      "AccessDenied",
      "AWS authentication requires a valid Date or x-amz-date header",
    );
  }
  const serverTime = new Date(now).toISOString();
  if (!presigned && Math.abs(now - signedAt) > MAX_SKEW_MS) {
    throw new S3Error("RequestTimeTooSkewed", undefined, {
      RequestTime: claim.timestamp,
      ServerTime: serverTime,
      MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
    });
  }
  if (presigned && signedAt - now > MAX_SKEW_MS) {
    throw new S3Error("AccessDenied", "Request is not valid yet", { ServerTime: serverTime });
  }
  const expiresAt = signedAt + claim.expires * 1000;
  if (presigned && now > expiresAt) {
    throw new S3Error("AccessDenied", "Request has expired", {
      "X-Amz-Expires": String(claim.expires),
      Expires: new Date(expiresAt).toISOString(),
      ServerTime: serverTime,
    });
  }
}

/** `host` and every `x-amz-*` header have to be signed: an added one would change the meaning. */
function checkSignedHeaders(headers: Headers, signed: readonly string[]): void {
  const unsigned = [...headers.keys()]
    .filter((name) => (name.startsWith("x-amz-") || name === "host") && !signed.includes(name));
  if (unsigned.length === 0) return;
  throw new S3Error(
    "AccessDenied",
    "There were headers present in the request which were not signed",
    {
      HeadersNotSigned: unsigned.join(", "),
    },
  );
}

/** The query as name and value, decoded; order kept, `+` taken literally as AWS does. */
export function parseQuery(rawQuery: string): [name: string, value: string][] {
  return rawQuery.split("&").filter((part) => part !== "").map((part) => {
    const mark = part.indexOf("=");
    const name = mark < 0 ? part : part.slice(0, mark);
    return [decode(name), mark < 0 ? "" : decode(part.slice(mark + 1))];
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error("InvalidArgument", "The URI contains a malformed percent-encoding.");
  }
}

/** Percent-encodes all but the unreserved characters of RFC 3986, as signatures want it. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function canonicalPath(rawPath: string): string {
  return rawPath.split("/").map((segment) => encode(decode(segment))).join("/");
}

function canonicalQuery(query: [string, string][]): string {
  return query.map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => compareText(a, b) || compareText(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function canonicalHeader(headers: Headers, name: string): string {
  return (headers.get(name) ?? "").trim().replace(/ +/g, " ");
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** HMAC-SHA256. */
export function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Hex SHA-256. */
export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Compares two texts in constant time. */
export function equalText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
