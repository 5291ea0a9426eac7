import examples from "@octokit/webhooks-examples" with { type: "json" };
import { sign } from "@octokit/webhooks-methods";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import postgres from "postgres";

const { SUPABASE_URL, SUPABASE_DB_URL } = Deno.env.toObject();
if (!SUPABASE_URL || !SUPABASE_DB_URL) {
  throw new Error(
    "SUPABASE_URL and SUPABASE_DB_URL are not set: run `deno task start` and load .local/env",
  );
}
const URL_BASE = `${SUPABASE_URL}/functions/v1/marketplace-webhook`;
const SLUG = `webhook-test-${crypto.randomUUID().slice(0, 8)}`;
const SECRET = "It's a Secret to Everybody";

const sql = postgres(SUPABASE_DB_URL, { max: 4, onnotice: () => {} });

/** A real payload of an event, as GitHub documents it. */
function example(event: string, action?: string): string {
  const found = examples.find(({ name }) => name === event)?.examples
    .find((payload) => !action || (payload as { action?: string }).action === action);
  assert.ok(found, `no example of ${event}.${action}`);
  return JSON.stringify(found);
}

interface GitHubDelivery {
  body: string;
  event: string;
  id?: string;
  secret?: string;
  headers?: Record<string, string>;
  path?: string;
}

async function deliver(
  { body, event, id = crypto.randomUUID(), secret = SECRET, headers, path = `github/${SLUG}` }:
    GitHubDelivery,
) {
  return await fetch(`${URL_BASE}/${path}`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-github-event": event,
      "x-github-delivery": id,
      "x-hub-signature-256": await sign(secret, body),
      ...headers,
    },
  });
}

async function json(response: Response) {
  // deno-lint-ignore no-explicit-any
  return await response.json() as any;
}

const eventsOf = (dedupeKey: string) =>
  sql`
    select e.* from marketplace.webhook_events as e
    join marketplace.integrations as i on i.id = e.integration_id
    where i.slug like ${`${SLUG}%`} and e.dedupe_key = ${dedupeKey}
  `;

async function countEvents(): Promise<number> {
  const [row] = await sql`
    select count(*)::int as count from marketplace.webhook_events as e
    join marketplace.integrations as i on i.id = e.integration_id where i.slug like ${`${SLUG}%`}
  `;
  return row!.count;
}

describe("marketplace-webhook", () => {
  before(async () => {
    await sql`select marketplace.register_integration(${SLUG}, 'Webhook test', 'github', 'automation', '{}')`;
    await sql`select marketplace.set_integration_secret(${SLUG}, 'webhook', ${SECRET})`;
  });
  after(async () => {
    await sql`delete from marketplace.integrations where slug like ${`${SLUG}%`}`;
    await sql`delete from marketplace.providers where slug like 'webhook_test_%'`;
    await sql.end();
  });

  it("stores a signed workflow_run once and names its artifacts", async () => {
    const id = crypto.randomUUID();
    const payload = JSON.parse(example("workflow_run", "completed"));
    payload.workflow_run.conclusion = "success";
    const body = JSON.stringify(payload);
    const first = await deliver({ body, event: "workflow_run", id });
    assert.equal(first.status, 200);
    const answer = await json(first);
    assert.deepEqual(answer, {
      received: true,
      event_id: answer.event_id,
      correlation_id: answer.correlation_id,
      duplicate: false,
    });
    assert.equal(first.headers.get("x-correlation-id"), answer.correlation_id);

    const [event] = await eventsOf(id);
    assert.equal(event!.id, answer.event_id);
    assert.equal(event!.correlation_id, answer.correlation_id);
    assert.equal(event!.event_type, "workflow_run.completed");
    assert.equal(event!.resource_path, "artifacts/");
    assert.equal(event!.account, payload.repository.full_name);
    assert.deepEqual(event!.payload, payload);
    assert.equal(event!.headers["x-hub-signature-256"], "[redacted]");
    assert.equal(event!.headers["x-github-event"], "workflow_run");
    assert.equal(
      event!.occurred_at.toISOString(),
      new Date(payload.workflow_run.updated_at).toISOString(),
    );

    const again = await deliver({ body, event: "workflow_run", id });
    assert.equal(again.status, 200);
    assert.deepEqual(await json(again), { ...answer, duplicate: true });
  });

  it("stores one event when the same delivery comes five times at once", async () => {
    const id = crypto.randomUUID();
    const body = example("push");
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const response = await deliver({ body, event: "push", id });
        assert.equal(response.status, 200);
        return await json(response);
      }),
    );
    assert.equal((await eventsOf(id)).length, 1);
    assert.equal(new Set(answers.map(({ event_id }) => event_id)).size, 1);
    assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1);
  });

  it("names what a delivery is about", async () => {
    // deno-lint-ignore no-explicit-any
    const cases: [string, string | undefined, (payload: any) => [string, string]][] = [
      ["push", undefined, (p) => ["push", p.ref]],
      ["release", "published", (p) => ["release.published", `releases/${p.release.tag_name}`]],
      ["issues", "opened", (p) => ["issues.opened", `issues/${p.issue.number}`]],
      ["pull_request", "opened", (p) => ["pull_request.opened", `pull_request/${p.number}`]],
      ["ping", undefined, () => ["ping", "ping/"]],
    ];
    for (const [event, action, expected] of cases) {
      const id = crypto.randomUUID();
      const body = example(event, action);
      assert.equal((await deliver({ body, event, id })).status, 200);
      const [stored] = await eventsOf(id);
      assert.deepEqual([stored!.event_type, stored!.resource_path], expected(JSON.parse(body)));
    }
  });

  it("stores every event GitHub documents", async () => {
    for (const { name, examples: payloads } of examples) {
      const response = await deliver({ body: JSON.stringify(payloads[0]), event: name });
      assert.equal(response.status, 200, name);
      await response.body?.cancel();
    }
  });

  it("tells success from other conclusions of a workflow run", async () => {
    const payload = JSON.parse(example("workflow_run", "completed"));
    for (
      const [conclusion, path] of [["success", "artifacts/"], [
        "failure",
        "runs/failure/artifacts/",
      ]]
    ) {
      payload.workflow_run.conclusion = conclusion;
      const id = crypto.randomUUID();
      await deliver({ body: JSON.stringify(payload), event: "workflow_run", id });
      assert.equal((await eventsOf(id))[0]!.resource_path, path);
    }
  });

  it("leaves no row of a delivery it refuses", async () => {
    const before = await countEvents();
    const body = example("push");
    const refused = async (delivery: Partial<GitHubDelivery>, code: string, status = 401) => {
      const response = await deliver({ body, event: "push", ...delivery });
      assert.equal(response.status, status, code);
      assert.equal((await json(response)).error.code, code);
    };
    await refused({ secret: "another secret" }, "invalid_signature");
    await refused({ headers: { "x-hub-signature-256": "" } }, "missing_signature");
    await refused({ headers: { "x-hub-signature-256": "sha256=00" } }, "invalid_signature");
    await refused({ headers: { "x-hub-signature-256": "sha256=" } }, "invalid_signature");
    await refused(
      { headers: { "x-hub-signature-256": await sign(SECRET, `${body} `) } },
      "invalid_signature",
    );
    await refused({ body: '{"a":' }, "malformed_json", 400);
    await refused({ path: "github/nobody-registered-this" }, "unknown_endpoint", 404);
    await refused({ path: "no-such-provider" }, "unknown_endpoint", 404);
    assert.equal(await countEvents(), before);
  });

  it("accepts a rotated secret at once, and the former one while they overlap", async () => {
    const slug = `${SLUG}-rotated`;
    const path = `github/${slug}`;
    const body = example("push");
    await sql`select marketplace.register_integration(${slug}, 'Rotated', 'github', 'automation', '{}')`;
    assert.equal(
      (await json(await deliver({ body, event: "push", path }))).error.code,
      "missing_secret",
    );
    await sql`select marketplace.set_integration_secret(${slug}, 'webhook', 'first')`;
    const status = async (secret: string) => {
      const response = await deliver({ body, event: "push", path, secret });
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await status("first"), 200);
    await sql`select marketplace.rotate_integration_secret(${slug}, 'webhook', 'second', '1 hour')`;
    assert.equal(await status("second"), 200);
    assert.equal(await status("first"), 200);
    await sql`select marketplace.set_integration_secret(${slug}, 'webhook', 'third')`;
    assert.equal(await status("first"), 401, "a replaced secret is refused although it is cached");
    assert.equal(await status("third"), 200);
    await sql`update marketplace.integrations set status = 'inactive' where slug = ${slug}`;
    assert.equal(await status("third"), 404, "an inactive integration takes nothing");
  });

  it("keeps digits, and replaces only what jsonb cannot hold", async () => {
    const id = crypto.randomUUID();
    const body = String
      .raw`{"big":12345678901234567890,"nul":"a\u0000b","lone":"\ud800","pair":"\ud83d\ude00",` +
      String.raw`"huge":1e99999,"literal":"\\u0000","__proto__":{"polluted":true}}`;
    assert.equal((await deliver({ body, event: "push", id })).status, 200);
    const [row] = await sql`
      select payload ->> 'big' as big, payload ->> 'nul' as nul, payload ->> 'lone' as lone,
        payload ->> 'pair' as pair, payload -> 'huge' as huge, payload ->> 'literal' as literal,
        payload -> '__proto__' as proto
      from marketplace.webhook_events where dedupe_key = ${id}
    `;
    assert.deepEqual({ ...row }, {
      big: "12345678901234567890",
      nul: "a\ufffdb",
      lone: "\ufffd",
      pair: "😀",
      huge: "1e99999",
      literal: "\\u0000",
      proto: { polluted: true },
    });
  });

  it("refuses what is not UTF-8 or nested beyond reason with 400", async () => {
    const bytes = new Uint8Array([0x22, 0xff, 0x22]);
    const key = await crypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(SECRET),
      {
        name: "HMAC",
        hash: "SHA-256",
      },
      false,
      ["sign"],
    );
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes));
    const signature = Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const response = await fetch(`${URL_BASE}/github/${SLUG}`, {
      method: "POST",
      body: bytes,
      headers: { "x-github-event": "push", "x-hub-signature-256": `sha256=${signature}` },
    });
    assert.equal(response.status, 400);
    assert.equal((await json(response)).error.code, "invalid_utf8");
    const deep = await deliver({ body: "[".repeat(5_000) + "]".repeat(5_000), event: "push" });
    assert.equal((await json(deep)).error.code, "too_deep");
  });

  it("takes a provider that was added by SQL alone", async () => {
    const provider = `webhook_test_${SLUG.slice(-8)}`;
    const path = `${provider.replaceAll("_", "-")}/${SLUG}-added`;
    const body = JSON.stringify({ id: "evt-1", kind: "made" });
    const send = async () =>
      await fetch(`${URL_BASE}/${path}`, {
        method: "POST",
        body,
        headers: { "x-signed": (await sign(SECRET, body)).replace("sha256=", "v9=") },
      });
    assert.equal((await send()).status, 404);
    await sql`
      insert into marketplace.providers (slug, name, category, max_body_bytes, webhook_config)
      values (${provider}, 'Added', 'automation', 1024, ${
      JSON.stringify({
        verify: {
          family: "hmac",
          algorithm: "sha256",
          encoding: "hex",
          header: "x-signed",
          prefix: "v9=",
        },
        event: { dedupe: "{body:/id}", type: "{body:/kind}", path: "things/{body:/id}" },
      })
    }::text::jsonb)`;
    await sql`select marketplace.register_integration(${`${SLUG}-added`}, 'Added', ${provider}, 'automation', '{}')`;
    await sql`select marketplace.set_integration_secret(${`${SLUG}-added`}, 'webhook', ${SECRET})`;
    assert.equal((await send()).status, 200);
    const [event] = await eventsOf("evt-1");
    assert.deepEqual([event!.event_type, event!.resource_path], ["made", "things/evt-1"]);
    assert.equal(
      event!.headers["x-signed"],
      "[redacted]",
      "the proof is not stored, whatever its header",
    );

    const large = await fetch(`${URL_BASE}/${path}`, { method: "POST", body: "x".repeat(1_025) });
    assert.equal(large.status, 413);
    await large.body?.cancel();
  });

  it("answers other methods with 405 and what is allowed", async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await fetch(`${URL_BASE}/github`, { method });
      assert.equal(response.status, 405);
      assert.equal(response.headers.get("allow"), "POST");
      await response.body?.cancel();
    }
  });

  it("counts refusals by provider, reason and minute", async () => {
    const provider = `webhook_test_counted_${SLUG.slice(-8)}`;
    const slug = `${SLUG}-counted`;
    await sql`
      insert into marketplace.providers (slug, name, category, webhook_config)
      select ${provider}, 'Counted', category, webhook_config from marketplace.providers where slug = 'github'
    `;
    await sql`select marketplace.register_integration(${slug}, 'Counted', ${provider}, 'automation', '{}')`;
    await sql`select marketplace.set_integration_secret(${slug}, 'webhook', ${SECRET})`;
    for (const signature of [{}, {}, {}, { "x-hub-signature-256": "sha256=00" }]) {
      const response = await fetch(`${URL_BASE}/${provider}/${slug}`, {
        method: "POST",
        body: "{}",
        headers: signature as Record<string, string>,
      });
      assert.equal(response.status, 401);
      await response.body?.cancel();
    }
    const counted = async () =>
      Object.fromEntries((await sql`
        select reason, sum(rejection_count)::int as count from marketplace.webhook_rejections
        where provider = ${provider} group by reason
      `).map(({ reason, count }) => [reason, count]));
    const deadline = Date.now() + 5_000;
    while (Object.keys(await counted()).length < 2 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(await counted(), { missing_signature: 3, invalid_signature: 1 });
  });

  it("reports the database's and the queue's state", async () => {
    const response = await fetch(`${URL_BASE}/health`);
    assert.equal(response.status, 200);
    const health = await json(response);
    assert.ok(["ok", "degraded"].includes(health.status));
    assert.equal(health.database, "ok");
    assert.equal(typeof health.queue.events_waiting, "number");
  });
});
