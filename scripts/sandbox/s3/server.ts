import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { StorageFullError } from "../core/contents.ts";
import type { Refusal } from "../core/faults.ts";
import { UploadCutError } from "../core/observe.ts";
import type { ObservedEnv, Provider, Sandbox } from "../core/provider.ts";
import { serveContent } from "../core/serve_content.ts";
import type { Topics } from "../providers/sns/topics.ts";
import { bucketOperations } from "./bucket_operations.ts";
import type { Call } from "./call.ts";
import { isS3ErrorCode, S3Error, type S3ErrorCode } from "./errors.ts";
import { type Flavour, type FlavourName, FLAVOURS } from "./flavours.ts";
import { multipartOperations } from "./multipart_operations.ts";
import { notificationOperations } from "./notifications.ts";
import { objectOperations } from "./object_operations.ts";
import { Buckets } from "./objects.ts";
import { parseQuery, type Verified, verifySignature } from "./signature.ts";
import { writeErrorXml } from "./xml.ts";

/** The fixed, public credentials of the sandbox's S3. */
export const S3_CREDENTIALS = {
  accessKeyId: "sandbox-access-key",
  secretAccessKey: "sandbox-secret-key",
  region: "us-east-1",
} as const;

const OPERATIONS = {
  ...bucketOperations,
  ...notificationOperations,
  ...objectOperations,
  ...multipartOperations,
};
const SUBRESOURCES = ["location", "list-type", "notification", "uploads", "uploadId"];
/** Parameters that say nothing about the operation: the SDK's marker and the signature's own. */
const IGNORED_PARAMETERS = /^(x-id|x-amz-.*)$/i;
const SIGNATURE_PARAMETERS =
  /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256)$/;
const MAX_KEY_BYTES = 1024;

/** An object as an assertion sees it. */
export interface S3ObjectInfo {
  bucket: string;
  key: string;
  size: number;
  /** Hex, of the stored bytes. */
  md5: string;
  sha256: string;
  etag: string;
  content_type: string;
  metadata: Record<string, string>;
  modified_at: string;
}

/**
 * S3 over path-style URLs: signatures, checksums and multipart uploads as AWS documents them.
 * What is not here answers `NotImplemented` instead of pretending.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export function createS3(sandbox: Sandbox, topics: Topics): Provider {
  const { accessKeyId, secretAccessKey } = S3_CREDENTIALS;
  const secrets = new Map<string, string>([[accessKeyId, secretAccessKey]]);
  const buckets = new Buckets();
  let flavour: Flavour = FLAVOURS.aws;

  const app = new Hono<ObservedEnv>();
  app.use(async (c, next) => {
    await next();
    c.header("server", "AmazonS3");
    c.header("x-amz-request-id", requestId());
  });
  app.all("*", async (c) => {
    const call = open(c);
    const target = call.key !== "" ? "object" : call.bucket !== "" ? "bucket" : "service";
    const sub = SUBRESOURCES.find((name) => call.query.has(name));
    const name = `${c.req.method} ${target}${sub ? `?${sub}` : ""}`;
    const operation = OPERATIONS[name];
    const unknown = [...call.query.keys()].find((parameter) =>
      !operation?.parameters?.includes(parameter) && !IGNORED_PARAMETERS.test(parameter)
    );
    if (operation && !unknown && !call.headers.has("x-amz-copy-source")) {
      return await operation.run(call);
    }
    throw new S3Error(
      "NotImplemented",
      `The sandbox's S3 does not implement ${name}${unknown ? ` with ?${unknown}` : ""}.`,
    );
  });
  app.onError((error, c) => {
    if (error instanceof S3Error) return answerError(error, c);
    if (error instanceof UploadCutError) return answerError(new S3Error("IncompleteBody"), c);
    if (error instanceof StorageFullError) {
      return answerError(new S3Error("ServiceUnavailable", error.message), c);
    }
    console.error(error);
    return answerError(new S3Error("InternalError"), c);
  });

  function open(c: Context<ObservedEnv>): Call {
    const { rawPath, rawQuery } = c.var;
    const query = new Map(parseQuery(rawQuery));
    const headers = new Headers(c.req.raw.headers);
    const verified = verifySignature(
      { method: c.req.method, rawPath, rawQuery, headers },
      { secrets, regions: flavour.regions, now: sandbox.clock.now() },
    );
    if (verified.presigned) hoistQuery(query, headers, flavour);
    checkFlavour(headers, verified, flavour);
    const [, bucket = "", ...rest] = rawPath.split("/").map((part) => decodeURIComponent(part));
    const key = rest.join("/");
    if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error("KeyTooLongError");
    return { c, sandbox, buckets, flavour, topics, bucket, key, query, headers, verified };
  }

  const control = new Hono();
  control.get("/s3/objects", (c) => {
    const only = c.req.query("bucket");
    const chosen = buckets.list().filter(([name]) => only === undefined || name === only);
    return c.json({ objects: chosen.flatMap(([name]) => describeObjects(buckets, name)) });
  });
  control.get("/s3/objects/content", (c) => {
    const { bucket = "", key = "" } = c.req.query();
    const found = buckets.list().find(([name]) => name === bucket)?.[1].objects.get(key);
    if (!found) {
      const message = `There is no object ${bucket}/${key}.`;
      return c.json({ error: { code: "not_found", message } }, 404);
    }
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

/** In a presigned URL `x-amz-*` parameters stand for headers; checksums are not taken everywhere. */
function hoistQuery(query: ReadonlyMap<string, string>, headers: Headers, flavour: Flavour): void {
  for (const [parameter, value] of query) {
    const name = parameter.toLowerCase();
    if (!name.startsWith("x-amz-") || SIGNATURE_PARAMETERS.test(name)) continue;
    if (name.startsWith("x-amz-checksum-") && !flavour.checksumsInQuery) continue;
    headers.set(name, value);
  }
}

function checkFlavour(headers: Headers, verified: Verified, flavour: Flavour): void {
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

function answerError(error: S3Error, c: Context<ObservedEnv>): Response {
  const { code, message, details, status } = error;
  const headers: Record<string, string> = { "content-type": "application/xml" };
  if (details.Region) headers["x-amz-bucket-region"] = details.Region;
  const body = writeErrorXml({
    Code: code,
    Message: message,
    ...details,
    Resource: c.var.rawPath,
    RequestId: requestId(),
  });
  return new Response(c.req.method === "HEAD" ? null : body, { status, headers });
}

const USUAL_ERRORS: Readonly<Record<number, S3ErrorCode>> = {
  403: "AccessDenied",
  404: "NoSuchKey",
  503: "ServiceUnavailable",
};

function refuse({ status, error, retryAfter }: Refusal): Response {
  const usual = retryAfter === undefined ? USUAL_ERRORS[status ?? 500] : "SlowDown";
  const code = error ?? usual ?? "InternalError";
  const known = isS3ErrorCode(code) ? new S3Error(code) : undefined;
  const body = writeErrorXml({
    Code: code,
    Message: known?.message ?? code,
    RequestId: requestId(),
  });
  return new Response(body, {
    status: status ?? known?.status ?? 500,
    headers: {
      "content-type": "application/xml",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    },
  });
}

function describeObjects(buckets: Buckets, bucket: string): S3ObjectInfo[] {
  return [...buckets.get(bucket).objects].map(([key, { content, etag, headers, modifiedAt }]) => ({
    bucket,
    key,
    size: content.size,
    md5: content.digests.md5,
    sha256: content.digests.sha256,
    etag,
    content_type: headers["content-type"] ?? "binary/octet-stream",
    metadata: Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) =>
        name.startsWith("x-amz-meta-") ? [[name.slice("x-amz-meta-".length), value]] : []
      ),
    ),
    modified_at: new Date(modifiedAt).toISOString(),
  }));
}

function requestId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 16).toUpperCase();
}
