// What an execution costs, in counts that depend on no machine: statements, and requests that leave.
import assert from "node:assert/strict";
import postgres from "postgres";
import { toAppError } from "../_shared/errors.ts";
import { execute as run, type ExecuteInput, startExecution } from "../_shared/execution/execute.ts";
import { readExecution } from "../_shared/execution/store.ts";
import { stackEnv, useDatabase } from "./support_queue.ts";
import { connect, makeKey, makeTenant, useProvider } from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

const statements: string[] = [];
const counted = postgres(stackEnv("SUPABASE_DB_URL"), {
  max: 1,
  onnotice: () => {},
  debug: (_connection, query) => statements.push(query.replace(/\s+/g, " ").trim()),
});
Deno.test.afterAll(() => counted.end());

/** The functions that were called by statements of their own, while something was done. */
async function calledBy(work: () => Promise<unknown>): Promise<string[]> {
  // The driver asks for the types once a connection.
  await counted`select 1`;
  statements.length = 0;
  await work();
  return statements.map((query) => /marketplace\.(\w+)\(/.exec(query)?.[1] ?? query);
}

const BOTH = ["begin_execution", "finish_executions"];

Deno.test("a call takes two statements, whoever makes it: one before the provider, one after", async () => {
  const tenant = await makeTenant(sql, provider.url, {
    row: { rate_limit: { quota: { limit: 1000, window_seconds: 3600 } } },
    config: { quota: { limit: 1000, window_seconds: 3600 } },
  });
  const connection_id = await connect(sql, tenant, { isShared: true });
  await sql`select marketplace.set_integration_secret(${tenant.integration}, 'api_token', 'own')`;
  const { key } = await makeKey(sql, tenant);
  const claims = { sub: tenant.member.id, role: "authenticated" };
  let atProvider: string[] = [];
  provider.reset();
  provider.answer(() => {
    atProvider = [...statements];
    return Response.json({ items: [1, 2] });
  });
  const callers: [string, ExecuteInput["caller"], Record<string, string>][] = [
    ["a key", { kind: "api_key", token: key }, { connection_id }],
    ["a user", { kind: "user", claims }, { integration: tenant.integration }],
    ["the service", { kind: "service" }, { integration: tenant.integration }],
    ["the service with a connection", { kind: "service" }, { connection_id }],
  ];
  for (const [who, caller, target] of callers) {
    for (const more of [{}, { idempotency_key: crypto.randomUUID() }]) {
      const input: ExecuteInput = {
        caller,
        correlationId: crypto.randomUUID(),
        request: { ...target, ...more, action: "things.list", parameters: {} },
      };
      provider.received.length = 0;
      assert.deepEqual(await calledBy(() => run(counted, input)), BOTH, who);
      assert.equal(atProvider.length, 1, `${who}: one statement before the provider was asked`);
      assert.equal(provider.received.length, 1);
      if (!("idempotency_key" in more)) continue;
      assert.deepEqual(await calledBy(() => run(counted, input)), [BOTH[0]], `${who}, again`);
      assert.equal(provider.received.length, 1);
    }
  }
});

Deno.test("what comes while a statement is under way shares the next one", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  // All are answered at once, when the last has come.
  const arrived = Promise.withResolvers<void>();
  const width = 12;
  let count = 0;
  provider.answer(async () => {
    if (++count === width) arrived.resolve();
    await arrived.promise;
    return Response.json({});
  });
  const call = (token: string) =>
    run(counted, {
      caller: { kind: "api_key", token },
      correlationId: crypto.randomUUID(),
      request: { connection_id, action: "things.list", parameters: {} },
    });
  const called = await calledBy(async () => {
    const refused = Array.from(
      { length: 3 },
      (_, n) =>
        assert.rejects(call(`${key}${n}`), (error) => toAppError(error).code === "invalid_token"),
    );
    const answers = await Promise.all(Array.from({ length: width }, () => call(key)));
    assert.ok(answers.every(({ status }) => status === 200));
    await Promise.all(refused);
  });
  const begins = called.filter((name) => name.startsWith("begin_execution"));
  assert.deepEqual(begins, ["begin_execution", "begin_executions"]);
  const reports = called.filter((name) => name === "finish_executions");
  assert.equal(begins.length + reports.length, called.length);
  assert.ok(reports.length < width, `${width} executions made ${reports.length} reports`);
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int from marketplace.execution_logs
    where connection_id = ${connection_id} and outcome = 'succeeded'
  `;
  assert.equal(row!.count, width);
});

Deno.test("a refusal takes one statement, and a page more none", async () => {
  const tenant = await makeTenant(sql, provider.url, {
    actions: {
      "pages.list": {
        method: "GET",
        path: "/pages",
        body_type: "none",
        is_read_only: true,
        pagination: JSON.stringify({ style: "page", parameter: "page", items: "/items" }),
        request_schema: JSON.stringify({
          type: "object",
          properties: { page: { type: "integer" } },
        }),
      },
    },
  });
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant, { actions: [`${tenant.integration}.pages.*`] });
  const input = (action: string, more: Partial<ExecuteInput["request"]> = {}): ExecuteInput => ({
    caller: { kind: "api_key", token: key },
    correlationId: crypto.randomUUID(),
    request: { connection_id, action, parameters: {}, ...more },
  });
  provider.reset();
  assert.deepEqual(await calledBy(() => run(counted, input("things.list"))), [BOTH[0]]);
  assert.equal(provider.received.length, 0);
  provider.answer(({ url }) => Response.json({ items: url.endsWith("page=4") ? [] : [1] }));
  const paged = input("pages.list", { paginate: { max_pages: 10 } });
  assert.deepEqual(await calledBy(() => run(counted, paged)), BOTH);
  assert.equal(provider.received.length, 4);
});

Deno.test("in the background as well; asking how it stands takes one", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  const caller = { kind: "api_key", token: key } as const;
  provider.reset();
  let id = "";
  const called = await calledBy(async () => {
    const start = await startExecution(counted, {
      caller,
      correlationId: crypto.randomUUID(),
      request: { connection_id, action: "things.list", parameters: {} },
    }, { isAsync: true });
    assert.equal(start.kind, "begun");
    if (start.kind !== "begun") return;
    id = start.begun.execution_id;
    await start.run();
  });
  assert.deepEqual(called, BOTH);
  assert.deepEqual(await calledBy(() => readExecution(counted, id, caller)), ["read_execution"]);
});

Deno.test("a token is renewed by two statements more, and once for all who come after", async () => {
  const tenant = await makeTenant(sql, provider.url, {
    config: { auth: { token_url: `${provider.url}/token` } },
  });
  await sql`
    update marketplace.providers set auth_type = 'oauth2' where slug = ${tenant.provider}
  `;
  for (const [purpose, secret] of [["client_id", "id"], ["client_secret", "secret"]] as const) {
    await sql`select marketplace.set_integration_secret(${tenant.integration}, ${purpose}, ${secret})`;
  }
  const connection_id = await connect(sql, tenant, { isShared: true });
  await sql`
    select marketplace.open_grant(
      ${connection_id}, 'oauth2', p_access_token => 'ended', p_refresh_token => 'refresh',
      p_expires_in_s => -1
    )
  `;
  provider.reset();
  provider.answer(({ url }) =>
    url === "/token"
      ? Response.json({ access_token: "new", token_type: "bearer", expires_in: 3600 })
      : Response.json({})
  );
  const input: ExecuteInput = {
    caller: { kind: "service" },
    correlationId: crypto.randomUUID(),
    request: { connection_id, action: "things.list", parameters: {} },
  };
  assert.deepEqual(await calledBy(() => run(counted, input)), [
    "begin_execution",
    "store_tokens",
    "lease_refresh",
    "finish_executions",
  ]);
  assert.deepEqual(await calledBy(() => run(counted, input)), BOTH);
  assert.equal(provider.at("/token").length, 1);
});
