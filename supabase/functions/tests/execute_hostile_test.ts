// What hostile providers answer and hostile callers send: each is refused, and none of it is lost.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  logOf,
  makeKey,
  makeTenant,
  quotasOf,
  register,
  type Tenant,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

async function makeLane(row: Record<string, unknown> = {}) {
  const tenant = await makeTenant(sql, provider.url, { row });
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  const run = (action: string, parameters: unknown = {}, more: Record<string, unknown> = {}) =>
    execute(key, { connection_id, action, parameters, ...more });
  return { tenant, connection_id, key, run };
}

/** An integration of a seeded provider whose API is our own server. */
async function seeded(tenant: Tenant, name: string, token: Record<string, string>) {
  const integration = `${tenant.slug}-${name.replaceAll("_", "-")}`;
  await register(sql, {
    slug: integration,
    provider: name,
    organization: tenant.slug,
    config: { allow_private_network: true, api_base: provider.url },
  });
  const connection_id = await connect(sql, { slug: tenant.slug, integration }, {
    isShared: true,
    type: "oauth2",
    credential: token,
  });
  return connection_id;
}

Deno.test("JSON that is nested beyond measure is an error, and the execution ends", async () => {
  const { tenant, run } = await makeLane();
  for (const text of ["[".repeat(1_000_000), `{"a":`.repeat(100_000) + "1" + "}".repeat(100_000)]) {
    provider.answer(() => new Response(text));
    const idempotency_key = crypto.randomUUID();
    const answer = await run("things.create", {}, { idempotency_key });
    assert.equal(answer.status, 502, JSON.stringify(answer.body).slice(0, 300));
    assert.equal(answer.body.error.details.reason, "provider_invalid_response");
    // It may have taken place: the key tells the same again, and nothing is sent.
    const before = provider.received.length;
    assert.deepEqual((await run("things.create", {}, { idempotency_key })).body, answer.body);
    assert.equal(provider.received.length, before);
  }
  assert.ok((await logOf(sql, tenant)).every(({ outcome }) => outcome === "failed"));
});

Deno.test("a request that is nested beyond measure is refused", async () => {
  const { key, connection_id } = await makeLane();
  const deep = "[".repeat(5_000) + "]".repeat(5_000);
  const body = JSON.parse(
    `{"connection_id": "${connection_id}", "action": "things.create", "parameters": {"a": ${deep}}}`,
  );
  const answer = await execute(key, body);
  assert.deepEqual([answer.status, answer.body.error.code], [422, "invalid_request"]);
  assert.equal(provider.received.length, 0);
});

Deno.test("numbers and times that no database takes lose no report", async () => {
  const { tenant, run } = await makeLane({
    rate_limit: {
      limit_header: "x-limit",
      remaining_header: "x-remaining",
      reset_header: "x-reset",
      name_header: "x-name",
      reset_format: "epoch_ms",
      quota: { limit: 1000, window_seconds: 3600 },
    },
  });
  const answers: Record<string, string>[] = [
    { "x-limit": "1e30", "x-remaining": "1e30", "x-reset": "8640000000000000" },
    { "x-limit": "5", "x-remaining": "99999999999999999999", "x-reset": "1e300" },
    { "x-limit": "0.001", "x-remaining": "-1e99", "x-reset": "-8640000000000000" },
    { "x-limit": "10", "x-remaining": "9", "x-name": "all connections" },
    { "x-limit": "10", "x-remaining": "9", "x-name": `retry-after things.create` },
    { "x-limit": "10", "x-remaining": "9", "x-name": "n".repeat(5_000) },
  ];
  for (const headers of answers) {
    provider.answer(() => Response.json({}, { headers }));
    const { status, body } = await run("things.create");
    assert.equal(status, 200, `${JSON.stringify(headers)} ${JSON.stringify(body)}`);
  }
  const log = await logOf(sql, tenant);
  assert.deepEqual([...new Set(log.map(({ outcome }) => outcome))], ["succeeded"]);
  // No name of a limit is one of ours.
  assert.deepEqual(Object.keys(await quotasOf(sql, tenant)), ["requests"]);
  assert.equal((await quotasOf(sql, tenant)).requests!.reserved, 0);
});

Deno.test("no parameter of a handler climbs out of its action's path", async () => {
  const { tenant, key } = await makeLane();
  const github = await seeded(tenant, "github", { access_token: "gh-token" });
  const drive = await seeded(tenant, "google_drive", { access_token: "g-token" });
  const commit = (more: Record<string, unknown>) =>
    execute(key, {
      connection_id: github,
      action: "git.commitFiles",
      parameters: {
        owner: "o",
        repo: "r",
        branch: "main",
        message: "m",
        files: [{ path: "a", text: "b" }],
        ...more,
      },
    });
  provider.answer(() => Response.json({ object: { sha: "s" }, tree: { sha: "t" }, sha: "x" }));
  for (
    const branch of ["../../../../user", "a/../../../../../user", "..", "%2e%2e/x", "a\\..\\b"]
  ) {
    const answer = await commit({ branch });
    assert.deepEqual([answer.status, answer.body.error?.code], [422, "validation_failed"], branch);
  }
  for (const fileId of ["..", ".", "%2e%2e"]) {
    const answer = await execute(key, {
      connection_id: drive,
      action: "files.upload",
      parameters: { file: { filename: "f", data: "YQ==" }, fileId },
    });
    assert.deepEqual([answer.status, answer.body.error?.code], [422, "validation_failed"], fileId);
  }
  assert.deepEqual(provider.received.map(({ url }) => url), []);
  assert.equal((await commit({})).status, 200);
});

Deno.test("a media type is one: no line of a header hides in it", async () => {
  const { tenant, key } = await makeLane();
  const drive = await seeded(tenant, "google_drive", { access_token: "g-token" });
  for (
    const content_type of ["text/plain\r\nx-evil: 1", "text/plain\n\nbody", "no type", "", "ä/b"]
  ) {
    const { status, body } = await execute(key, {
      connection_id: drive,
      action: "files.upload",
      parameters: { file: { filename: "f", data: "YQ==", content_type } },
    });
    assert.equal(status, 422, content_type);
    assert.deepEqual(body.error.details[0].pointer, "/file/content_type");
  }
  assert.equal(provider.received.length, 0);
});

Deno.test("headers of a link are the caller's, but for those of the connection", async () => {
  const { run } = await makeLane();
  for (
    const headers of [
      { host: "metadata.google.internal" },
      { "Transfer-Encoding": "chunked" },
      { "content-length": "0" },
      { "x-a\r\nx-evil": "1" },
      { "x-a": "1\r\nx-evil: 1" },
    ]
  ) {
    const answer = await run("files.get", {}, { output: { url: "https://example.com/", headers } });
    assert.deepEqual([answer.status, answer.body.error.code], [422, "invalid_request"]);
  }
  assert.equal(provider.received.length, 0);
});

Deno.test("XML that declares entities is not expanded", async () => {
  const { tenant, key } = await makeLane();
  const integration = `${tenant.slug}-s3`;
  await register(sql, {
    slug: integration,
    provider: "aws_s3",
    organization: tenant.slug,
    config: { allow_private_network: true, api_base: provider.url },
  });
  const connection_id = await connect(sql, { slug: tenant.slug, integration }, {
    isShared: true,
    type: "aws_sigv4",
    credential: { access_key_id: "a-key-id", secret_access_key: "a-secret-key" },
    settings: { region: "us-east-1" },
  });
  const entities = Array.from(
    { length: 12 },
    (_, n) => `<!ENTITY e${n + 1} "${`&e${n};`.repeat(10)}">`,
  );
  provider.answer(() =>
    new Response(
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "boom">${entities.join("")}]>` +
        `<ListBucketResult><Contents><Key>&e12;</Key></Contents></ListBucketResult>`,
    )
  );
  const began = performance.now();
  const answer = await execute(key, {
    connection_id,
    action: "ListObjectsV2",
    parameters: { bucket: "bucket" },
  });
  assert.deepEqual([answer.status, answer.body.error.code], [502, "provider_error"]);
  assert.ok(performance.now() - began < 2_000);
});

Deno.test("an answer that is small only as long as it is compressed is not unpacked to its end", async () => {
  const { run } = await makeLane();
  const text = new Blob([`{"text":"${"x".repeat(40 * 1024 * 1024)}"}`]).stream();
  const packed = await new Response(text.pipeThrough(new CompressionStream("gzip"))).bytes();
  assert.ok(packed.byteLength < 100_000);
  const headers = { "content-encoding": "gzip", "content-length": String(packed.byteLength) };
  provider.answer(() => new Response(packed, { headers }));
  const answer = await run("things.list");
  assert.deepEqual([answer.status, answer.body.error.code], [502, "provider_error"]);
  assert.match(answer.body.error.message, /more than 8388608 bytes/);
});

Deno.test("a batch whose answers are too large is not run to its end", async () => {
  const { tenant, connection_id, key } = await makeLane();
  const body = JSON.stringify({ text: "x".repeat(5 * 1024 * 1024) });
  provider.answer(() => new Response(body));
  const requests = Array.from({ length: 40 }, () => ({ connection_id, action: "things.list" }));
  const answer = await execute(key, requests, { path: "/batch" });
  const statuses: number[] = answer.body.results.map(
    (result: { http_status: number }) => result.http_status,
  );
  const ran = statuses.filter((status) => status === 200).length;
  // Those that ran side by side when the measure was full are told all the same.
  assert.ok(ran >= 7 && ran <= 15, `${ran} ran`);
  assert.equal(statuses.filter((status) => status === 413).length, 40 - ran);
  assert.equal(answer.body.results.at(-1).error.code, "batch_too_large");
  assert.equal((await logOf(sql, tenant)).length, ran);
});
