// In the background, in batches, in pages, and shaped by transforms.
import assert from "node:assert/strict";
import { FUNCTIONS_URL, until, useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  logOf,
  makeKey,
  makeTenant,
  quotasOf,
  SERVICE,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

const object = (properties: Record<string, unknown>) =>
  JSON.stringify({ type: "object", properties, additionalProperties: false });
const PAGED = {
  "pages.cursor": {
    method: "GET",
    path: "/cursor",
    body_type: "none",
    is_read_only: true,
    pagination: JSON.stringify({
      style: "cursor",
      parameter: "after",
      next: "/meta/next",
      items: "/data/items",
    }),
    request_schema: object({ after: { type: "string" }, q: { type: "string" } }),
    response_transform: '{"names": data.items.name, "total": meta.total}',
  },
  "pages.number": {
    method: "GET",
    path: "/number",
    body_type: "none",
    is_read_only: true,
    pagination: JSON.stringify({
      style: "page",
      parameter: "page",
      size_parameter: "size",
      default_size: 2,
      items: "",
    }),
    request_schema: object({ page: { type: "integer" }, size: { type: "integer" } }),
  },
  "rows.append": {
    method: "POST",
    path: "/rows",
    request_transform: '{"values": $type(values[0]) = "array" ? values : [[values]]}',
    request_schema: object({ values: { type: "array" } }),
  },
};

async function makeLane(row: Record<string, unknown> = {}) {
  const tenant = await makeTenant(sql, provider.url, { row, actions: PAGED });
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  const run = (action: string, parameters: unknown = {}, more: Record<string, unknown> = {}) =>
    execute(key, { connection_id, action, parameters, ...more });
  return { tenant, connection_id, key, run };
}

async function look(token: string, location: string) {
  const response = await fetch(`${FUNCTIONS_URL}${location}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

Deno.test("Prefer: respond-async answers at once; the status URL tells the rest to who asked", async () => {
  const { tenant, connection_id, key } = await makeLane();
  let release = () => {};
  provider.answer(async () => {
    await new Promise<void>((resolve) => release = resolve);
    return Response.json({ id: 1 });
  });
  const accepted = await execute(
    key,
    { connection_id, action: "things.create" },
    { headers: { prefer: "respond-async, wait=5" } },
  );
  assert.equal(accepted.status, 202);
  assert.equal(accepted.headers.get("preference-applied"), "respond-async");
  const location = accepted.headers.get("location")!;
  assert.equal(location, `/marketplace-execute/executions/${accepted.body.execution_id}`);
  await until(() => provider.received.length > 0, "the provider to be asked");
  const running = await look(key, location);
  assert.deepEqual([running.status, running.body.status], [200, "running"]);
  assert.equal(running.headers.get("retry-after"), "1");
  release();
  const done = await until(async () => {
    const state = await look(key, location);
    return state.body.status !== "running" && state;
  }, "the end");
  assert.equal(done.body.status, "succeeded");
  assert.equal(done.body.http_status, 200);
  assert.deepEqual(done.body.response.result, { id: 1 });
  assert.equal(done.body.response.execution_id, accepted.body.execution_id);

  const other = await makeTenant(sql, provider.url);
  const otherKey = await makeKey(sql, tenant);
  const admin = await makeKey(sql, tenant, { scopes: ["admin"] });
  assert.equal((await look(SERVICE, location)).status, 200);
  assert.equal((await look(admin.key, location)).status, 200);
  for (const token of [otherKey.key, tenant.owner.token, other.owner.token]) {
    assert.equal((await look(token, location)).status, 404);
  }
  assert.equal((await look("x", location)).status, 401);
  const [row] = await logOf(sql, tenant);
  assert.equal(row!.outcome, "succeeded");
});

Deno.test("what fails in the background is kept, too; what is refused is told at once", async () => {
  const { connection_id, key } = await makeLane();
  provider.answer(() => Response.json({ message: "no" }, { status: 400 }));
  const ask = (body: Record<string, unknown>) =>
    execute(key, { connection_id, ...body }, { headers: { prefer: "respond-async" } });
  const accepted = await ask({ action: "things.create" });
  const done = await until(async () => {
    const state = await look(key, accepted.headers.get("location")!);
    return state.body.status !== "running" && state;
  }, "the end");
  assert.deepEqual([done.body.status, done.body.http_status], ["failed", 502]);
  assert.equal(done.body.response.error.code, "provider_error");
  assert.equal((await ask({ action: "no.such" })).status, 404);
});

Deno.test("of a background that was cut off, the log and the status say so", async () => {
  const { tenant, connection_id, key } = await makeLane();
  const accepted = await execute(
    key,
    { connection_id, action: "things.create" },
    { headers: { prefer: "respond-async" } },
  );
  const id = accepted.body.execution_id;
  await until(async () => (await logOf(sql, tenant))[0]?.outcome === "succeeded", "its end");
  // As if its report had never come.
  await sql`
    update marketplace.execution_results
    set http_status = null, answer = null, finished_at = null, lease_until = now() - interval '1 s'
    where execution_id = ${id}
  `;
  assert.equal((await look(key, accepted.headers.get("location")!)).body.status, "lost");
  await sql`
    update marketplace.execution_logs
    set outcome = 'running', duration_ms = null, created_at = created_at - interval '20 minutes'
    where id = ${id}
  `;
  await sql`select marketplace.maintain_executions()`;
  const [row] = await logOf(sql, tenant);
  assert.deepEqual([row!.outcome, row!.error_code], ["failed", "execution_lost"]);
});

Deno.test("a batch answers each of up to a hundred, in order", async () => {
  const { tenant, connection_id, key } = await makeLane();
  provider.answer(({ url }) => Response.json({ url }));
  const requests = Array.from(
    { length: 100 },
    (_, index) =>
      index % 10 === 7
        ? { connection_id, action: "things.get", parameters: {} }
        : index % 10 === 8
        ? { connection_id, action: "no.such" }
        : index % 10 === 9
        ? { nonsense: true }
        : { connection_id, action: "things.get", parameters: { id: String(index) } },
  );
  for (
    const [path, body] of [["/batch", requests], ["/api/v2/execute/batch", { requests }]] as const
  ) {
    const answer = await execute(key, body, { path });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.results.length, 100);
    for (const [index, result] of answer.body.results.entries()) {
      if (index % 10 < 7) {
        assert.deepEqual([result.http_status, result.result.url], [200, `/things/${index}`]);
      } else {
        const code = ["validation_failed", "action_not_found", "invalid_request"][index % 10 - 7];
        assert.equal(result.error.code, code);
      }
    }
  }
  assert.equal((await logOf(sql, tenant)).length, 180);
  const many = await execute(key, Array(101).fill(requests[0]), { path: "/batch" });
  assert.equal(many.status, 422);
  assert.equal((await execute(null, requests, { path: "/batch" })).status, 401);
});

Deno.test("pages are read on request, and the result is shaped like one of them", async () => {
  const { tenant, run } = await makeLane({
    rate_limit: { quota: { limit: 100, window_seconds: 600 } },
  });
  provider.answer(({ url }) => {
    const after = Number(new URL(url, "http://x").searchParams.get("after") ?? 0);
    return Response.json({
      data: { items: [{ name: `n${after}` }, { name: `n${after + 1}` }] },
      meta: { total: 6, next: after < 4 ? String(after + 2) : null },
    });
  });
  const all = await run("pages.cursor", { q: "x" }, { paginate: { max_pages: 10 } });
  assert.deepEqual(all.body.result, { names: ["n0", "n1", "n2", "n3", "n4", "n5"], total: 6 });
  assert.deepEqual(all.body.pages, { page_count: 3, is_complete: true, next: null });
  assert.ok(provider.received.every(({ url }) => url.includes("q=x")));
  assert.equal((await quotasOf(sql, tenant)).requests!.used, 3);
  assert.equal((await quotasOf(sql, tenant)).requests!.reserved, 0);

  const some = await run("pages.cursor", { q: "x" }, { paginate: { max_pages: 2 } });
  assert.deepEqual(some.body.pages, {
    page_count: 2,
    is_complete: false,
    next: { q: "x", after: "4" },
  });
  const rest = await run("pages.cursor", some.body.pages.next, { paginate: {} });
  assert.deepEqual(rest.body.result.names, ["n4", "n5"]);

  provider.answer(({ url }) => {
    const page = Number(new URL(url, "http://x").searchParams.get("page") ?? 1);
    return Response.json(page < 3 ? [page, page] : [page]);
  });
  const numbered = await run("pages.number", {}, { paginate: {} });
  assert.deepEqual(numbered.body.result, [1, 1, 2, 2, 3]);
  const plain = await run("pages.number", {});
  assert.deepEqual([plain.body.result, plain.body.pages], [[1, 1], undefined]);
  const none = await run("things.list", {}, { paginate: {} });
  assert.equal(none.body.error.code, "validation_failed");
});

Deno.test("quota is reserved for all pages before the first", async () => {
  const { run } = await makeLane({ rate_limit: { quota: { limit: 5, window_seconds: 600 } } });
  const answer = await run("pages.number", {}, { paginate: { max_pages: 6 } });
  assert.equal(answer.status, 429);
  assert.equal(provider.received.length, 0);
});

Deno.test("a page that fails fails the whole, and says how", async () => {
  const { run } = await makeLane();
  provider.answer(({ url }) =>
    url.includes("page=2")
      ? Response.json({ message: "gone" }, { status: 404 })
      : Response.json([1, 2])
  );
  const answer = await run("pages.number", {}, { paginate: {} });
  assert.deepEqual([answer.status, answer.body.error.details.provider_status], [502, 404]);
});

Deno.test("a row's transform makes the body, as Sheets wants its lists wrapped", async () => {
  const { run } = await makeLane();
  await run("rows.append", { values: [1, 2, 3] });
  await run("rows.append", { values: [[1], [2]] });
  assert.deepEqual(
    provider.received.map(({ body }) => JSON.parse(new TextDecoder().decode(body))),
    [{ values: [[1, 2, 3]] }, { values: [[1], [2]] }],
  );
});

Deno.test("browsers of other origins may ask", async () => {
  const preflight = await fetch(`${FUNCTIONS_URL}/marketplace-execute`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example.com",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,idempotency-key",
    },
  });
  assert.ok(preflight.ok);
  await preflight.body?.cancel();
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.match(preflight.headers.get("access-control-allow-headers")!, /idempotency-key/);
  const wrong = await fetch(`${FUNCTIONS_URL}/marketplace-execute`, { method: "DELETE" });
  assert.equal(wrong.status, 405);
  await wrong.body?.cancel();
});
