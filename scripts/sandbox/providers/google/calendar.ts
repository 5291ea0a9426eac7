import { type Context, Hono } from "hono";
import { z } from "zod";
import { FixtureError } from "../../core/fixtures.ts";
import type { ObservedEnv, ProviderPart, Sandbox } from "../../core/provider.ts";
import type { GoogleChannels } from "./channels.ts";
import { DRIVE_USER } from "./drive_files.ts";
import { GoogleError } from "./errors.ts";
import { answer, readBody } from "./requests.ts";

const Moment = z.object({
  date: z.string().optional(),
  dateTime: z.string().optional(),
  timeZone: z.string().optional(),
});

/** The writable members of an event; further ones are kept as they are. */
const EventBody = z.looseObject({
  id: z.string().optional(),
  summary: z.string().optional(),
  start: Moment.optional(),
  end: Moment.optional(),
  status: z.enum(["confirmed", "tentative", "cancelled"]).optional(),
});
type EventBody = z.output<typeof EventBody>;

/** An event, as `POST /_control/calendar/events` takes it; members are those of Google's resource. */
export const CalendarEventFixture = EventBody.extend({
  /** The calendar's id; the user's own one when absent. Made when it is not there. */
  calendar: z.string().default("primary"),
  start: Moment.default({ dateTime: "2026-01-05T09:00:00Z" }),
  end: Moment.default({ dateTime: "2026-01-05T10:00:00Z" }),
});
/** The input form of {@linkcode CalendarEventFixture}. */
export type CalendarEventFixture = z.input<typeof CalendarEventFixture>;

/** What changes with an event; members are those of Google's resource. */
export type CalendarEventEdit = z.input<typeof EventBody>;

/** An event as an assertion sees it. */
export interface CalendarEventInfo {
  id: string;
  calendar: string;
  status: string;
  summary: string | null;
}

interface CalendarEvent {
  id: string;
  body: EventBody & { status: string };
  createdAt: number;
  updatedAt: number;
  sequence: number;
  /** Where its last change stands in the calendar's log. */
  position: number;
}

interface Calendar {
  id: string;
  summary: string;
  events: Map<string, CalendarEvent>;
  next: number;
  /** Sync tokens from before it are refused. */
  oldest: number;
}

const API = "https://www.googleapis.com/calendar/v3";
const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
/** What a sync token may not be combined with. */
const NOT_WITH_TOKEN = ["orderBy", "q", "timeMin", "timeMax", "updatedMin"];

/**
 * Calendar v3: calendars, their events, what changed since a sync token, and channels that tell.
 * Recurring events are kept as they come, not expanded.
 *
 * @see https://developers.google.com/workspace/calendar/api/guides/sync
 */
export function createCalendar(sandbox: Sandbox, channels: GoogleChannels): ProviderPart {
  const calendars = new Map<string, Calendar>();
  const app = new Hono<ObservedEnv>();
  const at = "/calendar/v3/calendars/:calendar/events";
  ensure(DRIVE_USER.email, DRIVE_USER.name);

  app.get("/calendar/v3/users/me/calendarList", (c) =>
    answer(c, {
      kind: "calendar#calendarList",
      etag: '"sandbox"',
      nextSyncToken: writeToken("list", calendars.size),
      items: [...calendars.values()].map(({ id, summary }) => ({
        kind: "calendar#calendarListEntry",
        id,
        summary,
        timeZone: "UTC",
        accessRole: "owner",
        selected: true,
        ...(id === DRIVE_USER.email && { primary: true }),
      })),
    }));

  app.get(at, (c) => {
    const calendar = find(c);
    const { syncToken, pageToken, ...query } = c.req.query();
    for (const name of syncToken ? NOT_WITH_TOKEN : []) {
      if (query[name] === undefined) continue;
      throw new GoogleError("badRequest", `Sync token cannot be used with the parameter ${name}.`);
    }
    const since = syncToken === undefined ? 0 : readSyncToken(calendar, syncToken);
    const start = pageToken === undefined ? since : readToken(pageToken, "page", "pageToken");
    const showsDeleted = syncToken !== undefined || query.showDeleted === "true";
    const found = [...calendar.events.values()]
      .filter((event) => event.position >= start && isWanted(event, query, showsDeleted))
      .sort((a, b) => a.position - b.position);
    const size = Math.min(Math.max(Number(query.maxResults ?? 250) || 250, 1), 2500);
    const page = found.slice(0, size);
    const next = found[size];
    const updatedAt = Math.max(0, ...page.map((event) => event.updatedAt));
    if (query.orderBy === "startTime") page.sort((a, b) => startOf(a) - startOf(b));
    return answer(c, {
      kind: "calendar#events",
      etag: `"p${calendar.next}"`,
      summary: calendar.summary,
      updated: new Date(updatedAt).toISOString(),
      timeZone: "UTC",
      accessRole: "owner",
      defaultReminders: [],
      ...(next
        ? { nextPageToken: writeToken("page", next.position) }
        : { nextSyncToken: writeToken("sync", calendar.next) }),
      items: page.map((event) => describe(event)),
    });
  });

  app.post(at, async (c) => {
    const calendar = find(c);
    const body = await readBody(c, EventBody);
    if (body.id !== undefined && calendar.events.has(body.id)) {
      throw new GoogleError("duplicate", "The requested identifier already exists.");
    }
    return answer(c, describe(insert(calendar, body)));
  });

  app.post(`${at}/watch`, async (c) => {
    const { id } = find(c);
    const uri = `${API}/calendars/${encodeURIComponent(id)}/events?alt=json`;
    const resource = { key: `calendar:${id}`, uri, usualMs: WEEK_MS, longestMs: 4 * WEEK_MS };
    return c.json(await channels.open(c, resource));
  });

  app.post("/calendar/v3/channels/stop", async (c) => {
    await channels.stop(c);
    return c.body(null, 204);
  });

  app.get(`${at}/:event`, (c) => answer(c, describe(findEvent(c, find(c)), true)));

  app.patch(`${at}/:event`, async (c) => {
    const calendar = find(c);
    const event = findEvent(c, calendar);
    return answer(c, describe(change(calendar, event, await readBody(c, EventBody))));
  });

  app.put(`${at}/:event`, async (c) => {
    const calendar = find(c);
    const event = findEvent(c, calendar);
    const body = await readBody(c, EventBody);
    checkTimes(body);
    event.body = { status: "confirmed" };
    return answer(c, describe(change(calendar, event, body)));
  });

  app.delete(`${at}/:event`, (c) => {
    const calendar = find(c);
    const event = findEvent(c, calendar);
    if (event.body.status === "cancelled") {
      throw new GoogleError("deleted", "Resource has been deleted");
    }
    change(calendar, event, { status: "cancelled" });
    return c.body(null, 204);
  });

  function ensure(id: string, summary: string): Calendar {
    const calendar = calendars.get(id) ??
      { id, summary, events: new Map<string, CalendarEvent>(), next: 1, oldest: 1 };
    calendars.set(id, calendar);
    return calendar;
  }

  /** @throws GoogleError `notFound` */
  function find(c: Context): Calendar {
    const id = c.req.param("calendar") ?? "";
    const calendar = calendars.get(id === "primary" ? DRIVE_USER.email : id);
    if (calendar) return calendar;
    throw new GoogleError("notFound", "Not Found");
  }

  /** @throws GoogleError `notFound` */
  function findEvent(c: Context, { events }: Calendar): CalendarEvent {
    const event = events.get(c.req.param("event") ?? "");
    if (event) return event;
    throw new GoogleError("notFound", "Not Found");
  }

  /** @throws GoogleError `required`, `timeRangeEmpty` */
  function insert(calendar: Calendar, { id, ...body }: EventBody): CalendarEvent {
    checkTimes(body);
    const now = sandbox.clock.now();
    const event: CalendarEvent = {
      id: id ?? crypto.randomUUID().replaceAll("-", "").slice(0, 26),
      body: { status: "confirmed", ...body },
      createdAt: now,
      updatedAt: now,
      sequence: 0,
      position: calendar.next++,
    };
    calendar.events.set(event.id, event);
    channels.notify(`calendar:${calendar.id}`, { state: "exists" });
    return event;
  }

  function change(calendar: Calendar, event: CalendarEvent, body: EventBody): CalendarEvent {
    const { id: _id, ...changes } = body;
    const changed = { ...event.body, ...changes };
    checkTimes(changed);
    Object.assign(event, {
      body: changed,
      updatedAt: sandbox.clock.now(),
      sequence: event.sequence + 1,
      position: calendar.next++,
    });
    channels.notify(`calendar:${calendar.id}`, { state: "exists" });
    return event;
  }

  /** @throws GoogleError `fullSyncRequired` */
  function readSyncToken(calendar: Calendar, token: string): number {
    const position = readToken(token, "sync", "syncToken");
    if (position >= calendar.oldest && position <= calendar.next) return position;
    throw new GoogleError("fullSyncRequired", undefined, {
      location: "syncToken",
      locationType: "parameter",
    });
  }

  const inform = (calendar: Calendar, { id, body }: CalendarEvent): CalendarEventInfo => ({
    id,
    calendar: calendar.id,
    status: body.status,
    summary: body.summary ?? null,
  });
  const findFixture = (id: string): [Calendar, CalendarEvent] => {
    for (const calendar of calendars.values()) {
      const event = calendar.events.get(id);
      if (event) return [calendar, event];
    }
    throw new FixtureError(`There is no event ${id} in any calendar.`);
  };

  const control = new Hono();
  control.get("/calendar/events", (c) => {
    const events = [...calendars.values()].flatMap((calendar) =>
      [...calendar.events.values()].map((event) => inform(calendar, event))
    );
    return c.json({ events });
  });
  control.post("/calendar/events", async (c) => {
    const { calendar: id, ...body } = CalendarEventFixture.parse(await c.req.json());
    const calendar = id === "primary" ? ensure(DRIVE_USER.email, "") : ensure(id, id);
    return c.json(inform(calendar, insert(calendar, body)), 201);
  });
  control.patch("/calendar/events/:id", async (c) => {
    const [calendar, event] = findFixture(c.req.param("id"));
    return c.json(inform(calendar, change(calendar, event, EventBody.parse(await c.req.json()))));
  });
  control.delete("/calendar/events/:id", (c) => {
    const [calendar, event] = findFixture(c.req.param("id"));
    change(calendar, event, { status: "cancelled" });
    return c.body(null, 204);
  });
  control.post("/calendar/expire_sync_tokens", (c) => {
    for (const calendar of calendars.values()) calendar.oldest = ++calendar.next;
    return c.body(null, 204);
  });

  return {
    app,
    control,
    reset() {
      calendars.clear();
      ensure(DRIVE_USER.email, DRIVE_USER.name);
    },
  };
}

/** @param isWhole a deleted event is told whole too, as `events.get` does */
function describe(event: CalendarEvent, isWhole = false): Record<string, unknown> {
  const { id, body, sequence, position } = event;
  const about = { kind: "calendar#event", etag: `"${position}"`, id };
  if (body.status === "cancelled" && !isWhole) return { ...about, status: body.status };
  const person = { email: DRIVE_USER.email, self: true };
  return {
    ...about,
    htmlLink: `https://www.google.com/calendar/event?eid=${btoa(id)}`,
    created: new Date(event.createdAt).toISOString(),
    updated: new Date(event.updatedAt).toISOString(),
    creator: person,
    organizer: person,
    iCalUID: `${id}@google.com`,
    sequence,
    reminders: { useDefault: true },
    eventType: "default",
    ...body,
  };
}

function isWanted(
  event: CalendarEvent,
  { timeMin, timeMax, updatedMin, q }: Record<string, string>,
  showsDeleted: boolean,
): boolean {
  const { body, updatedAt } = event;
  if (body.status === "cancelled" && !showsDeleted) return false;
  const text = JSON.stringify([body.summary, body.description, body.location]).toLowerCase();
  return (timeMin === undefined || timeOf(body.end) > Date.parse(timeMin)) &&
    (timeMax === undefined || startOf(event) < Date.parse(timeMax)) &&
    (updatedMin === undefined || updatedAt >= Date.parse(updatedMin)) &&
    (q === undefined || text.includes(q.toLowerCase()));
}

function startOf({ body }: CalendarEvent): number {
  return timeOf(body.start);
}

function timeOf(moment: z.output<typeof Moment> | undefined): number {
  return Date.parse(moment?.dateTime ?? moment?.date ?? "");
}

/** @throws GoogleError `required`, `timeRangeEmpty` */
function checkTimes({ start, end, status }: EventBody): void {
  if (status === "cancelled") return;
  if (Number.isNaN(timeOf(start))) throw new GoogleError("required", "Missing start time.");
  if (Number.isNaN(timeOf(end))) throw new GoogleError("required", "Missing end time.");
  if (timeOf(end) < timeOf(start)) throw new GoogleError("timeRangeEmpty");
}

function writeToken(kind: "list" | "page" | "sync", position: number): string {
  return btoa(`${kind}:${position}`).replaceAll("=", "");
}

/** @throws GoogleError `invalid` */
function readToken(token: string, kind: "page" | "sync", parameter: string): number {
  const text = /^[A-Za-z0-9+/]+$/.test(token) && token.length % 4 !== 1 ? atob(token) : "";
  const position = new RegExp(`^${kind}:(\\d+)$`).exec(text)?.[1];
  if (position !== undefined) return Number(position);
  throw new GoogleError("invalid", undefined, { location: parameter, locationType: "parameter" });
}
