// Who may run what: users under row level security, API keys, the platform, and nobody else.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  logOf,
  makeKey,
  makeTenant,
  SERVICE,
  signIn,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

/** What an answer comes down to. */
function verdict({ status, body }: { status: number; body: { error?: { code: string } } }) {
  return body.error ? `${status} ${body.error.code}` : String(status);
}

Deno.test("a user runs on connections of his own and on shared ones, by whichever path", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const own = await connect(sql, tenant, {
    user: tenant.member,
    credential: { api_token: "own-token" },
  });
  const shared = await connect(sql, tenant, {
    user: tenant.owner,
    isShared: true,
    credential: { api_token: "shared-token" },
  });
  const run = (connection_id: string, path: string) =>
    execute(tenant.member.token, { connection_id, action: "things.list" }, { path });
  provider.reset();
  for (const path of ["", "/api/v2/execute"]) {
    assert.equal(verdict(await run(own, path)), "200");
    assert.equal(verdict(await run(shared, path)), "200");
  }
  assert.deepEqual(
    provider.received.map(({ headers }) => headers.get("authorization")),
    ["Bearer own-token", "Bearer shared-token", "Bearer own-token", "Bearer shared-token"],
  );
});

Deno.test("another's private connection does not exist, whoever asks", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const other = await makeTenant(sql, provider.url);
  const stranger = await signIn();
  const key = await makeKey(sql, tenant);
  const connection_id = await connect(sql, tenant, { user: tenant.member });
  provider.reset();
  for (
    const token of [
      tenant.owner.token,
      tenant.viewer.token,
      other.owner.token,
      key.key,
      (await makeKey(sql, other)).key,
    ]
  ) {
    const answer = await execute(token, { connection_id, action: "things.list" });
    assert.equal(verdict(answer), "404 connection_not_found");
  }
  assert.equal(
    verdict(await execute(stranger.token, { connection_id, action: "things.list" })),
    "404 connection_not_found",
  );
  assert.equal(provider.received.length, 0);
});

Deno.test("what is shared is shared with the organization, not with others", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const other = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { user: tenant.member, isShared: true });
  const run = (token: string, action: string) => execute(token, { connection_id, action });
  assert.equal(verdict(await run(tenant.owner.token, "things.create")), "200");
  assert.equal(verdict(await run((await makeKey(sql, tenant)).key, "things.create")), "200");
  assert.equal(verdict(await run(tenant.viewer.token, "things.list")), "200");
  assert.equal(verdict(await run(tenant.viewer.token, "things.create")), "403 forbidden");
  assert.equal(verdict(await run(other.owner.token, "things.list")), "404 connection_not_found");
  assert.equal(
    verdict(await run((await makeKey(sql, other)).key, "things.list")),
    "404 connection_not_found",
  );
});

Deno.test("an integration alone means the user's own connection, then the shared one", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const run = (token: string) =>
    execute(token, { integration: tenant.integration, action: "things.list" });
  assert.equal(verdict(await run(tenant.member.token)), "404 connection_not_found");
  await connect(sql, tenant, { isShared: true, credential: { api_token: "shared-token" } });
  await connect(sql, tenant, { user: tenant.member, credential: { api_token: "own-token" } });
  provider.reset();
  assert.equal(verdict(await run(tenant.member.token)), "200");
  assert.equal(verdict(await run(tenant.owner.token)), "200");
  assert.deepEqual(
    provider.received.map(({ headers }) => headers.get("authorization")),
    ["Bearer own-token", "Bearer shared-token"],
  );
  const second = await connect(sql, tenant, { user: tenant.member });
  const ambiguous = await run(tenant.member.token);
  assert.equal(verdict(ambiguous), "409 connection_ambiguous");
  assert.ok(ambiguous.body.error.details.connection_ids.includes(second));
  const unknown = await execute(tenant.member.token, { integration: "nope", action: "x" });
  assert.equal(verdict(unknown), "404 connection_not_found");
});

Deno.test("the organization that is named must be the connection's", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const other = await makeTenant(sql, provider.url);
  await sql`select marketplace.add_member(${other.slug}, ${tenant.member.id}, 'member')`;
  const connection_id = await connect(sql, tenant, { user: tenant.member, isShared: true });
  const key = (await makeKey(sql, tenant)).key;
  const run = (token: string, organization: Record<string, string>) =>
    execute(token, { connection_id, action: "things.list", ...organization });
  for (const token of [tenant.member.token, key, SERVICE]) {
    assert.equal(verdict(await run(token, { organization_id: tenant.slug })), "200");
    assert.equal(verdict(await run(token, { workspace_id: tenant.organizationId })), "200");
    assert.equal(verdict(await run(token, { brand_id: tenant.slug })), "200");
    const wrong = await run(token, { organization_id: other.slug });
    assert.equal(wrong.status, 404, verdict(wrong));
  }
  assert.equal(
    verdict(await run(tenant.member.token, { organization_id: "no-such-one" })),
    "404 organization_not_found",
  );
});

Deno.test("a key does what its scopes and globs allow, while it lives", async () => {
  const tenant = await makeTenant(sql, provider.url);
  await connect(sql, tenant, { isShared: true });
  const run = (key: string, action: string) =>
    execute(key, { integration: tenant.integration, action });
  const reader = await makeKey(sql, tenant, { scopes: ["read"] });
  assert.equal(verdict(await run(reader.key, "things.list")), "403 forbidden");
  const narrow = await makeKey(sql, tenant, { actions: [`${tenant.integration}.files.*`] });
  assert.equal(verdict(await run(narrow.key, "things.list")), "403 action_not_allowed");
  const fitting = await makeKey(sql, tenant, { actions: [`*.things.*`] });
  assert.equal(verdict(await run(fitting.key, "things.list")), "200");
  await sql`select marketplace.revoke_api_key(${fitting.id})`;
  assert.equal(verdict(await run(fitting.key, "things.list")), "401 invalid_token");
  assert.equal(verdict(await run(`${fitting.key}x`, "things.list")), "401 invalid_token");
});

Deno.test("without a credential that proves something nothing is run or logged", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { isShared: true });
  provider.reset();
  const expired = tenant.member.token.replace(/\.[^.]+$/, ".AAAA");
  for (const token of [null, "mpk_none", "mpj_none", "mpl_none", "x", expired]) {
    const answer = await execute(token, { connection_id, action: "things.list" });
    assert.equal(answer.status, 401, String(token));
  }
  assert.equal(provider.received.length, 0);
  assert.equal((await logOf(sql, tenant)).length, 0);
});

Deno.test("the service runs with an integration's own credential", async () => {
  const tenant = await makeTenant(sql, provider.url);
  await sql`select marketplace.set_integration_secret(${tenant.integration}, 'api_token', 'its-own')`;
  provider.reset();
  const answer = await execute(SERVICE, { integration: tenant.integration, action: "things.list" });
  assert.equal(verdict(answer), "200");
  assert.equal(provider.received[0]?.headers.get("authorization"), "Bearer its-own");
  const nobody = await execute(tenant.owner.token, {
    integration: tenant.integration,
    action: "things.list",
  });
  assert.equal(verdict(nobody), "404 connection_not_found");
  const unknown = await execute(SERVICE, { integration: "no-such-one", action: "things.list" });
  assert.equal(verdict(unknown), "404 integration_not_found");
});

Deno.test("a connection that cannot serve says why", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { user: tenant.member });
  const run = () => execute(tenant.member.token, { connection_id, action: "things.list" });
  const become = (status: string) =>
    sql`update marketplace.connections set status = ${status}, error_message = 'expired'
        where id = ${connection_id}`;
  await become("reauthorization_required");
  const gone = await run();
  assert.equal(verdict(gone), "409 connection_reauthorization_required");
  assert.match(gone.body.error.message, /expired/);
  await become("revoked");
  assert.equal(verdict(await run()), "409 connection_revoked");
  await become("active");
  await sql`update marketplace.integrations set status = 'inactive' where id = ${tenant.integrationId}`;
  assert.equal(verdict(await run()), "422 integration_inactive");
});

Deno.test("every execution is in the log, also when it was refused: who, what, where, how", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const own = await connect(sql, tenant, { user: tenant.member });
  const shared = await connect(sql, tenant, { isShared: true });
  const key = await makeKey(sql, tenant);
  provider.reset();
  await execute(tenant.member.token, {
    connection_id: own,
    action: "things.get",
    parameters: { id: "1" },
  });
  await execute(key.key, { connection_id: shared, action: "things.list" });
  await execute(tenant.member.token, { connection_id: own, action: "things.get" });
  await execute(tenant.member.token, { connection_id: own, action: "no.such" });
  await execute(tenant.owner.token, { connection_id: own, action: "things.list" });
  await execute(tenant.viewer.token, { connection_id: shared, action: "things.create" });
  provider.answer(() => Response.json({ message: "no" }, { status: 400 }));
  await execute(tenant.member.token, { connection_id: own, action: "things.create" });
  const rows = await logOf(sql, tenant);
  assert.deepEqual(
    rows.map((row) => [
      row.caller,
      row.user_id ?? row.api_key_id,
      row.action,
      row.connection_id,
      row.outcome,
      row.status_code,
      row.attempt_count,
      row.error_code,
    ]),
    [
      ["user", tenant.member.id, "things.get", own, "succeeded", 200, 1, null],
      ["api_key", key.id, "things.list", shared, "succeeded", 200, 1, null],
      ["user", tenant.member.id, "things.get", own, "failed", null, 0, "validation_failed"],
      ["user", tenant.member.id, "no.such", own, "failed", null, 0, "action_not_found"],
      ["user", tenant.owner.id, "things.list", null, "failed", null, 0, "connection_not_found"],
      ["user", tenant.viewer.id, "things.create", shared, "failed", null, 0, "forbidden"],
      ["user", tenant.member.id, "things.create", own, "failed", 400, 1, "provider_error"],
    ],
  );
  assert.ok(rows.every(({ duration_ms }) => Number(duration_ms) >= 0));
  assert.equal(rows[0]!.request.url, `${provider.url}/things/1`);
  assert.deepEqual(rows[0]!.request.parameters, { id: "1" });
  assert.deepEqual(rows[0]!.response, { ok: true });
});

Deno.test("members see in the log what is theirs and what is shared, owners all of it", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const other = await makeTenant(sql, provider.url);
  provider.reset();
  const own = await connect(sql, tenant, { user: tenant.member });
  const shared = await connect(sql, tenant, { isShared: true });
  await execute(tenant.member.token, { connection_id: own, action: "things.list" });
  await execute(tenant.owner.token, { connection_id: shared, action: "things.list" });
  const seen = async (userId: string) => {
    const rows = await sql.begin(async (tx) => {
      await tx`
        select set_config('request.jwt.claims', ${
        JSON.stringify({ sub: userId, role: "authenticated" })
      }, true), set_config('role', 'authenticated', true)
      `;
      return await tx`
        select connection_id from marketplace.v_recent_executions
        where organization_id = ${tenant.organizationId} order by created_at
      `;
    });
    return rows.map((row) => row.connection_id);
  };
  assert.deepEqual(await seen(tenant.member.id), [own, shared]);
  assert.deepEqual(await seen(tenant.owner.id), [own, shared]);
  assert.deepEqual(await seen(tenant.viewer.id), [shared]);
  assert.deepEqual(await seen(other.owner.id), []);
});

Deno.test("the correlation id of the caller goes through to answer and log", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { user: tenant.member });
  const correlation = crypto.randomUUID();
  const answer = await execute(
    tenant.member.token,
    { connection_id, action: "things.list" },
    { headers: { "x-correlation-id": correlation } },
  );
  assert.equal(answer.body.correlation_id, correlation);
  assert.equal(answer.headers.get("x-correlation-id"), correlation);
  assert.equal(answer.headers.get("x-execution-id"), answer.body.execution_id);
  const [row] = await logOf(sql, tenant);
  assert.equal(row!.correlation_id, correlation);
  assert.equal(row!.id, answer.body.execution_id);
});

Deno.test("validation names every field by its JSON pointer", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { user: tenant.member });
  provider.reset();
  const answer = await execute(tenant.member.token, {
    connection_id,
    action: "things.get",
    parameters: { id: "", extra: 1 },
  });
  assert.equal(verdict(answer), "422 validation_failed");
  assert.deepEqual(
    answer.body.error.details.map(({ pointer }: { pointer: string }) => pointer).sort(),
    ["/extra", "/id"],
  );
  assert.equal(provider.received.length, 0);
  const shape = await execute(tenant.member.token, { action: 7, connection_id: "x" });
  assert.equal(verdict(shape), "422 invalid_request");
});
