/** Gmail's history, from Pub/Sub's signed push to an event for each message and label. */
import assert from "node:assert/strict";
import { type Account, Feeds, type StoredEvent } from "./support_feeds.ts";
import { FUNCTIONS_URL, until, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const feeds = Feeds.start(sql);
const { client } = feeds;
Deno.test.afterAll(() => feeds.stop());
Deno.test.beforeEach(() => feeds.reset());

const TOPIC = "projects/sandbox/topics/gmail";
const SUBSCRIPTION = "projects/sandbox/subscriptions/gmail";

/** A mailbox whose topic pushes to the integration. */
async function mailbox(): Promise<Account> {
  const account = await feeds.account("gmail", {
    pubsub_topic: TOPIC,
    webhook: {
      verify: {
        family: "jwt",
        jwks_url: `${feeds.sandbox.url}/google/oauth2/v3/certs`,
        issuers: ["https://accounts.google.com"],
        algorithms: ["RS256"],
        audience: "{setting:audience}",
        claims: { "/email": "{setting:push_service_account}", "/email_verified": "true" },
      },
      audience: "marketplace",
      push_service_account: "push@sandbox.iam.gserviceaccount.com",
      subscription: SUBSCRIPTION,
    },
  });
  await client.createSubscription({
    topic: TOPIC,
    subscription: SUBSCRIPTION,
    endpoint: `${FUNCTIONS_URL}/marketplace-webhook/gmail/${account.slug}`,
    audience: "marketplace",
  });
  return account;
}

const labelled = (events: StoredEvent[]) =>
  events.map(({ resource_path, payload }) => `${resource_path} ${payload.message.id}`).sort();

Deno.test("a mail is one event for each label that means something, and a push is none", async () => {
  const account = await mailbox();
  const cursorId = await feeds.watch(account);
  await feeds.settled(cursorId);
  assert.equal((await client.gmailWatch())?.topic, TOPIC);
  const mail = await client.deliverMail({
    subject: "Order",
    labels: ["INBOX", "UNREAD", "CATEGORY_UPDATES", "Clients/Acme"],
  });
  const events = await feeds.received(account, 2);
  assert.deepEqual(labelled(events), [`labels/Clients/Acme ${mail.id}`, `labels/INBOX ${mail.id}`]);
  const [event] = events;
  assert.equal(event!.event_type, "gmail.message.labeled");
  assert.equal(event!.account, event!.payload.mailbox);
  assert.match(event!.account!, /@/);
  assert.deepEqual(Object.keys(event!.payload.message).sort(), [
    "historyId",
    "id",
    "labelIds",
    "threadId",
  ]);

  await feeds.settled(cursorId);
  await client.labelMail(mail.id, { add: ["STARRED", "Later"], remove: ["UNREAD"] });
  const more = await feeds.received(account, 4);
  assert.deepEqual(labelled(more.slice(-2)), [
    `labels/Later ${mail.id}`,
    `labels/STARRED ${mail.id}`,
  ]);
  const pushes = (await client.pushes()).filter(({ url }) => url.endsWith(account.slug));
  assert.ok(pushes.length >= 3 && pushes.every(({ state }) => state === "delivered"));
});

Deno.test("an expired history id becomes a listing that tells nothing twice", async () => {
  const account = await mailbox();
  const cursorId = await feeds.watch(account);
  await feeds.settled(cursorId);
  const told = await client.deliverMail({ subject: "told", labels: ["INBOX"] });
  await feeds.received(account, 1);
  await feeds.settled(cursorId);
  await client.setPushes({ delivery: "drop" });
  const missed = await client.deliverMail({ subject: "missed", labels: ["INBOX", "Clients"] });
  await client.expireGmailHistory();
  await feeds.makeDue(cursorId);
  await feeds.maintain();
  assert.deepEqual(
    labelled(await feeds.received(account, 3)),
    [`labels/Clients ${missed.id}`, `labels/INBOX ${missed.id}`, `labels/INBOX ${told.id}`].sort(),
  );
  assert.equal((await feeds.cursor(cursorId)).restart_count, 1);

  await feeds.settled(cursorId);
  const later = await client.deliverMail({ subject: "later", labels: ["INBOX"] });
  await feeds.makeDue(cursorId);
  await feeds.maintain();
  const all = await feeds.received(account, 4);
  assert.equal(all.at(-1)!.payload.message.id, later.id, "the history goes on from the listing");
});

Deno.test("a label put on an older mail is found after the history has expired, within bounds, and once", async () => {
  const DAY = 86_400_000;
  const deliveredBefore = async (days: number, labels: string[]) => {
    await client.advanceClock(-days * DAY);
    const mail = await client.deliverMail({ labels });
    await client.advanceClock(days * DAY);
    return mail;
  };
  const ancient = await deliveredBefore(200, ["INBOX"]);
  const older = await deliveredBefore(60, ["INBOX"]);
  const starred = await deliveredBefore(3, ["INBOX"]);
  const known = await deliveredBefore(3, ["INBOX", "Clients"]);
  const again = await deliveredBefore(3, ["INBOX"]);
  const account = await mailbox();
  const cursorId = await feeds.watch(account);
  await feeds.settled(cursorId);
  await client.labelMail(again.id, { add: ["Clients"] });
  assert.deepEqual(labelled(await feeds.received(account, 1)), [`labels/Clients ${again.id}`]);
  await feeds.settled(cursorId);

  await client.setPushes({ delivery: "drop" });
  await client.labelMail(older.id, { add: ["Clients", "Later"] });
  await client.labelMail(starred.id, { add: ["STARRED"] });
  await client.labelMail(ancient.id, { add: ["Clients"] });
  // Told before, and changed once more.
  await client.labelMail(again.id, { add: ["IMPORTANT"], remove: ["INBOX"] });
  await client.expireGmailHistory();
  const after = await feeds.journalEnd();
  await feeds.makeDue(cursorId);
  await feeds.maintain();
  const told = [
    `labels/Clients ${older.id}`,
    `labels/Clients ${again.id}`,
    `labels/IMPORTANT ${again.id}`,
    `labels/Later ${older.id}`,
    `labels/STARRED ${starred.id}`,
  ].sort();
  assert.deepEqual(labelled(await feeds.received(account, 5)), told);
  assert.ok(told.every((each) => !each.includes(known.id)), "nothing has happened to it");
  // Of each label one list; of the listing since, and of the mails that bear a label, one look each.
  assert.equal(await feeds.calls("/gmail/v1/users/me/messages", after), 5);
  assert.equal(await feeds.calls("/gmail/v1/users/me/messages/*", after), 6);

  // All over again tells nothing new, and the history goes on.
  await feeds.settled(cursorId);
  await client.expireGmailHistory();
  await feeds.makeDue(cursorId);
  await feeds.ring();
  await feeds.settled(cursorId);
  assert.deepEqual(labelled(await feeds.events(account)), told);
  const cursor = await feeds.cursor(cursorId);
  assert.deepEqual([cursor.restart_count, cursor.status, cursor.progress], [2, "active", null]);
  const later = await client.deliverMail({ labels: ["INBOX"] });
  await feeds.makeDue(cursorId);
  await feeds.maintain();
  assert.equal((await feeds.received(account, 6)).at(-1)!.payload.message.id, later.id);
});

Deno.test("the watch is renewed every day, in its place, and stopped when nobody follows", async () => {
  const account = await mailbox();
  const cursorId = await feeds.watch(account);
  const [channel] = await sql`
    select renew_after, expires_at from marketplace.watch_channels
    where cursor_id = ${cursorId} and status = 'active'
  `;
  const hours = (channel!.renew_after.getTime() - Date.now()) / 3_600_000;
  assert.ok(hours > 23 && hours <= 24, `${hours} hours`);
  await sql`
    update marketplace.watch_channels
    set renew_after = now() - interval '1 second' where cursor_id = ${cursorId} and status = 'active'
  `;
  const after = await feeds.journalEnd();
  await feeds.ring();
  await until(async () => {
    const rows = await sql`
      select status from marketplace.watch_channels
      where cursor_id = ${cursorId} order by created_at
    `;
    return rows.map(({ status }) => status).join() === "stopped,active";
  }, "the renewed watch");
  assert.equal(await feeds.calls("/gmail/v1/users/me/watch", after), 1);
  assert.equal(await feeds.calls("/gmail/v1/users/me/stop", after), 0, "it would end the new one");
  assert.ok(await client.gmailWatch());

  await sql`select marketplace.unwatch(${account.slug})`;
  await feeds.ring();
  await until(async () => await client.gmailWatch() === null, "the watch to be stopped");
});

Deno.test("a mailbox without a topic is followed by reconciliation alone", async () => {
  const account = await feeds.account("gmail");
  const [row] = await sql`select marketplace.watch(${account.slug}) as id`;
  await until(async () => (await feeds.cursor(row!.id)).status === "active", "the feed");
  const mail = await client.deliverMail({ labels: ["INBOX"] });
  await feeds.makeDue(row!.id);
  await feeds.maintain();
  assert.deepEqual(labelled(await feeds.received(account, 1)), [`labels/INBOX ${mail.id}`]);
  const [channel] = await sql`
    select status from marketplace.v_watch_channels where integration = ${account.slug}
  `;
  assert.equal(channel!.status, "none");
});
