/** Drive's changes, from the push to the event, by the real functions and a sandbox of their own. */
import assert from "node:assert/strict";
import { Feeds, type StoredEvent } from "./support_feeds.ts";
import { until, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const feeds = Feeds.start(sql);
const { client } = feeds;
Deno.test.afterAll(() => feeds.stop());
Deno.test.beforeEach(() => feeds.reset());

const names = (events: StoredEvent[]) => events.map((event) => event.payload.file?.name).sort();
const CHANGES = "/drive/v3/changes";

Deno.test("a change is an event with its folder and its author, and one correlation id", async () => {
  const drive = await feeds.account("google_drive");
  await client.createDriveFile({ name: "before.txt", folder: "Old" });
  await feeds.watch(drive);
  const file = await client.createDriveFile({
    name: "Plan.txt",
    folder: "Clients/Acme",
    text: "one",
    author: { name: "Ada Lovelace", email: "ada@example.com" },
  });
  const [event] = await feeds.received(drive, 1);
  assert.equal(event!.event_type, "drive.file.changed");
  assert.equal(event!.resource_path, "files/Clients/Acme/Plan.txt");
  assert.deepEqual(event!.payload.change.fileId, file.id);
  assert.equal(event!.payload.folder, "Clients/Acme");
  assert.equal(event!.payload.file.sha256Checksum, file.sha256);
  assert.deepEqual(event!.payload.file.lastModifyingUser, {
    displayName: "Ada Lovelace",
    emailAddress: "ada@example.com",
  });

  await client.editDriveFile(file.id, { folder: "Clients/Beta", name: "Plan 2.txt" });
  const moved = (await feeds.received(drive, 2))[1]!;
  assert.equal(moved.resource_path, "files/Clients/Beta/Plan 2.txt");
  // A slash in a name is no folder.
  await client.editDriveFile(file.id, { name: "Plan 2/3.txt" });
  const renamed = (await feeds.received(drive, 3))[2]!;
  assert.equal(renamed.resource_path, "files/Clients/Beta/Plan 2_3.txt");
  assert.equal(renamed.payload.file.name, "Plan 2/3.txt");
  await client.removeDriveFile(file.id);
  const removed = (await feeds.received(drive, 4))[3]!;
  assert.deepEqual(
    [
      removed.event_type,
      removed.resource_path,
      removed.payload.folder,
      removed.payload.change.removed,
    ],
    ["drive.file.removed", "files/Clients/Beta/Plan 2_3.txt", "Clients/Beta", true],
    "a removal has the path that it was known under",
  );
  const ids = new Set((await feeds.events(drive)).map(({ correlation_id }) => correlation_id));
  assert.equal(ids.size, 4, "what was there before the watch, and folders, are no events");
});

Deno.test("a storm of 500 pushes for 20 changes is 20 events and a bounded number of calls", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  const after = await feeds.journalEnd();
  await client.setPushes({ copies: 25 });
  const began = performance.now();
  for (let n = 0; n < 20; n++) {
    await client.createDriveFile({ name: `storm-${n}.txt`, folder: "Storm" });
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  const sent = await until(
    async () => {
      const pushes = (await client.pushes()).filter(({ state }) => state !== "sending");
      const own = pushes.filter(({ url }) => url.endsWith(drive.slug));
      return own.length >= 500 && own;
    },
    "500 pushes to be answered",
    30_000,
  );
  assert.deepEqual([...new Set(sent.map(({ state }) => state))], ["delivered"]);
  await feeds.received(drive, 20, true);
  const seconds = (performance.now() - began) / 1000;
  await feeds.settled(cursorId);
  const events = await feeds.events(drive);
  assert.deepEqual(names(events), Array.from({ length: 20 }, (_, n) => `storm-${n}.txt`).sort());
  const calls = await feeds.calls("/drive/v3/**", after);
  // One pull at once, then one every two seconds while pushes come, and the folders.
  const bound = 2 * (2 + Math.ceil(seconds / 2)) + 4;
  assert.ok(calls <= bound, `${calls} calls in ${seconds.toFixed(1)} s`);
  const { push_count } = await feeds.cursor(cursorId);
  console.log(
    `500 pushes, 20 changes: ${events.length} events, ${calls} API calls, ` +
      `${push_count} writes for pushes, ${seconds.toFixed(1)} s`,
  );
});

Deno.test("a push that was lost is found by reconciliation, at the price of one call when there is no news", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  await client.setPushes({ delivery: "drop" });
  await client.createDriveFile({ name: "unheard.txt" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(await feeds.events(drive), []);
  await sql`
    update marketplace.sync_cursors set due_at = now(), not_before = '-infinity' where id = ${cursorId}
  `;
  await sql`select marketplace.sweep_feeds()`;
  assert.deepEqual(names(await feeds.received(drive, 1)), ["unheard.txt"]);

  await feeds.settled(cursorId);
  const after = await feeds.journalEnd();
  await feeds.makeDue(cursorId);
  await feeds.ring();
  await feeds.settled(cursorId);
  assert.equal(await feeds.calls("/drive/v3/**", after), 1);
  assert.equal((await feeds.events(drive)).length, 1);
});

Deno.test("a sync that comes before the watch answer is taken, and names the resource", async () => {
  await client.setPushes({ sync_before_answer: true });
  const drive = await feeds.account("google_drive");
  await feeds.watch(drive);
  const sync = (await client.pushes()).find(({ url, headers }) =>
    url.endsWith(drive.slug) && headers["x-goog-resource-state"] === "sync"
  );
  assert.deepEqual([sync?.state, sync?.attempts.length], ["delivered", 1]);
  assert.deepEqual(await feeds.events(drive), []);
});

Deno.test("renewal leaves no gap and no leak: the next channel is open before the former is stopped", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  const ours = async () =>
    (await client.googleChannels()).filter(({ address }) => address.endsWith(drive.slug));
  const [first] = await ours();
  let former = first!.id;
  for (let round = 1; round <= 3; round++) {
    // Six of its seven days pass.
    await sql`
      update marketplace.watch_channels
      set renew_after = now() - interval '1 minute' where cursor_id = ${cursorId} and status = 'active'
    `;
    const pushed = client.createDriveFile({ name: `renewed-${round}.txt` });
    await feeds.ring();
    await pushed;
    await until(async () => {
      const channels = await sql`
        select channel_id, status from marketplace.watch_channels
        where cursor_id = ${cursorId} and stopped_at is null
      `;
      const [only] = channels;
      if (channels.length !== 1 || only!.status !== "active" || only!.channel_id === former) {
        return false;
      }
      former = only!.channel_id;
      return true;
    }, "the next channel to be the only one");
  }
  assert.equal((await feeds.received(drive, 3)).length, 3);
  const left = await ours();
  assert.equal(left.length, 1, "every former channel is stopped at Google");
  assert.notEqual(left[0]!.id, first!.id);
  const rows = await sql`
    select channel_id, status, created_at, stopped_at from marketplace.watch_channels
    where cursor_id = ${cursorId} order by created_at
  `;
  for (const [index, row] of rows.slice(0, -1).entries()) {
    assert.ok(row.stopped_at > rows[index + 1]!.created_at, "the next was there before");
  }

  await sql`select marketplace.unwatch(${drive.slug})`;
  await feeds.ring();
  await until(async () => (await ours()).length === 0, "the last channel to be stopped");
});

Deno.test("a channel whose answer was lost is stopped, too", async () => {
  const drive = await feeds.account("google_drive");
  await client.addFault({
    provider: "google",
    path: "/drive/v3/changes/watch",
    cut: "before_body",
    times: 3,
  });
  await sql`select marketplace.watch(${drive.slug})`;
  const ours = async () =>
    (await client.googleChannels()).filter(({ address }) => address.endsWith(drive.slug));
  await until(async () => (await ours()).length > 0, "a channel that nobody knows to be open");
  await until(
    async () => {
      await sql`
      update marketplace.sync_cursors set channel_retry_at = now() where integration_id = ${drive.id}
    `;
      await sql`
      update marketplace.watch_channels set retry_at = now() where integration_id = ${drive.id}
    `;
      await feeds.maintain();
      const open = await sql`
      select status from marketplace.watch_channels
      where integration_id = ${drive.id} and stopped_at is null
    `;
      return open.length === 1 && open[0]!.status === "active";
    },
    "one channel to be left",
    30_000,
  );
  assert.equal((await ours()).length, 1);
});

Deno.test("a new webhook secret renews the channel, so that pushes are proven with it", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await sql`select marketplace.rotate_integration_secret(${drive.slug}, 'webhook', ${
    "rotated-" + drive.slug
  })`;
  await feeds.ring();
  await until(async () => {
    const rows = await sql`
      select from marketplace.watch_channels as w
      join marketplace.integration_secrets as s on s.id = w.proof_id and s.valid_until is null
      where w.cursor_id = ${cursorId} and w.status = 'active'
    `;
    return rows.length === 1;
  }, "a channel with the new secret");
  await client.createDriveFile({ name: "proven.txt" });
  assert.deepEqual(names(await feeds.received(drive, 1)), ["proven.txt"]);
});

Deno.test("an expired page token becomes a full listing that tells nothing twice", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  const told = await client.createDriveFile({ name: "told.txt" });
  const edited = await client.createDriveFile({ name: "edited.txt" });
  const gone = await client.createDriveFile({ name: "gone.txt" });
  await feeds.received(drive, 3);
  await feeds.settled(cursorId);
  await client.setPushes({ delivery: "drop" });
  await client.editDriveFile(edited.id, { text: "anew" });
  await client.removeDriveFile(gone.id);
  await client.createDriveFile({ name: "missed.txt" });
  await client.expireDrivePageTokens();
  // Files that were there long before anybody watched are not told, however much is listed.
  await feeds.makeDue(cursorId);
  await feeds.ring();
  await feeds.settled(cursorId);
  const events = (await feeds.events(drive)).slice(3);
  assert.deepEqual(
    events.map(({ event_type, resource_path }) => `${event_type} ${resource_path}`).sort(),
    [
      "drive.file.changed files/edited.txt",
      "drive.file.changed files/missed.txt",
      "drive.file.removed files/gone.txt",
    ],
  );
  assert.equal((await feeds.cursor(cursorId)).restart_count, 1);
  await feeds.makeDue(cursorId);
  await feeds.ring();
  await feeds.settled(cursorId);
  await client.setPushes({ delivery: "now" });
  await client.editDriveFile(told.id, { text: "later" });
  const all = await feeds.received(drive, 7);
  assert.equal(all.at(-1)!.resource_path, "files/told.txt", "the log goes on from the listing");
});

Deno.test("a pull killed between two pages repeats without telling anything twice", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  await client.setPushes({ delivery: "drop" });
  for (let n = 0; n < 3; n++) await client.createDriveFile({ name: `page-${n}.txt` });
  // As one who is killed leaves it: a first page stored, a lease that nobody renews.
  const { cursor } = await feeds.cursor(cursorId);
  // In one transaction: the stack's own maintainer could be quicker.
  const [row] = await sql.begin(async (tx) => {
    await tx`
      update marketplace.sync_cursors set due_at = now(), not_before = '-infinity' where id = ${cursorId}
    `;
    return await tx`
      select leased from marketplace.claim_cursors(10) as leased
      where leased ->> 'cursor_id' = ${cursorId}
    `;
  });
  const { lease_id } = row!.leased;
  const answer = await fetch(
    `${feeds.sandbox.url}/google/drive/v3/changes?${new URLSearchParams({
      pageToken: cursor,
      pageSize: "2",
      fields: "nextPageToken,changes(fileId,time,file(id,name,version))",
    })}`,
    { headers: { authorization: "Bearer sandbox-google-token" } },
  );
  const { changes, nextPageToken } = await answer.json();
  const first = changes.map((
    { fileId, time, file }: {
      fileId: string;
      time: string;
      file: { name: string; version: string };
    },
  ) => ({
    dedupe_key: `drive.changes:${fileId}:${file.version}`,
    event_type: "drive.file.changed",
    resource_path: `files/${file.name}`,
    occurred_at: time,
    payload: { file },
    item: { id: fileId, version: file.version },
  }));
  const store = (lease: string, next: string) =>
    sql`select marketplace.store_changes(
      ${cursorId}, ${lease}, ${JSON.stringify(first)}::text::jsonb, ${next}, true
    )`;
  await store(lease_id, nextPageToken);
  await sql`update marketplace.sync_cursors set lease_until = now() where id = ${cursorId}`;
  await feeds.ring();
  await feeds.settled(cursorId);
  assert.deepEqual(names(await feeds.events(drive)), ["page-0.txt", "page-1.txt", "page-2.txt"]);
  await assert.rejects(store(lease_id, "1"), { code: "MK409" }, "the dead one comes back too late");

  // Killed before its page was stored: the same page again.
  await sql`update marketplace.sync_cursors set cursor = ${cursor} where id = ${cursorId}`;
  await feeds.makeDue(cursorId);
  await feeds.ring();
  await feeds.settled(cursorId);
  assert.equal((await feeds.events(drive)).length, 3);
});

Deno.test("two maintainers at once pull once", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  await client.addFault({ provider: "google", path: CHANGES, delay_ms: 800, times: 5 });
  const after = await feeds.journalEnd();
  await feeds.makeDue(cursorId);
  const first = feeds.maintain();
  await until(async () => (await feeds.cursor(cursorId)).lease_id, "a lease");
  const others = await sql`
    select from marketplace.claim_cursors(10) as leased where leased ->> 'cursor_id' = ${cursorId}
  `;
  assert.equal(others.length, 0, "another maintainer passes it by");
  await first;
  assert.equal(await feeds.calls(CHANGES, after), 1);
});

Deno.test("a push during a pull is not lost: the cursor is pulled again", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  await client.addFault({ provider: "google", path: CHANGES, delay_ms: 700 });
  const fault = client.createDriveFile({ name: "first.txt" });
  await fault;
  await until(async () => (await feeds.cursor(cursorId)).lease_id, "a lease");
  await client.createDriveFile({ name: "second.txt" });
  assert.deepEqual(names(await feeds.received(drive, 2)), ["first.txt", "second.txt"]);
});

Deno.test("a rate limit backs off: the cursor waits as long as Google says, whatever is pushed", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  await client.addFault({
    provider: "google",
    path: CHANGES,
    error: "rateLimitExceeded",
    times: 20,
  });
  await client.createDriveFile({ name: "limited.txt" });
  const failing = await until(async () => {
    const cursor = await feeds.cursor(cursorId);
    return cursor.status === "failing" && cursor;
  }, "the pull to fail");
  assert.equal(failing.error_code, "rate_limited");
  assert.ok(failing.not_before > new Date(Date.now() + 2_000), "it waits");
  const after = await feeds.journalEnd();
  for (let n = 0; n < 3; n++) await client.createDriveFile({ name: `limited-${n}.txt` });
  await feeds.maintain();
  assert.equal(await feeds.calls(CHANGES, after), 0, "pushes do not hurry it");
  await client.clearFaults();
  await sql`delete from marketplace.api_quotas where integration_id = ${drive.id}`;
  await feeds.makeDue(cursorId);
  await feeds.ring();
  await feeds.settled(cursorId);
  assert.equal((await feeds.received(drive, 4)).length, 4);
  const healthy = await feeds.cursor(cursorId);
  assert.deepEqual([healthy.status, healthy.failure_count], ["active", 0]);
});

Deno.test("Docs and Sheets are told of their own files only, by Drive's feed", async () => {
  const docs = await feeds.account("google_docs");
  const sheets = await feeds.account("google_sheets");
  await feeds.watch(docs);
  await feeds.watch(sheets);
  await client.createDriveFile({ name: "neither.txt", folder: "Mixed" });
  const document = await client.createDocument({ title: "PRD", folder: "Mixed", content: ["Why"] });
  await client.createSpreadsheet({ title: "Budget", folder: "Mixed" });
  const [prd] = await feeds.received(docs, 1);
  const [budget] = await feeds.received(sheets, 1);
  assert.deepEqual(
    [prd!.event_type, prd!.resource_path, budget!.event_type, budget!.resource_path],
    [
      "docs.document.changed",
      "files/Mixed/PRD",
      "sheets.spreadsheet.changed",
      "files/Mixed/Budget",
    ],
  );
  await client.removeDriveFile(document.id);
  const events = await feeds.received(docs, 2);
  assert.equal(events[1]!.event_type, "docs.document.removed");
  assert.deepEqual([events.length, (await feeds.events(sheets)).length], [2, 1]);
});

Deno.test("changes of one page are events in the order in which they happened", async () => {
  const drive = await feeds.account("google_drive");
  const cursorId = await feeds.watch(drive);
  await feeds.settled(cursorId);
  await client.setPushes({ provider: "google", delivery: "drop" });
  const expected = Array.from({ length: 20 }, (_, n) => `${n * 7 % 20}.txt`);
  for (const name of expected) await client.createDriveFile({ name });
  await feeds.makeDue(cursorId);
  await feeds.maintain();
  const events = await feeds.received(drive, expected.length);
  assert.deepEqual(events.map(({ payload }) => payload.file.name), expected);
});
