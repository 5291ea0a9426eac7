import { serveContent } from "../core/serve_content.ts";
import {
  type Call,
  checkPreconditions,
  checksumHeaders,
  keepHeaders,
  noContent,
  type Operations,
  receive,
  wholeChecksum,
} from "./call.ts";
import { S3Error } from "./errors.ts";
import { notify } from "./notifications.ts";
import type { S3Object } from "./objects.ts";

const OVERRIDES = ["content-type", "content-disposition", "cache-control"];
const READ_PARAMETERS = OVERRIDES.map((name) => `response-${name}`);

/** Operations on objects. */
export const objectOperations: Operations = {
  "PUT object": { run: putObject },
  "GET object": { run: readObject, parameters: READ_PARAMETERS },
  "HEAD object": { run: readObject, parameters: READ_PARAMETERS },
  "DELETE object": { run: deleteObject },
};

async function putObject(call: Call): Promise<Response> {
  const { buckets, bucket, key, headers, flavour } = call;
  checkPreconditions(headers, buckets.get(bucket).objects.get(key));
  const { content, checksum } = await receive(call);
  const object: S3Object = {
    content,
    etag: content.digests.md5,
    modifiedAt: call.sandbox.clock.now(),
    headers: keepHeaders(headers),
    checksum: wholeChecksum(content, checksum?.name ?? flavour.defaultChecksum),
  };
  await buckets.put(bucket, key, object);
  notify(call, "ObjectCreated:Put", object);
  return new Response(null, {
    headers: {
      etag: `"${object.etag}"`,
      "x-amz-server-side-encryption": "AES256",
      ...checksumHeaders(object.checksum),
    },
  });
}

function readObject({ c, buckets, bucket, key, query, headers }: Call): Response {
  const object = buckets.object(bucket, key);
  const etag = `"${object.etag}"`;
  checkPreconditions(headers, object);
  if (headers.get("if-none-match") === etag) {
    return new Response(null, { status: 304, headers: { etag } });
  }
  const own: Record<string, string> = {
    "content-type": "binary/octet-stream",
    ...object.headers,
    etag,
    "last-modified": new Date(object.modifiedAt).toUTCString(),
    "x-amz-server-side-encryption": "AES256",
  };
  for (const name of OVERRIDES) {
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
  return c.req.method === "HEAD" ? new Response(null, answer) : answer;
}

async function deleteObject(call: Call): Promise<Response> {
  const { buckets, bucket, key } = call;
  const isThere = buckets.get(bucket).objects.has(key);
  await buckets.delete(bucket, key);
  if (isThere) notify(call, "ObjectRemoved:Delete");
  return noContent();
}
