import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import type { Content } from "../core/contents.ts";
import { createDigester, hexToBase64 } from "../core/digests.ts";
import {
  answerXml,
  type Call,
  checkPreconditions,
  keepHeaders,
  noContent,
  type Operations,
  receive,
  receiveXml,
  wholeChecksum,
} from "./call.ts";
import { S3Error } from "./errors.ts";
import { notify } from "./notifications.ts";
import type { ChecksumType, MultipartUpload, Part, S3Object, StoredChecksum } from "./objects.ts";
import { type ChecksumName, CHECKSUMS } from "./payload.ts";

const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PART_NUMBER = 10_000;

/**
 * Operations of multipart uploads.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
 */
export const multipartOperations: Operations = {
  "POST object?uploads": { run: startUpload, parameters: ["uploads"] },
  "PUT object?uploadId": { run: uploadPart, parameters: ["uploadId", "partNumber"] },
  "POST object?uploadId": { run: completeUpload, parameters: ["uploadId"] },
  "DELETE object?uploadId": { run: abortUpload, parameters: ["uploadId"] },
};

function startUpload({ buckets, bucket, key, headers }: Call): Response {
  const UploadId = buckets.startUpload({
    bucket,
    key,
    headers: keepHeaders(headers),
    checksumName: readChecksumName(headers.get("x-amz-checksum-algorithm")),
    checksumType: readChecksumType(headers.get("x-amz-checksum-type")),
  });
  return answerXml("InitiateMultipartUploadResult", { Bucket: bucket, Key: key, UploadId });
}

async function uploadPart(call: Call): Promise<Response> {
  const [, upload] = findUpload(call);
  const number = Number(call.query.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > MAX_PART_NUMBER) {
    throw new S3Error(
      "InvalidArgument",
      `Part number must be an integer between 1 and ${MAX_PART_NUMBER}, inclusive`,
    );
  }
  const { content, checksum } = await receive(call);
  await upload.parts.get(number)?.content.release();
  const etag = content.digests.md5;
  upload.parts.set(number, { content, etag });
  const told = checksum ?? wholeChecksum(content, upload.checksumName);
  return new Response(null, {
    headers: {
      etag: `"${etag}"`,
      ...(told ? { [`x-amz-checksum-${told.name}`]: told.base64 } : {}),
    },
  });
}

async function completeUpload(call: Call): Promise<Response> {
  const { buckets, bucket, key, headers, sandbox } = call;
  const [id, upload] = findUpload(call);
  const parts = chooseParts(upload.parts, await receiveXml(call));
  checkPreconditions(headers, buckets.get(bucket).objects.get(key));
  checkPartSizes(parts, call.flavour.equalParts);

  const content = await sandbox.contents.store(joined(parts));
  const md5s = Buffer.concat(parts.map((part) => Buffer.from(part.etag, "hex")));
  const checksum = await uploadChecksum(call, upload, content, parts);
  const object: S3Object = {
    content,
    etag: `${createHash("md5").update(md5s).digest("hex")}-${parts.length}`,
    modifiedAt: sandbox.clock.now(),
    headers: upload.headers,
    checksum,
  };
  await buckets.put(bucket, key, object);
  await buckets.endUpload(id);
  notify(call, "ObjectCreated:CompleteMultipartUpload", object);
  return answerXml("CompleteMultipartUploadResult", {
    Location: `${sandbox.storageOrigin()}/${bucket}/${key}`,
    Bucket: bucket,
    Key: key,
    ETag: `"${object.etag}"`,
    ...(checksum
      ? { [`Checksum${checksum.name.toUpperCase()}`]: checksum.base64, ChecksumType: checksum.type }
      : {}),
  });
}

async function abortUpload(call: Call): Promise<Response> {
  const [id] = findUpload(call);
  await call.buckets.endUpload(id);
  return noContent();
}

function findUpload({ buckets, bucket, key, query }: Call): [id: string, upload: MultipartUpload] {
  const id = query.get("uploadId") ?? "";
  return [id, buckets.upload(id, bucket, key)];
}

/** The parts that the client lists, each proved by its ETag and, if given, its checksum. */
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
    if (!part || listed.ETag?.replaceAll('"', "") !== part.etag || !sameChecksums(listed, part)) {
      throw new S3Error("InvalidPart", undefined, { PartNumber: String(number) });
    }
    return part;
  });
}

function sameChecksums(listed: Record<string, string>, part: Part): boolean {
  return (Object.keys(CHECKSUMS) as ChecksumName[]).every((name) => {
    const claimed = listed[`Checksum${name.toUpperCase()}`];
    return claimed === undefined || claimed === hexToBase64(part.content.digests[name]);
  });
}

function checkPartSizes(parts: readonly Part[], equalParts: boolean): void {
  const inner = parts.slice(0, -1).map(({ content }) => content.size);
  for (const size of inner) {
    if (size < MIN_PART_BYTES) {
      throw new S3Error("EntityTooSmall", undefined, {
        ProposedSize: String(size),
        MinSizeAllowed: String(MIN_PART_BYTES),
      });
    }
    if (equalParts && size !== inner[0]) {
      throw new S3Error("InvalidPart", "All non-trailing parts must have the same length.");
    }
  }
}

/** CRC64NVME covers whole objects only; the others cover the parts' checksums unless asked. */
async function uploadChecksum(
  { flavour }: Call,
  upload: MultipartUpload,
  content: Content,
  parts: readonly Part[],
): Promise<StoredChecksum | undefined> {
  const name = upload.checksumName ?? flavour.defaultChecksum;
  if (!name) return undefined;
  if (name === "crc64nvme" || upload.checksumType === "FULL_OBJECT") {
    return wholeChecksum(content, name);
  }
  const digester = await createDigester();
  for (const part of parts) digester.update(Buffer.from(part.content.digests[name], "hex"));
  const base64 = hexToBase64(digester.finish()[name]);
  return { name, base64: `${base64}-${parts.length}`, type: "COMPOSITE" };
}

function readChecksumName(algorithm: string | null): ChecksumName | undefined {
  const name = algorithm?.toLowerCase();
  if (name === undefined) return undefined;
  if (!Object.hasOwn(CHECKSUMS, name)) {
    throw new S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.");
  }
  return name as ChecksumName;
}

function readChecksumType(type: string | null): ChecksumType | undefined {
  if (type === null) return undefined;
  if (type === "FULL_OBJECT" || type === "COMPOSITE") return type;
  throw new S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.");
}

async function* joined(parts: readonly Part[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part.content.stream();
}
