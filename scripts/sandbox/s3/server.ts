import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { type Content, readAll, StorageFullError } from "../core/contents.ts";
import { createDigester, hexToBase64 } from "../core/digests.ts";
import { UploadCutError } from "../core/observe.ts";
import type { ObservedEnv, Provider, Sandbox } from "../core/provider.ts";
import { serveContent } from "../core/serve_content.ts";
import { isS3ErrorCode, S3Error } from "./errors.ts";
import { type Flavour, type FlavourName, FLAVOURS } from "./flavours.ts";
import {
  Buckets,
  type ChecksumType,
  listObjects,
  type Part,
  type S3Object,
  type StoredChecksum,
} from "./objects.ts";
import { type ChecksumName, CHECKSUMS, receivePayload } from "./payload.ts";
import { parseQuery, type Verified, verifySignature } from "./signature.ts";
import { readXml, writeErrorXml, writeXml } from "./xml.ts";

/** The fixed, public credentials of the sandbox's S3. */
export const S3_CREDENTIALS = {
  accessKeyId: "sandbox-access-key",
  secretAccessKey: "sandbox-secret-key",
  region: "us-east-1",
} as const;

const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_KEY_BYTES = 1024;
const KEPT_HEADERS =
  /^(cache-control|content-(disposition|encoding|language|type)|expires|x-amz-meta-.+)$/;
const IGNORED_PARAMETERS = /^(x-id|x-amz-.*)$/i;
const OWNER = { ID: "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a" };

/** What a bucket's first object looks like to an assertion; see {@linkcode createS3}. */
export interface S3ObjectInfo {
  bucket: string;
  key: string;
  size: number;
  md5: string;
  sha256: string;
  etag: string;
  content_type: string;
  metadata: Record<string, string>;
  modified_at: string;
}

/** A request once its signature is verified. */
interface Call {
  c: Context<ObservedEnv>;
  bucket: string;
  key: string;
  query: Map<string, string>;
  headers: Headers;
  verified: Verified;
}

type Operation = (call: Call) => Response | Promise<Response>;

/**
 * S3 over path-style URLs: signatures, checksums and multipart uploads as AWS documents them.
 * What is not here answers `NotImplemented` instead of pretending.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export function createS3(sandbox: Sandbox): Provider {
  const buckets = new Buckets();
  const secrets = new Map<string, string>([
    [S3_CREDENTIALS.accessKeyId, S3_CREDENTIALS.secretAccessKey],
  ]);
  let flavour: Flavour = FLAVOURS.aws;

  const operations: Record<string, Operation> = {
    "GET service": listBuckets,
    "PUT bucket": createBucket,
    "HEAD bucket": ({ bucket }) => {
      buckets.get(bucket);
      return new Response(null, { headers: { "x-amz-bucket-region": S3_CREDENTIALS.region } });
    },
    "DELETE bucket": ({ bucket }) => {
      buckets.remove(bucket);
      return new Response(null, { status: 204 });
    },
    "GET bucket?location": ({ bucket }) => {
      buckets.get(bucket);
      // us-east-1 is told as an empty constraint.
      return xml(writeXml("LocationConstraint", ""));
    },
    "GET bucket?list-type": listKeys,
    "PUT object": putObject,
    "GET object": readObject,
    "HEAD object": readObject,
    "DELETE object": async ({ bucket, key }) => {
      await buckets.delete(bucket, key);
      return new Response(null, { status: 204 });
    },
    "POST object?uploads": startUpload,
    "PUT object?uploadId": uploadPart,
    "POST object?uploadId": completeUpload,
    "DELETE object?uploadId": async ({ bucket, key, query }) => {
      buckets.upload(query.get("uploadId")!, bucket, key);
      await buckets.endUpload(query.get("uploadId")!);
      return new Response(null, { status: 204 });
    },
  };

  const app = new Hono<ObservedEnv>();
  app.use(async (c, next) => {
    await next();
    c.header("server", "AmazonS3");
    c.header("x-amz-request-id", requestId());
  });
  app.all("*", async (c) => {
    const call = open(c);
    const target = call.key !== "" ? "object" : call.bucket !== "" ? "bucket" : "service";
    const sub = ["location", "list-type", "uploads", "uploadId"].find((name) =>
      call.query.has(name)
    );
    const name = `${c.req.method} ${target}${sub ? `?${sub}` : ""}`;
    const operation = operations[name];
    const unknown = [...call.query.keys()].find((parameter) =>
      !KNOWN_PARAMETERS.has(parameter) && !IGNORED_PARAMETERS.test(parameter)
    );
    if (!operation || unknown || call.headers.has("x-amz-copy-source")) {
      throw new S3Error(
        "NotImplemented",
        `The sandbox's S3 does not implement ${name}${unknown ? ` with ?${unknown}` : ""}.`,
      );
    }
    return await operation(call);
  });
  app.onError((error, c) => {
    if (error instanceof UploadCutError) return refuse({ status: 400, error: "IncompleteBody" });
    if (error instanceof StorageFullError) {
      return failure(new S3Error("ServiceUnavailable", error.message), c);
    }
    if (error instanceof S3Error) return failure(error, c);
    console.error(error);
    return failure(new S3Error("InternalError"), c);
  });

  function open(c: Context<ObservedEnv>): Call {
    const rawPath = c.get("rawPath");
    const query = new Map(parseQuery(c.get("rawQuery")));
    const headers = new Headers(c.req.raw.headers);
    const verified = verifySignature(
      { method: c.req.method, rawPath, rawQuery: c.get("rawQuery"), headers },
      { secrets, regions: flavour.regions, now: sandbox.clock.now() },
    );
    hoistQuery(query, headers, verified);
    checkFlavour(headers, verified);
    const [, bucket = "", ...rest] = rawPath.split("/").map((part) => decodeURIComponent(part));
    const key = rest.join("/");
    if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error("KeyTooLongError");
    return { c, bucket, key, query, headers, verified };
  }

  /** In a presigned URL the `x-amz-*` parameters stand for headers; checksums are special. */
  function hoistQuery(query: Map<string, string>, headers: Headers, verified: Verified): void {
    if (!verified.presigned) return;
    for (const [name, value] of query) {
      const lower = name.toLowerCase();
      if (!lower.startsWith("x-amz-") || SIGNATURE_PARAMETERS.has(lower)) continue;
      if (lower.startsWith("x-amz-checksum-") && !flavour.checksumsInQuery) continue;
      headers.set(lower, value);
    }
  }

  function checkFlavour(headers: Headers, verified: Verified): void {
    const checksum = [...headers.keys()]
      .find((name) => /^x-amz-(checksum-|sdk-checksum-|trailer$)/.test(name));
    if (flavour.checksums === "reject" && checksum) {
      throw new S3Error(
        "InvalidArgument",
        `Unsupported header '${checksum}' received for this API call.`,
      );
    }
    if (!flavour.signedChunks && verified.payloadHash.startsWith("STREAMING-AWS4-")) {
      throw new S3Error("NotImplemented", `${verified.payloadHash} not implemented`);
    }
  }

  function listBuckets(): Response {
    const Bucket = buckets.list().map(([Name, { createdAt }]) => ({
      Name,
      CreationDate: new Date(createdAt).toISOString(),
    }));
    return xml(writeXml("ListAllMyBucketsResult", { Owner: OWNER, Buckets: { Bucket } }));
  }

  async function createBucket({ c, bucket, headers, verified }: Call): Promise<Response> {
    await readDocument(c, headers, verified);
    buckets.create(bucket, sandbox.clock.now());
    return new Response(null, { headers: { location: `/${bucket}` } });
  }

  function listKeys({ bucket, query }: Call): Response {
    const encode = query.get("encoding-type") === "url"
      ? (text: string) => encodeURIComponent(text).replaceAll("%2F", "/")
      : (text: string) => text;
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const token = query.get("continuation-token");
    const maxKeys = Math.min(Number(query.get("max-keys") ?? 1000), 1000);
    if (!Number.isInteger(maxKeys) || maxKeys < 0) {
      throw new S3Error(
        "InvalidArgument",
        "Argument max-keys must be an integer between 0 and 2147483647",
      );
    }
    const page = listObjects(buckets.get(bucket), {
      prefix,
      delimiter,
      maxKeys,
      after: token ? Buffer.from(token, "base64url").toString() : query.get("start-after") ?? "",
    });
    const next = page.next === undefined ? undefined : Buffer.from(page.next).toString("base64url");
    return xml(writeXml("ListBucketResult", {
      Name: bucket,
      Prefix: encode(prefix),
      ...(delimiter ? { Delimiter: encode(delimiter) } : {}),
      MaxKeys: maxKeys,
      ...(query.has("encoding-type") ? { EncodingType: "url" } : {}),
      KeyCount: page.entries.length,
      IsTruncated: next !== undefined,
      ...(token ? { ContinuationToken: token } : {}),
      ...(next ? { NextContinuationToken: next } : {}),
      Contents: page.entries.flatMap((entry) =>
        "prefix" in entry ? [] : [{
          Key: encode(entry.key),
          LastModified: new Date(entry.object.modifiedAt).toISOString(),
          ETag: `"${entry.object.etag}"`,
          Size: entry.object.content.size,
          ...(entry.object.checksum
            ? {
              ChecksumAlgorithm: entry.object.checksum.name.toUpperCase(),
              ChecksumType: entry.object.checksum.type,
            }
            : {}),
          StorageClass: "STANDARD",
        }]
      ),
      CommonPrefixes: page.entries.flatMap((entry) =>
        "prefix" in entry ? [{ Prefix: encode(entry.prefix) }] : []
      ),
    }));
  }

  async function putObject({ c, bucket, key, headers, verified }: Call): Promise<Response> {
    buckets.get(bucket);
    checkPreconditions(headers, buckets.get(bucket).objects.get(key));
    const { content, checksum } = await receive(c, headers, verified);
    const object: S3Object = {
      content,
      etag: content.digests.md5,
      modifiedAt: sandbox.clock.now(),
      headers: keepHeaders(headers),
      checksum: wholeChecksum(content, checksum?.name ?? flavour.defaultChecksum),
    };
    await buckets.put(bucket, key, object);
    return new Response(null, {
      headers: {
        etag: `"${object.etag}"`,
        "x-amz-server-side-encryption": "AES256",
        ...checksumHeaders(object.checksum),
      },
    });
  }

  function readObject({ c, bucket, key, query, headers }: Call): Response {
    const object = buckets.object(bucket, key);
    const { method } = c.req;
    const own: Record<string, string> = {
      "content-type": "binary/octet-stream",
      ...object.headers,
      etag: `"${object.etag}"`,
      "last-modified": new Date(object.modifiedAt).toUTCString(),
      "x-amz-server-side-encryption": "AES256",
    };
    checkPreconditions(headers, object);
    if (headers.get("if-none-match") === own.etag) {
      return new Response(null, { status: 304, headers: { etag: own.etag! } });
    }
    for (const name of ["content-type", "content-disposition", "cache-control"]) {
      const wanted = query.get(`response-${name}`);
      if (wanted !== undefined) own[name] = wanted;
    }
    const range = headers.get("range") ?? undefined;
    const answer = serveContent(object.content, range, own, () => {
      throw new S3Error("InvalidRange", undefined, {
        RangeRequested: range ?? "",
        ActualObjectSize: String(object.content.size),
      });
    });
    if (headers.get("x-amz-checksum-mode")?.toUpperCase() === "ENABLED" && answer.status === 200) {
      for (const [name, value] of Object.entries(checksumHeaders(object.checksum))) {
        answer.headers.set(name, value);
      }
    }
    return method === "HEAD" ? new Response(null, answer) : answer;
  }

  function startUpload({ bucket, key, headers }: Call): Response {
    const checksumName = checksumNameOf(headers.get("x-amz-checksum-algorithm"));
    const checksumType = headers.get("x-amz-checksum-type") as ChecksumType | null;
    const UploadId = buckets.startUpload({
      bucket,
      key,
      headers: keepHeaders(headers),
      checksumName,
      checksumType: checksumType ?? undefined,
    });
    return xml(writeXml("InitiateMultipartUploadResult", { Bucket: bucket, Key: key, UploadId }));
  }

  async function uploadPart({ c, bucket, key, query, headers, verified }: Call): Promise<Response> {
    const upload = buckets.upload(query.get("uploadId")!, bucket, key);
    const number = Number(query.get("partNumber"));
    if (!Number.isInteger(number) || number < 1 || number > 10_000) {
      throw new S3Error(
        "InvalidArgument",
        "Part number must be an integer between 1 and 10000, inclusive",
      );
    }
    const { content, checksum } = await receive(c, headers, verified);
    await upload.parts.get(number)?.content.release();
    const part: Part = {
      content,
      etag: content.digests.md5,
      checksum: checksum ?? wholeChecksum(content, upload.checksumName),
    };
    upload.parts.set(number, part);
    return new Response(null, {
      headers: {
        etag: `"${part.etag}"`,
        ...(part.checksum
          ? { [`x-amz-checksum-${part.checksum.name}`]: part.checksum.base64 }
          : {}),
      },
    });
  }

  async function completeUpload(
    { c, bucket, key, query, headers, verified }: Call,
  ): Promise<Response> {
    const id = query.get("uploadId")!;
    const upload = buckets.upload(id, bucket, key);
    const parts = chooseParts(upload.parts, await readDocument(c, headers, verified));
    checkPreconditions(headers, buckets.get(bucket).objects.get(key));
    checkPartSizes(parts);

    const content = await sandbox.contents.store(joined(parts));
    const md5s = Buffer.concat(parts.map((part) => Buffer.from(part.etag, "hex")));
    const object: S3Object = {
      content,
      etag: `${createHash("md5").update(md5s).digest("hex")}-${parts.length}`,
      modifiedAt: sandbox.clock.now(),
      headers: upload.headers,
      checksum: await multipartChecksum(content, parts, upload.checksumName, upload.checksumType),
    };
    await buckets.put(bucket, key, object);
    await buckets.endUpload(id);
    return xml(writeXml("CompleteMultipartUploadResult", {
      Location: `${sandbox.storageOrigin()}/${bucket}/${key}`,
      Bucket: bucket,
      Key: key,
      ETag: `"${object.etag}"`,
      ...(object.checksum
        ? {
          [`Checksum${object.checksum.name.toUpperCase()}`]: object.checksum.base64,
          ChecksumType: object.checksum.type,
        }
        : {}),
    }));
  }

  function checkPartSizes(parts: readonly Part[]): void {
    const inner = parts.slice(0, -1);
    for (const part of inner) {
      if (part.content.size < MIN_PART_BYTES) {
        throw new S3Error("EntityTooSmall", undefined, {
          ProposedSize: String(part.content.size),
          MinSizeAllowed: String(MIN_PART_BYTES),
        });
      }
      if (flavour.equalParts && part.content.size !== inner[0]!.content.size) {
        throw new S3Error("InvalidPart", "All non-trailing parts must have the same length.");
      }
    }
  }

  /** CRC64NVME covers whole objects only; the others cover the parts' checksums unless asked. */
  async function multipartChecksum(
    content: Content,
    parts: readonly Part[],
    chosen: ChecksumName | undefined,
    type: ChecksumType | undefined,
  ): Promise<StoredChecksum | undefined> {
    const name = chosen ?? flavour.defaultChecksum;
    if (!name) return undefined;
    if (name === "crc64nvme" || type === "FULL_OBJECT") return wholeChecksum(content, name);
    const digester = await createDigester();
    for (const part of parts) digester.update(Buffer.from(part.content.digests[name], "hex"));
    const base64 = hexToBase64(digester.finish()[name]);
    return { name, base64: `${base64}-${parts.length}`, type: "COMPOSITE" };
  }

  /** Receives a content of which one byte may be altered by a fault. */
  function receive(c: Context<ObservedEnv>, headers: Headers, verified: Verified) {
    return receivePayload({
      headers,
      body: c.req.raw.body,
      verified,
      contents: sandbox.contents,
      corrupt: c.get("corrupt"),
    });
  }

  /** Receives an XML document, checked like any other payload. */
  async function readDocument(
    c: Context<ObservedEnv>,
    headers: Headers,
    verified: Verified,
  ): Promise<Record<string, unknown>> {
    const received = new Headers(headers);
    // A checksum of the object may stand in the headers of the request that completes it.
    if (c.req.method === "POST") {
      for (const name of Object.keys(CHECKSUMS)) received.delete(`x-amz-checksum-${name}`);
    }
    if (!c.req.raw.body && !received.has("content-length")) received.set("content-length", "0");
    const { content } = await receive(c, received, verified);
    const text = new TextDecoder().decode(await readAll(content.stream()));
    await content.release();
    const document = text === "" ? {} : readXml(text);
    if (!document) throw new S3Error("MalformedXML");
    return document;
  }

  function refuse(
    { status, error, retryAfter }: { status?: number; error?: string; retryAfter?: number },
  ): Response {
    const usual = retryAfter !== undefined
      ? "SlowDown"
      : status === 403
      ? "AccessDenied"
      : status === 404
      ? "NoSuchKey"
      : status === 503
      ? "ServiceUnavailable"
      : "InternalError";
    const code = error ?? usual;
    const known = isS3ErrorCode(code) ? new S3Error(code) : undefined;
    return new Response(
      writeErrorXml({ Code: code, Message: known?.message ?? code, RequestId: requestId() }),
      {
        status: status ?? known?.status ?? 500,
        headers: {
          "content-type": "application/xml",
          ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
        },
      },
    );
  }

  const control = new Hono();
  control.get(
    "/s3/objects",
    (c) => c.json({ objects: describeObjects(buckets, c.req.query("bucket")) }),
  );
  control.get("/s3/objects/content", (c) => {
    const { bucket = "", key = "" } = c.req.query();
    const found = buckets.list().find(([name]) => name === bucket)?.[1].objects.get(key);
    if (!found) return c.json(notFound(`There is no object ${bucket}/${key}.`), 404);
    return serveContent(found.content, c.req.header("range"), {
      "content-type": "application/octet-stream",
    });
  });
  control.post("/s3/buckets", async (c) => {
    const { name } = z.strictObject({ name: z.string() }).parse(await c.req.json());
    buckets.create(name, sandbox.clock.now());
    return c.json({ name }, 201);
  });
  control.post("/s3/flavour", async (c) => {
    const names = Object.keys(FLAVOURS) as [FlavourName, ...FlavourName[]];
    const { name } = z.strictObject({ name: z.enum(names) }).parse(await c.req.json());
    flavour = FLAVOURS[name];
    return c.json({ name });
  });

  return {
    name: "s3",
    app,
    control,
    refuse,
    async reset() {
      flavour = FLAVOURS.aws;
      await buckets.clear();
    },
  };
}

const KNOWN_PARAMETERS = new Set([
  "location",
  "list-type",
  "prefix",
  "delimiter",
  "max-keys",
  "continuation-token",
  "start-after",
  "encoding-type",
  "fetch-owner",
  "uploads",
  "uploadId",
  "partNumber",
  "response-content-type",
  "response-content-disposition",
  "response-cache-control",
]);

const SIGNATURE_PARAMETERS = new Set([
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-signedheaders",
  "x-amz-signature",
  "x-amz-security-token",
  "x-amz-content-sha256",
]);

function failure(error: S3Error, c: Context<ObservedEnv>): Response {
  const [Resource] = [c.get("rawPath")];
  const body = writeErrorXml({
    Code: error.code,
    Message: error.message,
    ...error.details,
    Resource,
    RequestId: requestId(),
  });
  const headers: Record<string, string> = { "content-type": "application/xml" };
  if (error.details.Region) headers["x-amz-bucket-region"] = error.details.Region;
  return new Response(c.req.method === "HEAD" ? null : body, { status: error.status, headers });
}

function xml(body: string): Response {
  return new Response(body, { headers: { "content-type": "application/xml" } });
}

function requestId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 16).toUpperCase();
}

function keepHeaders(headers: Headers): Record<string, string> {
  const kept = Object.fromEntries([...headers].filter(([name]) => KEPT_HEADERS.test(name)));
  // `aws-chunked` names the transfer, not the content.
  const encoding = kept["content-encoding"]?.split(",").map((part) => part.trim())
    .filter((part) => part !== "" && part !== "aws-chunked").join(",");
  delete kept["content-encoding"];
  if (encoding) kept["content-encoding"] = encoding;
  return kept;
}

function wholeChecksum(
  content: Content,
  name: ChecksumName | undefined,
): StoredChecksum | undefined {
  return name && { name, base64: hexToBase64(content.digests[name]), type: "FULL_OBJECT" };
}

function checksumHeaders(checksum: StoredChecksum | undefined): Record<string, string> {
  if (!checksum) return {};
  return {
    [`x-amz-checksum-${checksum.name}`]: checksum.base64,
    "x-amz-checksum-type": checksum.type,
  };
}

function checksumNameOf(algorithm: string | null): ChecksumName | undefined {
  const name = algorithm?.toLowerCase();
  if (name === undefined) return undefined;
  if (!Object.hasOwn(CHECKSUMS, name)) {
    throw new S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.");
  }
  return name as ChecksumName;
}

function checkPreconditions(headers: Headers, object: S3Object | undefined): void {
  const match = headers.get("if-match");
  if (match && match !== "*" && match !== (object && `"${object.etag}"`)) {
    throw new S3Error("PreconditionFailed", undefined, { Condition: "If-Match" });
  }
  if (headers.get("if-none-match") === "*" && object) {
    throw new S3Error("PreconditionFailed", undefined, { Condition: "If-None-Match" });
  }
}

function chooseParts(
  uploaded: ReadonlyMap<number, Part>,
  document: Record<string, unknown>,
): Part[] {
  const root = document.CompleteMultipartUpload as { Part?: Record<string, string>[] } | undefined;
  if (!root?.Part?.length) throw new S3Error("MalformedXML");
  let previous = 0;
  return root.Part.map((listed) => {
    const number = Number(listed.PartNumber);
    if (number <= previous) throw new S3Error("InvalidPartOrder");
    previous = number;
    const part = uploaded.get(number);
    const claimed = Object.keys(CHECKSUMS).map((name) =>
      [name, listed[`Checksum${name.toUpperCase()}`]] as const
    )
      .find(([, value]) => value !== undefined);
    const sameChecksum = !claimed || !part ||
      claimed[1] === hexToBase64(part.content.digests[claimed[0] as ChecksumName]);
    if (
      !part || listed.ETag?.replaceAll('"', "").replaceAll("&quot;", "") !== part.etag ||
      !sameChecksum
    ) {
      throw new S3Error("InvalidPart", undefined, { PartNumber: String(number) });
    }
    return part;
  });
}

async function* joined(parts: readonly Part[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part.content.stream();
}

function describeObjects(buckets: Buckets, only: string | undefined): S3ObjectInfo[] {
  return buckets.list().filter(([name]) => only === undefined || name === only)
    .flatMap(([bucket, { objects }]) =>
      [...objects].map(([key, object]) => ({
        bucket,
        key,
        size: object.content.size,
        md5: object.content.digests.md5,
        sha256: object.content.digests.sha256,
        etag: object.etag,
        content_type: object.headers["content-type"] ?? "binary/octet-stream",
        metadata: Object.fromEntries(
          Object.entries(object.headers).flatMap(([name, value]) =>
            name.startsWith("x-amz-meta-") ? [[name.slice("x-amz-meta-".length), value]] : []
          ),
        ),
        modified_at: new Date(object.modifiedAt).toISOString(),
      }))
    );
}

function notFound(message: string) {
  return { error: { code: "not_found", message } };
}
