// Quota is reserved before a call, settled after it, and corrected by what the provider says.
import assert from "node:assert/strict";
import { SandboxClient } from "../../../scripts/sandbox/client.ts";
import { stackEnv, useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  logOf,
  makeKey,
  makeTenant,
  quotasOf,
  register,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);
const sandbox = new SandboxClient(stackEnv("SANDBOX_URL"));

async function makeLane(
  quota: { limit: number; window_seconds: number },
  { config = {}, rate_limit = {} }: {
    config?: Record<string, unknown>;
    rate_limit?: Record<string, unknown>;
  } = {},
) {
  const tenant = await makeTenant(sql, provider.url, {
    row: { rate_limit: { quota, ...rate_limit } },
    config,
  });
  const one = await connect(sql, tenant, { isShared: true });
  const two = await connect(sql, tenant, { isShared: true });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  const run = (connection_id = one, action = "things.list", parameters = {}) =>
    execute(key, { connection_id, action, parameters });
  return { tenant, one, two, key, run };
}

Deno.test("a spent window answers 429 with retry_after, and the provider is not asked", async () => {
  const { tenant, run } = await makeLane({ limit: 3, window_seconds: 600 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => run()));
  assert.equal(answers.filter(({ status }) => status === 200).length, 3);
  assert.equal(provider.received.length, 3);
  const refused = answers.find(({ status }) => status === 429)!;
  assert.equal(refused.body.error.code, "rate_limited");
  assert.equal(refused.body.error.details.quota, "requests");
  assert.ok(refused.body.error.retry_after > 590 && refused.body.error.retry_after <= 600);
  assert.equal(refused.headers.get("retry-after"), String(refused.body.error.retry_after));
  assert.deepEqual((await quotasOf(sql, tenant)).requests!.used, 3);
  const log = await logOf(sql, tenant);
  assert.equal(log.filter(({ error_code }) => error_code === "rate_limited").length, 7);
  // The next window begins anew.
  await sql`
    update marketplace.api_quotas
    set window_started_at = now() - interval '2 h', resets_at = now() - interval '1 h'
    where integration_id = ${tenant.integrationId}
  `;
  assert.equal((await run()).status, 200);
  assert.equal((await quotasOf(sql, tenant)).requests!.used, 1);
});

Deno.test("each connection has its window, and all together the integration's", async () => {
  const { tenant, one, two, run } = await makeLane({ limit: 4, window_seconds: 600 }, {
    config: { quota: { limit: 6, window_seconds: 600 } },
  });
  const statuses: number[] = [];
  for (const connection of [one, one, one, one, one, two, two, two]) {
    statuses.push((await run(connection)).status);
  }
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 200, 200, 429]);
  const rows = await sql`
    select name, connection_id, used_count::int, reserved_count::int from marketplace.api_quotas
    where integration_id = ${tenant.integrationId} order by used_count
  `;
  assert.deepEqual(
    rows.map((row) => [row.name, row.connection_id, row.used_count, row.reserved_count]),
    [
      ["requests", two, 2, 0],
      ["requests", one, 4, 0],
      ["all connections", null, 6, 0],
    ],
  );
});

Deno.test("what was reserved and not used is given back", async () => {
  const { tenant, run, one } = await makeLane({ limit: 100, window_seconds: 600 });
  await run(one, "things.get", {});
  await run(one, "no.such");
  assert.deepEqual({ ...(await quotasOf(sql, tenant)).requests, connection_id: null }, {
    used: 0,
    reserved: 0,
    limit: 100,
    connection_id: null,
  });
});

Deno.test("a repetition counts, a connection that was refused does not", async () => {
  const { tenant, run, one } = await makeLane({ limit: 100, window_seconds: 600 });
  provider.answer(() => new Response("{}", { status: 503 }));
  await run(one, "things.get", { id: "1" });
  assert.equal((await quotasOf(sql, tenant)).requests!.used, 3);
  await sql`
    update marketplace.integrations set config = config || '{"api_base": "http://127.0.0.1:9"}'
    where id = ${tenant.integrationId}
  `;
  const refused = await run(one, "things.get", { id: "1" });
  assert.equal(refused.body.error.code, "provider_error");
  assert.equal((await quotasOf(sql, tenant)).requests!.used, 3);
});

Deno.test("the provider's own count replaces ours, whichever is higher", async () => {
  const { tenant, run } = await makeLane({ limit: 100, window_seconds: 600 }, {
    rate_limit: {
      limit_header: "x-limit",
      remaining_header: "x-left",
      reset_header: "x-reset",
      reset_format: "epoch_s",
    },
  });
  const resets = Math.floor(Date.now() / 1000) + 900;
  let left = 30;
  provider.answer(() =>
    Response.json({}, {
      headers: { "x-limit": "50", "x-left": String(left), "x-reset": String(resets) },
    })
  );
  const answer = await run();
  assert.deepEqual(answer.body.quota, {
    name: "requests",
    limit: 50,
    remaining: 30,
    resets_at: new Date(resets * 1000).toISOString(),
  });
  assert.deepEqual((await quotasOf(sql, tenant)).requests!.used, 20);
  assert.deepEqual((await quotasOf(sql, tenant)).requests!.limit, 50);
  left = 0;
  await run();
  const spent = await run();
  assert.equal(spent.status, 429);
  assert.ok(spent.body.error.retry_after > 880);
  assert.equal(provider.received.length, 2);
});

Deno.test("Retry-After of the provider holds the action back, and no other", async () => {
  const { run, one } = await makeLane({ limit: 100, window_seconds: 600 });
  provider.answer(() => new Response("{}", { status: 429, headers: { "retry-after": "30" } }));
  assert.equal((await run()).status, 429);
  provider.reset();
  const held = await run();
  assert.equal(held.status, 429);
  assert.ok(held.body.error.retry_after > 25 && held.body.error.retry_after <= 30);
  assert.equal(provider.received.length, 0);
  assert.equal((await run(one, "things.create")).status, 200);
});

Deno.test("a used-up limit is waited for as told, wherever it is said; Google's own in growing steps", async () => {
  const { run } = await makeLane({ limit: 1000, window_seconds: 600 }, {
    rate_limit: { reset_header: "x-limit-until", reset_format: "iso" },
  });
  const iso = (ms: number) => new Date(Date.now() + ms).toISOString();
  const cases: [ResponseInit, unknown, number][] = [
    [{ status: 429, headers: { "x-limit-until": iso(400_000) } }, {}, 400],
    [{ status: 429, headers: { "ratelimit-reset": "500" } }, {}, 500],
    [{ status: 429, headers: { ratelimit: '"hour";r=0;t=600' } }, {}, 600],
    [{ status: 429 }, { error: { details: [{ retryDelay: "700s" }] } }, 700],
    [{ status: 429 }, { message: "slow down" }, 60],
  ];
  for (const [init, body, seconds] of cases) {
    provider.answer(() => Response.json(body, init));
    const { status, body: answer } = await run();
    assert.deepEqual([status, answer.error.code], [429, "rate_limited"]);
    const { retry_after } = answer.error;
    assert.ok(retry_after > seconds - 5 && retry_after <= seconds, `${retry_after} for ${seconds}`);
  }

  // Said for the second time, it takes longer than anybody waits for: three requests would be asked of it.
  provider.reset();
  provider.answer(() =>
    Response.json({ error: { errors: [{ reason: "userRateLimitExceeded" }] } }, { status: 403 })
  );
  const { body } = await run();
  assert.equal(body.error.code, "rate_limited");
  assert.ok([3, 4, 5].includes(body.error.retry_after), body.error.retry_after);
  assert.equal(provider.received.length, 3);
  // A full Drive passes with no time.
  provider.answer(() =>
    Response.json({ error: { errors: [{ reason: "storageQuotaExceeded" }] } }, { status: 403 })
  );
  assert.deepEqual((await run()).body.error.details.reason, "provider_forbidden");
});

Deno.test("an action's cost is what it takes from the window", async () => {
  const { tenant, run } = await makeLane({ limit: 10, window_seconds: 600 });
  await sql`
    update marketplace.actions set quota_cost = 4
    where provider_slug = ${tenant.provider} and slug = 'things.list'
  `;
  assert.equal((await run()).body.quota.remaining, 6);
  assert.equal((await run()).body.quota.remaining, 2);
  assert.equal((await run()).status, 429);
  await sql`
    update marketplace.actions set quota_cost = 0
    where provider_slug = ${tenant.provider} and slug = 'things.list'
  `;
  assert.equal((await run()).status, 200);
});

Deno.test("a thousand executions with faults of all kinds: a thousand rows, and the exact quota", async () => {
  const tenant = await makeTenant(sql, provider.url);
  const slug = `${tenant.slug}-github`;
  const integrationId = await register(sql, {
    slug,
    provider: "github",
    organization: tenant.slug,
    config: { api_base: stackEnv("SANDBOX_GITHUB_URL"), allow_private_network: true },
  });
  const connection_id = await connect(sql, { slug: tenant.slug, integration: slug }, {
    isShared: true,
    credential: { api_token: "sandbox-github-token" },
  });
  const slackSlug = `${tenant.slug}-slack`;
  const slackId = await register(sql, {
    slug: slackSlug,
    provider: "slack",
    organization: tenant.slug,
    config: {
      api_base: stackEnv("SANDBOX_SLACK_URL"),
      allow_private_network: true,
      connection_quota: { limit: 100_000, window_seconds: 3600 },
    },
  });
  const slack = await connect(sql, { slug: tenant.slug, integration: slackSlug }, {
    isShared: true,
    credential: { api_token: "xoxb-sandbox" },
  });
  const { key } = await makeKey(sql, tenant);
  await sandbox.setGitHubRateLimit(50_000);
  const fixture = await sandbox.createGitHubRun({ artifacts: [{ name: "a" }] });
  const [before] = (await sandbox.journal()).slice(-1);
  const after = before?.seq ?? 0;
  try {
    const path = "/repos/**";
    const add = (fault: Parameters<SandboxClient["addFault"]>[0]) => sandbox.addFault(fault);
    await add({ provider: "github", path, skip: 20, times: 30, status: 503 });
    await add({ provider: "github", path, skip: 80, times: 20, status: 500 });
    await add({ provider: "github", path, skip: 130, times: 10, cut: "before_body" });
    await add({ provider: "github", path, skip: 160, times: 10, cut: "mid_body" });
    await add({ provider: "github", path, skip: 200, times: 10, rate_limit: { retry_after: 0 } });
    await add({ provider: "github", path, skip: 240, times: 10, delay_ms: 300 });
    await add({ provider: "slack", path: "**", skip: 10, times: 15, status: 503 });
    await add({
      provider: "slack",
      path: "**",
      skip: 60,
      times: 10,
      rate_limit: { retry_after: 0 },
    });
    await add({ provider: "slack", path: "**", skip: 100, times: 5, cut: "before_body" });

    let next = 0;
    const outcomes: Record<string, number> = {};
    const one = async (index: number) => {
      const request = index % 5 === 4
        ? {
          connection_id: slack,
          action: "chat.postMessage",
          parameters: { channel: "#ci-artifacts", text: String(index) },
        }
        : index % 10 === 3
        ? {
          connection_id,
          action: "actions.listWorkflowRunArtifacts",
          parameters: { owner: "octo-org" },
        }
        : {
          connection_id,
          action: "actions.listWorkflowRunArtifacts",
          parameters: {
            owner: "octo-org",
            repo: "octo-repo",
            run_id: index % 10 === 7 ? 1 : fixture.run_id,
          },
        };
      const { status, body } = await execute(key, request);
      const code = body.error?.code ?? String(status);
      outcomes[code] = (outcomes[code] ?? 0) + 1;
    };
    await Promise.all(Array.from({ length: 12 }, async () => {
      while (next < 1000) await one(next++);
    }));

    assert.equal(Object.values(outcomes).reduce((sum, count) => sum + count), 1000);
    assert.equal(outcomes.validation_failed, 100);
    assert.ok(outcomes["200"]! > 500, JSON.stringify(outcomes));
    assert.ok(outcomes.provider_error! >= 100, JSON.stringify(outcomes));

    const log = await logOf(sql, tenant);
    assert.equal(log.length, 1000);
    assert.equal(log.filter(({ outcome }) => outcome === "running").length, 0);
    assert.equal(log.filter(({ outcome }) => outcome === "succeeded").length, outcomes["200"]);

    // GitHub tells its count with every answer: its last word is ours.
    const told = await fetch(`${stackEnv("SANDBOX_GITHUB_URL")}/rate_limit`, {
      headers: { authorization: "Bearer sandbox-github-token", "user-agent": "test" },
    });
    const { resources: { core } } = await told.json();
    const github = await quotasOf(sql, { integrationId });
    assert.deepEqual(
      [github.core?.used, github.core?.reserved, github.core?.limit],
      [core.used, 0, 50_000],
    );
    assert.equal(github.requests?.used ?? 0, 0, "counted where the provider counts");
    // Slack tells nothing: what went out is what counts, repetitions included.
    const sent = (await sandbox.journal({ provider: "slack", after })).length;
    const ours = await quotasOf(sql, { integrationId: slackId });
    assert.deepEqual([ours.requests?.used, ours.requests?.reserved], [sent, 0]);
    const attempts = log.filter(({ action }) => action === "chat.postMessage")
      .reduce((sum, { attempt_count }) => sum + attempt_count, 0);
    assert.equal(attempts, sent);
  } finally {
    await sandbox.clearFaults();
    await sandbox.setGitHubRateLimit(5_000);
  }
});
