/** The feeds, each loaded when it is first pulled. */
import type { Feed } from "./types.ts";

const FEEDS: Record<string, () => Promise<Feed>> = {
  "drive.changes": async () => (await import("./drive_changes.ts")).driveChanges,
  "gmail.history": async () => (await import("./gmail_history.ts")).gmailHistory,
  "calendar.events": async () => (await import("./calendar_events.ts")).calendarEvents,
  "github.deliveries": async () => (await import("./github_deliveries.ts")).githubDeliveries,
};

/**
 * The adapter of a feed.
 *
 * @throws Error for a feed that `marketplace._feeds()` names and nobody has written
 */
export async function feedOf(feed: string): Promise<Feed> {
  const load = FEEDS[feed];
  if (!load) throw new Error(`There is no adapter for the feed ${feed} in _shared/feeds.`);
  return await load();
}
