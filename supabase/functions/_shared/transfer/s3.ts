/**
 * S3 and what speaks its protocol (R2, B2, MinIO, …) as a destination.
 *
 * Tickets are presigned PUTs. Where the source tells a SHA-256 and the service knows checksums, the
 * digest is part of the signature: other bytes are refused by S3 itself. Only signatures are made
 * here, by aws4fetch: the AWS SDK makes the same ones and triples the function's size.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/PresignedUrlUploadObject.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
import { AwsClient } from "aws4fetch";
import { z } from "zod";
import { env } from "../env.ts";
import { AppError } from "../errors.ts";
import { allowsPrivateNetwork } from "../oauth/context.ts";
import { callProvider, type ProviderRole } from "../provider_http.ts";
import type { Destination, Integration } from "./types.ts";

const UPLOAD_SECONDS = 15 * 60;
const HEAD_SECONDS = 60;

/** `integrations.config` of an S3 destination. */
export const S3Config = z.object({
  /** Required but for the default integration, which may have AWS_S3_ARTIFACTS_BUCKET. */
  bucket: z.string().min(3).optional(),
  /** `auto` for R2. */
  region: z.string().min(1).optional(),
  /** Of a service other than AWS; `api_base` says the same. */
  endpoint: z.url().optional(),
  force_path_style: z.boolean().optional(),
  /** Put before every key. */
  prefix: z.string().optional(),
  /** `sha256` is the default at AWS; B2 refuses checksum headers, so others default to `none`. */
  checksum: z.enum(["sha256", "none"]).optional(),
});
export type S3Config = z.infer<typeof S3Config>;

/** Objects in a bucket; the destination's id of an artifact is its key. */
export const s3: Destination = {
  kind: "s3",

  async ticket(integration, upload, store) {
    const { prefix, checksum } = settings(integration);
    const key = upload.destination_ref ?? `${prefix}${upload.path}`;
    if (!upload.destination_ref) await store.keepRef(key);
    const headers: Record<string, string> = { "content-type": upload.content_type };
    const digest = checksum === "sha256" && upload.sha256 ? hexToBase64(upload.sha256) : undefined;
    if (digest) headers["x-amz-checksum-sha256"] = digest;
    const url = await presign(integration, {
      method: "PUT",
      key,
      headers,
      seconds: UPLOAD_SECONDS,
    });
    return { method: "PUT", url, headers };
  },

  async stat(integration, destinationRef) {
    const wantsChecksum = settings(integration).checksum === "sha256";
    const headers: Record<string, string> = wantsChecksum
      ? { "x-amz-checksum-mode": "ENABLED" }
      : {};
    const url = await presign(integration, {
      method: "HEAD",
      key: destinationRef,
      headers,
      seconds: HEAD_SECONDS,
    });
    const answer = await callProvider({
      role: "destination",
      integration: integration.slug,
      method: "HEAD",
      url,
      headers,
      accept: [404],
      allowPrivate: allowsPrivateNetwork(integration),
    });
    if (answer.status === 404) return null;
    const header = (name: string) => answer.headers.get(name);
    // The checksum of a multipart upload covers its parts, not the object's bytes.
    const isWhole = header("x-amz-checksum-type") !== "COMPOSITE";
    const sha256 = header("x-amz-checksum-sha256");
    return {
      size_bytes: Number(header("content-length")),
      sha256: sha256 && isWhole && !sha256.includes("-") ? base64ToHex(sha256) : null,
      md5: md5FromEtag(answer.headers),
    };
  },

  location(integration, destinationRef) {
    return `s3://${settings(integration).bucket}/${destinationRef}`;
  },
};

/**
 * The ETag is the MD5 of the bytes unless the object came in parts or is encrypted with a key of
 * KMS or of the customer.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
 */
function md5FromEtag(headers: Headers): string | null {
  const encryption = headers.get("x-amz-server-side-encryption") ?? "AES256";
  if (encryption !== "AES256") return null;
  if (headers.has("x-amz-server-side-encryption-customer-algorithm")) return null;
  return /^"?([0-9a-f]{32})"?$/i.exec(headers.get("etag") ?? "")?.[1]?.toLowerCase() ?? null;
}

/**
 * Where an integration's bucket is, and what opens it.
 *
 * @throws AppError `<role>_misconfigured` (422), `<role>_credentials_missing` (502)
 */
export function settings(integration: Integration, role: ProviderRole = "destination") {
  const parsed = S3Config.safeParse(integration.config);
  if (!parsed.success) throw misconfigured(integration, role, parsed.error.issues[0]!.message);
  const config = parsed.data;
  const endpoint = config.endpoint ?? integration.base_url ?? undefined;
  const environment = integration.is_default ? env() : undefined;
  const bucket = config.bucket ?? environment?.AWS_S3_ARTIFACTS_BUCKET;
  if (!bucket) {
    throw misconfigured(integration, role, 'it names no bucket, such as {"bucket": "backups"}');
  }
  const { credentials } = integration;
  const accessKeyId = credentials.access_key_id ?? environment?.AWS_ACCESS_KEY_ID;
  const secretAccessKey = credentials.secret_access_key ?? environment?.AWS_SECRET_ACCESS_KEY;
  const sessionToken = credentials.access_key_id
    ? credentials.session_token
    : environment?.AWS_SESSION_TOKEN;
  if (!accessKeyId || !secretAccessKey) {
    throw new AppError(
      `${role}_credentials_missing`,
      502,
      `Integration ${integration.slug} has no credential: store access_key_id and ` +
        "secret_access_key with marketplace.set_integration_secret.",
      { retryable: false },
    );
  }
  return {
    bucket,
    endpoint,
    region: config.region ?? environment?.AWS_REGION ?? (endpoint ? "auto" : "us-east-1"),
    forcePathStyle: config.force_path_style ?? Boolean(endpoint),
    prefix: config.prefix ? `${config.prefix.replace(/^\/+|\/+$/g, "")}/` : "",
    checksum: config.checksum ?? (endpoint ? "none" : "sha256"),
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) },
  };
}

/** What a presigned URL allows. */
interface Permission {
  method: "PUT" | "HEAD" | "GET";
  /** Of an object; `` for the bucket itself. */
  key: string;
  query?: Record<string, string>;
  /** To be sent along; AWS ignores a checksum in the query, only a signed header is verified. */
  headers: Record<string, string>;
  seconds: number;
}

/** A URL that allows one request, with no other credential. */
export async function presign(
  integration: Integration,
  { method, key, query = {}, headers, seconds }: Permission,
  role: ProviderRole = "destination",
): Promise<string> {
  const { credentials, region, ...place } = settings(integration, role);
  const url = objectUrl({ ...place, region }, key);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  url.searchParams.set("X-Amz-Expires", String(seconds));
  const client = new AwsClient({ ...credentials, region, service: "s3", retries: 0 });
  const signed = await client.sign(url.href, { method, headers, aws: { signQuery: true } });
  return signed.url;
}

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html */
function objectUrl(
  { bucket, endpoint, region, forcePathStyle }: Pick<
    ReturnType<typeof settings>,
    "bucket" | "endpoint" | "region" | "forcePathStyle"
  >,
  key: string,
): URL {
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const url = new URL(endpoint ?? `https://s3.${region}.${domain}`);
  // The certificate's wildcard covers a name without dots only.
  const isInPath = forcePathStyle || bucket.includes(".");
  if (!isInPath) url.host = `${bucket}.${url.host}`;
  const segments = (isInPath ? [bucket] : []).concat(key.split("/").map(encodeRfc3986));
  url.pathname = `${url.pathname.replace(/\/$/, "")}/${segments.join("/")}`;
  return url;
}

function encodeRfc3986(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function misconfigured(integration: Integration, role: ProviderRole, why: string): AppError {
  return new AppError(
    `${role}_misconfigured`,
    422,
    `The config of integration ${integration.slug} cannot be used: ${why}.`,
  );
}

function hexToBase64(hex: string): string {
  return btoa(hex.replace(/../g, (byte) => String.fromCharCode(parseInt(byte, 16))));
}

function base64ToHex(text: string): string {
  return Array.from(atob(text), (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join(
    "",
  );
}
