/** Integrations that are removed or switched off: nothing of theirs stays open at a provider. */
import assert from "node:assert/strict";
import { type Account, Feeds } from "./support_feeds.ts";
import { until, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const feeds = Feeds.start(sql);
const { client } = feeds;
Deno.test.afterAll(() => feeds.stop());
Deno.test.beforeEach(() => feeds.reset());

const BUCKET = "files";

/** One of each kind, with something open at its provider. */
async function opened() {
  await client.createGitHubRepository({ owner: "octo-org", repo: "octo-repo" });
  await client.createBucket(BUCKET);
  const drive = await feeds.account("google_drive");
  const code = await feeds.account("github");
  const files = await feeds.account("aws_s3", { bucket: BUCKET, sns_topic_name: "uploads" });
  await feeds.watch(drive);
  await sql`select marketplace.ensure_webhook(${code.slug}, 'octo-org/octo-repo')`;
  await sql`select marketplace.ensure_webhook(${files.slug})`;
  await feeds.maintain();
  await until(async () => {
    const { channels, hooks, subscriptions } = await open();
    return channels === 1 && hooks === 1 && subscriptions === 1;
  }, "all three to be open");
  return [drive, code, files] as const;
}

/** What is open at the providers. */
async function open() {
  const subscriptions = await client.snsSubscriptions();
  return {
    channels: (await client.googleChannels()).length,
    hooks: (await client.gitHubHooks()).length,
    subscriptions: subscriptions.filter(({ isConfirmed }) => isConfirmed).length,
  };
}

const NOTHING = { channels: 0, hooks: 0, subscriptions: 0 };

async function remove({ slug }: Account): Promise<string> {
  const [row] = await sql`select marketplace.remove_integration(${slug}) as state`;
  return row!.state;
}

async function exists({ id }: Account): Promise<boolean> {
  return (await sql`select from marketplace.integrations where id = ${id}`).length > 0;
}

Deno.test("removed, each closes what it has open, and is gone with its secrets", async () => {
  const accounts = await opened();
  for (const account of accounts) assert.equal(await remove(account), "removing");
  await feeds.maintain();
  for (const account of accounts) {
    await until(async () => !await exists(account), `${account.slug} to be gone`);
  }
  assert.deepEqual(await open(), NOTHING);
});

Deno.test("one that cannot close stays, switched off, until it can", async () => {
  const [, code] = await opened();
  await sql`select marketplace.set_integration_secret(${code.slug}, 'api_token', 'revoked')`;
  assert.equal(await remove(code), "removing");
  await feeds.maintain();
  const [hook] = await sql`
    select status, error_message from marketplace.provider_webhooks where integration_id = ${code.id}
  `;
  assert.equal(hook!.status, "failing");
  assert.match(hook!.error_message, /refused the credential/);
  assert.ok(await exists(code));
  await sql`select marketplace.set_integration_secret(${code.slug}, 'api_token', 'sandbox-github-token')`;
  await sql`update marketplace.provider_webhooks set due_at = now() where integration_id = ${code.id}`;
  await feeds.maintain();
  await until(async () => !await exists(code), "it to be gone");
  assert.equal((await open()).hooks, 0);
});

Deno.test("switched off, all is closed; switched on, all is open again and nothing was missed", async () => {
  const accounts = await opened();
  const ids = accounts.map(({ id }) => id);
  await sql`update marketplace.integrations set status = 'inactive' where id = any (${ids})`;
  await feeds.maintain();
  await until(
    async () => Object.values(await open()).every((count) => count === 0),
    "all to be closed",
  );
  await client.createDriveFile({ name: "meanwhile.txt" });
  await sql`update marketplace.integrations set status = 'active' where id = any (${ids})`;
  await feeds.maintain();
  await until(
    async () => Object.values(await open()).every((count) => count === 1),
    "all to be open",
  );
  const [drive] = accounts;
  const [cursor] = await sql`
    select id from marketplace.sync_cursors where integration_id = ${drive.id}
  `;
  await feeds.makeDue(cursor!.id);
  await feeds.maintain();
  const [event] = await feeds.received(drive, 1);
  assert.equal(event!.payload.file.name, "meanwhile.txt");
});
