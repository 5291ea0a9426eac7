import type { Context } from "hono";
import { type Content, readAll } from "../core/contents.ts";
import { hexToBase64 } from "../core/digests.ts";
import type { ObservedEnv, Sandbox } from "../core/provider.ts";
import { S3Error } from "./errors.ts";
import type { Topics } from "../providers/sns/topics.ts";
import type { Flavour } from "./flavours.ts";
import type { Buckets, S3Object, StoredChecksum } from "./objects.ts";
import { type ChecksumName, CHECKSUMS, type Received, receivePayload } from "./payload.ts";
import type { Verified } from "./signature.ts";
import { readXml, writeXml } from "./xml.ts";

/** A request once its signature is verified. */
export interface Call {
  c: Context<ObservedEnv>;
  sandbox: Sandbox;
  buckets: Buckets;
  flavour: Flavour;
  topics: Topics;
  /** `""` when the request is about the service. */
  bucket: string;
  /** `""` when the request is about a bucket. */
  key: string;
  query: ReadonlyMap<string, string>;
  /** With what a presigned URL carries in its query instead. */
  headers: Headers;
  verified: Verified;
}

/** An S3 operation: what runs it, and the query parameters it understands. */
export interface Operation {
  run(call: Call): Response | Promise<Response>;
  parameters?: readonly string[];
}

/** Operations by method, target and sub-resource: `PUT object?uploadId`. */
export type Operations = Readonly<Record<string, Operation>>;

const KEPT_HEADERS =
  /^(cache-control|content-(disposition|encoding|language|type)|expires|x-amz-meta-.+)$/;

/** Receives and verifies the content of a request. @throws S3Error */
export function receive(call: Call, headers: Headers = call.headers): Promise<Received> {
  return receivePayload({
    headers,
    body: call.c.req.raw.body,
    verified: call.verified,
    contents: call.sandbox.contents,
    corrupt: call.c.get("corrupt"),
  });
}

/** Receives an XML document, verified as any other payload. @throws S3Error */
export async function receiveXml(call: Call): Promise<Record<string, unknown>> {
  const headers = new Headers(call.headers);
  // Here a checksum header is about the object that the request completes, not about the document.
  for (const name of Object.keys(CHECKSUMS)) headers.delete(`x-amz-checksum-${name}`);
  if (!call.c.req.raw.body && !headers.has("content-length")) headers.set("content-length", "0");
  const { content } = await receive(call, headers);
  const text = new TextDecoder().decode(await readAll(content.stream()));
  await content.release();
  const document = text === "" ? {} : readXml(text);
  if (!document) throw new S3Error("MalformedXML");
  return document;
}

/** Answers an XML document. */
export function answerXml(root: string, content: Record<string, unknown> | string): Response {
  return new Response(writeXml(root, content), { headers: { "content-type": "application/xml" } });
}

/** Answers that there is nothing to say. */
export function noContent(): Response {
  return new Response(null, { status: 204 });
}

/** The request headers that S3 keeps with an object and gives back. */
export function keepHeaders(headers: Headers): Record<string, string> {
  const kept = Object.fromEntries([...headers].filter(([name]) => KEPT_HEADERS.test(name)));
  // `aws-chunked` names the transfer, not the content.
  const encoding = kept["content-encoding"]?.split(",").map((part) => part.trim())
    .filter((part) => part !== "" && part !== "aws-chunked").join(",");
  delete kept["content-encoding"];
  if (encoding) kept["content-encoding"] = encoding;
  return kept;
}

/** The checksum of a whole content, as it is stored with an object. */
export function wholeChecksum(
  content: Content,
  name: ChecksumName | undefined,
): StoredChecksum | undefined {
  return name && { name, base64: hexToBase64(content.digests[name]), type: "FULL_OBJECT" };
}

/** The response headers that tell a stored checksum. */
export function checksumHeaders(checksum: StoredChecksum | undefined): Record<string, string> {
  if (!checksum) return {};
  return {
    [`x-amz-checksum-${checksum.name}`]: checksum.base64,
    "x-amz-checksum-type": checksum.type,
  };
}

/**
 * Checks `If-Match` and `If-None-Match: *` against what lies under the key.
 *
 * @throws S3Error `PreconditionFailed`
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
 */
export function checkPreconditions(headers: Headers, object: S3Object | undefined): void {
  const match = headers.get("if-match");
  if (match && match !== "*" && match !== (object && `"${object.etag}"`)) {
    throw new S3Error("PreconditionFailed", undefined, { Condition: "If-Match" });
  }
  if (headers.get("if-none-match") === "*" && object) {
    throw new S3Error("PreconditionFailed", undefined, { Condition: "If-None-Match" });
  }
}
