import assert from "node:assert/strict";
import { calendar, type calendar_v3 } from "@googleapis/calendar";
import { useReceiver, useSandbox } from "../../testing.ts";
import { googleAuth, refusal } from "./testing.ts";

const { control, url } = useSandbox();
const receiver = useReceiver();
const at = { rootUrl: `${url}/google/` };
const calendarId = "primary";
const nine = { dateTime: "2026-03-02T09:00:00Z" };
const ten = { dateTime: "2026-03-02T10:00:00Z" };

function connect(): calendar_v3.Calendar {
  return calendar({ version: "v3", auth: googleAuth(url), retry: false });
}

async function list(options: Record<string, unknown> = {}): Promise<calendar_v3.Schema$Events> {
  return (await connect().events.list({ calendarId, ...options }, at)).data;
}

Deno.test("calendars and events are listed, made, changed and deleted", async () => {
  const client = connect();
  const { data: calendars } = await client.calendarList.list({}, at);
  assert.deepEqual(calendars.items?.map(({ id, primary }) => [id, primary]), [
    ["sandbox@example.com", true],
  ]);
  const requestBody = { summary: "Planning", start: nine, end: ten };
  const { data: event } = await client.events.insert({ calendarId, requestBody }, at);
  assert.equal(event.status, "confirmed");
  const eventId = event.id!;
  const patched = await client.events.patch(
    { calendarId, eventId, requestBody: { location: "Room 1" } },
    at,
  );
  assert.deepEqual([patched.data.summary, patched.data.location, patched.data.sequence], [
    "Planning",
    "Room 1",
    1,
  ]);
  assert.equal((await list({ q: "room" })).items?.length, 1);
  assert.equal((await list({ timeMin: ten.dateTime })).items?.length, 0);
  await client.events.delete({ calendarId, eventId }, at);
  assert.deepEqual((await list()).items, []);
  assert.equal((await list({ showDeleted: true })).items?.[0]?.status, "cancelled");
  const again = await refusal(client.events.delete({ calendarId, eventId }, at));
  assert.deepEqual([again.status, again.reason], [410, "deleted"]);
});

Deno.test("a sync token gives what changed since, each event once, cancelled ones too", async () => {
  const first = await control.createCalendarEvent({ summary: "one" });
  const second = await control.createCalendarEvent({ summary: "two" });
  const { items, nextSyncToken } = await list();
  assert.equal(items?.length, 2);
  await control.editCalendarEvent(second.id, { summary: "zwei" });
  await control.editCalendarEvent(second.id, { summary: "deux" });
  await control.removeCalendarEvent(first.id);
  const changed = await list({ syncToken: nextSyncToken });
  assert.deepEqual(changed.items?.map(({ id, status, summary }) => [id, status, summary]), [
    [second.id, "confirmed", "deux"],
    [first.id, "cancelled", undefined],
  ]);
  assert.deepEqual((await list({ syncToken: changed.nextSyncToken })).items, []);
});

Deno.test("pages have a page token until the last one has a sync token", async () => {
  for (const summary of ["1", "2", "3"]) await control.createCalendarEvent({ summary });
  const first = await list({ maxResults: 2 });
  assert.equal(first.nextSyncToken, undefined);
  const last = await list({ maxResults: 2, pageToken: first.nextPageToken });
  assert.deepEqual([...first.items!, ...last.items!].map(({ summary }) => summary), [
    "1",
    "2",
    "3",
  ]);
  assert.equal(last.nextPageToken, undefined);
  assert(last.nextSyncToken);
});

Deno.test("an expired sync token is 410 with fullSyncRequired, a wrong one 400", async () => {
  const { nextSyncToken: syncToken } = await list();
  await control.expireCalendarSyncTokens();
  assert.deepEqual(await refusal(list({ syncToken })), {
    status: 410,
    reason: "fullSyncRequired",
    message: "Sync token is no longer valid, a full sync is required.",
  });
  assert.equal((await refusal(list({ syncToken: "nope" }))).status, 400);
  const { nextSyncToken } = await list();
  assert.deepEqual((await list({ syncToken: nextSyncToken })).items, []);
  const combined = await refusal(list({ syncToken: nextSyncToken, q: "x" }));
  assert.equal(combined.status, 400);
});

Deno.test("a watched calendar tells that something exists, for a week or as long as asked", async () => {
  const client = connect();
  const { data: channel } = await client.events.watch({
    calendarId,
    requestBody: { id: "c1", type: "web_hook", address: receiver.url, token: "t" },
  }, at);
  assert.equal(Math.round((Number(channel.expiration) - Date.now()) / 86_400_000), 7);
  const { data: short } = await client.events.watch({
    calendarId,
    requestBody: { id: "c2", type: "web_hook", address: receiver.url, params: { ttl: "3600" } },
  }, at);
  assert.equal(Math.round((Number(short.expiration) - Date.now()) / 60_000), 60);
  assert.equal(short.resourceId, channel.resourceId);
  await receiver.until(2);
  await client.channels.stop({ requestBody: { id: "c2", resourceId: short.resourceId } }, at);

  await control.createCalendarEvent({ calendar: "other@example.com" });
  await control.createCalendarEvent({});
  const [, , push] = await receiver.until(3);
  assert.equal(push!.headers["x-goog-resource-state"], "exists");
  assert.equal(push!.headers["x-goog-channel-token"], "t");
  assert.match(push!.headers["x-goog-resource-uri"]!, /calendars\/sandbox%40example\.com\/events/);
  assert.equal((await control.pushes()).length, 3);
});

Deno.test("an event without times, in no time, or in no calendar is refused", async () => {
  const insert = (requestBody: calendar_v3.Schema$Event, id = calendarId) =>
    refusal(connect().events.insert({ calendarId: id, requestBody }, at));
  assert.equal((await insert({ start: nine })).message, "Missing end time.");
  assert.equal((await insert({ start: ten, end: nine })).reason, "timeRangeEmpty");
  assert.equal((await insert({ start: nine, end: ten }, "nobody@example.com")).status, 404);
});
