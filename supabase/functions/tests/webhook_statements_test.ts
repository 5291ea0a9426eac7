import { sign } from "@octokit/webhooks-methods";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import postgres from "postgres";
import { backgroundIdle } from "../_shared/background.ts";
import { closeDb } from "../_shared/db.ts";
import { resetEnv } from "../_shared/env.ts";
import { createWebhookApp } from "../marketplace-webhook/app.ts";
import { openWire, type Wire } from "./support/wire.ts";

const { SUPABASE_DB_URL } = Deno.env.toObject();
if (!SUPABASE_DB_URL) {
  throw new Error("SUPABASE_DB_URL is not set: run `deno task start` and load .local/env");
}
const SLUG = `statements-test-${crypto.randomUUID().slice(0, 8)}`;
const SECRET = "It's a Secret to Everybody";
const CROWD = 48;

describe("what a delivery costs the database", () => {
  const sql = postgres(SUPABASE_DB_URL, { max: 2, onnotice: () => {} });
  const app = createWebhookApp();
  const formerUrl = Deno.env.get("MARKETPLACE_DB_URL");
  let wire: Wire;
  let signature: string;

  const deliver = async (id: string) => {
    const response = await app.request(`/marketplace-webhook/github/${SLUG}`, {
      method: "POST",
      body: "{}",
      headers: {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": id,
        "x-hub-signature-256": signature,
      },
    });
    return { status: response.status, ...await response.json() };
  };
  const stored = async () => {
    const rows = await sql<{ id: string }[]>`
      select e.id from marketplace.webhook_events as e
      join marketplace.integrations as i on i.id = e.integration_id
      where i.slug = ${SLUG}`;
    return rows.map(({ id }) => id);
  };

  before(async () => {
    await sql`
      select marketplace.register_integration(${SLUG}, 'Statements', 'github', 'automation', '{}')`;
    await sql`select marketplace.set_integration_secret(${SLUG}, 'webhook', ${SECRET})`;
    await sql`
      create function public.statements_test_refuse() returns trigger language plpgsql as $$
      begin
        if new.dedupe_key like 'refused-%' then
          raise exception 'this one is refused';
        end if;
        return new;
      end $$`;
    await sql`
      create trigger statements_test before insert on marketplace.webhook_events
      for each row execute function public.statements_test_refuse()`;
    signature = await sign(SECRET, "{}");
    wire = openWire(SUPABASE_DB_URL);
    await closeDb();
    Deno.env.set("MARKETPLACE_DB_URL", wire.url);
    Deno.env.set("MARKETPLACE_LOG_LEVEL", "error");
    resetEnv();
    // Settings read, statement prepared.
    assert.equal((await deliver("first")).status, 200);
  });
  after(async () => {
    await backgroundIdle();
    await closeDb();
    wire.close();
    if (formerUrl === undefined) Deno.env.delete("MARKETPLACE_DB_URL");
    else Deno.env.set("MARKETPLACE_DB_URL", formerUrl);
    resetEnv();
    await sql`drop trigger statements_test on marketplace.webhook_events`;
    await sql`drop function public.statements_test_refuse()`;
    await sql.end();
  });

  it("is one statement in one round trip, new or known", async () => {
    for (const id of ["one", "one"]) {
      wire.take();
      assert.equal((await deliver(id)).status, 200);
      assert.deepEqual(wire.take(), { statements: 1, roundTrips: 1 });
    }
  });

  it("is one statement, too, when it is a push of an account that is followed", async () => {
    const slug = `${SLUG}-drive`;
    await sql`
      select marketplace.register_integration(${slug}, 'Statements', 'google_drive', 'storage', '{}')`;
    await sql`select marketplace.set_integration_secret(${slug}, 'webhook', ${SECRET})`;
    await sql`update marketplace.integrations set is_watched = true where slug = ${slug}`;
    const [cursor] = await sql`
      insert into marketplace.sync_cursors (organization_id, integration_id, feed, due_at, not_before)
      select organization_id, id, 'drive.changes', now() + interval '1 day', now() + interval '1 hour'
      from marketplace.integrations where slug = ${slug}
      returning id`;
    await sql`
      insert into marketplace.watch_channels (
        organization_id, integration_id, cursor_id, kind, channel_id, resource_id
      )
      select organization_id, integration_id, id, 'drive', ${slug}, 'r1'
      from marketplace.sync_cursors where id = ${cursor!.id}`;
    const push = async (number: number) => {
      const response = await app.request(`/marketplace-webhook/google_drive/${slug}`, {
        method: "POST",
        headers: {
          "x-goog-channel-id": slug,
          "x-goog-channel-token": SECRET,
          "x-goog-resource-id": "r1",
          "x-goog-resource-state": "change",
          "x-goog-message-number": String(number),
        },
      });
      return { status: response.status, ...await response.json() };
    };
    // Settings read, statement prepared.
    assert.deepEqual(await push(2), { status: 200, received: true, push: "noted" });
    wire.take();
    assert.deepEqual(await push(3), { status: 200, received: true, push: "coalesced" });
    assert.deepEqual(wire.take(), { statements: 1, roundTrips: 1 });
    await sql`delete from marketplace.integrations where slug = ${slug}`;
  });

  it("is shared by those who come at once", async () => {
    const known = (await stored()).length;
    wire.take();
    const answers = await Promise.all(
      Array.from({ length: CROWD }, (_, i) => deliver(`crowd-${i}`)),
    );
    const { statements, roundTrips } = wire.take();
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.ok(statements <= CROWD / 4, `${statements} statements for ${CROWD} deliveries`);
    // Another connection may have had to be told the statement.
    assert.ok(roundTrips <= 2 * statements, `${roundTrips} round trips`);
    const ids = new Set(await stored());
    assert.equal(ids.size, known + CROWD);
    assert.ok(answers.every(({ event_id }) => ids.has(event_id)));
    assert.equal(new Set(answers.map(({ event_id }) => event_id)).size, CROWD);
  });

  it("counts copies that come at once as copies", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => deliver("copied")));
    assert.equal(new Set(answers.map(({ event_id }) => event_id)).size, 1);
    assert.equal(answers.filter(({ duplicate }) => !duplicate).length, 1);
    const [row] = await sql`
      select d.duplicate_count from marketplace.webhook_deliveries as d
      join marketplace.integrations as i on i.id = d.integration_id
      where i.slug = ${SLUG} and d.dedupe_key = 'copied'`;
    assert.equal(row!.duplicate_count, 7);
  });

  it("one that cannot be stored does not fail those it came with", async () => {
    const answers = await Promise.all(
      ["a", "refused-1", "b", "c", "refused-2", "d"].map((id) => deliver(id)),
    );
    assert.deepEqual(answers.map(({ status }) => status), [200, 500, 200, 200, 500, 200]);
    const ids = await stored();
    assert.ok(answers.every(({ event_id, status }) => ids.includes(event_id) === (status === 200)));
  });

  it("a change of the settings meanwhile makes each verify again, with the new secret", async () => {
    await sql`select marketplace.set_integration_secret(${SLUG}, 'webhook', ${SECRET})`;
    const known = (await stored()).length;
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => deliver(`changed-${i}`)),
    );
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal((await stored()).length, known + 8);
    await sql`select marketplace.set_integration_secret(${SLUG}, 'webhook', 'another')`;
    const refused = await Promise.all(
      Array.from({ length: 8 }, (_, i) => deliver(`refused-now-${i}`)),
    );
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([401]));
    assert.equal((await stored()).length, known + 8);
  });
});
