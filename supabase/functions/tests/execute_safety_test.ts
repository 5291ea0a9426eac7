// Where requests and credentials must not go, and what must not come back.
import assert from "node:assert/strict";
import { PRIVATE_URLS } from "../_shared/net/testing.ts";
import { stackEnv, useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  FakeProvider,
  logOf,
  makeKey,
  makeTenant,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

async function makeLane(config: Record<string, unknown> = {}, canary = "acme-token") {
  const tenant = await makeTenant(sql, provider.url, { config });
  const connection_id = await connect(sql, tenant, {
    isShared: true,
    credential: { api_token: canary },
  });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  const run = (action: string, parameters: unknown = {}, more: Record<string, unknown> = {}) =>
    execute(key, { connection_id, action, parameters, ...more });
  return { tenant, connection_id, key, run };
}

Deno.test("no spelling of a private address is reached by a file's URL, nor by an output's", async () => {
  const { tenant, key, connection_id } = await makeLane();
  const inside = new FakeProvider();
  try {
    const port = new URL(inside.url).port;
    // Wherever the port matters, it is one that would answer.
    const urls = PRIVATE_URLS.map((url) =>
      url.replace(/^(http:\/\/127\.0\.0\.1)\/$/, `$1:${port}/`)
    );
    for (let at = 0; at < urls.length; at += 40) {
      const some = urls.slice(at, at + 40);
      const requests = some.flatMap((url) => [
        {
          connection_id,
          action: "files.upload",
          parameters: { file: { filename: "f", url } },
        },
        { connection_id, action: "files.get", output: { url } },
      ]);
      const { body } = await execute(key, requests, { path: "/batch" });
      for (const [index, result] of body.results.entries()) {
        const url = some[Math.floor(index / 2)]!;
        // What no URL parser takes never comes so far.
        assert.match(result.error?.code ?? "none", /^(address_refused|invalid_request)$/, url);
      }
    }
    assert.equal(inside.received.length, 0);
    assert.equal(provider.at("/files").filter(({ method }) => method === "POST").length, 0);
    assert.ok((await logOf(sql, tenant)).every(({ outcome }) => outcome === "failed"));
  } finally {
    await inside.stop();
  }
});

Deno.test("an integration's own URL is not reached inside, unless its row allows that", async () => {
  const { tenant, run } = await makeLane();
  for (const url of PRIVATE_URLS.filter((url) => /^https?:\/\/[^\\%]*$/.test(url)).slice(0, 40)) {
    await sql`
      update marketplace.integrations
      set config = ${JSON.stringify({ api_base: url.replace(/\/+$/, "") })}::text::jsonb
      where id = ${tenant.integrationId}
    `;
    const { status, body } = await run("things.list");
    assert.ok(status === 422, `${url} ${status}`);
    assert.match(body.error.code, /address_refused|integration_misconfigured/, url);
  }
  const [last] = (await logOf(sql, tenant)).slice(-1);
  assert.equal(last!.attempt_count, 0);
});

Deno.test("parameters cannot lead to another path or host", async () => {
  const { run } = await makeLane();
  for (
    const id of ["..", "../admin", "%2e%2e", "..%2fadmin", "a/../../b", ".", "\u0000", "a\r\nx: y"]
  ) {
    const { body } = await run("things.get", { id });
    assert.equal(body.error?.code, "validation_failed", JSON.stringify(id));
  }
  assert.equal(provider.received.length, 0);
  for (const id of ["//evil.example/x", "@evil.example", "a?b=c#d", "a/b", "ü ☃"]) {
    const { status } = await run("things.get", { id });
    assert.equal(status, 200, id);
    const { url } = provider.received.at(-1)!;
    assert.equal(url, `/things/${encodeURIComponent(id)}`);
  }
});

Deno.test("a redirect takes the credential nowhere", async () => {
  const { run } = await makeLane();
  const thief = new FakeProvider();
  try {
    for (const status of [301, 302, 303, 307, 308]) {
      provider.reset();
      provider.answer(() =>
        new Response(null, { status, headers: { location: `${thief.url}/steal` } })
      );
      const read = await run("things.list");
      assert.deepEqual([read.status, read.body.error.details.reason], [502, "provider_redirected"]);
      const write = await run("things.create");
      assert.equal(write.body.error.details.provider_status, status);
      // A write is not sent again to another path of the same host either.
      provider.answer(() => new Response(null, { status, headers: { location: "/elsewhere" } }));
      await run("things.create");
      assert.equal(provider.at("/elsewhere").length, 0);
    }
    assert.equal(thief.received.length, 0);
    // A moved resource of the same origin is read where it is now.
    provider.reset();
    provider.answer(({ url }) =>
      url === "/things"
        ? new Response(null, { status: 301, headers: { location: "/moved" } })
        : Response.json({ moved: true })
    );
    assert.deepEqual((await run("things.list")).body.result, { moved: true });
  } finally {
    await thief.stop();
  }
});

Deno.test("a page's link leads to the next page, never to another host", async () => {
  const thief = new FakeProvider();
  const tenant = await makeTenant(sql, provider.url, {
    actions: {
      "pages.list": {
        method: "GET",
        path: "/pages",
        body_type: "none",
        is_read_only: true,
        pagination: JSON.stringify({ style: "link", next: "/next", items: "/items" }),
        request_schema: JSON.stringify({
          type: "object",
          properties: { page: { type: "integer" } },
        }),
      },
    },
  });
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  provider.answer(({ url }) => {
    const page = Number(new URL(url, "http://x").searchParams.get("page") ?? 1);
    return Response.json({
      items: [page],
      next: page < 3 ? `${thief.url}/pages?page=${page + 1}` : null,
    });
  });
  try {
    const { body } = await execute(key, {
      connection_id,
      action: "pages.list",
      paginate: { max_pages: 5 },
    });
    assert.deepEqual(body.result.items, [1, 2, 3]);
    assert.equal(thief.received.length, 0);
  } finally {
    await thief.stop();
  }
});

Deno.test("an answer is bounded in size and in time", async () => {
  const { tenant, run } = await makeLane();
  await sql`
    update marketplace.actions set timeout_ms = 300 where provider_slug = ${tenant.provider}
  `;
  provider.answer(() => new Response("x".repeat(9 * 1024 * 1024)));
  const large = await run("things.create");
  assert.equal(large.body.error.details.reason, "provider_invalid_response");
  provider.answer(async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return Response.json({});
  });
  const slow = await run("things.create");
  assert.equal(slow.body.error.details.reason, "provider_timeout");
  assert.match(slow.body.error.message, /did not answer in time/);
  // Head at once, body never.
  provider.answer(() =>
    new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(1)) }))
  );
  const stalled = await run("things.create");
  assert.equal(stalled.body.error.details.reason, "provider_timeout");
  assert.equal(provider.received.length, 3);
});

Deno.test("a secret comes back in nothing: no answer, error, log row or log line", async () => {
  const canary = `canary/${crypto.randomUUID()}+${crypto.randomUUID()}"\\`;
  const { tenant, run, key, connection_id } = await makeLane({}, canary);
  const lines = await edgeLog();
  const echo = (status: number): void =>
    provider.answer(({ headers, url }) =>
      Response.json({
        message: `bad token ${headers.get("authorization")} at ${url}`,
        raw: headers.get("authorization"),
        nested: { again: [canary, encodeURIComponent(canary), btoa(canary)] },
      }, { status, headers: { "x-echo": "1" } })
    );
  const answers: unknown[] = [];
  for (const status of [200, 400, 401, 403, 404, 429, 500]) {
    echo(status);
    answers.push((await run("things.create", { name: "n" })).body);
    answers.push(
      (await run("things.get", { id: "1" }, { idempotency_key: crypto.randomUUID() })).body,
    );
  }
  provider.answer(({ headers }) => new Response(`not json ${headers.get("authorization")}`));
  answers.push((await run("things.create", { note: "n" })).body);
  answers.push((await run("things.get", {})).body);
  answers.push(
    (await execute(key, { connection_id, action: "things.create" }, {
      headers: { prefer: "respond-async" },
    }))
      .body,
  );
  // A parameter that repeats it is the caller's own; the log takes it out all the same.
  await run("things.create", { password: canary, text: `use ${canary} here` });
  await sql`update marketplace.integrations set config = config || '{"api_base": "http://127.0.0.1:9"}' where id = ${tenant.integrationId}`;
  answers.push((await run("things.create")).body);
  await new Promise((resolve) => setTimeout(resolve, 300));

  const spellings = [
    canary,
    JSON.stringify(canary).slice(1, -1),
    encodeURIComponent(canary),
    btoa(canary),
  ];
  const places: Record<string, string> = {
    answers: JSON.stringify(answers),
    log: JSON.stringify(await logOf(sql, tenant)),
    results: JSON.stringify(
      await sql`select answer from marketplace.execution_results where organization_id = ${tenant.organizationId}`,
    ),
    lines: (await edgeLog()).slice(lines.length),
  };
  assert.ok(
    provider.received.some(({ headers }) => headers.get("authorization")?.includes(canary)),
  );
  for (const [place, text] of Object.entries(places)) {
    for (const spelling of spellings) {
      assert.ok(!text.includes(spelling), `${place} holds the secret as ${spelling}`);
      assert.ok(!text.includes(JSON.stringify(spelling).slice(1, -1)), `${place} holds the secret`);
    }
  }
});

async function edgeLog(): Promise<string> {
  const text = await Deno.readTextFile(`${stackEnv("MARKETPLACE_HOME")}/logs/edge.log`);
  assert.match(text, /marketplace-execute/);
  return text;
}

Deno.test("sensitive places are in neither log nor URL, and long documents are cut", async () => {
  const { tenant, run } = await makeLane();
  provider.answer(() =>
    Response.json({ secret_note: "s3cret-note", items: [{ pin: 4711, ok: 1 }], api_key: "k" })
  );
  const answer = await run("things.create", {
    secret_note: "s3cret-note",
    items: [{ pin: 4711, name: "n" }],
    long: "x".repeat(50_000),
  });
  assert.equal(answer.body.result.secret_note, "s3cret-note");
  const [row] = await logOf(sql, tenant);
  const text = JSON.stringify(row);
  assert.ok(!text.includes("s3cret-note") && !text.includes("4711"));
  assert.ok(text.length < 25_000, `${text.length} characters`);
  assert.equal(row!.response.items[0].ok, 1);
  assert.equal(row!.response.api_key, "[redacted]");
});

Deno.test("bytes of a provider are no page of ours", async () => {
  const { key, connection_id } = await makeLane();
  provider.answer(() => new Response("<script>", { headers: { "content-type": "text/html" } }));
  const response = await fetch(`${stackEnv("SUPABASE_URL")}/functions/v1/marketplace-execute`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ connection_id, action: "files.get" }),
  });
  assert.equal(await response.text(), "<script>");
  assert.match(response.headers.get("content-disposition")!, /^attachment/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
});

Deno.test("no text that Postgres cannot store loses a log row", async () => {
  const { tenant, run } = await makeLane();
  provider.answer(() => new Response(JSON.stringify({ text: "a\u0000b\ud800c" })));
  const answer = await run("things.create", { text: "a\u0000b\ud800c" });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal((await logOf(sql, tenant))[0]!.outcome, "succeeded");
});
