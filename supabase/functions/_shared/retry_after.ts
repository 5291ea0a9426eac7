/** When a server says that it makes sense to come back. */

/** Numbers beyond this are points in time, not durations. */
const EPOCH_SECONDS_FROM = 1_000_000_000;
const EPOCH_MILLISECONDS_FROM = 1_000_000_000_000;

/** A server that asks for more than a day is not obeyed to the letter. */
const LONGEST_MS = 24 * 60 * 60 * 1000;

/**
 * Reads `Retry-After`: seconds, an HTTP date, or (seen in the wild) Unix seconds or milliseconds.
 *
 * @param value the header's value
 * @param now milliseconds since the epoch
 * @returns milliseconds to wait, 0 to one day; undefined when absent or unreadable
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
 */
export function parseRetryAfter(
  value: string | null | undefined,
  now: number = Date.now(),
): number | undefined {
  const text = value?.trim();
  if (!text) return undefined;
  let wait: number;
  if (/^\d+(\.\d+)?$/.test(text)) {
    const number = Number(text);
    if (number >= EPOCH_MILLISECONDS_FROM) wait = number - now;
    else if (number >= EPOCH_SECONDS_FROM) wait = number * 1000 - now;
    else wait = number * 1000;
  } else {
    // Anything that does not begin with a day's name is not an HTTP date; Date.parse is too kind.
    if (!/^(mon|tue|wed|thu|fri|sat|sun)/i.test(text)) return undefined;
    const date = Date.parse(text);
    if (Number.isNaN(date)) return undefined;
    wait = date - now;
  }
  return Math.round(Math.min(Math.max(wait, 0), LONGEST_MS));
}
