/** Tokens: renewed once, never lost, never in the open. Against a real authorization server. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { closeDb, db } from "../_shared/db.ts";
import type { AppError } from "../_shared/errors.ts";
import {
  claimExpiring,
  getAccessToken,
  getCredential,
  type Lease,
  renew,
} from "../_shared/oauth/tokens.ts";
import { FUNCTIONS_URL, stackEnv, until, useDatabase } from "./support_queue.ts";
import {
  AuthorizationServer,
  Browser,
  call,
  CLIENT,
  connect,
  hrefOf,
  makeTenant,
  register,
  removeTenant,
  SERVICE,
} from "./support_oauth.ts";

const sql = useDatabase();
const server = await AuthorizationServer.start();
const tenant = await makeTenant(sql, server);
Deno.test.afterAll(async () => {
  await removeTenant(sql, tenant);
  await server.stop();
  await closeDb();
});
const { member } = tenant;

/** Moves a grant's life into the past; a refused or failing one may be asked again. */
async function expire(connectionId: string): Promise<void> {
  await sql`
    update marketplace.oauth_tokens
    set issued_at = now() - interval '2 hours', expires_at = now() - interval '1 hour', retry_at = null
    where connection_id = ${connectionId}
  `;
}

async function grantOf(connectionId: string) {
  const [row] = await sql`
    select t.*, c.status as connection_status, c.error_message as connection_error,
      (select decrypted_secret from vault.decrypted_secrets where id = t.refresh_token_vault_id)
        as refresh_token,
      (select decrypted_secret from vault.decrypted_secrets where id = t.access_token_vault_id)
        as access_token
    from marketplace.connections as c left join marketplace.oauth_tokens as t on t.connection_id = c.id
    where c.id = ${connectionId}
  `;
  return row!;
}

const fails = (code: string) => (error: unknown) => (error as AppError).code === code;

Deno.test("two hundred who ask at once, in four processes, cause one refresh", async () => {
  const { id } = await connect(tenant, member);
  await expire(id);
  const before = server.granted("refresh_token").length;
  server.delay = 300;
  const script = fileURLToPath(new URL("./support_token_worker.ts", import.meta.url));
  const workers = Array.from({ length: 4 }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", script, id, "50"],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
      env: { MARKETPLACE_DB_POOL: "4", MARKETPLACE_LOG_LEVEL: "error" },
    }).spawn());
  const lines = workers.map((worker) => {
    const reader = worker.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    return async () => {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`a worker ended: ${text}`);
        text += value;
      }
      const end = text.indexOf("\n");
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      return line;
    };
  });
  try {
    for (const line of lines) assert.equal(await line(), "ready");
    await Promise.all(workers.map(async ({ stdin }) => {
      const writer = stdin.getWriter();
      await writer.write(new TextEncoder().encode("go\n"));
      await writer.close();
    }));
    const results = (await Promise.all(lines.map((line) => line()))).map((line) =>
      JSON.parse(line)
    );
    await Promise.all(workers.map((worker) => worker.status));
    assert.equal(
      results.reduce((sum, { fulfilled }) => sum + fulfilled, 0),
      200,
      JSON.stringify(results),
    );
    const fresh = server.granted("refresh_token");
    assert.equal(fresh.length, before + 1);
    assert.deepEqual(
      [...new Set(results.flatMap(({ tokens }) => tokens))],
      [fresh.at(-1)!.body.access_token],
    );
    console.log(
      `200 askers in 4 processes, a token endpoint of 300 ms: ${
        results.map(({ ms }) => ms).join(", ")
      } ms`,
    );
  } finally {
    server.delay = 0;
  }
});

Deno.test("each refresh brings a new refresh token, and the former one is not used again", async () => {
  const { id } = await connect(tenant, member);
  const seen = new Set<string>();
  for (let round = 0; round < 4; round++) {
    const grant = await grantOf(id);
    assert.ok(!seen.has(grant.refresh_token), "rotated");
    seen.add(grant.refresh_token);
    await expire(id);
    const token = await getAccessToken({ connectionId: id });
    assert.equal(token, server.granted("refresh_token").at(-1)!.body.access_token);
    assert.equal(
      (await grantOf(id)).refresh_token,
      server.granted("refresh_token").at(-1)!.body.refresh_token,
    );
  }
  assert.equal((await grantOf(id)).connection_status, "active");
});

Deno.test("a token is renewed five minutes before its end, or in the second half of a short life", async () => {
  const { id } = await connect(tenant, member);
  const isRenewed = async (lifetimeS: number, leftS: number): Promise<boolean> => {
    await sql`
      update marketplace.oauth_tokens
      set issued_at = now() - make_interval(secs => ${lifetimeS - leftS}),
        expires_at = now() + make_interval(secs => ${leftS})
      where connection_id = ${id}
    `;
    const before = server.granted("refresh_token").length;
    await getAccessToken({ connectionId: id });
    return server.granted("refresh_token").length > before;
  };
  assert.equal(await isRenewed(3600, 310), false);
  assert.equal(await isRenewed(3600, 290), true);
  assert.equal(await isRenewed(120, 65), false);
  assert.equal(await isRenewed(120, 55), true);
  await sql`
    update marketplace.providers
    set auth_config = auth_config || '{"refresh_before_s": 900}' where slug = ${tenant.provider}
  `;
  assert.equal(await isRenewed(3600, 910), false);
  assert.equal(await isRenewed(3600, 890), true);
  assert.equal(await isRenewed(600, 310), false, "never in the first half");
  await sql`
    update marketplace.providers
    set auth_config = auth_config - 'refresh_before_s' where slug = ${tenant.provider}
  `;
});

Deno.test("a grant that was withdrawn says so to its owner, once, and is not asked for again", async () => {
  const { endpoint_id } = (await sql`
    select * from marketplace.add_notification_endpoint(
      'https://hooks.example.com/marketplace', array['connection.*'], '', ${tenant.slug}
    )
  `)[0]!;
  try {
    const { id } = await connect(tenant, member);
    await server.withdraw((await grantOf(id)).refresh_token);
    await expire(id);
    const requests = () => server.requests.length;
    const before = requests();
    for (let ask = 0; ask < 3; ask++) {
      await assert.rejects(
        getAccessToken({ connectionId: id }),
        fails("connection_reauthorization_required"),
      );
    }
    assert.equal(requests(), before + 1);
    const { body } = await call(member.token, "GET", `/connections/${id}`);
    assert.equal(body.connection.status, "reauthorization_required");
    assert.match(body.connection.error_message, /answered invalid_grant/);
    const events = await sql`
      select resource_path, payload from marketplace.webhook_events
      where organization_id = ${tenant.organizationId}
        and event_type = 'connection.reauthorization_required'
    `;
    assert.equal(events.length, 1);
    assert.equal(events[0]!.resource_path, `connections/${id}`);
    assert.deepEqual(
      [
        events[0]!.payload.connection_id,
        events[0]!.payload.user_id,
        events[0]!.payload.integration,
      ],
      [id, member.id, tenant.integration],
    );
    const [listed] =
      await sql`select status from marketplace.v_expiring_connections where id = ${id}`;
    assert.equal(listed!.status, "reauthorization_required");

    // Connecting again is all it takes.
    const { body: link } = await call(member.token, "POST", `/connections/${id}/reconnect`, {});
    const browser = new Browser();
    const page = await (await browser.post(link.url, {})).text();
    assert.equal((await browser.consent(hrefOf(page), "ada")).status, 200);
    assert.ok(await getAccessToken({ connectionId: id }));
    assert.equal((await grantOf(id)).connection_status, "active");
  } finally {
    await sql`select marketplace.remove_notification_endpoint(${endpoint_id})`;
    await sql`delete from marketplace.webhook_events where organization_id = ${tenant.organizationId}`;
  }
});

Deno.test("an outage of the provider cools down, and kills no connection", async () => {
  const { id } = await connect(tenant, member);
  server.failure = 503;
  try {
    // The old token still works: nobody notices.
    await sql`
      update marketplace.oauth_tokens
      set issued_at = now() - interval '58 minutes', expires_at = now() + interval '2 minutes'
      where connection_id = ${id}
    `;
    const old = (await grantOf(id)).access_token;
    await assert.rejects(getAccessToken({ connectionId: id }), fails("token_refresh_failed"));
    assert.equal(await getAccessToken({ connectionId: id }), old);
    let grant = await grantOf(id);
    assert.deepEqual([grant.failure_count, grant.failed_days], [1, 1]);
    assert.equal(grant.connection_status, "active");
    assert.match(grant.connection_error, /answered 503/);

    // It has ended now: callers are told, and the endpoint is left alone for a while.
    await expire(id);
    await assert.rejects(getAccessToken({ connectionId: id }), fails("token_refresh_failed"));
    const before = server.requests.length;
    await assert.rejects(getAccessToken({ connectionId: id }), (error) => {
      const { code, status, retryAfterSeconds } = error as AppError;
      assert.deepEqual([code, status], ["token_refresh_failed", 503]);
      assert.ok(retryAfterSeconds! > 5 && retryAfterSeconds! <= 10, `${retryAfterSeconds}`);
      return true;
    });
    assert.equal(server.requests.length, before);
    grant = await grantOf(id);
    assert.deepEqual([grant.failure_count, grant.failed_days], [2, 1], "a day counts once");
    await sql`
      update marketplace.oauth_tokens set failed_on = failed_on - 1 where connection_id = ${id}
    `;
    await expire(id);
    await assert.rejects(getAccessToken({ connectionId: id }), fails("token_refresh_failed"));
    grant = await grantOf(id);
    assert.deepEqual([grant.failure_count, grant.failed_days, grant.status], [3, 2, "active"]);
    assert.equal(grant.connection_status, "error");
  } finally {
    server.failure = 0;
  }
  await expire(id);
  assert.ok(await getAccessToken({ connectionId: id }));
  const grant = await grantOf(id);
  assert.deepEqual(
    [
      grant.failure_count,
      grant.failed_days,
      grant.failed_on,
      grant.connection_status,
      grant.connection_error,
    ],
    [0, 0, null, "active", null],
  );
});

Deno.test("of two who look at the same moment, one gets the lease", async () => {
  const { id } = await connect(tenant, member);
  await expire(id);
  const look = (connection: postgres.Sql) =>
    connection`select marketplace.lease_refresh(${id}) as answer`.then(([row]) => row!.answer);
  // Each sees the row as it was before the other's change, and has to wait for it.
  const meanwhile = async (change: (tx: postgres.Sql) => Promise<unknown>) => {
    const { promise: waiting, resolve: waits } = Promise.withResolvers<
      Promise<{ state: string }>
    >();
    await sql.begin(async (tx) => {
      await change(tx as unknown as postgres.Sql);
      const second = look(sql);
      waits(second);
      await until(async () => {
        const blocked = await sql`
          select from pg_stat_activity where wait_event_type = 'Lock' and query like '%lease_refresh%'
        `;
        return blocked.length > 0;
      }, "the second one to wait");
    });
    return await (await waiting);
  };
  let lease: Lease | undefined;
  assert.deepEqual(
    await meanwhile(async (tx) => lease = await look(tx) as Lease),
    { state: "busy" },
  );
  assert.equal(lease!.state, "leased");
  await sql`
    update marketplace.oauth_tokens set refresh_lease_until = now() - interval '1 second'
    where connection_id = ${id}
  `;
  const late = await meanwhile((tx) =>
    tx`select marketplace.store_tokens(${lease!.grant_id}, ${
      lease!.lease_id
    }, 'access', null, null, null, 3600)`
  );
  assert.equal(late.state, "busy", "what was stored meanwhile is not renewed once more");
  assert.equal((await look(sql)).state, "fresh");
});

Deno.test("whoever holds the lease and dies is followed by another once it has run out", async () => {
  const { id } = await connect(tenant, member);
  await expire(id);
  // A process that takes the lease and is gone.
  const [dead] = await sql`select marketplace.lease_refresh(${id}) as answer`;
  assert.equal(dead!.answer.state, "leased");
  const waiting = getAccessToken({ connectionId: id });
  const [busy] = await sql`select marketplace.lease_refresh(${id}) as answer`;
  assert.deepEqual(busy!.answer, { state: "busy" });
  await sql`
    update marketplace.oauth_tokens set refresh_lease_until = now() - interval '1 second'
    where connection_id = ${id}
  `;
  assert.equal(await waiting, server.granted("refresh_token").at(-1)!.body.access_token);

  // It was not dead but slow: its failure says nothing any more, and its tokens are not lost.
  const [late] = await sql`
    select marketplace.fail_refresh(${dead!.answer.grant_id}, ${
    dead!.answer.lease_id
  }, 'late', true)
      as kept
  `;
  assert.equal(late!.kept, false);
  assert.equal((await grantOf(id)).status, "active");
  const [stored] = await sql`
    select marketplace.store_tokens(
      ${dead!.answer.grant_id}, ${dead!.answer.lease_id}, 'late-access', 'late-refresh', 'Bearer',
      null, 3600
    ) as kept
  `;
  assert.equal(stored!.kept, true);
  assert.equal((await grantOf(id)).refresh_token, "late-refresh");
});

Deno.test("a refresh that ends after the account was connected anew changes nothing", async () => {
  const { id } = await connect(tenant, member);
  await expire(id);
  const [old] = await sql`select marketplace.lease_refresh(${id}) as answer`;
  const { body: link } = await call(member.token, "POST", `/connections/${id}/reconnect`, {});
  const browser = new Browser();
  const page = await (await browser.post(link.url, {})).text();
  assert.equal((await browser.consent(hrefOf(page), "eve")).status, 200);
  const fresh = await grantOf(id);
  const [stored] = await sql`
    select marketplace.store_tokens(
      ${old!.answer.grant_id}, ${old!.answer.lease_id}, 'old-access', 'old-refresh'
    ) as kept
  `;
  assert.equal(stored!.kept, false);
  const [failed] = await sql`
    select marketplace.fail_refresh(${old!.answer.grant_id}, ${
    old!.answer.lease_id
  }, 'old', true) as kept
  `;
  assert.equal(failed!.kept, false);
  assert.deepEqual(await grantOf(id), fresh);
});

Deno.test("a token that the provider refuses is replaced once, and not in circles", async () => {
  const { id } = await connect(tenant, member);
  await sql`
    update marketplace.oauth_tokens set issued_at = now() - interval '1 minute' where connection_id = ${id}
  `;
  const { access_token: refused } = await grantOf(id);
  const before = server.granted("refresh_token").length;
  const tokens = await Promise.all(
    Array.from({ length: 20 }, () => getAccessToken({ connectionId: id }, { refused })),
  );
  assert.equal(new Set(tokens).size, 1);
  assert.notEqual(tokens[0], refused);
  assert.equal(server.granted("refresh_token").length, before + 1);
  // A provider that refuses everything: a token of seconds is as good as any other.
  assert.equal(await getAccessToken({ connectionId: id }, { refused: tokens[0] }), tokens[0]);
  assert.equal(server.granted("refresh_token").length, before + 1);
});

Deno.test("idle tokens are renewed ahead of time, by whoever rings with the key", async () => {
  const [idle, busy, longLived] = await Promise.all([1, 2, 3].map(() => connect(tenant, member)));
  for (const { id } of [idle!, busy!]) {
    await sql`
      update marketplace.oauth_tokens
      set issued_at = now() - interval '50 minutes', expires_at = now() + interval '10 minutes'
      where connection_id = ${id}
    `;
  }
  // Somebody else renews this one just now.
  const [lease] = await sql`
    update marketplace.oauth_tokens
    set refresh_lease_id = gen_random_uuid(), refresh_lease_until = now() + interval '1 minute'
    where connection_id = ${busy!.id} returning refresh_lease_id
  `;
  const ring = (token: string) =>
    fetch(`${FUNCTIONS_URL}/marketplace-maintain?wait=true`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
  const stranger = await ring(member.token);
  assert.equal(stranger.status, 401);
  await stranger.body?.cancel();
  const [{ key }] = await sql<[{ key: string }]>`
    select marketplace.dispatch_settings() ->> 'ring_key' as key
  `;
  const before = [await grantOf(idle!.id), await grantOf(longLived!.id)];
  const report = await (await ring(key)).json();
  assert.equal(report.failed, 0);
  assert.ok(report.refreshed >= 1);
  const after = [await grantOf(idle!.id), await grantOf(longLived!.id)];
  assert.notEqual(after[0]!.access_token, before[0]!.access_token);
  assert.ok(after[0]!.expires_at > before[0]!.expires_at);
  assert.deepEqual(after[1], before[1]);
  assert.equal((await grantOf(busy!.id)).refresh_lease_id, lease!.refresh_lease_id);
  const { refreshed, failed } = await (await ring(SERVICE())).json();
  assert.deepEqual({ refreshed, failed }, { refreshed: 0, failed: 0 });
  assert.deepEqual(await claimExpiring(db(), 8), []);
});

Deno.test("the database rings when a token is about to end, and sweeps up what nobody finished", async () => {
  const { id } = await connect(tenant, member);
  await sql`
    update marketplace.oauth_tokens
    set issued_at = now() - interval '50 minutes', expires_at = now() + interval '10 minutes'
    where connection_id = ${id}
  `;
  const old = (await grantOf(id)).access_token;
  const { body: link } = await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  await sql`
    update marketplace.connections set created_at = now() - interval '3 days'
    where id = ${link.connection_id}
  `;
  const [ring] = await sql`select marketplace.maintain_connections() as request`;
  assert.ok(Number(ring!.request) > 0);
  await until(async () => (await grantOf(id)).access_token !== old, "a renewed token");
  assert.equal(
    (await sql`select from marketplace.connections where id = ${link.connection_id}`).length,
    0,
  );
});

Deno.test("an integration's own grant grows from its secrets, and anew from another secret", async () => {
  const { id: connectionId } = await connect(tenant, member);
  const first = (await grantOf(connectionId)).refresh_token;
  await sql`delete from marketplace.oauth_tokens where connection_id = ${connectionId}`;
  const slug = `${tenant.slug}-own`;
  const integrationId = await register(sql, slug, tenant.provider, tenant.slug, {
    refresh_token: first,
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
  });
  const own = { id: integrationId, provider: tenant.provider, is_default: false };
  const target = { integration: own };
  const before = server.granted("refresh_token").length;
  const [one, two] = await Promise.all([getAccessToken(target), getAccessToken(target)]);
  assert.equal(one, two);
  assert.equal(await getAccessToken(target), one);
  assert.equal(server.granted("refresh_token").length, before + 1);

  // The secret was rotated away at the first refresh: what was given instead is used.
  await sql`
    update marketplace.oauth_tokens
    set issued_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'
    where integration_id = ${integrationId} and connection_id is null
  `;
  assert.notEqual(await getAccessToken(target), one);
  assert.equal(server.granted("refresh_token").length, before + 2);

  const { id: another } = await connect(tenant, member, "zoe");
  const second = (await grantOf(another)).refresh_token;
  await sql`delete from marketplace.oauth_tokens where connection_id = ${another}`;
  await sql`select marketplace.set_integration_secret(${slug}, 'refresh_token', ${second})`;
  await getAccessToken(target);
  assert.equal(server.granted("refresh_token").length, before + 3);

  await sql`select marketplace.set_integration_secret(${slug}, 'api_token', 'fixed')`;
  assert.equal(await getAccessToken(target), "fixed");
  await sql`
    delete from marketplace.integration_secrets where integration_id = ${integrationId}
  `;
  await assert.rejects(getCredential(target), fails("credentials_missing"));
});

Deno.test("a database that is away for a moment does not lose what the provider gave", async () => {
  const { id } = await connect(tenant, member);
  await expire(id);
  const [row] = await sql`select marketplace.lease_refresh(${id}) as lease`;
  let attempts = 0;
  // The first two attempts to store find no database.
  const shaky = new Proxy(db(), {
    apply(target, self, args) {
      if (attempts++ < 2) {
        return Promise.reject(
          Object.assign(new Error("terminating connection"), { code: "57P01" }),
        );
      }
      return Reflect.apply(target as never, self, args);
    },
  });
  const result = await renew(shaky as postgres.Sql, row!.lease);
  assert.equal(result.ok, true);
  assert.equal(attempts, 3);
  assert.equal(
    (await grantOf(id)).refresh_token,
    server.granted("refresh_token").at(-1)!.body.refresh_token,
  );
});

Deno.test("no token, key, code, state or verifier lies in the open", async () => {
  // A life of secrets: connected, renewed, keyed, linked.
  const { id, browser } = await connect(tenant, member);
  await expire(id);
  await getAccessToken({ connectionId: id });
  const [key] = await sql`
    select api_key from marketplace.create_api_key('canary', ${tenant.slug}, '{admin}')
  `;
  await call(key!.api_key, "GET", `/connections/${id}`);
  const { body: link } = await call(key!.api_key, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  await new Browser().get(link.url).then((response) => response.body?.cancel());
  const visited = browser.visited.map((url) => new URL(url).searchParams);
  const needles = new Map<string, string>();
  const hide = (what: string, value: string | null | undefined) => {
    if (value && value.length >= 16) needles.set(value, what);
  };
  for (const secret of server.secrets) hide("token, code or verifier", secret);
  for (const parameters of visited) hide("state", parameters.get("state"));
  hide("API key", key!.api_key);
  hide("link token", link.url.split("/").at(-1));
  assert.ok(needles.size > 20, `${needles.size}`);

  // What is planted is found: once in a table, once by Vault's own way of writing, once in the log.
  const planted = { table: crypto.randomUUID(), log: crypto.randomUUID() };
  await sql`update marketplace.connections set error_message = ${planted.table} where id = ${id}`;
  hide("planted in a table", planted.table);
  await (await fetch(`${FUNCTIONS_URL}/marketplace-oauth/${planted.log}`)).body?.cancel();
  hide("planted in the log", planted.log);

  const found = new Set<string>();
  const tables = await sql<{ name: string }[]>`
    select c.oid::regclass::text as name
    from pg_class as c
    where c.relnamespace in ('marketplace'::regnamespace, 'net'::regnamespace, 'cron'::regnamespace)
        and c.relkind in ('r', 'p')
      or c.oid = 'vault.secrets'::regclass
  `;
  assert.ok(tables.length > 30);
  const patterns = [...needles.keys()];
  for (const { name } of tables) {
    const hits = await sql`
      select distinct n.needle from ${sql.unsafe(name)} as t
      join unnest(${patterns}::text[]) as n (needle) on position(n.needle in t::text) > 0
    `;
    for (const { needle } of hits) found.add(`${needles.get(needle)} in ${name}`);
  }

  const url = new URL(stackEnv("SUPABASE_DB_URL"));
  url.username = "supabase_admin";
  const superuser = postgres(url.href, { max: 1, onnotice: () => {} });
  let dataFolder: string;
  try {
    await superuser`checkpoint`;
    await superuser`select pg_switch_wal()`;
    const [row] = await superuser`show data_directory`;
    dataFolder = row!.data_directory;
  } finally {
    await superuser.end();
  }
  const searchFiles = async (folder: string, place: string) => {
    for await (const file of walk(folder)) {
      const bytes = await Deno.readFile(file).catch(() => new Uint8Array());
      const text = new TextDecoder("latin1").decode(bytes);
      for (const [needle, what] of needles) {
        if (text.includes(needle)) found.add(`${what} in ${place}`);
      }
    }
  };
  await searchFiles(dataFolder, "the data directory");
  const envFile = Deno.env.get("MARKETPLACE_HOME");
  const logs = join(envFile ?? dirname(dataFolder), "logs");
  await searchFiles(logs, "the logs");

  assert.deepEqual([...found].sort(), [
    "planted in a table in marketplace.connections",
    "planted in a table in the data directory",
    "planted in the log in the logs",
  ]);
});

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path);
    else if (entry.isFile) yield path;
  }
}
