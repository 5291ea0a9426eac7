/** A calendar's events, by sync token and channel. */
import assert from "node:assert/strict";
import { Feeds, type StoredEvent } from "./support_feeds.ts";
import { until, useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const feeds = Feeds.start(sql);
const { client } = feeds;
Deno.test.afterAll(() => feeds.stop());
Deno.test.beforeEach(() => feeds.reset());

const told = (events: StoredEvent[]) =>
  events.map(({ event_type, payload }) => `${event_type} ${payload.event.id}`).sort();

Deno.test("what changes in a calendar is an event, what was in it before is none", async () => {
  for (let n = 0; n < 3; n++) await client.createCalendarEvent({ summary: `before ${n}` });
  const account = await feeds.account("google_calendar");
  const cursorId = await feeds.watch(account);
  await feeds.settled(cursorId);
  const made = await client.createCalendarEvent({ summary: "Review" });
  const [event] = await feeds.received(account, 1);
  assert.deepEqual(
    [event!.event_type, event!.resource_path, event!.account, event!.payload.event.summary],
    ["calendar.event.changed", `calendars/primary/events/${made.id}`, "primary", "Review"],
  );
  await feeds.settled(cursorId);
  await client.removeCalendarEvent(made.id);
  assert.equal((await feeds.received(account, 2))[1]!.event_type, "calendar.event.cancelled");
});

Deno.test("an expired sync token becomes a listing that tells nothing twice", async () => {
  await client.createCalendarEvent({ summary: "long ago", id: "longago" });
  const account = await feeds.account("google_calendar");
  const id = await feeds.watch(account);
  await feeds.settled(id);
  const [kept, edited, gone] = [
    await client.createCalendarEvent({ summary: "kept" }),
    await client.createCalendarEvent({ summary: "edited" }),
    await client.createCalendarEvent({ summary: "gone" }),
  ];
  await feeds.received(account, 3);
  await feeds.settled(id);
  await client.setPushes({ delivery: "drop" });
  await client.editCalendarEvent(edited.id, { summary: "edited anew" });
  await client.removeCalendarEvent(gone.id);
  const missed = await client.createCalendarEvent({ summary: "missed" });
  await client.expireCalendarSyncTokens();
  // What is older than what we know all of is not told again, however new it is to us.
  await sql`
    update marketplace.feed_items set seen_at = now() where cursor_id = ${id} and item_id = ${kept.id}
  `;
  await feeds.makeDue(id);
  await feeds.ring();
  await feeds.settled(id);
  const more = (await feeds.events(account)).slice(3);
  assert.deepEqual(
    told(more.filter(({ payload }) => payload.event.id !== "longago")),
    [
      `calendar.event.cancelled ${gone.id}`,
      `calendar.event.changed ${edited.id}`,
      `calendar.event.changed ${missed.id}`,
    ].sort(),
  );
  assert.equal((await feeds.cursor(id)).restart_count, 1);
  await feeds.makeDue(id);
  await feeds.maintain();
  assert.equal((await feeds.events(account)).length, 3 + more.length);
});

Deno.test("a calendar that does not exist says so", async () => {
  const account = await feeds.account("google_calendar");
  const [row] = await sql`
    select marketplace.watch(${account.slug}, null, 'team@example.com') as id
  `;
  const failing = await until(async () => {
    const cursor = await feeds.cursor(row!.id);
    return cursor.status === "failing" && cursor;
  }, "the failure");
  assert.match(failing.error_message, /404/);
});
