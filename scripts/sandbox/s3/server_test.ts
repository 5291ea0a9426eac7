import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { Readable } from "node:stream";
import { S3_CREDENTIALS } from "../mod.ts";
import { useSandbox } from "../testing.ts";

const { control, s3Url } = useSandbox();
const Bucket = "artifacts";
const clients: S3Client[] = [];
Deno.test.beforeEach(() => control.createBucket(Bucket));
Deno.test.afterAll(() => clients.forEach((client) => client.destroy()));

function connect(config: S3ClientConfig = {}): S3Client {
  const { region, ...credentials } = S3_CREDENTIALS;
  const client = new S3Client({
    endpoint: s3Url,
    region,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    ...config,
  });
  clients.push(client);
  return client;
}

const s3 = connect();
// A presigned URL must not carry the checksum of an empty body.
const presigning = connect({ requestChecksumCalculation: "WHEN_REQUIRED" });
const bytes = (size: number) => new Uint8Array(size).map((_, index) => index * 7 % 251);
const sha256 = (content: string | Uint8Array) =>
  createHash("sha256").update(content).digest("base64");

async function refusal(promise: Promise<unknown>): Promise<S3ServiceException> {
  const error = await promise.then(() => undefined, (error: unknown) => error);
  assert(error instanceof S3ServiceException, `expected an S3 error, got ${error}`);
  return error;
}

async function send(url: string, init?: RequestInit): Promise<{ status: number; text: string }> {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text() };
}

Deno.test("an object comes back byte for byte, with its metadata and checksum", async () => {
  const Body = bytes(3_000_000);
  await s3.send(
    new PutObjectCommand({
      Bucket,
      Key: "dir/ö ü+%&.zip",
      Body,
      ContentType: "application/zip",
      CacheControl: "no-store",
      Metadata: { run: "42" },
      ChecksumSHA256: sha256(Body),
    }),
  );
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "dir/ö ü+%&.zip" }));
  assert.deepEqual(await got.Body!.transformToByteArray(), Body);
  assert.equal(got.ContentType, "application/zip");
  assert.equal(got.CacheControl, "no-store");
  assert.deepEqual(got.Metadata, { run: "42" });
  assert.equal(got.ETag, `"${createHash("md5").update(Body).digest("hex")}"`);

  const head = await s3.send(
    new HeadObjectCommand({ Bucket, Key: "dir/ö ü+%&.zip", ChecksumMode: "ENABLED" }),
  );
  assert.equal(head.ContentLength, Body.length);
  assert.equal(head.ChecksumSHA256, sha256(Body));
  assert.equal(head.ChecksumType, "FULL_OBJECT");
});

Deno.test("HeadObject tells checksums only when asked", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a", ChecksumSHA256: sha256("a") }));
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "a" }));
  assert.equal(head.ChecksumSHA256, undefined);
});

Deno.test("a stream is taken as aws-chunked with its checksum in the trailer", async () => {
  const content = bytes(200_000);
  await s3.send(
    new PutObjectCommand({
      Bucket,
      Key: "streamed",
      Body: Readable.from([content.slice(0, 70_000), content.slice(70_000)]),
      ContentLength: content.length,
      ChecksumAlgorithm: "SHA256",
    }),
  );
  const [entry] = await control.journal({ provider: "s3", method: "PUT", path: "/*/streamed" });
  assert.equal(entry?.headers["x-amz-content-sha256"], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  assert.equal(entry?.headers["x-amz-trailer"], "x-amz-checksum-sha256");
  assert.deepEqual(await control.s3Content(Bucket, "streamed"), content);
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "streamed" }));
  assert.deepEqual(await got.Body!.transformToByteArray(), content);
  assert.equal(got.ContentEncoding, undefined);
});

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const) {
  Deno.test(`the SDK's ${ChecksumAlgorithm} is verified on the way in and on the way out`, async () => {
    const Body = bytes(100_000);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: "x", Body, ChecksumAlgorithm }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "x", ChecksumMode: "ENABLED" }));
    assert(put[`Checksum${ChecksumAlgorithm}`]);
    assert.equal(got[`Checksum${ChecksumAlgorithm}`], put[`Checksum${ChecksumAlgorithm}`]);
    // The SDK recomputes it while reading.
    assert.deepEqual(await got.Body!.transformToByteArray(), Body);
  });
}

Deno.test("an upload without a checksum gets a CRC64NVME, as AWS computes it", async () => {
  const plain = connect({ requestChecksumCalculation: "WHEN_REQUIRED" });
  await plain.send(new PutObjectCommand({ Bucket, Key: "a", Body: "123456789" }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a", ChecksumMode: "ENABLED" }));
  assert.equal(got.ChecksumCRC64NVME, Buffer.from("ae8b14860a799888", "hex").toString("base64"));
  assert.equal(await got.Body!.transformToString(), "123456789");
});

Deno.test("a wrong checksum is refused with BadDigest and stores nothing", async () => {
  const error = await refusal(
    s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a", ChecksumSHA256: sha256("b") })),
  );
  assert.equal(error.name, "BadDigest");
  assert.equal(error.$metadata.httpStatusCode, 400);
  assert.deepEqual(await control.s3Objects(), []);
});

Deno.test("a wrong Content-MD5 is refused with BadDigest, a malformed one with InvalidDigest", async () => {
  const ContentMD5 = createHash("md5").update("b").digest("base64");
  const wrong = s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a", ContentMD5 }));
  assert.equal((await refusal(wrong)).name, "BadDigest");
  const bad = s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a", ContentMD5: "zz" }));
  assert.equal((await refusal(bad)).name, "InvalidDigest");
});

Deno.test("a payload that differs from its signed hash is refused", async () => {
  await control.addFault({ provider: "s3", method: "PUT", corrupt: true });
  const plain = connect({ requestChecksumCalculation: "WHEN_REQUIRED" });
  const put = plain.send(new PutObjectCommand({ Bucket, Key: "a", Body: "abc" }));
  assert.equal((await refusal(put)).name, "XAmzContentSHA256Mismatch");
});

Deno.test("a range is answered with 206 and its place, one behind the end with InvalidRange", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "0123456789" }));
  const part = await s3.send(new GetObjectCommand({ Bucket, Key: "a", Range: "bytes=2-4" }));
  assert.equal(await part.Body!.transformToString(), "234");
  assert.equal(part.ContentRange, "bytes 2-4/10");
  const tail = await s3.send(new GetObjectCommand({ Bucket, Key: "a", Range: "bytes=-3" }));
  assert.equal(await tail.Body!.transformToString(), "789");
  const behind = s3.send(new GetObjectCommand({ Bucket, Key: "a", Range: "bytes=10-" }));
  assert.equal((await refusal(behind)).name, "InvalidRange");
});

Deno.test("conditional writes protect an object that is there", async () => {
  const put = (body: string) =>
    s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: body, IfNoneMatch: "*" }));
  await put("first");
  assert.equal((await refusal(put("second"))).name, "PreconditionFailed");
  assert.equal(new TextDecoder().decode(await control.s3Content(Bucket, "a")), "first");
});

Deno.test("unknown keys, buckets and credentials are told apart", async () => {
  const get = (client: S3Client, bucket: string) =>
    refusal(client.send(new GetObjectCommand({ Bucket: bucket, Key: "none" })));
  assert.equal((await get(s3, Bucket)).name, "NoSuchKey");
  assert.equal((await get(s3, "nowhere")).name, "NoSuchBucket");

  const stranger = connect({ credentials: { accessKeyId: "AKIANOBODY", secretAccessKey: "x" } });
  assert.equal((await get(stranger, Bucket)).name, "InvalidAccessKeyId");
  const liar = connect({ credentials: { ...S3_CREDENTIALS, secretAccessKey: "wrong" } });
  assert.equal((await get(liar, Bucket)).name, "SignatureDoesNotMatch");
  const elsewhere = connect({ region: "eu-central-1", followRegionRedirects: false });
  assert.equal((await get(elsewhere, Bucket)).name, "AuthorizationHeaderMalformed");
  assert.equal((await send(`${s3Url}/${Bucket}/none`)).status, 403);
});

Deno.test("a clock that is off by more than 15 minutes is refused", async () => {
  await control.advanceClock(16 * 60_000);
  // A client of its own: the SDK learns the server's time from the refusal.
  const error = await refusal(connect().send(new ListBucketsCommand({})));
  assert.equal(error.name, "RequestTimeTooSkewed");
});

Deno.test("a listing pages through all keys in order and rolls up what lies behind a delimiter", async () => {
  const keys = ["b", "a/2", "a/1", "c/d/1", "é"];
  for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));

  const listed: string[] = [];
  let pages = 0;
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket })) {
    pages++;
    for (const { Key } of page.Contents ?? []) listed.push(Key!);
  }
  assert.deepEqual(listed, ["a/1", "a/2", "b", "c/d/1", "é"]);
  assert.equal(pages, 3);

  const top = await s3.send(new ListObjectsV2Command({ Bucket, Delimiter: "/" }));
  assert.deepEqual(top.Contents?.map(({ Key, Size }) => [Key, Size]), [["b", 1], ["é", 2]]);
  assert.deepEqual(top.CommonPrefixes?.map(({ Prefix }) => Prefix), ["a/", "c/"]);
  assert.equal(top.KeyCount, 4);
  const below = await s3.send(
    new ListObjectsV2Command({ Bucket, Prefix: "a/", StartAfter: "a/1" }),
  );
  assert.deepEqual(below.Contents?.map(({ Key }) => Key), ["a/2"]);
});

Deno.test("buckets are made, found, listed and named as S3 wants", async () => {
  await s3.send(new CreateBucketCommand({ Bucket: "second" }));
  await s3.send(new HeadBucketCommand({ Bucket: "second" }));
  const { Buckets } = await s3.send(new ListBucketsCommand({}));
  assert.deepEqual(Buckets?.map(({ Name }) => Name), [Bucket, "second"]);
  const location = await s3.send(new GetBucketLocationCommand({ Bucket }));
  assert.equal(location.LocationConstraint ?? "", "");
  assert.equal(
    (await refusal(s3.send(new HeadBucketCommand({ Bucket: "third" })))).$metadata.httpStatusCode,
    404,
  );
  const bad = s3.send(new CreateBucketCommand({ Bucket: "Bad_Name" }));
  assert.equal((await refusal(bad)).name, "InvalidBucketName");
});

Deno.test("deleting succeeds twice and the object is gone", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a" }));
  for (let i = 0; i < 2; i++) await s3.send(new DeleteObjectCommand({ Bucket, Key: "a" }));
  const head = await refusal(s3.send(new HeadObjectCommand({ Bucket, Key: "a" })));
  assert.equal(head.$metadata.httpStatusCode, 404);
});

Deno.test("what is not implemented says so", async () => {
  const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "a" }));
  const { status, text } = await send(url.replace("x-id=GetObject", "acl"));
  // The altered query breaks the signature first; signed, the feature is refused.
  assert.equal(status, 403);
  assert.match(text, /SignatureDoesNotMatch/);
  const { GetObjectAclCommand } = await import("@aws-sdk/client-s3");
  const error = await refusal(s3.send(new GetObjectAclCommand({ Bucket, Key: "a" })));
  assert.equal(error.name, "NotImplemented");
});

Deno.test("a multipart upload joins its parts", async () => {
  const content = bytes(5 * 1024 * 1024 + 1000);
  const Key = "big.bin";
  const { UploadId } = await s3.send(
    new CreateMultipartUploadCommand({ Bucket, Key, ContentType: "application/zip" }),
  );
  const Parts: CompletedPart[] = [];
  for (const [index, start] of [0, 5 * 1024 * 1024].entries()) {
    const Body = content.subarray(start, start + 5 * 1024 * 1024);
    const PartNumber = index + 1;
    const part = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32 });
  }
  const complete = (parts: CompletedPart[]) =>
    s3.send(
      new CompleteMultipartUploadCommand({
        Bucket,
        Key,
        UploadId,
        MultipartUpload: { Parts: parts },
      }),
    );
  assert.equal((await refusal(complete([...Parts].reverse()))).name, "InvalidPartOrder");
  const wrong = [Parts[0]!, { ...Parts[1]!, ETag: '"0"' }];
  assert.equal((await refusal(complete(wrong))).name, "InvalidPart");

  const done = await complete(Parts);
  assert.match(done.ETag ?? "", /^"[0-9a-f]{32}-2"$/);
  const [object] = await control.s3Objects(Bucket);
  assert.equal(object?.content_type, "application/zip");
  assert.equal(object?.sha256, createHash("sha256").update(content).digest("hex"));
  assert.equal((await refusal(complete(Parts))).name, "NoSuchUpload");
});

Deno.test("a small part that is not the last is refused", async () => {
  const Key = "small";
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const Parts = [];
  for (const PartNumber of [1, 2]) {
    const { ETag } = await s3.send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: "x" }),
    );
    Parts.push({ PartNumber, ETag });
  }
  const done = s3.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
  );
  assert.equal((await refusal(done)).name, "EntityTooSmall");
  await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  const again = s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 3, Body: "x" }));
  assert.equal((await refusal(again)).name, "NoSuchUpload");
});

Deno.test("a presigned PUT with a signed checksum header verifies what is sent", async () => {
  const command = new PutObjectCommand({ Bucket, Key: "p.txt", ChecksumSHA256: sha256("hello") });
  const url = await getSignedUrl(presigning, command, {
    expiresIn: 60,
    unhoistableHeaders: new Set(["x-amz-checksum-sha256"]),
  });
  const headers = { "x-amz-checksum-sha256": sha256("hello") };
  assert.equal((await send(url, { method: "PUT", headers, body: "hello" })).status, 200);
  const other = await send(url, { method: "PUT", headers, body: "other" });
  assert.equal(other.status, 400);
  assert.match(other.text, /<Code>BadDigest<\/Code>/);
  const missing = await send(url, { method: "PUT", body: "hello" });
  assert.match(missing.text, /<Code>SignatureDoesNotMatch<\/Code>/);
});

Deno.test("a presigned URL ignores the checksum in its query, as AWS does", async () => {
  const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "q" }), { expiresIn: 60 });
  assert.equal(new URL(url).searchParams.get("x-amz-checksum-crc32"), "AAAAAA==");
  assert.equal((await send(url, { method: "PUT", body: "hello" })).status, 200);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "q", ChecksumMode: "ENABLED" }));
  assert.equal(head.ChecksumCRC32, undefined);
  assert(head.ChecksumCRC64NVME);
});

Deno.test("a presigned URL ends, belongs to one method and one key, and admits no further x-amz header", async () => {
  const command = new PutObjectCommand({ Bucket, Key: "p" });
  const url = await getSignedUrl(presigning, command, { expiresIn: 60 });
  const put = (target: string, headers: HeadersInit = {}) =>
    send(target, { method: "PUT", body: "x", headers });
  assert.match(
    (await put(url.replace(`/${Bucket}/p`, `/${Bucket}/q`))).text,
    /SignatureDoesNotMatch/,
  );
  assert.match((await send(url)).text, /SignatureDoesNotMatch/);
  const extra = await put(url, { "x-amz-meta-a": "b" });
  assert.equal(extra.status, 403);
  assert.match(extra.text, /not signed.*x-amz-meta-a/);
  const twice = await put(url, { authorization: "Bearer some-other-token" });
  assert.equal(twice.status, 400);
  assert.match(twice.text, /Only one auth mechanism allowed/);
  assert.equal((await put(url)).status, 200);
  await control.advanceClock(61_000);
  const late = await put(url);
  assert.equal(late.status, 403);
  assert.match(late.text, /<Code>AccessDenied<\/Code><Message>Request has expired<\/Message>/);
});

Deno.test("a presigned GET can choose the answer's headers", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a" }));
  const command = new GetObjectCommand({
    Bucket,
    Key: "a",
    ResponseContentDisposition: 'attachment; filename="a.txt"',
  });
  const response = await fetch(await getSignedUrl(s3, command));
  assert.equal(await response.text(), "a");
  assert.equal(response.headers.get("content-disposition"), 'attachment; filename="a.txt"');
});

Deno.test("an upload of unknown length is refused", async () => {
  const url = await getSignedUrl(presigning, new PutObjectCommand({ Bucket, Key: "p" }));
  const body = ReadableStream.from([new TextEncoder().encode("chunked")]);
  const { status, text } = await send(url, { method: "PUT", body });
  assert.equal(status, 411);
  assert.match(text, /MissingContentLength/);
});

Deno.test("as B2, checksum headers are refused and none is reported", async () => {
  await control.setS3Flavour("b2");
  const refused = await refusal(s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a" })));
  assert.equal(refused.name, "InvalidArgument");
  assert.match(refused.message, /Unsupported header 'x-amz-checksum-crc32'/);
  const plain = connect({
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  await plain.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a" }));
  const got = await plain.send(new GetObjectCommand({ Bucket, Key: "a" }));
  assert.equal(await got.Body!.transformToString(), "a");
  assert.equal(got.ChecksumCRC64NVME, undefined);
  const head = s3.send(new HeadObjectCommand({ Bucket, Key: "a", ChecksumMode: "ENABLED" }));
  assert.equal((await refusal(head)).$metadata.httpStatusCode, 400);
});

Deno.test("as R2, the region is auto and a checksum in a presigned query counts", async () => {
  await control.setS3Flavour("r2");
  const r2 = connect({ region: "auto" });
  const url = await getSignedUrl(r2, new PutObjectCommand({ Bucket, Key: "q" }));
  assert.match((await send(url, { method: "PUT", body: "hello" })).text, /BadDigest/);
  await r2.send(new PutObjectCommand({ Bucket, Key: "a", Body: "a", ChecksumSHA256: sha256("a") }));
  const head = await r2.send(new HeadObjectCommand({ Bucket, Key: "a", ChecksumMode: "ENABLED" }));
  assert.equal(head.ChecksumSHA256, sha256("a"));
});

Deno.test("SlowDown is retried by the SDK and the object stored once", async () => {
  await control.addFault({ provider: "s3", method: "PUT", rate_limit: { retry_after: 0 } });
  const put = new PutObjectCommand({ Bucket, Key: "a", Body: "a" });
  const { $metadata } = await connect({ maxAttempts: 2 }).send(put);
  assert.equal($metadata.attempts, 2);
  const statuses = (await control.journal({ provider: "s3" })).map(({ status }) => status);
  assert.deepEqual(statuses, [503, 200]);
  await control.addFault({ provider: "s3", error: "AccessDenied" });
  assert.equal((await refusal(s3.send(put))).name, "AccessDenied");
});

Deno.test("bytes altered on the way out fail the SDK's checksum", async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "abc" }));
  await control.addFault({ provider: "s3", method: "GET", path: `/${Bucket}/a`, corrupt: true });
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: "a" }));
  await assert.rejects(got.Body!.transformToString(), /Checksum mismatch/);
});

Deno.test("bytes altered on the way in are stored when nothing vouches for them", async () => {
  await control.addFault({ provider: "s3", method: "PUT", corrupt: true });
  const url = await getSignedUrl(presigning, new PutObjectCommand({ Bucket, Key: "a" }));
  assert.equal((await send(url, { method: "PUT", body: "abc" })).status, 200);
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "a" }));
  assert.equal(head.ContentLength, 3);
  assert.notEqual(head.ETag, `"${createHash("md5").update("abc").digest("hex")}"`);
});

Deno.test("an upload cut in the middle stores nothing, a download is cut short", async () => {
  const url = await getSignedUrl(presigning, new PutObjectCommand({ Bucket, Key: "a" }));
  await control.addFault({ provider: "s3", method: "PUT", cut: "mid_upload" });
  await assert.rejects(send(url, { method: "PUT", body: bytes(1_000_000) }));
  assert.deepEqual(await control.s3Objects(), []);
  assert.equal((await send(url, { method: "PUT", body: bytes(1_000_000) })).status, 200);
  await control.addFault({ provider: "s3", method: "GET", cut: "mid_body" });
  await assert.rejects(send(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "a" }))));
});

Deno.test("a big upload that is refused gets its answer all the same", async () => {
  const url = await getSignedUrl(presigning, new PutObjectCommand({ Bucket, Key: "a" }));
  const body = bytes(20_000_000);
  const { status } = await send(url.replace("/a?", "/b?"), { method: "PUT", body });
  assert.equal(status, 403);
  const [entry] = await control.journal({ provider: "s3", method: "PUT" });
  assert.equal(entry?.request_bytes, body.length);
});

Deno.test("keys are taken literally: dots, double slashes, plus signs, trailing slashes", async () => {
  for (const Key of ["a//b", "a+b c", "folder/", "ä'()!*~", "a/./b"]) {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    assert.equal(await got.Body!.transformToString(), Key);
    assert((await control.s3Objects(Bucket)).some(({ key }) => key === Key), Key);
  }
});
