/**
 * A calendar's events, by sync token.
 * @see https://developers.google.com/workspace/calendar/api/guides/sync
 */
import { CallError } from "./call.ts";
import { openChannel, stopChannel } from "./google_channels.ts";
import { untoldSince } from "./listing.ts";
import { CursorExpired, type Feed, type FeedEvent, type Page, type PullContext } from "./types.ts";

interface CalendarEvent {
  id: string;
  status: string;
  etag?: string;
  /** ISO 8601. */
  updated?: string;
}

interface EventsPage {
  items?: CalendarEvent[];
  nextPageToken?: string;
  nextSyncToken?: string;
}

/** A calendar's events. */
export const calendarEvents: Feed = {
  // There is no token of now: it stands at the end of a listing of everything.
  async start({ call, cursor }) {
    const page = cursor.progress?.page;
    const { result } = await call<EventsPage>("events.list", {
      calendarId: calendarOf(cursor.scope),
      maxResults: 2500,
      showDeleted: true,
      fields: "nextPageToken,nextSyncToken",
      ...(page ? { pageToken: page } : {}),
    });
    if (result.nextSyncToken) {
      return { events: [], cursor: result.nextSyncToken, hasMore: false };
    }
    const progress = { mode: "starting", page: result.nextPageToken } as const;
    return { events: [], cursor: null, hasMore: true, progress };
  },

  pull: readPage,

  async restart(context) {
    const progress = { mode: "listing", since: untoldSince(context.cursor) } as const;
    return await readPage({ ...context, cursor: { ...context.cursor, progress } });
  },

  open: async (task, call) =>
    await openChannel(task, call, "events.watch", {
      calendarId: calendarOf(task.scope),
      params: { ttl: String(task.lifetime_seconds) },
    }),

  stop: stopChannel,
};

function calendarOf(scope: string): string {
  return scope || "primary";
}

async function readPage({ call, cursor, known }: PullContext): Promise<Page> {
  const { progress } = cursor;
  const isListing = progress?.mode === "listing";
  let answer: EventsPage;
  try {
    answer = (await call<EventsPage>("events.list", {
      calendarId: calendarOf(cursor.scope),
      maxResults: 250,
      showDeleted: true,
      ...(isListing ? {} : { syncToken: cursor.cursor }),
      ...(progress?.page ? { pageToken: progress.page } : {}),
    })).result;
  } catch (error) {
    const isOld = error instanceof CallError &&
      (error.status === 410 || progress?.page !== undefined && error.status === 400);
    throw isOld ? new CursorExpired(error.message) : error;
  }
  const { items = [], nextPageToken, nextSyncToken } = answer;
  const told = isListing ? await known(items.map(({ id }) => id)) : undefined;
  const since = Date.parse(progress?.since ?? "");
  const changed = items.filter((event) => {
    const last = told?.get(event.id);
    // Of a cancelled event often nothing is said but that it is.
    return !told ||
      (last ? last.version !== versionOf(event) : Date.parse(event.updated ?? "") > since);
  });
  return {
    events: changed.map((event) => toEvent(calendarOf(cursor.scope), event)),
    cursor: nextSyncToken ?? cursor.cursor,
    hasMore: nextPageToken !== undefined,
    ...(nextPageToken || isListing
      ? { progress: { mode: "pages", ...(progress ?? {}), page: nextPageToken } }
      : {}),
  };
}

function toEvent(calendar: string, event: CalendarEvent): FeedEvent {
  const { id, status, updated } = event;
  const version = versionOf(event);
  return {
    dedupe_key: `calendar.events:${calendar}:${id}:${version}`,
    event_type: `calendar.event.${status === "cancelled" ? "cancelled" : "changed"}`,
    resource_path: `calendars/${calendar}/events/${id}`,
    account: calendar,
    occurred_at: updated ?? null,
    payload: { event },
    item: { id, version },
  };
}

function versionOf({ etag, updated, status }: CalendarEvent): string {
  return etag?.replaceAll('"', "") ?? updated ?? status;
}
