/** Connecting accounts, against a real authorization server and the running stack. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { XMLValidator } from "fast-xml-parser";
import { decodeProtectedHeader, importSPKI, jwtVerify } from "jose";
import { FUNCTIONS_URL, stackEnv, useDatabase } from "./support_queue.ts";
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
});
const { owner, admin, member, viewer, stranger } = tenant;

const sha256 = (text: string) => createHash("sha256").update(text).digest();

Deno.test("a link's page stands alone, says who asks, and is not used by looking", async () => {
  const { status, body } = await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
    name: "My files",
  });
  assert.equal(status, 201);
  const token = body.url.split("/").at(-1)!;
  assert.match(token, /^mpl_[0-9a-f]{64}$/);
  for (let look = 0; look < 2; look++) {
    const response = await new Browser().get(body.url);
    const page = await response.text();
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type")!, /^application\/xhtml\+xml/);
    assert.equal(XMLValidator.validate(page), true);
    assert.ok(page.includes("Connect Acme Files") && page.includes("<code>files</code>"));
    assert.ok(page.includes(`Tenant ${tenant.slug.slice(-8)}`));
    assert.ok(!/<script|<img|<link|@import|url\(|src=/i.test(page), "nothing from elsewhere");
    const policy = response.headers.get("content-security-policy")!;
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    const style = /<style>([^]*)<\/style>/.exec(page)![1]!;
    assert.ok(
      policy.includes(`'sha256-${sha256(style).toString("base64")}'`),
      "its style is allowed",
    );
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
    assert.equal(response.headers.get("set-cookie"), null);
  }
  const plain = await fetch(body.url, { headers: { accept: "*/*" } });
  assert.match(plain.headers.get("content-type")!, /^text\/html/);
  await plain.body?.cancel();
  const [stored] = await sql`
    select token_hash, used_at from marketplace.connect_links
    where connection_id = ${body.connection_id}
  `;
  assert.deepEqual([stored!.token_hash, stored!.used_at], [sha256(token), null]);
});

Deno.test("an account is connected by a link, in a browser, once", async () => {
  const { body: link } = await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  const browser = new Browser();
  const sent = await browser.post(link.url, {});
  const cookie = sent.headers.get("set-cookie")!;
  assert.match(
    cookie,
    /^mk_oauth_[0-9a-f]{12}=[\w-]{43}; Max-Age=600; Path=\/functions\/v1\/marketplace-oauth; HttpOnly; SameSite=Lax$/,
  );
  const authorizeUrl = new URL(hrefOf(await sent.text()));
  assert.equal(authorizeUrl.searchParams.get("code_challenge_method"), "S256");
  assert.match(authorizeUrl.searchParams.get("code_challenge")!, /^[\w-]{43}$/);
  assert.equal(authorizeUrl.searchParams.get("prompt"), "consent");

  assert.equal((await browser.post(link.url, {})).status, 404, "the link is used up");
  const done = await browser.consent(authorizeUrl.href, "ada");
  const page = await done.text();
  assert.equal(done.status, 200, page);
  assert.ok(page.includes("Acme Files is connected") && page.includes("ada@example.com"));

  const { body } = await call(member.token, "GET", `/connections/${link.connection_id}`);
  assert.deepEqual(
    {
      status: body.connection.status,
      account: body.connection.account,
      user_id: body.connection.user_id,
      is_shared: body.connection.is_shared,
      is_renewable: body.connection.is_renewable,
      error_message: body.connection.error_message,
    },
    {
      status: "active",
      account: "ada@example.com",
      user_id: member.id,
      is_shared: false,
      is_renewable: true,
      error_message: null,
    },
  );
  const issued = server.granted("authorization_code").at(-1)!.body;
  const [kept] = await sql`
    select (select decrypted_secret from vault.decrypted_secrets where id = access_token_vault_id)
        as access_token,
      (select decrypted_secret from vault.decrypted_secrets where id = refresh_token_vault_id)
        as refresh_token,
      scopes, extract(epoch from expires_at - issued_at)::int as lifetime
    from marketplace.oauth_tokens where connection_id = ${link.connection_id}
  `;
  assert.equal(kept!.access_token, issued.access_token);
  assert.equal(kept!.refresh_token, issued.refresh_token);
  assert.ok(kept!.scopes.includes("files"));
  assert.ok(kept!.lifetime <= 3600 && kept!.lifetime > 3500);
});

Deno.test("a user's own request sends to the provider, and his token brings back", async () => {
  const asked = await call(member.token, "GET", `/authorize?integration=${tenant.integration}`);
  assert.equal(asked.status, 302);
  const callback = await new Browser().consent(asked.headers.get("location")!, "bob")
    .then((response) => response);
  // That browser lacks the cookie: it was not the one that began.
  assert.equal(callback.status, 403);
  assert.match(await callback.text(), /begun by somebody else, or in another browser/);
});

/** Begins as a user, consents, and returns the URL the provider sends back to. */
async function backFromProvider(token: string): Promise<string> {
  const asked = await call(token, "GET", `/authorize?integration=${tenant.integration}`);
  assert.equal(asked.status, 302, JSON.stringify(asked.body));
  const browser = new Browser();
  await (await browser.consent(asked.headers.get("location")!, "carol")).body?.cancel();
  return browser.visited.at(-1)!;
}

Deno.test("a state is its user's, and good once", async () => {
  const url = await backFromProvider(member.token);
  const path = url.slice(`${FUNCTIONS_URL}/marketplace-oauth`.length);
  assert.match(path, /^\/callback\?code=/);
  const codes = server.requests.length;

  const foreign = await call(admin.token, "GET", path);
  assert.deepEqual([foreign.status, foreign.body.error.code], [403, "forbidden"]);
  const nobody = await call(null, "GET", path);
  assert.deepEqual([nobody.status, nobody.body.error.code], [403, "forbidden"]);
  const expired = await call("eyJhbGciOiJIUzI1NiJ9.e30.x", "GET", path);
  assert.equal(expired.status, 401);
  assert.equal(server.requests.length, codes, "nothing was exchanged for them");

  const mine = await call(member.token, "GET", path);
  assert.deepEqual([mine.status, mine.body.status], [200, "connected"]);
  const again = await call(member.token, "GET", path);
  assert.deepEqual([again.status, again.body.error.code], [401, "invalid_token"]);
  assert.equal(server.requests.length, codes + 1, "a replay reaches no token endpoint");
});

Deno.test("a state that is made up, changed or old opens nothing", async () => {
  const url = new URL(await backFromProvider(member.token));
  const state = url.searchParams.get("state")!;
  assert.match(state, /^[\w-]{43}$/);
  const [hashed] = await sql`
    select state_hash = ${sha256(state)} as same, expires_at - created_at as life
    from marketplace.oauth_states where state_hash = ${sha256(state)}
  `;
  assert.equal(hashed!.same, true);
  for (const wrong of ["", "x", state.slice(0, -1), `${state}A`, state.toLowerCase()]) {
    const answer = await call(member.token, "GET", `/callback?code=abc&state=${wrong}`);
    assert.ok([400, 401].includes(answer.status), `${wrong}: ${answer.status}`);
  }
  await sql`
    update marketplace.oauth_states set expires_at = now() - interval '1 second'
    where state_hash = ${sha256(state)}
  `;
  const late = await call(member.token, "GET", `/callback${url.search}`);
  assert.equal(late.status, 401);
});

Deno.test("an answer of another issuer is not exchanged", async () => {
  const url = new URL(await backFromProvider(member.token));
  assert.equal(url.searchParams.get("iss"), server.url);
  url.searchParams.set("iss", "https://evil.example");
  const exchanged = server.requests.length;
  const { status, body } = await call(member.token, "GET", `/callback${url.search}`);
  assert.deepEqual([status, body.status, body.error], [422, "failed", "unexpected_issuer"]);
  assert.equal(server.requests.length, exchanged);
});

Deno.test("whoever says no is sent on, and the owner sees it", async () => {
  const { body: link } = await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
    redirect_to: "http://127.0.0.1:9/after?tab=accounts",
  });
  const browser = new Browser();
  const page = await (await browser.post(link.url, {})).text();
  await browser.refuse(hrefOf(page)).catch(() => undefined); // nobody listens on port 9
  const end = new URL(browser.visited.at(-1)!);
  assert.equal(end.origin + end.pathname, "http://127.0.0.1:9/after");
  assert.deepEqual(Object.fromEntries(end.searchParams), {
    tab: "accounts",
    connection_id: link.connection_id,
    status: "refused",
    error: "access_denied",
  });
  const { body } = await call(member.token, "GET", `/connections/${link.connection_id}`);
  assert.equal(body.connection.status, "pending");
  assert.match(body.connection.error_message, /Acme Files answered access_denied/);
});

Deno.test("a browser is sent on to known places only", async () => {
  for (
    const redirect_to of ["https://evil.example/", "javascript:alert(1)", "//evil.example", "x"]
  ) {
    const { status, body } = await call(member.token, "POST", "/connect-links", {
      integration: tenant.integration,
      redirect_to,
    });
    assert.deepEqual([status, body.error.code], [422, "validation_failed"], redirect_to);
    assert.equal(body.error.details[0].pointer, "/redirect_to");
  }
});

Deno.test("who may connect and manage: by role, by owner, by sharing", async () => {
  const make = (token: string | null, more: Record<string, unknown> = {}) =>
    call(token, "POST", "/connect-links", { integration: tenant.integration, ...more });
  assert.equal((await make(viewer.token)).status, 403);
  assert.equal((await make(stranger.token)).status, 404);
  const unknown = await make(stranger.token, { integration: "nothing-here" });
  const known = await make(stranger.token);
  const same = (text: string) => text.replaceAll(/nothing-here|oauth-test-\w+-files/g, "it");
  assert.equal(same(unknown.body.error.message), same(known.body.error.message));
  const before = server.requests.length;
  const intruder = await call(stranger.token, "POST", "/connections", {
    integration: tenant.integration,
    type: "client_credentials",
    credential: {},
  });
  assert.deepEqual([intruder.status, server.requests.length], [404, before], "nothing is tried");
  assert.equal((await make(null)).status, 401);
  assert.equal((await make(stackEnv("SUPABASE_PUBLISHABLE_KEY"))).status, 401);
  assert.equal((await make(member.token, { is_organizations: true })).status, 403);
  assert.equal((await make(member.token, { user_id: admin.id })).status, 403);
  const own = (await make(member.token)).body.connection_id;
  const shared = (await make(member.token, { is_shared: true })).body.connection_id;
  const common = (await make(owner.token, { is_organizations: true })).body.connection_id;
  const behalf = (await make(SERVICE(), { user_id: member.id })).body.connection_id;

  const sees = async (token: string, id: string) =>
    (await call(token, "GET", `/connections/${id}`)).status === 200;
  const manages = async (token: string, id: string) =>
    (await call(token, "POST", `/connections/${id}/reconnect`, {})).status === 201;
  const matrix: Record<string, string> = {};
  for (const [who, { token }] of Object.entries({ owner, admin, member, viewer, stranger })) {
    const cells = [];
    for (const id of [own, shared, common, behalf]) {
      cells.push(await manages(token, id) ? "manages" : await sees(token, id) ? "sees" : "-");
    }
    matrix[who] = cells.join(" ");
  }
  assert.deepEqual(matrix, {
    owner: "- manages manages -",
    admin: "- manages manages -",
    member: "manages manages sees manages",
    viewer: "- sees sees -",
    stranger: "- - - -",
  });
  assert.equal(await manages(SERVICE(), own), true);
});

Deno.test("an API key connects for its organization, as far as its scope goes", async () => {
  const key = async (scopes: string[]) => {
    const [row] = await sql`
      select key_id, api_key from marketplace.create_api_key('test', ${tenant.slug}, ${scopes})
    `;
    return row as { key_id: string; api_key: string };
  };
  const [managing, reading] = [await key(["admin"]), await key(["read"])];
  const made = await call(managing.api_key, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  assert.equal(made.status, 201);
  const { body } = await call(reading.api_key, "GET", `/connections/${made.body.connection_id}`);
  assert.deepEqual(
    [body.connection.organization_id, body.connection.user_id, body.connection.is_shared],
    [tenant.organizationId, null, true],
  );
  const refused = await call(reading.api_key, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  assert.deepEqual([refused.status, refused.body.error.code], [403, "forbidden"]);
  const foreign = await call(managing.api_key, "POST", "/connect-links", {
    integration: tenant.integration,
    organization: "default",
  });
  assert.equal(foreign.status, 404);
  const own = (await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
  })).body.connection_id;
  assert.equal((await call(managing.api_key, "GET", `/connections/${own}`)).status, 404);
  assert.equal((await call(managing.api_key, "GET", "/authorize?integration=x")).status, 403);

  await sql`select marketplace.revoke_api_key(${managing.key_id})`;
  const dead = await call(managing.api_key, "GET", `/connections/${own}`);
  assert.deepEqual([dead.status, dead.body.error.code], [401, "invalid_token"]);
  await sql`
    update marketplace.api_keys set expires_at = now() - interval '1 second'
    where id = ${reading.key_id}
  `;
  assert.equal((await call(reading.api_key, "GET", `/connections/${own}`)).status, 401);
});

Deno.test("owners make keys through the Data API, and read all of them but the hash", async () => {
  const ask = async (token: string, path: string, body?: unknown) => {
    const response = await fetch(`${stackEnv("SUPABASE_URL")}/rest/v1/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        apikey: stackEnv("SUPABASE_PUBLISHABLE_KEY"),
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "accept-profile": "marketplace",
        "content-profile": "marketplace",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  const named = { p_name: "from the app", p_organization_slug: tenant.slug };
  const made = await ask(owner.token, "rpc/create_api_key", named);
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.match([made.body].flat()[0].api_key, /^mpk_[0-9a-f]{8}_[0-9a-f]{64}$/);
  for (const { token } of [member, viewer, stranger]) {
    assert.ok((await ask(token, "rpc/create_api_key", named)).status >= 400);
    const seen = await ask(token, `api_keys?select=id&organization_id=eq.${tenant.organizationId}`);
    assert.deepEqual(seen.body, []);
  }
  const columns = "id,name,prefix,scopes,last_used_at";
  const keys = await ask(owner.token, `api_keys?select=${columns}&name=eq.from%20the%20app`);
  assert.deepEqual(keys.body.map(({ name }: { name: string }) => name), ["from the app"]);
  assert.ok((await ask(owner.token, "api_keys?select=key_hash")).status >= 400);
});

Deno.test("revoking tells the provider and forgets everything here", async () => {
  const { id } = await connect(tenant, member);
  const { access_token } = server.granted("authorization_code").at(-1)!.body;
  assert.equal(await server.knows(String(access_token)), true);
  const vaultIds = await sql`
    select unnest(array[access_token_vault_id, refresh_token_vault_id]) as id
    from marketplace.oauth_tokens where connection_id = ${id}
  `;
  assert.equal(vaultIds.length, 2);

  const { status, body } = await call(member.token, "POST", `/connections/${id}/revoke`);
  assert.deepEqual([status, body.connection.status, body.is_provider_told], [200, "revoked", true]);
  assert.equal(await server.knows(String(access_token)), false);
  const left = await sql`
    select id from vault.secrets where id = any (${vaultIds.map((row) => row.id)})
  `;
  assert.equal(left.length, 0);
  const test = await call(member.token, "POST", `/connections/${id}/test`);
  assert.deepEqual([test.status, test.body.error.code], [409, "connection_revoked"]);

  // The owner connects it again, under the same id.
  const { body: link } = await call(member.token, "POST", `/connections/${id}/reconnect`, {});
  assert.equal(link.connection_id, id);
  const browser = new Browser();
  const page = await (await browser.post(link.url, {})).text();
  assert.equal((await browser.consent(hrefOf(page), "dora")).status, 200);
  const again = await call(member.token, "GET", `/connections/${id}`);
  assert.deepEqual(
    [again.body.connection.status, again.body.connection.account],
    ["active", "dora@example.com"],
  );
  assert.equal((await call(member.token, "DELETE", `/connections/${id}`)).status, 204);
  assert.equal((await call(member.token, "GET", `/connections/${id}`)).status, 404);
});

Deno.test("a test asks the provider, with a renewed token if the first is refused", async () => {
  const { id } = await connect(tenant, member);
  const good = await call(member.token, "POST", `/connections/${id}/test`);
  assert.deepEqual(good.body.test, { outcome: "works", message: null });
  const token = String(server.granted("authorization_code").at(-1)!.body.access_token);
  server.refused.add(token);
  // As if it had been issued a while ago: a token of seconds is not renewed because of a refusal.
  await sql`
    update marketplace.oauth_tokens
    set issued_at = issued_at - interval '1 minute', expires_at = expires_at - interval '1 minute'
    where connection_id = ${id}
  `;
  const refreshes = server.granted("refresh_token").length;
  const renewed = await call(member.token, "POST", `/connections/${id}/test`);
  assert.deepEqual(renewed.body.test, { outcome: "works", message: null });
  assert.equal(server.granted("refresh_token").length, refreshes + 1);

  server.refused.add(String(server.granted("refresh_token").at(-1)!.body.access_token));
  const bad = await call(member.token, "POST", `/connections/${id}/test`);
  assert.equal(bad.body.test.outcome, "refused");
  assert.equal(bad.body.connection.status, "error");
  assert.match(bad.body.connection.error_message, /refused the credential \(401/);
});

/** A provider that takes keys, and the sandboxes of Google's and GitHub's token endpoints. */
const KEY = `key-${crypto.randomUUID()}`;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const publicKey = await importSPKI(
  String(rsa.publicKey.export({ type: "spki", format: "pem" })),
  "RS256",
);
const asked: { path: string; body: string; authorization: string }[] = [];
const minted = { google: 0, github: 0 };
const api = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
const apiUrl: string = `http://127.0.0.1:${api.addr.port}`;

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const authorization = request.headers.get("authorization") ?? "";
  const body = await request.text();
  asked.push({ path: pathname, body, authorization });
  if (pathname === "/google/token") {
    const assertion = new URLSearchParams(body).get("assertion") ?? "";
    const verified = await jwtVerify(assertion, publicKey, {
      audience: `${apiUrl}/google/token`,
      issuer: "robot@project.iam.gserviceaccount.com",
    }).catch(() => undefined);
    if (!verified) return Response.json({ error: "invalid_grant" }, { status: 400 });
    assert.equal(decodeProtectedHeader(assertion).kid, "key-1");
    assert.deepEqual([verified.payload.scope, verified.payload.sub], [
      "drive docs",
      "ada@acme.example",
    ]);
    minted.google++;
    return Response.json({ access_token: "ya29.robot", expires_in: 3599, token_type: "Bearer" });
  }
  const installation = /^\/app\/installations\/(\d+)\/access_tokens$/.exec(pathname);
  if (installation) {
    const verified = await jwtVerify(authorization.slice(7), publicKey, { issuer: "4711" })
      .catch(() => undefined);
    if (!verified) {
      return Response.json({ message: "A JSON web token could not be decoded" }, { status: 401 });
    }
    minted.github++;
    return Response.json({
      token: "ghs_installation",
      expires_at: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, ""),
    }, { status: 201 });
  }
  if (pathname === "/slow") await new Promise((done) => setTimeout(done, 200));
  if (pathname === "/busy") return new Response("later", { status: 503 });
  const isGood = authorization === `Bearer ${KEY}` ||
    authorization === `Basic ${btoa(`ada:${KEY}`)}` ||
    ["Bearer ya29.robot", "Bearer ghs_installation"].includes(authorization);
  return isGood
    ? Response.json({ login: "ada", workspace: { id: "w-1" } })
    : Response.json({ error: "bad key" }, { status: 401 });
}

/** Registers a provider of a type at the API above. */
async function keyProvider(
  name: string,
  type: string,
  config: Record<string, unknown>,
  path = "/whoami",
): Promise<string> {
  const slug = `${tenant.provider}_${name}`;
  await sql`
    insert into marketplace.providers
      (slug, name, category, base_url, auth_type, auth_config, health_action)
    values (
      ${slug}, ${`Acme ${name}`}, 'storage', ${apiUrl}, ${type},
      ${JSON.stringify(config)}::text::jsonb, 'whoami'
    )
  `;
  await sql`
    insert into marketplace.actions (provider_slug, slug, name, method, path, body_type, is_read_only)
    values (${slug}, 'whoami', 'Who am I', 'GET', ${path}, 'none', true)
  `;
  const integration = `${tenant.slug}-${name}`;
  await register(sql, integration, slug, tenant.slug);
  return integration;
}
Deno.test.afterAll(async () => {
  await sql`
    delete from marketplace.integrations where slug like ${`${tenant.slug}-%`}
  `;
  await sql`delete from marketplace.providers where slug like ${`${tenant.provider}\\_%`}`;
  await api.shutdown();
});

Deno.test("a key is tested before it is kept, and lies in Vault only", async () => {
  const integration = await keyProvider("bearer", "bearer", {
    secrets: { api_token: { title: "API key", pattern: "key-.+" } },
    settings: {
      region: { title: "Region", pattern: "[a-z]+-[0-9]", default: "eu-1" },
      seats: { title: "Seats", type: "integer", is_required: false },
    },
    health_settings: { workspace: "/workspace/id" },
  });
  const count = async () =>
    (await sql`select from marketplace.connections as c join marketplace.integrations as i
      on i.id = c.integration_id where i.slug = ${integration}`).length;
  const make = (credential: unknown, settings: unknown = {}) =>
    call(member.token, "POST", "/connections", { integration, credential, settings });

  const missing = await make({});
  assert.equal(missing.status, 422);
  assert.deepEqual(missing.body.error.details, [
    { pointer: "/credential/api_token", message: "is needed" },
  ]);
  const wrong = await make(
    { api_token: "x\ny", password: "z" },
    { region: "EU 1", seats: "many", color: "red" },
  );
  assert.deepEqual(
    wrong.body.error.details.map((problem: { pointer: string }) => problem.pointer).sort(),
    [
      "/credential/api_token",
      "/credential/password",
      "/settings/color",
      "/settings/region",
      "/settings/seats",
    ],
  );
  assert.ok(!JSON.stringify(wrong.body).includes("x\\ny"), "values are not told back");
  const refused = await make({ api_token: "key-of-somebody-else" });
  assert.deepEqual([refused.status, refused.body.error.code], [422, "credential_refused"]);
  assert.equal(await count(), 0, "nothing of it was kept");

  const good = await make({ api_token: KEY }, { seats: "12" });
  assert.equal(good.status, 201, JSON.stringify(good.body));
  assert.deepEqual(good.body.test, { outcome: "works", message: null });
  const { id, status, account, metadata, is_renewable } = good.body.connection;
  assert.deepEqual(
    { status, account, metadata, is_renewable },
    {
      status: "active",
      account: "ada",
      metadata: { region: "eu-1", seats: 12, workspace: "w-1" },
      is_renewable: false,
    },
  );
  const [answer] = await sql`select marketplace.lease_refresh(${id}) as grant`;
  assert.deepEqual(answer!.grant.secrets, { api_token: KEY });
  assert.equal(answer!.grant.settings.region, "eu-1");
  assert.equal(
    (await call(member.token, "POST", `/connections/${id}/refresh`)).body.error.code,
    "not_renewable",
  );

  const again = await call(member.token, "POST", `/connections/${id}/reconnect`, {
    credential: { api_token: KEY },
    settings: { region: "us-2" },
  });
  assert.deepEqual([again.status, again.body.connection.metadata.region], [200, "us-2"]);
});

Deno.test("a provider that does not answer says nothing about the key", async () => {
  const integration = await keyProvider("busy", "bearer", {
    secrets: { api_token: { title: "API key" } },
  }, "/busy");
  const { status, body } = await call(member.token, "POST", "/connections", {
    integration,
    credential: { api_token: KEY },
  });
  assert.equal(status, 201);
  assert.equal(body.test.outcome, "untested");
  assert.match(body.test.message, /answered 503/);
  assert.equal(body.connection.status, "active");
});

Deno.test("user and password are sent as the row says", async () => {
  const integration = await keyProvider("basic", "basic", {
    basic: { username: "{connection.user}", password: "{secret.password}" },
    settings: { user: { title: "User" } },
    secrets: { password: { title: "Password" } },
  });
  const { status, body } = await call(member.token, "POST", "/connections", {
    integration,
    settings: { user: "ada" },
    credential: { password: KEY },
  });
  assert.deepEqual([status, body.test?.outcome], [201, "works"]);
});

Deno.test("keys that sign themselves: AWS, tested by listing its buckets", async () => {
  const integration = `${tenant.slug}-s3`;
  const config = { allow_private_network: true, api_base: stackEnv("SANDBOX_S3_URL") };
  await sql`
    select marketplace.register_integration(
      ${integration}, 'S3', 'aws_s3', 'storage', ${
    JSON.stringify(config)
  }::text::jsonb, ${tenant.slug}
    )
  `;
  const connectWith = (access_key_id: string, secret_access_key: string) =>
    call(member.token, "POST", "/connections", {
      integration,
      settings: { region: stackEnv("SANDBOX_S3_REGION") },
      credential: { access_key_id, secret_access_key },
    });
  const [id, secret] = [
    stackEnv("SANDBOX_S3_ACCESS_KEY_ID"),
    stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY"),
  ];
  const wrong = await connectWith(id, KEY);
  assert.deepEqual([wrong.status, wrong.body.error?.code], [422, "credential_refused"]);
  const { status, body } = await connectWith(id, secret);
  assert.equal(status, 201, JSON.stringify(body));
  assert.deepEqual(body.test, { outcome: "works", message: null });
  const [answer] = await sql`select marketplace.lease_refresh(${body.connection.id}) as grant`;
  assert.equal(answer!.grant.credential_type, "aws_sigv4");
  assert.deepEqual(answer!.grant.secrets, { access_key_id: id, secret_access_key: secret });
  const again = await call(member.token, "POST", `/connections/${body.connection.id}/test`);
  assert.equal(again.body.test.outcome, "works");
});

Deno.test("a Google service account signs for its tokens", async () => {
  const integration = await keyProvider("google", "oauth2", {
    token_url: `${apiUrl}/google/token`,
    scopes: ["drive", "docs"],
    alternatives: {
      service_account: {
        settings: { subject: { title: "User to act for", is_required: false } },
        secrets: { service_account_key: { title: "Key file" } },
      },
    },
  });
  const file = JSON.stringify({
    type: "service_account",
    client_email: "robot@project.iam.gserviceaccount.com",
    private_key_id: "key-1",
    private_key: rsa.privateKey.export({ type: "pkcs8", format: "pem" }),
  });
  const make = (service_account_key: string) =>
    call(member.token, "POST", "/connections", {
      integration,
      settings: { subject: "ada@acme.example" },
      credential: { service_account_key },
    });
  const broken = await make('{"client_email": "x"}');
  assert.deepEqual([broken.status, broken.body.error.code], [422, "credential_refused"]);
  const { status, body } = await make(file);
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(body.test.outcome, "works");
  assert.equal(body.connection.is_renewable, true);

  // Its token is minted anew when it ends; nobody is asked.
  const before = minted.google;
  await expire(body.connection.id);
  const tested = await call(member.token, "POST", `/connections/${body.connection.id}/test`);
  assert.deepEqual([tested.body.test.outcome, minted.google], ["works", before + 1]);
});

/** Moves a token's life into the past. */
async function expire(connectionId: string): Promise<void> {
  await sql`
    update marketplace.oauth_tokens
    set issued_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'
    where connection_id = ${connectionId}
  `;
}

Deno.test("a GitHub App's installation gives tokens, with the PEM that GitHub hands out", async () => {
  const integration = await keyProvider("github", "oauth2", {
    alternatives: {
      github_app: {
        token_url: `${apiUrl}/app/installations/{connection.installation_id}/access_tokens`,
        settings: {
          app_id: { title: "App ID" },
          installation_id: { title: "Installation ID", pattern: "[0-9]+" },
        },
        secrets: { private_key: { title: "Private key" } },
      },
    },
  });
  const pkcs1 = String(rsa.privateKey.export({ type: "pkcs1", format: "pem" }));
  assert.match(pkcs1, /BEGIN RSA PRIVATE KEY/);
  const { status, body } = await call(member.token, "POST", "/connections", {
    integration,
    settings: { app_id: "4711", installation_id: "99" },
    credential: { private_key: pkcs1 },
  });
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(body.test.outcome, "works");
  assert.equal(minted.github, 1);
  assert.ok(asked.some(({ path }) => path === "/app/installations/99/access_tokens"));
  const [grant] = await sql`
    select extract(epoch from expires_at - issued_at)::int as lifetime
    from marketplace.oauth_tokens where connection_id = ${body.connection.id}
  `;
  assert.ok(grant!.lifetime > 3500 && grant!.lifetime <= 3600);
});

Deno.test("an application gets tokens of its own, with the integration's client or its own", async () => {
  const own = await call(owner.token, "POST", "/connections", {
    integration: tenant.integration,
    type: "client_credentials",
    is_organizations: true,
    credential: {},
  });
  // The server's /me wants a person: the token is fetched, its test is the provider's word.
  assert.ok([201, 422].includes(own.status), JSON.stringify(own.body));
  assert.equal(server.granted("client_credentials").length, 1);
  const wrong = await call(owner.token, "POST", "/connections", {
    integration: tenant.integration,
    type: "client_credentials",
    credential: { client_id: CLIENT.id, client_secret: "wrong-secret-of-ours" },
  });
  assert.deepEqual([wrong.status, wrong.body.error.code], [422, "credential_refused"]);
  assert.equal(wrong.body.error.details.reason, "invalid_client");
  assert.ok(!JSON.stringify(wrong.body).includes("wrong-secret-of-ours"));
});

Deno.test("a link for a key shows a form, shows it again, and keeps one answer", async () => {
  const integration = `${tenant.slug}-bearer`;
  const { body: link } = await call(member.token, "POST", "/connect-links", {
    integration,
    settings: { region: "us-2" },
  });
  const browser = new Browser();
  const page = await (await browser.get(link.url)).text();
  assert.equal(XMLValidator.validate(page), true);
  assert.match(page, /<label for="credential\.api_token">API key<\/label>/);
  assert.match(page, /<input type="password"[^>]*name="credential\.api_token"[^>]*required/);
  assert.match(page, /name="settings\.region"[^>]*value="us-2"/);

  const wrong = await browser.post(link.url, {
    "credential.api_token": `key-wrong-"><script>alert(1)</script>`,
    "settings.region": "EU'\"<b>",
  });
  const shown = await wrong.text();
  assert.equal(wrong.status, 422);
  assert.equal(XMLValidator.validate(shown), true);
  assert.match(shown, /role="alert">does not match/);
  assert.ok(!shown.includes("<script") && !shown.includes("key-wrong"));
  const refused = await browser.post(link.url, { "credential.api_token": "key-wrong" });
  assert.equal(refused.status, 422);
  assert.match(await refused.text(), /refused the credential/);

  const both = await Promise.all(
    [1, 2, 3].map(() => browser.post(link.url, { "credential.api_token": KEY })),
  );
  const pages = await Promise.all(both.map((response) => response.text()));
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 404, 404]);
  assert.ok(pages.some((text) => text.includes("Acme bearer is connected")));
  const { body } = await call(member.token, "GET", `/connections/${link.connection_id}`);
  assert.deepEqual([body.connection.status, body.connection.account], ["active", "ada"]);
  assert.equal(body.connection.metadata.region, "us-2");
});

Deno.test("a link ends, and cannot be guessed", async () => {
  const { body: link } = await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
    expires_in: 60,
  });
  await sql`
    update marketplace.connect_links set expires_at = now() - interval '1 second'
    where connection_id = ${link.connection_id}
  `;
  for (
    const url of [link.url, `${FUNCTIONS_URL}/marketplace-oauth/connect/mpl_${"0".repeat(64)}`]
  ) {
    const response = await new Browser().get(url);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /This link does not work/);
  }
});

Deno.test("a link's token can be handed to /authorize, once", async () => {
  const { body: link } = await call(member.token, "POST", "/connect-links", {
    integration: tenant.integration,
  });
  const token = link.url.split("/").at(-1)!;
  const first = await call(token, "GET", "/authorize");
  assert.equal(first.status, 302);
  assert.ok(first.headers.get("location")!.startsWith(`${server.url}/auth?`));
  assert.ok(first.headers.get("set-cookie"));
  assert.equal((await call(token, "GET", "/authorize")).status, 404);
});

Deno.test("browsers of other origins may ask, with a token in the header", async () => {
  const response = await fetch(`${FUNCTIONS_URL}/marketplace-oauth/connect-links`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example.com",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, content-type",
    },
  });
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("access-control-allow-credentials"), null);
  assert.match(response.headers.get("access-control-allow-headers")!, /authorization/);
});

Deno.test("what is not there or not meant is said so", async () => {
  const missing = await call(member.token, "POST", "/connect-links", {
    integration: "nothing-here",
  });
  assert.equal(missing.status, 404);
  const neither = await call(member.token, "POST", "/connect-links", {});
  assert.equal(neither.status, 422);
  const oauth = await call(member.token, "POST", "/connections", {
    integration: tenant.integration,
    type: "oauth2",
  });
  assert.deepEqual([oauth.status, oauth.body.error.code], [422, "credential_type_unsupported"]);
  assert.equal((await call(member.token, "GET", "/connections/nonsense")).status, 404);
  assert.equal((await call(member.token, "PUT", "/connections")).status, 405);
  const job = await call("mpj_whatever", "POST", "/connect-links", { integration: "x" });
  assert.equal(job.status, 403);
});
