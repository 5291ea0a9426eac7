/** What a full listing tells of things that nobody has told of yet. */
import type { LeasedCursor } from "./types.ts";

/** Clocks differ, and a thing is changed before the provider's log says so; milliseconds. */
const MARGIN_MS = 10 * 60_000;
const SKEW_MS = 5_000;

/**
 * The time after which a change may not have been told: since all was known, and never before the
 * account was followed.
 *
 * @returns ISO 8601
 */
export function untoldSince({ caught_up_at, created_at }: LeasedCursor): string {
  const known = caught_up_at === null ? -Infinity : Date.parse(caught_up_at) - MARGIN_MS;
  return new Date(Math.max(known, Date.parse(created_at) - SKEW_MS)).toISOString();
}
