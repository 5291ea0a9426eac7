// The same key and request are one execution, whatever happens around it.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  logOf,
  makeKey,
  makeTenant,
  quotasOf,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

async function makeLane(row: Record<string, unknown> = {}) {
  const tenant = await makeTenant(sql, provider.url, { row });
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  const run = (
    action: string,
    { idempotency_key, parameters = { name: "n" }, headers = {} }: {
      idempotency_key?: string;
      parameters?: unknown;
      headers?: Record<string, string>;
    } = {},
  ) => execute(key, { connection_id, action, parameters, idempotency_key }, { headers });
  return { tenant, run };
}

Deno.test("of fifty at once with one key, one reaches the provider, and all get its answer", async () => {
  const { tenant, run } = await makeLane({
    rate_limit: { quota: { limit: 1000, window_seconds: 3600 } },
  });
  let made = 0;
  provider.answer(async () => {
    made++;
    await new Promise((resolve) => setTimeout(resolve, 150));
    return Response.json({ id: made }, { status: 201 });
  });
  const idempotency_key = crypto.randomUUID();
  const ask = async () => {
    for (;;) {
      const answer = await run("things.create", { idempotency_key });
      if (answer.status !== 409) return answer;
      assert.equal(answer.body.error.code, "execution_in_progress");
      assert.equal(answer.headers.get("retry-after"), "1");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const answers = await Promise.all(Array.from({ length: 50 }, ask));
  assert.equal(made, 1);
  assert.equal(new Set(answers.map(({ body }) => body.execution_id)).size, 1);
  assert.ok(answers.every(({ status, body }) => status === 200 && body.result.id === 1));
  assert.equal(
    answers.filter(({ headers }) => headers.get("idempotent-replayed") === "true").length,
    49,
  );
  const log = await logOf(sql, tenant);
  assert.equal(log.filter(({ outcome }) => outcome === "succeeded").length, 1);
  assert.equal((await quotasOf(sql, tenant)).requests?.used, 1);
});

Deno.test("a key is for one request", async () => {
  const { run } = await makeLane();
  const idempotency_key = crypto.randomUUID();
  const first = await run("things.create", { idempotency_key, parameters: { a: 1, b: 2 } });
  const same = await run("things.create", { idempotency_key, parameters: { b: 2, a: 1 } });
  assert.equal(same.body.execution_id, first.body.execution_id);
  for (
    const other of [
      run("things.create", { idempotency_key, parameters: { a: 1, b: 3 } }),
      run("things.replace", { idempotency_key, parameters: { a: 1, b: 2 } }),
    ]
  ) {
    const { status, body } = await other;
    assert.deepEqual([status, body.error.code], [422, "idempotency_key_reused"]);
  }
  assert.equal(provider.received.length, 1);
});

Deno.test("another tenant's keys are another's", async () => {
  const [one, two] = [await makeLane(), await makeLane()];
  const idempotency_key = crypto.randomUUID();
  await one.run("things.create", { idempotency_key });
  await two.run("things.create", { idempotency_key, parameters: { other: true } });
  assert.equal(provider.received.length, 2);
});

Deno.test("the header does as well as the field", async () => {
  const { run } = await makeLane();
  const headers = { "idempotency-key": crypto.randomUUID() };
  const first = await run("things.create", { headers });
  const second = await run("things.create", { headers });
  assert.equal(second.body.execution_id, first.body.execution_id);
  assert.equal(second.headers.get("idempotent-replayed"), "true");
});

Deno.test("a definite no is given again; what did not take place may be tried again", async () => {
  const { run } = await makeLane();
  const replayed = async (response: () => Response) => {
    const idempotency_key = crypto.randomUUID();
    provider.reset();
    provider.answer(response);
    await run("things.create", { idempotency_key });
    const before = provider.received.length;
    const again = await run("things.create", { idempotency_key });
    assert.equal(again.status >= 400, true);
    return provider.received.length === before;
  };
  const refuse = (status: number, headers = {}) => () =>
    Response.json({ message: "no" }, { status, headers });
  assert.equal(await replayed(refuse(400)), true);
  assert.equal(await replayed(refuse(404)), true);
  assert.equal(await replayed(refuse(422)), true);
  // It may have taken place: not a second time.
  assert.equal(await replayed(refuse(500)), true);
  assert.equal(await replayed(refuse(503)), true);
  assert.equal(await replayed(refuse(401)), false);
  assert.equal(await replayed(refuse(429, { "retry-after": "0" })), false);
});

Deno.test("invalid parameters do not use the key up", async () => {
  const { run } = await makeLane();
  const idempotency_key = crypto.randomUUID();
  const wrong = await run("things.get", { idempotency_key, parameters: {} });
  assert.equal(wrong.body.error.code, "validation_failed");
  const right = await run("things.get", { idempotency_key, parameters: { id: "1" } });
  assert.equal(right.status, 200);
});

Deno.test("of a run that never reported, only what is harmless is run again", async () => {
  const { tenant, run } = await makeLane();
  const abandon = (key: string) =>
    sql`
      update marketplace.execution_results
      set http_status = null, answer = null, finished_at = null, lease_until = now() - interval '1 s'
      where organization_id = ${tenant.organizationId} and idempotency_key = ${key}
    `;
  const ask = async (action: string) => {
    const idempotency_key = crypto.randomUUID();
    await run(action, { idempotency_key });
    await abandon(idempotency_key);
    return await run(action, { idempotency_key });
  };
  assert.equal((await ask("things.replace")).status, 200);
  assert.equal((await ask("things.keyed")).status, 200);
  const unknown = await ask("things.create");
  assert.deepEqual([unknown.status, unknown.body.error.code], [409, "outcome_unknown"]);
});

/** Runs an execution in another process, which is killed once the provider has been asked. */
async function killedAtProvider(input: Record<string, unknown>): Promise<void> {
  const asked = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  provider.answer(async () => {
    asked.resolve();
    await over.promise;
    return Response.json({ by: "the killed one" });
  });
  const worker = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      fileURLToPath(new URL("./support_execute_worker.ts", import.meta.url)),
      JSON.stringify(input),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  await asked.promise;
  worker.kill("SIGKILL");
  const { signal, stdout } = await worker.output();
  assert.deepEqual([signal, stdout.byteLength], ["SIGKILL", 0]);
  over.resolve();
}

Deno.test("killed between the provider and the report: never run twice, and never in doubt for long", async () => {
  const { tenant, run } = await makeLane({
    rate_limit: { quota: { limit: 1000, window_seconds: 86_400 } },
  });
  const [{ id: connection_id }] = await sql<[{ id: string }]>`
    select id from marketplace.connections where organization_id = ${tenant.organizationId}
  `;
  const { key } = await makeKey(sql, tenant);
  for (
    const [action, isHarmless] of [["things.create", false], ["things.replace", true]] as const
  ) {
    const idempotency_key = crypto.randomUUID();
    const parameters = { name: "n" };
    const again = () => execute(key, { connection_id, action, parameters, idempotency_key });
    provider.reset();
    await killedAtProvider({
      caller: { kind: "api_key", token: key },
      correlationId: crypto.randomUUID(),
      request: { connection_id, action, parameters, idempotency_key },
    });
    provider.reset();
    provider.answer(() => Response.json({ by: "the next one" }));
    assert.equal((await quotasOf(sql, tenant)).requests!.reserved, 1);

    // Nobody can know yet that it is dead.
    const early = await again();
    assert.deepEqual([early.status, early.body.error.code], [409, "execution_in_progress"]);
    assert.equal(early.headers.get("retry-after"), "1");
    assert.equal(provider.received.length, 0);
    // Another key, and none, are not kept waiting.
    assert.equal((await run("things.list")).status, 200);

    // The longest an execution may take has passed.
    const [lease] = await sql`
      select extract(epoch from lease_until - created_at) as seconds from marketplace.execution_results
      where organization_id = ${tenant.organizationId} and idempotency_key = ${idempotency_key}
    `;
    await sql`
      update marketplace.execution_results set lease_until = clock_timestamp()
      where organization_id = ${tenant.organizationId} and idempotency_key = ${idempotency_key}
    `;
    assert.ok(Number(lease!.seconds) <= 161, `${lease!.seconds} s`);
    provider.received.length = 0;
    const late = await again();
    if (isHarmless) {
      assert.deepEqual([late.status, late.body.result], [200, { by: "the next one" }]);
      assert.equal(provider.received.length, 1);
      assert.equal((await again()).headers.get("idempotent-replayed"), "true");
    } else {
      assert.deepEqual([late.status, late.body.error.code], [409, "outcome_unknown"]);
      assert.match(late.body.error.details.execution_id, /^[0-9a-f-]{36}$/);
      assert.equal(provider.received.length, 0);
    }

    // What it had reserved is settled, and its row says what is known.
    await sql`
      update marketplace.execution_logs set created_at = now() - interval '11 minutes'
      where organization_id = ${tenant.organizationId} and outcome = 'running'
    `;
    await sql`select marketplace.maintain_executions()`;
    assert.equal((await quotasOf(sql, tenant)).requests!.reserved, 0);
  }
  const log = await logOf(sql, tenant);
  assert.equal(log.filter(({ error_code }) => error_code === "execution_lost").length, 2);
  assert.equal(log.filter(({ outcome }) => outcome === "running").length, 0);
});

Deno.test("an answer is kept for a day", async () => {
  const { tenant, run } = await makeLane();
  const idempotency_key = crypto.randomUUID();
  const first = await run("things.create", { idempotency_key });
  const [row] = await sql`
    select expires_at - created_at as kept from marketplace.execution_results
    where execution_id = ${first.body.execution_id}
  `;
  assert.equal(row!.kept, "1 day");
  await sql`
    update marketplace.execution_results set expires_at = now() - interval '1 s'
    where organization_id = ${tenant.organizationId}
  `;
  const later = await run("things.create", { idempotency_key });
  assert.notEqual(later.body.execution_id, first.body.execution_id);
});

Deno.test("an answer too large to be kept is not repeated either", async () => {
  const { run } = await makeLane();
  provider.answer(() => Response.json({ text: "x".repeat(1_100_000) }));
  const idempotency_key = crypto.randomUUID();
  assert.equal((await run("things.create", { idempotency_key })).status, 200);
  const again = await run("things.create", { idempotency_key });
  assert.deepEqual([again.status, again.body.error.code], [409, "answer_not_kept"]);
  assert.equal(provider.received.length, 1);
});

Deno.test("the provider gets a key of its own where it knows a header for one", async () => {
  const { run } = await makeLane();
  let failures = 1;
  provider.answer(() => failures-- > 0 ? new Response(null, { status: 503 }) : Response.json({}));
  assert.equal((await run("things.keyed")).status, 200);
  const keys = provider.received.map(({ headers }) => headers.get("idempotency-key"));
  assert.equal(keys.length, 2);
  assert.ok(keys[0]);
  assert.equal(keys[0], keys[1]);
});

Deno.test("what is safe is repeated; a write is not, unless it cannot have begun", async () => {
  const { run } = await makeLane();
  const attempts = async (action: string, parameters: unknown, response: () => Response) => {
    provider.reset();
    provider.answer(response);
    await run(action, { parameters });
    return provider.received.length;
  };
  const status = (code: number, headers = {}) => () =>
    new Response("{}", { status: code, headers });
  assert.equal(await attempts("things.get", { id: "1" }, status(503)), 3);
  assert.equal(await attempts("things.replace", {}, status(502)), 3);
  assert.equal(await attempts("things.create", {}, status(503)), 1);
  assert.equal(await attempts("things.create", {}, status(500)), 1);
  assert.equal(await attempts("things.create", {}, status(429, { "retry-after": "0" })), 3);
  assert.equal(await attempts("things.get", { id: "1" }, status(400)), 1);
  // Longer than anybody waits: told instead.
  assert.equal(await attempts("things.get", { id: "1" }, status(503, { "retry-after": "90" })), 1);
});

Deno.test("Retry-After is waited for when it is short, and told when it is long", async () => {
  const { run } = await makeLane();
  let failures = 1;
  provider.answer(() =>
    failures-- > 0
      ? new Response("{}", { status: 429, headers: { "retry-after": "1" } })
      : Response.json({ ok: 1 })
  );
  const began = performance.now();
  assert.equal((await run("things.create")).status, 200);
  assert.ok(performance.now() - began >= 1000);
  provider.answer(() => new Response("{}", { status: 429, headers: { "retry-after": "77" } }));
  const told = await run("things.replace");
  assert.deepEqual([told.status, told.body.error.code], [429, "rate_limited"]);
  assert.equal(told.headers.get("retry-after"), "77");
  assert.equal(told.body.error.retry_after, 77);
});
