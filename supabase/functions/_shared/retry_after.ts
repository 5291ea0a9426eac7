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

/** Headers that say how long to wait, in what {@link parseRetryAfter} reads. */
const WAIT_HEADERS = ["retry-after", "x-retry-after"];
/** The same in milliseconds. */
const WAIT_MS_HEADERS = ["retry-after-ms", "x-retry-after-ms", "x-ms-retry-after-ms"];
/** Headers that say when a limit starts anew: in so many seconds, or at a point in time. */
const RESET_HEADERS = [
  "ratelimit-reset",
  "x-ratelimit-reset",
  "x-rate-limit-reset",
  "x-ratelimit-reset-after",
];
/** Headers that say what is left of a limit. */
const REMAINING_HEADERS = [
  "ratelimit-remaining",
  "x-ratelimit-remaining",
  "x-rate-limit-remaining",
];

/** Names of a wait in a JSON body, without their `_`, `-` and capitals. */
const BODY_NAMES: Record<string, "seconds" | "milliseconds"> = {
  retryafter: "seconds",
  retryafterseconds: "seconds",
  retryafterms: "milliseconds",
  retrydelay: "seconds", // google.rpc.RetryInfo
};
/** How deep a body is searched: `error.details[0].retryDelay` is at four. */
const BODY_DEPTH = 5;

/** Headers of limits with names of their own: `x-ratelimit-complexity-reset` beside `…-remaining`. */
const NAMED_RESET = /^((?:x-)?rate-?limit-.+)-reset$/;

/** An answer that may say when to come back. */
export interface RetryableAnswer {
  status: number;
  headers: Pick<Headers, "get"> & Partial<Iterable<[string, string]>>;
  /** Its body, of which JSON is searched. */
  body?: string | null;
}

/**
 * How long an answer asks to wait, wherever it says so: the longest of what its headers and its body
 * say. When a limit starts anew only counts where one is used up (429, or none remaining): many
 * servers say it with every answer.
 *
 * @param now milliseconds since the epoch
 * @returns milliseconds, 0 to one day; undefined when it does not say
 */
export function readRetryWait(
  { status, headers, body }: RetryableAnswer,
  now: number = Date.now(),
): number | undefined {
  const isUsedUp = status === 429 ||
    REMAINING_HEADERS.some((name) => Number(headers.get(name) ?? NaN) === 0);
  const waits = [
    ...WAIT_HEADERS.map((name) => parseRetryAfter(headers.get(name), now)),
    ...WAIT_MS_HEADERS.map((name) => milliseconds(headers.get(name))),
    ...isUsedUp ? RESET_HEADERS.map((name) => parseRetryAfter(headers.get(name), now)) : [],
    ...namedResets(headers).map((value) => parseRetryAfter(value, now)),
    structuredWait(headers.get("ratelimit")),
    ...bodyWaits(body, now),
  ].filter((wait) => wait !== undefined);
  return waits.length > 0 ? Math.max(...waits) : undefined;
}

/** When limits start anew that have names of their own and of which nothing is left. */
function namedResets(headers: RetryableAnswer["headers"]): string[] {
  return [...headers[Symbol.iterator] ? headers as Iterable<[string, string]> : []]
    .filter(([name]) => {
      const [, limit] = NAMED_RESET.exec(name) ?? [];
      return limit !== undefined && Number(headers.get(`${limit}-remaining`) ?? NaN) === 0;
    })
    .map(([, value]) => value);
}

/**
 * `RateLimit: "burst";r=0;t=30`, or `limit=100, remaining=0, reset=30` as earlier drafts had it: the
 * longest wait of those of which nothing is left.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
function structuredWait(value: string | null): number | undefined {
  if (!value) return undefined;
  const policies = /\bremaining=/.test(value) ? [value] : value.split(",");
  const waits = policies
    .filter((policy) => /\b(?:r|remaining)=0\b/.test(policy))
    .map((policy) => /\b(?:t|reset)=(\d+)/.exec(policy)?.[1])
    .filter((seconds) => seconds !== undefined)
    .map((seconds) => Math.min(Number(seconds) * 1000, LONGEST_MS));
  return waits.length > 0 ? Math.max(...waits) : undefined;
}

/** Google's reasons that ask for exponential backoff, and the one that asks for the next day. */
const GOOGLES_BACKOFF = /"(?:rateLimitExceeded|userRateLimitExceeded|RESOURCE_EXHAUSTED)"/;
const GOOGLES_DAY = /"dailyLimitExceeded"/;

/**
 * How long to wait where a rate limit is used up and nothing says for how long. For Google's own it
 * is documented: a second, then twice as long each time up to 64 seconds, and up to a second at
 * random. A day's quota is looked at again in an hour, everything else in a minute.
 *
 * @param body of the answer, as text
 * @param attempt how often it was so in a row, from 1
 * @param random 0 to 1
 * @returns milliseconds
 * @see https://developers.google.com/workspace/drive/api/guides/limits#exponential
 */
export function silentWait(body: string, attempt: number, random: number = Math.random()): number {
  if (GOOGLES_DAY.test(body)) return 60 * 60_000;
  if (!GOOGLES_BACKOFF.test(body)) return 60_000;
  return Math.min(1_000 * 2 ** (attempt - 1) + random * 1_000, 64_000);
}

function milliseconds(value: string | null): number | undefined {
  const text = value?.trim() ?? "";
  if (!/^\d+(\.\d+)?$/.test(text)) return undefined;
  return Math.round(Math.min(Number(text), LONGEST_MS));
}

function bodyWaits(body: string | null | undefined, now: number): (number | undefined)[] {
  if (!body || !/retry/i.test(body)) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return [];
  }
  const waits: (number | undefined)[] = [];
  const search = (value: unknown, depth: number): void => {
    if (typeof value !== "object" || value === null || depth > BODY_DEPTH) return;
    for (const [name, inner] of Object.entries(value)) {
      const unit = BODY_NAMES[name.replace(/[_-]/g, "").toLowerCase()];
      if (unit === "milliseconds") waits.push(milliseconds(String(inner)));
      // Google's durations end in "s".
      else if (unit) waits.push(parseRetryAfter(String(inner).replace(/(?<=\d)s$/, ""), now));
      else search(inner, depth + 1);
    }
  };
  search(parsed, 1);
  return waits;
}
