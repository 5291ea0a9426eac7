// Executions with tokens that end, are refused, or cannot be renewed.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import { execute, makeKey, makeTenant, type Received, useProvider } from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);

/** A provider whose tokens are `access-<n>`, n-th of its token endpoint; only the latest is good. */
function issuing({ lifetime = 3600, refuses = false, delay = 0 } = {}) {
  let issued = 0;
  provider.answer(async (request: Received) => {
    if (request.url === "/token") {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (refuses) return Response.json({ error: "invalid_grant" }, { status: 400 });
      issued++;
      return Response.json({
        access_token: `access-${issued}`,
        refresh_token: `refresh-${issued}`,
        token_type: "Bearer",
        expires_in: lifetime,
      });
    }
    const isGood = request.headers.get("authorization") === `Bearer access-${issued}`;
    return isGood
      ? Response.json({ token: issued })
      : Response.json({ message: "expired" }, { status: 401 });
  });
}

async function makeLane(token: { access: string; expiresIn: number; age?: string }) {
  const tenant = await makeTenant(sql, provider.url);
  await sql`
    update marketplace.providers
    set auth_type = 'oauth2', auth_config = ${
    JSON.stringify({ token_url: `${provider.url}/token`, token_auth_method: "none" })
  }::text::jsonb
    where slug = ${tenant.provider}
  `;
  await sql`select marketplace.set_integration_secret(${tenant.integration}, 'client_id', 'client')`;
  const [{ id }] = await sql<[{ id: string }]>`
    select marketplace.create_connection(
      ${tenant.integration}, 'C', ${tenant.slug}, null, true
    ) as id
  `;
  await sql`
    select marketplace.open_grant(
      ${id}, 'oauth2', p_access_token => ${token.access}, p_refresh_token => 'refresh-0',
      p_expires_in_s => ${token.expiresIn}
    )
  `;
  await sql`
    update marketplace.oauth_tokens
    set issued_at = issued_at - ${token.age ?? "1 hour"}::interval,
      expires_at = greatest(expires_at - ${token.age ?? "1 hour"}::interval, issued_at)
    where connection_id = ${id}
  `;
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  return {
    tenant,
    id,
    run: () => execute(key, { connection_id: id, action: "things.list" }),
  };
}

Deno.test("two hundred executions on an ended token cause one refresh, and all succeed", async () => {
  const { run } = await makeLane({ access: "access-0", expiresIn: 3600 });
  issuing({ delay: 300 });
  const answers = await Promise.all(Array.from({ length: 200 }, run));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.ok(answers.every(({ body }) => body.result.token === 1));
  assert.equal(provider.at("/token").length, 1);
  assert.equal(provider.at("/things").length, 200);
});

Deno.test("a token that is refused before its time is renewed, and the request sent once more", async () => {
  const { run } = await makeLane({ access: "taken-back", expiresIn: 36_000, age: "1 minute" });
  issuing();
  const { status, body } = await run();
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(provider.at("/token").length, 1);
  assert.equal(provider.at("/things").length, 2);
});

Deno.test("a credential that the provider refuses for good is told, not tried for ever", async () => {
  const { run } = await makeLane({ access: "taken-back", expiresIn: 36_000, age: "1 minute" });
  let tokens = 0;
  provider.answer(({ url }) =>
    url === "/token"
      ? Response.json({ access_token: `new-${++tokens}`, token_type: "Bearer", expires_in: 3600 })
      : Response.json({ message: "no" }, { status: 401 })
  );
  const { status, body } = await run();
  assert.deepEqual([status, body.error.details.reason], [502, "provider_unauthorized"]);
  assert.deepEqual([provider.at("/token").length, provider.at("/things").length], [1, 2]);
});

Deno.test("a dead grant asks for its owner, then and from then on", async () => {
  const { run, id } = await makeLane({ access: "access-0", expiresIn: 3600 });
  issuing({ refuses: true });
  const first = await run();
  assert.deepEqual([first.status, first.body.error.code], [
    409,
    "connection_reauthorization_required",
  ]);
  const second = await run();
  assert.deepEqual([second.status, second.body.error.code], [
    409,
    "connection_reauthorization_required",
  ]);
  assert.equal(provider.at("/token").length, 1);
  assert.equal(provider.at("/things").length, 0);
  const [row] = await sql`select status from marketplace.connections where id = ${id}`;
  assert.equal(row!.status, "reauthorization_required");
});

Deno.test("a token that is about to end is renewed ahead of the call", async () => {
  const { run } = await makeLane({ access: "access-0", expiresIn: 3600, age: "57 minutes" });
  issuing();
  assert.equal((await run()).body.result.token, 1);
  // It is good for an hour now: the next call asks nobody.
  await run();
  assert.equal(provider.at("/token").length, 1);
});

Deno.test("parameters that are refused leave no refresh undone", async () => {
  const { run, id, tenant } = await makeLane({ access: "access-0", expiresIn: 3600 });
  issuing();
  const { key } = await makeKey(sql, tenant);
  const refused = await execute(key, { connection_id: id, action: "things.get" });
  assert.equal(refused.body.error.code, "validation_failed");
  // Who holds the lease has used it: the next caller need not wait for its end.
  const began = performance.now();
  assert.equal((await run()).status, 200);
  assert.ok(performance.now() - began < 5_000);
  assert.equal(provider.at("/token").length, 1);
});
