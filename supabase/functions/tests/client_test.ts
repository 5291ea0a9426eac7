// The typed client, and the types it comes with, against the running stack.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { loadCatalogue } from "../../../scripts/catalogue/rows.ts";
import { makeActionTypes } from "../../../scripts/generate/action_types.ts";
import { makeDatabaseTypes } from "../../../scripts/generate/database_types.ts";
import { GENERATED } from "../../../scripts/generate/files.ts";
import { resolveLayout } from "../../../scripts/platform/layout.ts";
import type { Database } from "../_shared/client/database.types.ts";
import { createExecute, ExecuteError } from "../_shared/client/execute.ts";
import { connect, makeKey, makeTenant, register, SERVICE, useProvider } from "./support_execute.ts";
import { FUNCTIONS_URL, stackEnv, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const provider = useProvider(sql);
const url = FUNCTIONS_URL;
const dbUrl = stackEnv("SUPABASE_DB_URL");
const REMEDY = "run `deno task types` and commit what it writes";

Deno.test("database.types.ts is what the migrations make of it", async () => {
  const made = await makeDatabaseTypes({ tools: resolveLayout().tools, dbUrl });
  assert.equal(await Deno.readTextFile(GENERATED.databaseTypes), made, REMEDY);
});

Deno.test("action.types.ts is what the catalogue makes of it", async () => {
  // Rows of tests that run beside this one are none of it.
  const actions = (await loadCatalogue(dbUrl)).actions
    .filter(({ provider_slug }) => !provider_slug.includes("test"));
  assert.equal(
    await Deno.readTextFile(GENERATED.actionTypes),
    await makeActionTypes(actions),
    REMEDY,
  );
});

Deno.test("supabase-js reads the schema with these types", async () => {
  const supabase = createClient<Database>(stackEnv("SUPABASE_URL"), SERVICE, {
    db: { schema: "marketplace" },
  });
  const tenant = await makeTenant(sql, provider.url);
  const { data, error } = await supabase.from("integrations").select("slug, status")
    .eq("slug", tenant.integration).single();
  assert.equal(error, null);
  const row: { slug: string; status: string } = data!;
  assert.deepEqual(row, { slug: tenant.integration, status: "active" });

  const health = await supabase.rpc("health");
  assert.equal((health.data as { database?: string }).database, "ok");
});

Deno.test("a call gets the provider's result, its error, or its bytes", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  const execute = createExecute({ url, token: () => Promise.resolve(key) });
  provider.reset();

  const parameters = { title: "One" };
  const [first, again] = [
    await execute({ connection_id, action: "things.create", parameters }, { idempotencyKey: "k" }),
    await execute({ connection_id, action: "things.create", parameters }, { idempotencyKey: "k" }),
  ];
  assert.deepEqual([first.status, first.result, first.isReplay], [200, { ok: true }, false]);
  assert.deepEqual([again.result, again.isReplay], [first.result, true]);
  assert.equal(again.execution_id, first.execution_id);
  assert.equal(provider.received.length, 1);

  await assert.rejects(execute({ connection_id, action: "things.get" }), (error) => {
    assert.ok(error instanceof ExecuteError);
    assert.deepEqual([error.code, error.status], ["validation_failed", 422]);
    assert.equal(JSON.stringify(error.details).includes("/id"), true);
    assert.match(error.correlationId!, /^[0-9a-f-]{36}$/);
    return true;
  });
  await assert.rejects(
    createExecute({ url, token: "mpk_nobody" })({ connection_id, action: "things.list" }),
    { code: "invalid_token", status: 401 },
  );

  provider.answer(() => new Response("a,b\n1,2\n", { headers: { "content-type": "text/csv" } }));
  const { content, execution_id, result } = await execute({ connection_id, action: "files.get" });
  assert.equal(result, undefined);
  assert.match(execution_id, /^[0-9a-f-]{36}$/);
  assert.equal(content!.headers.get("content-type"), "text/csv");
  assert.equal(await content!.text(), "a,b\n1,2\n");
});

Deno.test("a call that is given up ends at once", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  const stop = new AbortController();
  const hang = Promise.withResolvers<void>();
  provider.reset();
  provider.answer(async () => {
    stop.abort();
    await hang.promise;
    return Response.json({});
  });
  const began = performance.now();
  await assert.rejects(
    createExecute({ url, token: key })({ connection_id, action: "things.list" }, {
      signal: stop.signal,
    }),
    { name: "AbortError" },
  );
  assert.ok(performance.now() - began < 5000);
  hang.resolve();
});

Deno.test("a typed action of the catalogue reaches its provider", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const integration = `${tenant.slug}-slack`;
  await register(sql, {
    slug: integration,
    provider: "slack",
    organization: tenant.slug,
    config: { api_base: stackEnv("SANDBOX_SLACK_URL"), allow_private_network: true },
  });
  const connection_id = await connect(sql, { slug: tenant.slug, integration }, {
    isShared: true,
    credential: { api_token: "xoxb-sandbox" },
  });
  const { key } = await makeKey(sql, tenant);
  const { result } = await createExecute({ url, token: key })<"slack">({
    connection_id,
    action: "chat.postMessage",
    parameters: { channel: "#ci-artifacts", text: "By the typed client" },
  });
  assert.equal((result as { ok: boolean }).ok, true);
});
