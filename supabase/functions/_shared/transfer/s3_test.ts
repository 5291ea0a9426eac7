import assert from "node:assert/strict";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { s3 } from "./s3.ts";
import { carryOut, digest, MemoryStore, type TestSandbox, withSandbox } from "./testing.ts";
import type { Integration, Upload } from "./types.ts";

const BYTES = new TextEncoder().encode("the bytes of an artifact");
const OTHER = new TextEncoder().encode("the bytes of a different");

async function withBucket(test: (sandbox: TestSandbox) => Promise<void>): Promise<void> {
  await withSandbox(async (sandbox) => {
    await sandbox.createBucket("artifacts");
    await test(sandbox);
  });
}

function clientOf({ config, credentials }: Integration): S3Client {
  return new S3Client({
    endpoint: String(config.endpoint),
    region: String(config.region),
    forcePathStyle: true,
    credentials: {
      accessKeyId: credentials.access_key_id!,
      secretAccessKey: credentials.secret_access_key!,
    },
  });
}

const upload = (over: Partial<Upload> = {}): Upload => ({
  path: "CI/2026-03-01/ünï côde & +.zip",
  content_type: "application/zip",
  size_bytes: BYTES.length,
  sha256: digest("sha256", BYTES),
  destination_ref: null,
  ...over,
});

Deno.test("a ticket uploads with nothing but itself, and the object proves its checksum", async () => {
  await withBucket(async (sandbox) => {
    const integration = sandbox.s3({ checksum: "sha256", prefix: "/mirror/" });
    const store = new MemoryStore();
    const ticket = await s3.ticket(integration, upload(), store);
    assert.equal(store.ref, "mirror/CI/2026-03-01/ünï côde & +.zip");
    assert.equal((await carryOut(ticket, BYTES)).status, 200);
    assert.deepEqual(await s3.stat(integration, store.ref!), {
      size_bytes: BYTES.length,
      sha256: digest("sha256", BYTES),
      md5: digest("md5", BYTES),
    });
    const client = clientOf(integration);
    const object = await client.send(
      new GetObjectCommand({ Bucket: "artifacts", Key: store.ref! }),
    );
    assert.equal(object.ContentType, "application/zip");
    assert.deepEqual(await object.Body!.transformToByteArray(), BYTES);
    client.destroy();
    assert.equal(s3.location(integration, store.ref!), `s3://artifacts/${store.ref}`);
  });
});

Deno.test("the digest is signed: other bytes, or none told, are refused by the service", async () => {
  await withBucket(async (sandbox) => {
    const integration = sandbox.s3({ checksum: "sha256" });
    const store = new MemoryStore();
    const ticket = await s3.ticket(integration, upload(), store);
    assert.equal((await carryOut(ticket, OTHER)).status, 400);
    const { "x-amz-checksum-sha256": _, ...headers } = ticket.headers;
    assert.equal((await carryOut({ ...ticket, headers }, BYTES)).status, 403);
    assert.equal(await s3.stat(integration, store.ref!), null);
  });
});

Deno.test("a service that refuses checksum headers gets none and proves by its ETag", async () => {
  await withBucket(async (sandbox) => {
    await sandbox.setS3Flavour("b2");
    const integration = sandbox.s3();
    const store = new MemoryStore();
    const ticket = await s3.ticket(integration, upload(), store);
    assert.equal((await carryOut(ticket, BYTES)).status, 200);
    assert.deepEqual(await s3.stat(integration, store.ref!), {
      size_bytes: BYTES.length,
      sha256: null,
      md5: digest("md5", BYTES),
    });
  });
});

Deno.test("asking again for the same artifact gives the same key", async () => {
  await withBucket(async (sandbox) => {
    const store = new MemoryStore();
    const ticket = await s3.ticket(
      sandbox.s3(),
      upload({ path: "renamed.zip", destination_ref: "first/key.zip" }),
      store,
    );
    assert.equal(new URL(ticket.url).pathname, "/artifacts/first/key.zip");
  });
});

Deno.test("a wrong key, a missing bucket and missing settings say what is wrong", async () => {
  await withBucket(async (sandbox) => {
    const wrong = sandbox.s3({}, {
      credentials: { access_key_id: "sandbox-access-key", secret_access_key: "wrong" },
    });
    await assert.rejects(s3.stat(wrong, "a"), { code: "destination_forbidden", retryable: false });
    await assert.rejects(
      s3.ticket(sandbox.s3({ bucket: undefined }), upload(), new MemoryStore()),
      (error: Error) =>
        (error as { code?: string }).code === "destination_misconfigured" &&
        error.message.includes('{"bucket":'),
    );
    await assert.rejects(
      s3.ticket(sandbox.s3({}, { credentials: {} }), upload(), new MemoryStore()),
      { code: "destination_credentials_missing" },
    );
  });
});

Deno.test("a service that is away is an error to try again, not a missing object", async () => {
  await withBucket(async (sandbox) => {
    await sandbox.addFault({ provider: "s3", status: 503, times: 10 });
    await assert.rejects(s3.stat(sandbox.s3(), "a"), {
      code: "destination_unavailable",
      retryable: true,
    });
  });
});

Deno.test("an object's address is the one that the AWS SDK gives it", async () => {
  const credentials = { access_key_id: "AKIDEXAMPLE", secret_access_key: "wJalrXUtnFEMI" };
  const places = [
    { bucket: "backups", region: "us-east-1" },
    { bucket: "backups", region: "eu-central-1" },
    { bucket: "my.backups", region: "eu-central-1" },
    { bucket: "backups", region: "cn-north-1" },
    { bucket: "backups", region: "eu-west-1", force_path_style: true },
    { bucket: "backups", region: "auto", endpoint: "https://s3.example.com/below" },
    {
      bucket: "backups",
      region: "auto",
      endpoint: "https://s3.example.com:9000",
      force_path_style: false,
    },
  ];
  for (const config of places) {
    const integration: Integration = {
      id: "0198c7de-9a3c-7c11-8a5b-1f2e3d4c5b6a",
      slug: "backups",
      provider: "aws_s3",
      is_default: false,
      base_url: null,
      config,
      credentials,
    };
    for (
      const path of ["a/b.zip", "ünï côde & +.zip", "it's (a) *test*!", "a%2Fb", "~x=y@z:1,2;3$"]
    ) {
      const ticket = await s3.ticket(integration, upload({ path }), new MemoryStore());
      const client = new S3Client({
        region: config.region,
        forcePathStyle: config.force_path_style ?? "endpoint" in config,
        ...("endpoint" in config ? { endpoint: config.endpoint } : {}),
        credentials: {
          accessKeyId: credentials.access_key_id,
          secretAccessKey: credentials.secret_access_key,
        },
      });
      const command = new PutObjectCommand({ Bucket: config.bucket, Key: path });
      const expected = new URL(await getSignedUrl(client, command));
      client.destroy();
      const { origin, pathname, searchParams } = new URL(ticket.url);
      assert.equal(origin + pathname, expected.origin + expected.pathname);
      assert.equal(searchParams.get("X-Amz-Expires"), "900");
    }
  }
});
