/** GitHub's webhooks, made and kept through its API, and the deliveries that it failed to deliver. */
import assert from "node:assert/strict";
import { type Account, Feeds } from "./support_feeds.ts";
import { until, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const feeds = Feeds.start(sql);
const { client } = feeds;
Deno.test.afterAll(() => feeds.stop());
Deno.test.beforeEach(() => feeds.reset());

const TARGET = "octo-org/octo-repo";

/** A repository's webhook, made through the API. */
async function ensured(types?: string[]): Promise<Account> {
  await client.createGitHubRepository({ owner: "octo-org", repo: "octo-repo" });
  const account = await feeds.account("github");
  await sql`select marketplace.ensure_webhook(${account.slug}, ${TARGET}, ${
    types ?? null
  }::text[])`;
  await hookOf(account);
  return account;
}

async function hookOf({ slug }: Account) {
  await until(async () => {
    const [row] = await sql`
      select h.status, c.cursor
      from marketplace.provider_webhooks as h
      join marketplace.integrations as i on i.id = h.integration_id
      join marketplace.sync_cursors as c on c.integration_id = i.id and c.scope = h.target
      where i.slug = ${slug} and h.status = 'active' and h.due_at > now()
        and c.cursor is not null and c.lease_id is null and c.due_at > now()
    `;
    return row;
  }, "the webhook to be kept");
  const hooks = (await client.gitHubHooks()).filter(({ url }) => url.endsWith(slug));
  assert.equal(hooks.length, 1, "there is one webhook");
  return hooks[0]!;
}

async function cursorIdOf({ id }: Account): Promise<string> {
  const [row] = await sql`select id from marketplace.sync_cursors where integration_id = ${id}`;
  return row!.id;
}

const run = (id: number) => ({
  action: "completed",
  workflow_run: { id, name: "CI", conclusion: "success" },
  repository: { full_name: TARGET },
});

Deno.test("a webhook that is ensured twice is one, and its deliveries are proven", async () => {
  const account = await ensured(["workflow_run"]);
  await sql`select marketplace.ensure_webhook(${account.slug}, ${TARGET}, array['workflow_run'])`;
  await feeds.maintain();
  const hook = await hookOf(account);
  assert.deepEqual(
    [hook.target, hook.events, hook.has_secret, hook.active],
    [TARGET, ["workflow_run"], true, true],
  );
  const { guid } = await client.sendGitHubEvent({ event: "workflow_run", payload: run(1) });
  const [event] = await until(async () => {
    const events = (await feeds.events(account)).filter(({ dedupe_key }) => dedupe_key === guid);
    return events.length > 0 && events;
  }, "the delivery");
  assert.equal(event!.event_type, "workflow_run.completed");
});

Deno.test("a webhook that somebody deleted is made again, and one that was changed is set right", async () => {
  const account = await ensured(["push"]);
  const hook = await hookOf(account);
  const api = (method: string, path: string, body?: unknown) =>
    fetch(`${feeds.sandbox.url}/github/repos/${TARGET}/hooks/${path}`, {
      method,
      headers: {
        authorization: "Bearer sandbox-github-token",
        "content-type": "application/json",
        "user-agent": "somebody",
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    }).then((response) => response.body?.cancel());
  const lookAgain = async () => {
    await sql`
      update marketplace.provider_webhooks set due_at = now() where integration_id = ${account.id}
    `;
    await feeds.maintain();
    return await hookOf(account);
  };
  await api("PATCH", String(hook.id), { active: false, events: ["issues"] });
  const mended = await lookAgain();
  assert.deepEqual([mended.id, mended.active, mended.events], [hook.id, true, ["push"]]);
  await api("DELETE", String(hook.id));
  const remade = await lookAgain();
  assert.notEqual(remade.id, hook.id);
  assert.deepEqual(remade.events, ["push"]);

  await sql`select marketplace.remove_webhook(${account.slug}, ${TARGET})`;
  await feeds.maintain();
  await until(
    async () => (await client.gitHubHooks()).every(({ url }) => !url.endsWith(account.slug)),
    "the webhook to be gone",
  );
});

Deno.test("rules decide what is subscribed to, and a rotated secret is told to GitHub", async () => {
  const account = await ensured();
  assert.deepEqual((await hookOf(account)).events, ["push"]);
  const [workflow] = await sql`select id from marketplace.workflows limit 1`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, workflow_id, event_types)
    values ('feeds test', ${account.id}, ${workflow!.id}, '{issues.opened,workflow_run.*}')
  `;
  await feeds.maintain();
  assert.deepEqual((await hookOf(account)).events.sort(), ["issues", "workflow_run"]);
  await sql`select marketplace.set_integration_secret(${account.slug}, 'webhook', 'a rotated secret')`;
  await feeds.maintain();
  await hookOf(account);
  const { guid } = await client.sendGitHubEvent({
    event: "issues",
    payload: { action: "opened", issue: { number: 1 }, repository: { full_name: TARGET } },
  });
  await until(
    async () => (await feeds.events(account)).some(({ dedupe_key }) => dedupe_key === guid),
    "a delivery that is proven with the new secret",
  );
});

Deno.test("a delivery that GitHub failed to deliver is recovered once, under its own GUID", async () => {
  const account = await ensured(["workflow_run"]);
  const cursorId = await cursorIdOf(account);
  const heard = await client.sendGitHubEvent({ event: "workflow_run", payload: run(1) });
  await until(
    async () => (await feeds.events(account)).some(({ dedupe_key }) => dedupe_key === heard.guid),
    "the delivery",
  );
  // The next two are lost on their way.
  await client.setPushes({ provider: "github", delivery: "drop" });
  const missed = [];
  for (const id of [2, 3]) {
    missed.push(await client.sendGitHubEvent({ event: "workflow_run", payload: run(id) }));
  }
  await until(
    async () =>
      (await client.pushes()).filter(({ state, url }) =>
        state === "dropped" && url.endsWith(account.slug)
      ).length === 2,
    "two failed deliveries",
  );
  await client.setPushes({ provider: "github", delivery: "now" });
  for (let round = 0; round < 2; round++) {
    await feeds.makeDue(cursorId);
    await feeds.maintain();
    await feeds.settled(cursorId);
  }
  const runs = (await feeds.events(account)).filter(({ event_type }) =>
    event_type === "workflow_run.completed"
  );
  const told = runs.map(({ dedupe_key, payload }) => `${payload.workflow_run.id} ${dedupe_key}`);
  const happened = [heard, ...missed].map(({ guid }, index) => `${index + 1} ${guid}`);
  assert.deepEqual(told.sort(), happened);

  const after = await feeds.journalEnd();
  await feeds.makeDue(cursorId);
  await feeds.maintain();
  assert.equal(await feeds.calls("/repos/**", after), 1, "no news cost one call");
});

Deno.test("an integration that is switched off has no webhook at GitHub, and has one again when it is on", async () => {
  const account = await ensured();
  await sql`update marketplace.integrations set status = 'inactive' where id = ${account.id}`;
  await feeds.maintain();
  await until(async () => (await client.gitHubHooks()).length === 0, "the webhook to be gone");
  await sql`update marketplace.integrations set status = 'active' where id = ${account.id}`;
  await feeds.maintain();
  assert.equal((await hookOf(account)).active, true);
});
