// The API as it is described is the API as it answers.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Contract } from "./support_contract.ts";
import {
  connect,
  makeKey,
  makeTenant as makeExecuteTenant,
  register,
  SERVICE,
  useProvider,
} from "./support_execute.ts";
import {
  AuthorizationServer,
  Browser,
  hrefOf,
  makeTenant as makeOAuthTenant,
  removeTenant,
} from "./support_oauth.ts";
import { FUNCTIONS_URL, removeLanes, until, useDatabase, useSink } from "./support_queue.ts";
import { makeTransferLane, startJob } from "./support_transfer.ts";

const sql = useDatabase();
const provider = useProvider(sql);
const sink = useSink();
Deno.test.afterAll(() => removeLanes(sql));

const served = await fetch(`${FUNCTIONS_URL}/marketplace-execute/openapi.json`);
const api = new Contract(await served.json());
const NOBODY = "00000000-0000-4000-8000-000000000000";

Deno.test("the description is served, and says where", async () => {
  const { body } = await api.call("getApiDescription", { expect: 200 });
  assert.deepEqual((body as { servers: unknown }).servers, [{ url: FUNCTIONS_URL }]);
  assert.equal(served.headers.get("cache-control"), "public, max-age=300");
});

Deno.test("webhooks answer as described", async () => {
  const slug = `openapi-test-${crypto.randomUUID().slice(0, 8)}`;
  const meta = `${slug}-meta`;
  const secret = crypto.randomUUID();
  await register(sql, {
    slug,
    provider: "github",
    organization: null,
    config: {},
    secrets: { webhook: secret },
  });
  await register(sql, {
    slug: meta,
    provider: "meta",
    organization: null,
    config: {},
    secrets: { webhook: secret, verify_token: "open sesame" },
  });
  const path = { provider: "github", integration: slug };
  const body = JSON.stringify({ action: "completed", workflow_run: { id: 1 } });
  const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  const headers = {
    "content-type": "application/json",
    "x-github-event": "workflow_run",
    "x-github-delivery": crypto.randomUUID(),
    "x-hub-signature-256": signature,
  };
  await api.call("receiveDeliveryOf", { path, body, headers, expect: 200 });
  const again = await api.call("receiveDeliveryOf", { path, body, headers, expect: 200 });
  assert.equal((again.body as { duplicate: boolean }).duplicate, true);
  await api.call("receiveDeliveryOf", { path, body: `${body} `, headers, expect: 401 });
  await api.call("receiveDeliveryOf", {
    path: { ...path, integration: "of-nobody" },
    body,
    headers,
    expect: 404,
  });

  // The default integration of a provider: whichever was registered first.
  const [row] = await sql`
    select slug from marketplace.integrations where provider = 'github' and is_default
  `;
  await sql`select marketplace.set_integration_secret(${row!.slug}, 'webhook', ${secret})`;
  await api.call("receiveDelivery", {
    path: { provider: "github" },
    body,
    headers: { ...headers, "x-github-delivery": crypto.randomUUID() },
    expect: 200,
  });
  await api.call("receiveDelivery", { path: { provider: "nobody" }, body: "{}", expect: 404 });

  const query = {
    "hub.mode": "subscribe",
    "hub.challenge": "42",
    "hub.verify_token": "open sesame",
  };
  const challenge = { path: { provider: "meta", integration: meta }, query };
  assert.equal((await api.call("answerChallengeOf", { ...challenge, expect: 200 })).body, "42");
  await api.call("answerChallengeOf", {
    ...challenge,
    query: { ...query, "hub.verify_token": "wrong" },
    expect: 401,
  });
  await api.call("answerChallengeOf", { path, expect: 405 });
  const [first] = await sql`
    select slug from marketplace.integrations where provider = 'meta' and is_default
  `;
  await sql`select marketplace.set_integration_secret(${
    first!.slug
  }, 'verify_token', 'open sesame')`;
  await api.call("answerChallenge", { path: { provider: "meta" }, query, expect: 200 });
  await api.call("getHealth", { expect: 200 });
  await sql`delete from marketplace.integrations where slug = any (${[slug, meta]})`;
});

Deno.test("dispatch and maintenance answer as described", async () => {
  await api.call("dispatch", { token: SERVICE, expect: 202 });
  await api.call("dispatch", { token: SERVICE, query: { wait: "true" }, expect: 200 });
  await api.call("dispatch", { token: "mpr_wrong", expect: 401 });
  await api.call("dispatch", { expect: 401 });
  await api.call("getDispatchHealth", { expect: 200 });
  const { body } = await api.call("getMetrics", { token: SERVICE, expect: 200 });
  assert.match(body as string, /# EOF\n$/);
  await api.call("maintain", { token: SERVICE, expect: 202 });
  await api.call("maintain", { token: SERVICE, query: { wait: "true" }, expect: 200 });
  await api.call("maintain", { token: "mpr_wrong", expect: 401 });
});

Deno.test("a workflow's calls are answered as described, from the plan to the end", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "report.pdf" }, { name: "skipped" }]);
  const { id, token } = workflow.job;
  const path = { id };
  await api.call("getJob", { token, path, expect: 200 });
  await api.call("getJob", { token: "mpj_wrong", path, expect: 401 });
  await api.call("getJob", { token, path: { id: NOBODY }, expect: 404 });
  await api.call("heartbeat", { token, path, expect: 200 });
  const plan = await api.call("planJob", { token, path, expect: 200 });
  const [first, second] = (plan.body as { artifacts: { id: string }[] }).artifacts;

  const ticket = { token, path, body: { artifact_id: first!.id } };
  await api.call("createTicket", { ...ticket, expect: 200 });
  await api.call("createTicket", { token, path, body: { artifact_id: NOBODY }, expect: 404 });
  await api.call("createTicket", { token, path, body: {}, expect: 422 });
  await api.call("createTicket", { token, path, body: "{", expect: 400 });
  const { report } = await workflow.move(first!.id);
  await api.call("reportArtifact", { token, path, body: report, expect: 200 });
  await api.call("createTicket", { ...ticket, expect: 409 });
  await api.call("reportArtifact", {
    token,
    path,
    body: { artifact_id: second!.id, status: "failed", error_code: "no_luck" },
    expect: 200,
  });
  const ended = await api.call("completeJob", {
    token,
    path,
    body: { summary: "half" },
    expect: 200,
  });
  assert.deepEqual((ended.body as { status: string }).status, "pending");

  const other = await startJob(sql, sink, lane, []);
  const its = { token: other.job.token, path: { id: other.job.id } };
  await api.call("failJob", { ...its, body: { code: "x", retryable: false }, expect: 200 });
  const third = await startJob(sql, sink, lane, []);
  const last = { token: third.job.token, path: { id: third.job.id } };
  await api.call("completeJob", { ...last, expect: 200 });
  // The answer to the first report was lost, for example.
  await api.call("completeJob", { ...last, expect: 200 });
  await api.call("failJob", { ...last, body: {}, expect: 409 });
});

Deno.test("actions answer as described", async () => {
  const tenant = await makeExecuteTenant(sql, provider.url);
  const connection_id = await connect(sql, tenant, { isShared: true });
  const { key: token } = await makeKey(sql, tenant);
  const ask = (action: string, parameters: unknown = {}) => ({ connection_id, action, parameters });
  provider.reset();
  await api.call("execute", { token, body: ask("things.list"), expect: 200 });
  await api.call("execute", { token: tenant.owner.token, body: ask("things.list"), expect: 200 });
  await api.call("execute", { token: SERVICE, body: ask("things.list"), expect: 200 });
  await api.call("execute", { token, body: ask("things.get"), expect: 422 });
  await api.call("execute", { token, body: ask("things.unheard"), expect: 404 });
  await api.call("execute", { token, body: {}, expect: 422 });
  await api.call("execute", { token, body: "{", expect: 400 });
  await api.call("execute", { body: ask("things.list"), expect: 401 });
  await api.call("execute", {
    token: tenant.viewer.token,
    body: ask("things.create"),
    expect: 403,
  });
  const keyed = { token, headers: { "idempotency-key": "k" } };
  await api.call("execute", { ...keyed, body: ask("things.create", { a: 1 }), expect: 200 });
  await api.call("execute", { ...keyed, body: ask("things.create", { a: 2 }), expect: 422 });
  await api.call("executeBatch", {
    token,
    body: [ask("things.list"), ask("things.unheard"), "nonsense"],
    expect: 200,
  });
  await api.call("executeBatch", { token, body: [], expect: 422 });
  const started = await api.call("execute", {
    token,
    headers: { prefer: "respond-async" },
    body: ask("things.list"),
    expect: 202,
  });
  const path = { id: (started.body as { execution_id: string }).execution_id };
  assert.ok(started.response.headers.get("location")!.endsWith(`/executions/${path.id}`));
  await until(async () => {
    const { body } = await api.call("getExecution", { token, path, expect: 200 });
    return (body as { status: string }).status === "succeeded";
  }, "the execution's end");
  await api.call("getExecution", { token, path: { id: NOBODY }, expect: 404 });

  provider.answer(() => new Response("a,b", { headers: { "content-type": "text/csv" } }));
  await api.call("execute", { token, body: ask("files.get"), expect: 200 });
  provider.answer(() => Response.json({ message: "no" }, { status: 400 }));
  await api.call("execute", { token, body: ask("things.list"), expect: 502 });
  provider.answer(() => new Response("", { status: 429, headers: { "retry-after": "60" } }));
  await api.call("execute", { token, body: ask("things.create"), expect: 429 });
});

Deno.test("connecting an account is answered as described", async () => {
  const server = await AuthorizationServer.start();
  const tenant = await makeOAuthTenant(sql, server);
  try {
    const { token } = tenant.member;
    const { integration } = tenant;
    const link = async () =>
      (await api.call("createConnectLink", { token, body: { integration }, expect: 201 }))
        .body as { url: string; connection_id: string };
    await api.call("createConnectLink", { token, body: {}, expect: 422 });
    await api.call("createConnectLink", { body: { integration }, expect: 401 });
    await api.call("createConnectLink", { token, body: { integration: "nobody" }, expect: 404 });
    await api.call("createConnectLink", {
      token: tenant.viewer.token,
      body: { integration, organization: tenant.slug },
      expect: 403,
    });

    const { url, connection_id: id } = await link();
    const path = { token: url.split("/").at(-1)! };
    await api.call("openConnectLink", { path, expect: 200 });
    await api.call("openConnectLink", { path: { token: `mpl_${"0".repeat(64)}` }, expect: 404 });
    const browser = new Browser();
    const posted = await browser.post(url, {});
    const page = await posted.clone().text();
    await api.check("useConnectLink", posted);
    await api.check("finishAuthorization", await browser.consent(hrefOf(page), "ada"));
    await api.call("useConnectLink", { path, expect: 404 });
    await api.call("finishAuthorization", { query: { state: "x", code: "y" }, expect: 401 });
    await api.call("finishAuthorization", { expect: 400 });
    const refusal = new Browser();
    const other = await (await refusal.post((await link()).url, {})).text();
    await api.check("finishAuthorization", await refusal.refuse(hrefOf(other)));

    const query = { integration };
    await api.call("authorize", {
      token,
      query,
      headers: { accept: "application/json" },
      expect: 200,
    });
    await api.call("authorize", { token, query, expect: 302 });
    await api.call("authorize", { token: SERVICE, query, expect: 403 });

    const one = { token, path: { id } };
    await api.call("getConnection", { ...one, expect: 200 });
    await api.call("getConnection", { token, path: { id: NOBODY }, expect: 404 });
    await api.call("testConnection", { ...one, expect: 200 });
    await api.call("refreshConnection", { ...one, expect: 200 });
    await api.call("reconnect", { ...one, body: {}, expect: 201 });
    await api.call("revokeConnection", { ...one, expect: 200 });
    await api.call("deleteConnection", { ...one, expect: 204 });
    await api.call("deleteConnection", { ...one, expect: 404 });

    const acme = await makeExecuteTenant(sql, provider.url);
    await api.call("createConnection", {
      token: acme.member.token,
      body: { integration: acme.integration, credential: { api_token: "acme-token" } },
      expect: 201,
    });
    await api.call("createConnection", {
      token,
      body: { integration, type: "aws_sigv4" },
      expect: 422,
    });
  } finally {
    await removeTenant(sql, tenant);
    await server.stop();
  }
});

Deno.test("the MCP server's two routes answer as described", async () => {
  const tenant = await makeExecuteTenant(sql, provider.url);
  const { key: token } = await makeKey(sql, tenant);
  const headers = { accept: "application/json, text/event-stream" };
  const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
  await api.call("sendMcpMessage", { token, headers, body: ping, expect: 200 });
  await api.call("sendMcpMessage", {
    token,
    headers,
    body: { jsonrpc: "2.0", method: "notifications/initialized" },
    expect: 202,
  });
  await api.call("sendMcpMessage", { token, headers, body: [ping], expect: 400 });
  await api.call("sendMcpMessage", { headers, body: ping, expect: 401 });
  await api.call("getMcpResource", { expect: 200 });
});

Deno.test("every operation was called", () => {
  const all = [...api.operations.keys()];
  assert.deepEqual(all.filter((id) => !api.seen.has(id)), []);
});
