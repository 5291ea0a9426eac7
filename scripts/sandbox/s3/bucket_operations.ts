import { Buffer } from "node:buffer";
import { answerXml, type Call, noContent, type Operations, receiveXml } from "./call.ts";
import { S3Error } from "./errors.ts";
import { listObjects } from "./objects.ts";

const OWNER = { ID: "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a" };
const MAX_KEYS = 1000;

/** Operations on the service and on buckets. */
export const bucketOperations: Operations = {
  "GET service": { run: listBuckets },
  "PUT bucket": { run: createBucket },
  "HEAD bucket": { run: headBucket },
  "DELETE bucket": { run: deleteBucket },
  "GET bucket?location": { run: getLocation, parameters: ["location"] },
  "GET bucket?list-type": {
    run: listKeys,
    parameters: [
      "list-type",
      "prefix",
      "delimiter",
      "max-keys",
      "continuation-token",
      "start-after",
      "encoding-type",
      "fetch-owner",
    ],
  },
};

function listBuckets({ buckets }: Call): Response {
  const Bucket = buckets.list().map(([Name, { createdAt }]) => ({
    Name,
    CreationDate: new Date(createdAt).toISOString(),
  }));
  return answerXml("ListAllMyBucketsResult", { Owner: OWNER, Buckets: { Bucket } });
}

async function createBucket(call: Call): Promise<Response> {
  await receiveXml(call);
  call.buckets.create(call.bucket, call.sandbox.clock.now());
  return new Response(null, { headers: { location: `/${call.bucket}` } });
}

function headBucket({ buckets, bucket, flavour }: Call): Response {
  buckets.get(bucket);
  return new Response(null, { headers: { "x-amz-bucket-region": flavour.regions[0]! } });
}

function deleteBucket({ buckets, bucket }: Call): Response {
  buckets.remove(bucket);
  return noContent();
}

function getLocation({ buckets, bucket }: Call): Response {
  buckets.get(bucket);
  // us-east-1 is told as an empty constraint.
  return answerXml("LocationConstraint", "");
}

function listKeys({ buckets, bucket, query }: Call): Response {
  const encode = query.get("encoding-type") === "url"
    ? (text: string) => encodeURIComponent(text).replaceAll("%2F", "/")
    : (text: string) => text;
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const token = query.get("continuation-token");
  const maxKeys = Math.min(Number(query.get("max-keys") ?? MAX_KEYS), MAX_KEYS);
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
  return answerXml("ListBucketResult", {
    Name: bucket,
    Prefix: encode(prefix),
    ...(delimiter ? { Delimiter: encode(delimiter) } : {}),
    MaxKeys: maxKeys,
    ...(query.has("encoding-type") ? { EncodingType: "url" } : {}),
    KeyCount: page.entries.length,
    IsTruncated: next !== undefined,
    ...(token ? { ContinuationToken: token } : {}),
    ...(next ? { NextContinuationToken: next } : {}),
    Contents: page.entries.flatMap((entry) => {
      if ("prefix" in entry) return [];
      const { content, checksum, etag, modifiedAt } = entry.object;
      return [{
        Key: encode(entry.key),
        LastModified: new Date(modifiedAt).toISOString(),
        ETag: `"${etag}"`,
        Size: content.size,
        ...(checksum
          ? { ChecksumAlgorithm: checksum.name.toUpperCase(), ChecksumType: checksum.type }
          : {}),
        StorageClass: "STANDARD",
      }];
    }),
    CommonPrefixes: page.entries.flatMap((entry) =>
      "prefix" in entry ? [{ Prefix: encode(entry.prefix) }] : []
    ),
  });
}
