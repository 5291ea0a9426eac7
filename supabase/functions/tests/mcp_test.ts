import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client";
// The package names types for its paths without ".js" only.
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { SignJWT } from "jose";
import { signUp, type User } from "./support_oauth.ts";
import {
  FUNCTIONS_URL,
  ingest,
  makeLane,
  removeLanes,
  stackEnv,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const URL_OF_SERVER = `${FUNCTIONS_URL}/marketplace-mcp`;
const TOKEN = "xoxb-sandbox";
const sql = useDatabase();
const sink = useSink();
const RUN = crypto.randomUUID().slice(0, 8);
Deno.test.afterAll(() => removeLanes(sql));

/** An organization with its owner, a member, and an integration of a provider. */
interface Tenant {
  organizationId: string;
  slug: string;
  owner: User;
  member: User;
  /** Slug. */
  integration: string;
}

async function makeTenant(name: string, provider = "slack"): Promise<Tenant> {
  const slug = `mcp-${name}-${RUN}`;
  const [organization] = await sql<{ id: string }[]>`
    insert into marketplace.organizations (slug, name) values (${slug}, ${slug}) returning id
  `;
  const [owner, member] = await Promise.all([signUp(), signUp()]);
  await sql`select marketplace.add_member(${slug}, ${owner.id}, 'owner')`;
  await sql`select marketplace.add_member(${slug}, ${member.id}, 'member')`;
  const integration = await register(slug, provider);
  return { organizationId: organization!.id, slug, owner, member, integration };
}

async function register(organization: string, provider: string): Promise<string> {
  const slug = `${organization}-${provider.replaceAll("_", "-")}`;
  const config = {
    allow_private_network: true,
    ...(provider === "slack" ? { api_base: stackEnv("SANDBOX_SLACK_URL") } : {}),
  };
  await sql`
    select marketplace.register_integration(
      ${slug}, ${slug}, ${provider}, 'automation', ${JSON.stringify(config)}::text::jsonb,
      ${organization}
    )
  `;
  return slug;
}

/** Connects an account with the sandbox's token; of a user, or shared with the organization. */
async function connect(
  { integration, slug }: Pick<Tenant, "integration" | "slug">,
  { user, name = "Team" }: { user?: User; name?: string } = {},
): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    select marketplace.create_connection(
      ${integration}, ${name}, ${slug}, ${user?.id ?? null}, ${!user}, ${!user}
    ) as id
  `;
  await sql`
    select marketplace.open_grant(${row!.id}, 'oauth2', p_access_token => ${TOKEN})
  `;
  return row!.id;
}

async function makeKey(
  organization: string,
  { scopes = ["execute", "read"], allowed = [] as string[] } = {},
): Promise<string> {
  const [row] = await sql<{ api_key: string }[]>`
    select api_key from marketplace.create_api_key('test', ${organization}, ${scopes}, ${allowed})
  `;
  return row!.api_key;
}

/** Speaks to the server as a client does, with the caller's token. */
async function withClient<T>(token: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(URL_OF_SERVER), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

// deno-lint-ignore no-explicit-any
type Body = Record<string, any>;

/** What a tool answered, which holds no secret. */
async function callTool(client: Client, name: string, args: Body = {}) {
  const result = await client.callTool({ name, arguments: args });
  const [content] = result.content as { type: string; text: string }[];
  assert.equal(content!.type, "text");
  assert.deepEqual(JSON.parse(content!.text), result.structuredContent);
  assert.ok(!content!.text.includes(TOKEN), "the answer holds the account's token");
  return { isError: result.isError === true, body: result.structuredContent as Body };
}

const toolNames = async (client: Client) => (await client.listTools()).tools.map((t) => t.name);

const post = (token: string | null, body: string, headers: Record<string, string> = {}) =>
  fetch(URL_OF_SERVER, {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body,
  });

const LIST = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });

Deno.test("without a living credential it is 401, and says where to get one", async () => {
  const tenant = await makeTenant("tokens");
  const revoked = await makeKey(tenant.slug);
  await sql`
    update marketplace.api_keys set revoked_at = now()
    where organization_id = ${tenant.organizationId}
  `;
  const expired = await new SignJWT({ role: "authenticated", sub: tenant.owner.id })
    .setProtectedHeader({ alg: "HS256" }).setAudience("authenticated")
    .setExpirationTime(Math.floor(Date.now() / 1000) - 60)
    .sign(new TextEncoder().encode(stackEnv("SUPABASE_JWT_SECRET")));
  const tokens = [
    null,
    "nonsense",
    stackEnv("SUPABASE_PUBLISHABLE_KEY"),
    `mpk_${"0".repeat(8)}_${"0".repeat(64)}`,
    revoked,
    expired,
    `mpj_${"0".repeat(64)}`,
    `mpl_${"0".repeat(64)}`,
  ];
  for (const token of tokens) {
    const response = await post(token, LIST);
    const body = await response.json();
    assert.equal(response.status, 401, `${token} ${JSON.stringify(body)}`);
    const challenge = response.headers.get("www-authenticate")!;
    assert.match(challenge, /^Bearer /);
    assert.equal(challenge.includes('error="invalid_token"'), token !== null);
    const metadata = await fetch(/resource_metadata="([^"]+)"/.exec(challenge)![1]!);
    assert.equal(metadata.status, 200);
    assert.deepEqual(await metadata.json(), {
      resource: URL_OF_SERVER,
      resource_name: "Marketplace",
      bearer_methods_supported: ["header"],
      authorization_servers: [`${stackEnv("SUPABASE_URL")}/auth/v1`],
    });
  }
  await assert.rejects(withClient("nonsense", (client) => client.listTools()));
});

Deno.test("what is no JSON-RPC message, or asks for a stream, is refused", async () => {
  const { slug } = await makeTenant("malformed");
  const key = await makeKey(slug);
  const statusOf = async (response: Promise<Response>) => {
    const { status, body } = await response;
    await body?.cancel();
    return status;
  };
  assert.equal(await statusOf(post(key, "{")), 400);
  assert.equal(await statusOf(post(key, "")), 400);
  assert.equal(await statusOf(post(key, '"text"')), 400);
  assert.equal(await statusOf(post(key, '{"jsonrpc":"1.0","id":1,"method":"ping"}')), 400);
  assert.equal(await statusOf(post(key, `[${LIST},${LIST}]`)), 400);
  assert.equal(await statusOf(post(key, LIST, { "content-type": "text/plain" })), 415);
  assert.equal(await statusOf(post(key, LIST, { accept: "application/json" })), 406);
  assert.equal(await statusOf(post(key, LIST, { "mcp-protocol-version": "1999-01-01" })), 400);
  assert.equal(await statusOf(post(key, `"${"x".repeat(1024 * 1024)}"`)), 413);
  for (const method of ["GET", "DELETE"]) {
    assert.equal(
      await statusOf(
        fetch(URL_OF_SERVER, { method, headers: { authorization: `Bearer ${key}` } }),
      ),
      405,
    );
  }
  const unknown = await (await post(key, '{"jsonrpc":"2.0","id":7,"method":"nothing/here"}'))
    .json();
  assert.equal(unknown.error.code, -32601);
  assert.equal(unknown.id, 7);
});

Deno.test("a connection's actions are tools, with their schemas as they are", async () => {
  const tenant = await makeTenant("tools");
  await connect(tenant, { user: tenant.owner, name: "My workspace" });
  await withClient(tenant.owner.token, async (client) => {
    const { tools } = await client.listTools();
    for (const { name } of tools) assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
    assert.equal(new Set(tools.map(({ name }) => name)).size, tools.length);

    const rows = await sql<{ slug: string; request_schema: unknown; is_read_only: boolean }[]>`
      select slug, request_schema, is_read_only from marketplace.actions
      where provider_slug = 'slack'
    `;
    const actions = tools.filter(({ name }) => name.startsWith(`${tenant.integration}__`));
    assert.equal(actions.length, rows.length);
    for (const { slug, request_schema, is_read_only } of rows) {
      const name = `${tenant.integration}__${slug.replaceAll(".", "_")}`;
      const tool = actions.find((each) => each.name === name);
      assert.ok(tool, `${name} is missing`);
      assert.deepEqual(tool.inputSchema, request_schema);
      assert.equal(tool.annotations!.readOnlyHint, is_read_only);
      assert.ok(!(is_read_only && tool.annotations!.destructiveHint));
    }
    const deletes = actions.find(({ name }) => name.endsWith("__chat_delete"));
    assert.equal(deletes!.annotations!.destructiveHint, true);
    const posts = actions.find(({ name }) => name.endsWith("__chat_postMessage"));
    assert.equal(posts!.annotations!.destructiveHint, false);
    assert.match(posts!.description!, /My workspace/);
  });
});

Deno.test("what is one's own stays so: neither a colleague, nor a key, nor a stranger sees it", async () => {
  const tenant = await makeTenant("own");
  const stranger = await makeTenant("stranger");
  const own = await connect(tenant, { user: tenant.owner });
  const ofStranger = await connect(stranger);
  const key = await makeKey(tenant.slug, { scopes: ["admin"] });
  for (const token of [tenant.member.token, key]) {
    await withClient(token, async (client) => {
      assert.ok(!(await toolNames(client)).some((name) => name.includes("__")));
      const { body } = await callTool(client, "list_integrations");
      assert.deepEqual(
        body.integrations.map((i: Body) => [i.integration, i.connections]),
        [[tenant.integration, []]],
      );
    });
  }
  const shared = await connect(tenant, { name: "Everybody's" });
  await withClient(key, async (client) => {
    const { body } = await callTool(client, "list_integrations");
    assert.deepEqual(
      body.integrations[0].connections.map((c: Body) => c.connection_id),
      [shared],
    );
    assert.ok((await toolNames(client)).includes(`${tenant.integration}__chat_postMessage`));
  });
  await withClient(tenant.owner.token, async (client) => {
    const { body } = await callTool(client, "list_integrations");
    assert.deepEqual(
      body.integrations[0].connections.map((c: Body) => [c.connection_id, c.is_own]),
      [[own, true], [shared, false]],
    );
    const found = (await callTool(client, "search_actions", { query: "send message" })).body;
    const post = found.actions.find((a: Body) => a.action === "chat.postMessage");
    assert.deepEqual(post.connections.map((c: Body) => c.id), [own, shared]);
    assert.ok(!JSON.stringify(found).includes(ofStranger));
  });
});

Deno.test("a key sees and finds only what it is allowed", async () => {
  const tenant = await makeTenant("allowed");
  await connect(tenant);
  const key = await makeKey(tenant.slug, {
    scopes: ["execute"],
    allowed: [`${tenant.integration}.chat.post*`],
  });
  await withClient(key, async (client) => {
    assert.deepEqual(
      (await toolNames(client)).sort(),
      [
        "execute_action",
        "search_actions",
        `${tenant.integration}__chat_postEphemeral`,
        `${tenant.integration}__chat_postMessage`,
      ].sort(),
    );
    const { body } = await callTool(client, "search_actions", { query: "", limit: 25 });
    assert.deepEqual(body.actions.map((a: Body) => a.action), [
      "chat.postEphemeral",
      "chat.postMessage",
    ]);
    await assert.rejects(
      client.callTool({ name: `${tenant.integration}__chat_delete`, arguments: {} }),
      /no tool/,
    );
    await assert.rejects(client.callTool({ name: "dead_letters", arguments: {} }), /no tool/);
    assert.deepEqual((await client.listResources()).resources, []);
  });
  // A key that may only look runs nothing.
  await withClient(await makeKey(tenant.slug, { scopes: ["read"] }), async (client) => {
    assert.deepEqual((await toolNames(client)).sort(), [
      "dead_letters",
      "list_integrations",
      "recent_syncs",
      "trace",
    ]);
    await assert.rejects(
      client.callTool({ name: "execute_action", arguments: {} }),
      /no tool/,
    );
  });
});

Deno.test("hundreds of actions are searched for, and only tens of tools are listed", async () => {
  const tenant = await makeTenant("many");
  const providers = await sql<{ slug: string }[]>`
    select distinct provider_slug as slug from marketplace.actions
  `;
  for (const { slug } of providers) {
    await connect({ slug: tenant.slug, integration: await register(tenant.slug, slug) });
  }
  await withClient(await makeKey(tenant.slug, { scopes: ["admin"] }), async (client) => {
    const { body: all } = await callTool(client, "search_actions", { query: "" });
    assert.ok(all.total > 200, `${all.total} actions`);
    assert.equal(all.actions.length, 8);
    const names = await toolNames(client);
    assert.ok(names.length < 40, `${names.length} tools`);
    assert.ok(!names.some((name) => name.includes("__")));

    const firstOf = async (query: string, integration?: string) => {
      const { body } = await callTool(client, "search_actions", { query, integration });
      return body.actions.map((a: Body) => `${a.integration}/${a.action}`)[0];
    };
    assert.equal(
      await firstOf("send a slack message"),
      `${tenant.slug}-slack/chat.postMessage`,
    );
    assert.equal(
      await firstOf("workflow run artifacts", `${tenant.slug}-github`),
      `${tenant.slug}-github/actions.listWorkflowRunArtifacts`,
    );
    const { body: odd } = await callTool(client, "search_actions", { query: "')|(!:* & <->" });
    assert.equal(odd.total, all.total);
    const { body: none } = await callTool(client, "search_actions", { query: "xyzzyplugh" });
    assert.deepEqual(none, { total: 0, actions: [] });
  });
});

Deno.test("control tools ask for the right, and stay inside the organization", async () => {
  const tenant = await makeTenant("control");
  const stranger = await makeTenant("control-stranger");
  const as = async (token: string, name: string, args: Body) =>
    await withClient(token, (client) => callTool(client, name, args));
  const wanted = (slug: string, more: Body = {}) => ({
    slug,
    name: "Mine",
    provider: "slack",
    ...more,
  });
  const admin = await makeKey(tenant.slug, { scopes: ["admin"] });

  const made = await as(tenant.owner.token, "register_integration", wanted(`${tenant.slug}-new`));
  assert.equal(made.isError, false, JSON.stringify(made.body));
  const [row] = await sql`
    select organization_id, category, is_default from marketplace.integrations
    where id = ${made.body.integration_id}
  `;
  assert.equal(row!.organization_id, tenant.organizationId);
  assert.equal(row!.is_default, false);

  // An account's token would follow a changed base URL.
  for (const slug of [tenant.integration, stranger.integration]) {
    const again = await as(admin, "register_integration", wanted(slug));
    assert.equal(again.body.error.code, "conflict");
  }
  for (const config of [{ allow_private_network: true }, { allow_other_organizations: false }]) {
    const refused = await as(admin, "register_integration", wanted("x", { config }));
    assert.equal(refused.body.error.code, "forbidden");
  }
  const foreign = wanted("x", { organization: stranger.slug });
  for (const token of [admin, tenant.owner.token]) {
    assert.equal((await as(token, "register_integration", foreign)).body.error.code, "forbidden");
  }
  const invalid = await as(admin, "register_integration", { slug: "Not A Slug" });
  assert.equal(invalid.isError, true);
  assert.match(invalid.body.error.message, /slug/);
  await withClient(tenant.member.token, async (client) => {
    const names = await toolNames(client);
    for (const name of ["register_integration", "replay_job", "alerts"]) {
      assert.ok(!names.includes(name), name);
    }
  });
  const { body: { alerts } } = await as(stackEnv("SUPABASE_SECRET_KEY"), "alerts", {});
  assert.ok(Array.isArray(alerts));
});

Deno.test("a dead job is seen, traced and replayed by its own organization alone", async () => {
  const tenant = await makeTenant("jobs");
  const stranger = await makeTenant("jobs-stranger");
  const lane = await makeLane(sql, sink);
  sink.on(lane.path, () => Response.json({ error: "no" }, { status: 410 }));
  await sql`
    update marketplace.integrations set organization_id = ${tenant.organizationId}
    where id = ${lane.integrationId}
  `;
  await sql`
    update marketplace.workflows set organization_id = ${tenant.organizationId}
    where id = ${lane.workflowId}
  `;
  await sql`
    update marketplace.sync_rules set organization_id = ${tenant.organizationId}
    where id = ${lane.ruleId}
  `;
  const [event] = await ingest(sql, lane.integrationId, [{}]);
  const correlation_id = event!.correlation_id;
  const jobId = await until(async () => {
    const [job] = await sql`
      select id from marketplace.sync_jobs
      where correlation_id = ${correlation_id} and status in ('dead', 'pending', 'running')
    `;
    if (job) {
      await sql`
        update marketplace.sync_jobs set run_at = now(), max_attempts = attempt_count
        where id = ${job.id} and status = 'pending' and attempt_count > 0
      `;
    }
    const [dead] = await sql`
      select id from marketplace.sync_jobs
      where correlation_id = ${correlation_id} and status = 'dead'
    `;
    return dead?.id as string | undefined;
  }, "the job to die");

  const key = await makeKey(tenant.slug, { scopes: ["read"] });
  for (const token of [tenant.member.token, key, stackEnv("SUPABASE_SECRET_KEY")]) {
    await withClient(token, async (client) => {
      const { body } = await callTool(client, "dead_letters", { limit: 200 });
      const dead = body.jobs.find((job: Body) => job.job_id === jobId);
      assert.equal(dead.correlation_id, correlation_id);
      const { body: { steps } } = await callTool(client, "trace", { correlation_id });
      assert.ok(steps.some((step: Body) => step.stage === "dead"), JSON.stringify(steps));
      const { contents } = await client.readResource({ uri: "marketplace://views/v_dead_letters" });
      const [content] = contents as { mimeType: string; text: string }[];
      assert.equal(content!.mimeType, "application/json");
      assert.ok(JSON.parse(content!.text).some((row: Body) => row.job_id === jobId));
    });
  }
  const strangersKey = await makeKey(stranger.slug, { scopes: ["admin"] });
  for (const token of [stranger.owner.token, strangersKey]) {
    await withClient(token, async (client) => {
      assert.deepEqual((await callTool(client, "dead_letters")).body, { jobs: [] });
      for (
        const [tool, args] of [["trace", { correlation_id }], ["replay_job", { job_id: jobId }]]
      ) {
        const refused = await callTool(client, tool as string, args as Body);
        assert.equal(refused.body.error.code, "not_found");
      }
      for (const { uri } of (await client.listResources()).resources) {
        const { contents: [content] } = await client.readResource({ uri });
        const { text } = content as { text: string };
        assert.ok(!text.includes(jobId) && !text.includes(lane.integrationSlug), uri);
      }
      for (const name of ["v_alerts", "sync_jobs", "v_alerts; select 1"]) {
        await assert.rejects(client.readResource({ uri: `marketplace://views/${name}` }), {
          code: -32002,
        });
      }
    });
  }
  await withClient(tenant.owner.token, async (client) => {
    const { body } = await callTool(client, "replay_job", { job_id: jobId });
    assert.equal(body.replay_of, jobId);
    const [replay] = await sql`
      select replay_of from marketplace.sync_jobs where id = ${body.job_id}
    `;
    assert.equal(replay!.replay_of, jobId);
  });
});

Deno.test("a call runs at the provider as its caller, and is found in the log", async () => {
  const tenant = await makeTenant("execute");
  const connection = await connect(tenant);
  const read = await makeKey(tenant.slug);
  for (const [caller, token] of [["api_key", read], ["user", tenant.owner.token]] as const) {
    const text = `Hello from ${caller} ${RUN}`;
    const correlation_id = await withClient(token, async (client) => {
      const direct = await callTool(client, `${tenant.integration}__chat_postMessage`, {
        channel: "#ci-artifacts",
        text,
      });
      assert.equal(direct.isError, false, JSON.stringify(direct.body));
      assert.equal(direct.body.result.message.text, text);
      const found = await callTool(client, "execute_action", {
        integration: tenant.integration,
        action: "auth.test",
        idempotency_key: `${caller}-${RUN}`,
      });
      assert.equal(found.isError, false, JSON.stringify(found.body));

      const { body: { steps } } = await callTool(client, "trace", {
        correlation_id: direct.body.correlation_id,
      });
      assert.deepEqual(
        steps.map((step: Body) => [step.stage, step.subject]),
        [["executed", "chat.postMessage"]],
      );
      const { contents: [content] } = await client.readResource({
        uri: "marketplace://views/v_recent_executions",
      });
      const rows = JSON.parse((content as { text: string }).text);
      assert.ok(rows.some((row: Body) => row.correlation_id === direct.body.correlation_id));
      return direct.body.correlation_id as string;
    });
    const [row] = await sql`
      select organization_id, connection_id, caller, action, outcome from marketplace.execution_logs
      where correlation_id = ${correlation_id}
    `;
    assert.deepEqual({ ...row }, {
      organization_id: tenant.organizationId,
      connection_id: connection,
      caller,
      action: "chat.postMessage",
      outcome: "succeeded",
    });
  }
});

Deno.test("what the provider or the gateway refuses comes back as the tool's error", async () => {
  const tenant = await makeTenant("refusals");
  await connect(tenant);
  await withClient(await makeKey(tenant.slug), async (client) => {
    const post = `${tenant.integration}__chat_postMessage`;
    const invalid = await callTool(client, post, { text: 5 });
    assert.equal(invalid.isError, true);
    assert.equal(invalid.body.error.code, "validation_failed");
    const provider = await callTool(client, post, { channel: "#nowhere-at-all", text: "x" });
    assert.equal(provider.isError, true);
    assert.equal(provider.body.error.code, "provider_error");
    assert.match(JSON.stringify(provider.body.error), /channel_not_found/);
  });
});

Deno.test("another tenant's integration and connection are as if they were not there", async () => {
  const tenant = await makeTenant("execute-own");
  const stranger = await makeTenant("execute-stranger");
  const connection_id = await connect(tenant);
  const privately = await connect(tenant, { user: tenant.owner });
  const strangersKey = await makeKey(stranger.slug, { scopes: ["admin"] });
  const call = { integration: tenant.integration, action: "auth.test" };
  for (const token of [stranger.owner.token, strangersKey]) {
    await withClient(token, async (client) => {
      for (const args of [call, { ...call, connection_id }]) {
        const refused = await callTool(client, "execute_action", args);
        assert.equal(refused.isError, true);
        assert.equal(refused.body.error.code, "connection_not_found");
      }
    });
  }
  for (const token of [tenant.member.token, await makeKey(tenant.slug, { scopes: ["admin"] })]) {
    await withClient(token, async (client) => {
      const refused = await callTool(client, "execute_action", {
        ...call,
        connection_id: privately,
      });
      assert.equal(refused.body.error.code, "connection_not_found");
    });
  }
  const [count] = await sql`
    select count(*)::int as succeeded from marketplace.execution_logs
    where connection_id in (${connection_id}, ${privately}) and outcome = 'succeeded'
  `;
  assert.equal(count!.succeeded, 0);
});

Deno.test("a key that only reads is not told what a user did with an account of their own", async () => {
  const tenant = await makeTenant("execute-private");
  await connect(tenant, { user: tenant.owner });
  const correlation_id = await withClient(tenant.owner.token, async (client) => {
    const call = { integration: tenant.integration, action: "auth.test" };
    const { isError, body } = await callTool(client, "execute_action", call);
    assert.equal(isError, false, JSON.stringify(body));
    return body.correlation_id as string;
  });
  for (const [scope, isTold] of [["read", false], ["admin", true]] as const) {
    await withClient(await makeKey(tenant.slug, { scopes: [scope] }), async (client) => {
      const traced = await callTool(client, "trace", { correlation_id });
      assert.equal(traced.isError, !isTold);
      const { contents: [content] } = await client.readResource({
        uri: "marketplace://views/v_recent_executions",
      });
      assert.equal((content as { text: string }).text.includes(correlation_id), isTold);
    });
  }
});

Deno.test("an action that a key is not allowed is refused by the gateway too", async () => {
  const tenant = await makeTenant("execute-allowed");
  await connect(tenant);
  const key = await makeKey(tenant.slug, {
    scopes: ["execute"],
    allowed: [`${tenant.integration}.auth.*`],
  });
  await withClient(key, async (client) => {
    const call = { integration: tenant.integration };
    const allowed = await callTool(client, "execute_action", { ...call, action: "auth.test" });
    assert.equal(allowed.isError, false, JSON.stringify(allowed.body));
    const refused = await callTool(client, "execute_action", {
      ...call,
      action: "chat.postMessage",
      parameters: { channel: "#ci-artifacts", text: "x" },
    });
    assert.equal(refused.body.error.code, "action_not_allowed");
  });
});
