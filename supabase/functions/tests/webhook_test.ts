import examples from "@octokit/webhooks-examples" with { type: "json" };
import { sign } from "@octokit/webhooks-methods";
import fc from "fast-check";
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
  {
    body,
    event,
    id = crypto.randomUUID(),
    secret = SECRET,
    headers,
    path = `${nameOf("github")}/${SLUG}`,
  }: GitHubDelivery,
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

/**
 * A provider of the catalogue under a name of these tests: an integration of theirs must not become
 * the default one that others post to.
 */
const nameOf = (provider: string) => `webhook_test_${SLUG.slice(-8)}_${provider}`;

/** Registers an integration of a provider of the catalogue, without a secret. */
async function registerBare(slug: string, provider: string) {
  await sql`
    insert into marketplace.providers (slug, name, category, max_body_bytes, webhook_config)
    select ${nameOf(provider)}, name, category, max_body_bytes, webhook_config
    from marketplace.providers where slug = ${provider}
    on conflict do nothing
  `;
  await sql`select marketplace.register_integration(${slug}, 'Test', ${
    nameOf(provider)
  }, 'automation', '{}')`;
}

/** Registers an integration with the tests' secret. */
async function register(slug: string, provider: string) {
  await registerBare(slug, provider);
  await sql`select marketplace.set_integration_secret(${slug}, 'webhook', ${SECRET})`;
}

describe("marketplace-webhook", () => {
  before(async () => {
    await register(SLUG, "github");
  });
  after(async () => {
    const ours = sql`(select id from marketplace.integrations where slug like ${`${SLUG}%`})`;
    await sql`delete from marketplace.webhook_events where integration_id in ${ours}`;
    await sql`delete from marketplace.webhook_deliveries where integration_id in ${ours}`;
    await sql`delete from marketplace.integrations where slug like ${`${SLUG}%`}`;
    await sql`delete from marketplace.providers where slug like ${`webhook_test_%${
      SLUG.slice(-8)
    }%`}`;
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
    await refused({ path: `${nameOf("github")}/nobody-registered-this` }, "unknown_endpoint", 404);
    await refused({ path: "no-such-provider" }, "unknown_endpoint", 404);
    assert.equal(await countEvents(), before);
  });

  it("accepts a rotated secret at once, and the former one while they overlap", async () => {
    const slug = `${SLUG}-rotated`;
    const path = `${nameOf("github")}/${slug}`;
    const body = example("push");
    await registerBare(slug, "github");
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
    const response = await fetch(`${URL_BASE}/${nameOf("github")}/${SLUG}`, {
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

  it("takes over a scheme that was changed by SQL alone", async () => {
    const provider = `webhook_test_changed_${SLUG.slice(-8)}`;
    const slug = `${SLUG}-changed`;
    await sql`
      insert into marketplace.providers (slug, name, category, webhook_config)
      values (${provider}, 'Changed', 'automation',
        '{"verify": {"family": "token", "header": "x-token"}, "event": {"type": "{body:/type}"}}')
    `;
    await sql`select marketplace.register_integration(${slug}, 'Changed', ${provider}, 'automation', '{}')`;
    await sql`select marketplace.set_integration_secret(${slug}, 'webhook', ${SECRET})`;
    const send = async (headers: Record<string, string>, type: string) => {
      const path = `${URL_BASE}/${provider}/${slug}`;
      const response = await fetch(path, {
        method: "POST",
        body: JSON.stringify({ type }),
        headers,
      });
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await send({ "x-token": SECRET }, "a"), 200);
    assert.equal(await send({ "x-other": SECRET }, "b"), 401);
    await sql`
      update marketplace.providers
      set webhook_config = jsonb_set(webhook_config, '{verify,header}', '"x-other"') where slug = ${provider}
    `;
    assert.equal(
      await send({ "x-token": SECRET }, "c"),
      401,
      "the former scheme is still cached, and yet refused",
    );
    assert.equal(await send({ "x-other": SECRET }, "d"), 200);
  });

  it("stores whatever authentic JSON is sent, or says 400", async () => {
    const escape = fc.integer({ min: 0, max: 0xffff })
      .map((code) => `\\u${code.toString(16).padStart(4, "0")}`);
    const text = fc.array(fc.oneof(escape, fc.constantFrom("a", "é", "😀", "\\n", "\\\\", '\\"')), {
      maxLength: 8,
    }).map((parts) => `"${parts.join("")}"`);
    const number = fc.tuple(fc.bigInt(), fc.integer({ min: -20_000, max: 20_000 }))
      .map(([digits, exponent]) => `${digits}e${exponent}`);
    const scalar = fc.oneof(text, number, fc.constantFrom("null", "true", "-0", "1.50", "1e-400"));
    const { document } = fc.letrec<{ document: string }>((tie) => ({
      document: fc.oneof(
        { depthSize: "small" },
        scalar,
        fc.array(tie("document"), { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
        fc.array(fc.tuple(fc.oneof(text, fc.constant('"__proto__"')), tie("document")), {
          maxLength: 4,
        })
          .map((members) => `{${members.map((member) => member.join(":")).join(",")}}`),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(document, async (body) => {
        const response = await deliver({ body, event: "push" });
        await response.body?.cancel();
        assert.equal(response.status, 200);
      }),
      { numRuns: 300 },
    );
  });

  it("stores a batch as one event per item, each once however the batches overlap", async () => {
    const slug = `${SLUG}-asana`;
    await register(slug, "asana");
    const path = `${URL_BASE}/${nameOf("asana")}/${slug}`;
    const item = (gid: string) => ({ action: "changed", resource: { gid, resource_type: "task" } });
    const body = JSON.stringify({ events: [item("1"), item("2"), item("3")] });
    const signature = (await sign(SECRET, body)).replace("sha256=", "");
    const send = () =>
      fetch(path, { method: "POST", body, headers: { "x-hook-signature": signature } });
    const answers = await Promise.all(
      [send(), send(), send()].map(async (answer) => await json(await answer)),
    );
    for (const answer of answers) assert.equal(answer.events.length, 3);
    const stored = await sql`
      select e.resource_path, e.payload from marketplace.webhook_events as e
      join marketplace.integrations as i on i.id = e.integration_id
      where i.slug = ${slug} order by e.resource_path
    `;
    assert.deepEqual(stored.map((row) => row.resource_path), ["task/1", "task/2", "task/3"]);
    assert.deepEqual(stored[1]!.payload, { events: [item("2")] });
  });

  it("keeps the secret that Asana brings, once", async () => {
    const slug = `${SLUG}-hook`;
    const path = `${URL_BASE}/${nameOf("asana")}/${slug}`;
    await registerBare(slug, "asana");
    const secret = crypto.randomUUID();
    const offer = (value: string) =>
      fetch(path, { method: "POST", body: "{}", headers: { "x-hook-secret": value } });
    assert.equal((await offer(crypto.randomUUID())).status, 401, "nobody expects one");
    await sql`select marketplace.expect_webhook_handshake(${slug})`;
    const offers = await Promise.all([secret, crypto.randomUUID(), crypto.randomUUID()].map(offer));
    const accepted = offers.filter(({ status }) => status === 200);
    assert.equal(accepted.length, 1, "of several at once one counts");
    const kept = accepted[0]!.headers.get("x-hook-secret")!;
    const body = '{"events":[]}';
    const signed = { "x-hook-signature": (await sign(kept, body)).replace("sha256=", "") };
    const delivery = await fetch(path, { method: "POST", body, headers: signed });
    assert.equal(delivery.status, 200);
    assert.equal((await offer(crypto.randomUUID())).status, 401);
    const [row] = await sql`
      select marketplace.integration_credentials(id) ->> 'webhook' as secret
      from marketplace.integrations where slug = ${slug}
    `;
    assert.equal(row!.secret, kept);
  });

  it("shows Notion's token to the operator and to nobody else", async () => {
    const slug = `${SLUG}-notion`;
    await registerBare(slug, "notion");
    const token = `secret_${crypto.randomUUID()}`;
    const send = () =>
      fetch(`${URL_BASE}/${nameOf("notion")}/${slug}`, {
        method: "POST",
        body: JSON.stringify({ verification_token: token }),
      });
    assert.equal((await send()).status, 200);
    assert.equal((await send()).status, 200);
    const offered = await sql`select secret from marketplace.offered_webhook_secrets(${slug})`;
    assert.deepEqual(offered.map(({ secret }) => secret), [token]);
    await assert.rejects(
      sql.begin(async (tx) => {
        await tx`set local role authenticated`;
        await tx`select secret from marketplace.offered_webhook_secrets(${slug})`;
      }),
      { code: "42501" },
    );
    await sql`select marketplace.set_integration_secret(${slug}, 'webhook', ${token})`;
    const body = JSON.stringify({
      id: "notion-1",
      type: "page.created",
      entity: { type: "page", id: "p1" },
    });
    const headers = { "x-notion-signature": await sign(token, body) };
    const delivery = await fetch(`${URL_BASE}/${nameOf("notion")}/${slug}`, {
      method: "POST",
      body,
      headers,
    });
    assert.equal(delivery.status, 200);
    assert.equal((await eventsOf("notion-1"))[0]!.resource_path, "pages/p1");
    assert.equal((await send()).status, 401, "from now on nothing unsigned is looked at");
  });

  it("answers Meta's challenge by the verify token in Vault", async () => {
    const slug = `${SLUG}-meta`;
    await register(slug, "meta");
    await sql`select marketplace.set_integration_secret(${slug}, 'verify_token', 'open sesame')`;
    const challenge = async (token: string) => {
      const query = new URLSearchParams({
        "hub.mode": "subscribe",
        "hub.challenge": "42",
        "hub.verify_token": token,
      });
      const response = await fetch(`${URL_BASE}/${nameOf("meta")}/${slug}?${query}`);
      return [response.status, await response.text()];
    };
    assert.deepEqual(await challenge("open sesame"), [200, "42"]);
    assert.equal((await challenge("wrong"))[0], 401);
  });

  it("takes a Google push by its token, and by its channel once the account is followed", async () => {
    const slug = `${SLUG}-drive`;
    await register(slug, "google_drive");
    const push = async (state: string, number: string) => {
      const response = await fetch(
        `${URL_BASE}/${nameOf("google_drive").replaceAll("_", "-")}/${slug}`,
        {
          method: "POST",
          headers: {
            "x-goog-channel-id": slug,
            "x-goog-channel-token": SECRET,
            "x-goog-resource-id": "r1",
            "x-goog-resource-state": state,
            "x-goog-message-number": number,
          },
        },
      );
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await push("sync", "1"), 200);
    assert.equal(await push("change", "2"), 200);
    assert.equal((await eventsOf(`${slug}:2`))[0]!.event_type, "drive.change");
    assert.equal((await eventsOf(`${slug}:1`)).length, 0, "sync is no event");

    // Once the account is followed, pushes must come from a channel that was opened for it.
    await sql`
      insert into marketplace.sync_cursors (organization_id, integration_id, feed, due_at)
      select organization_id, id, 'drive.changes', 'infinity' from marketplace.integrations
      where slug = ${slug}
    `;
    await sql`update marketplace.integrations set is_watched = true where slug = ${slug}`;
    assert.equal(await push("change", "3"), 200, "none is open yet");
    await sql`
      insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind, channel_id)
      select c.organization_id, c.integration_id, c.id, 'drive', 'another'
      from marketplace.sync_cursors as c join marketplace.integrations as i on i.id = c.integration_id
      where i.slug = ${slug}
    `;
    assert.equal(await push("change", "4"), 503, "a channel that is not kept");
    await sql`delete from marketplace.sync_cursors where integration_id in (
      select id from marketplace.integrations where slug = ${slug}
    )`;
  });

  it("reads Slack's forms", async () => {
    const slug = `${SLUG}-slack`;
    await register(slug, "slack");
    const body =
      "token=x&team_id=T1&channel_id=C1&command=%2Fdeploy&text=a+%26+b%00&trigger_id=1.2.3";
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const response = await fetch(`${URL_BASE}/${nameOf("slack")}/${slug}`, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": (await sign(SECRET, `v0:${timestamp}:${body}`)).replace(
          "sha256=",
          "v0=",
        ),
      },
    });
    assert.deepEqual([response.status, await response.text()], [200, ""]);
    const [event] = await eventsOf("1.2.3");
    assert.deepEqual([event!.event_type, event!.resource_path, event!.account], [
      "command.deploy",
      "channels/C1",
      "T1",
    ]);
    assert.equal(event!.payload.text, "a & b\ufffd");
    assert.ok(!("token" in event!.payload));
  });

  it("answers other methods with 405 and what is allowed", async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const response = await fetch(`${URL_BASE}/${nameOf("github")}/${SLUG}`, { method });
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
