/** What an answer says about the provider's rate limit, read as the provider's row says. */
import { parseRetryAfter } from "../retry_after.ts";
import type { RateLimitConfig } from "./catalogue.ts";
import { atPointer } from "./pointer.ts";

/** A limit as the provider counts it. */
export interface RateLimit {
  /** Which of its limits, such as `core` or `requests`. */
  name: string;
  limit: number;
  remaining: number;
  /** Null: the provider does not say. */
  resets_at: Date | null;
}

/**
 * Reads the limit from an answer.
 *
 * @param body the parsed answer, for providers that say it there
 * @param now milliseconds since the epoch
 * @returns undefined when the answer does not say, or not intelligibly
 */
export function readRateLimit(
  config: RateLimitConfig,
  headers: Pick<Headers, "get">,
  { body, now = Date.now() }: { body?: unknown; now?: number } = {},
): RateLimit | undefined {
  const counted = readUsage(config, headers) ?? readCounts(config, headers, body);
  if (!counted) return undefined;
  const reset = config.reset_header ? headers.get(config.reset_header) : null;
  return {
    name: nameIn(config.name_header && headers.get(config.name_header)) ?? config.name ??
      "requests",
    ...counted,
    resets_at: readReset(reset, config.reset_format ?? "epoch_s", now),
  };
}

/**
 * How long the provider asks to wait, in milliseconds; undefined when it does not say.
 *
 * @param now milliseconds since the epoch
 */
export function readRetryAfter(
  config: RateLimitConfig,
  headers: Pick<Headers, "get">,
  now: number = Date.now(),
): number | undefined {
  const asked = [config.retry_after_header, "retry-after"]
    .map((name) => parseRetryAfter(name && headers.get(name), now));
  const waits = asked.filter((wait) => wait !== undefined);
  return waits.length > 0 ? Math.max(...waits) : undefined;
}

/**
 * How long until the limit of an answer that refused for it starts anew, in milliseconds, by the
 * header that the provider's row names; undefined when it does not say, or when it counts another
 * limit, of which something is left.
 *
 * @param now milliseconds since the epoch
 */
export function readUntilReset(
  config: RateLimitConfig,
  headers: Pick<Headers, "get">,
  now: number = Date.now(),
): number | undefined {
  const remaining = number(config.remaining_header && headers.get(config.remaining_header));
  if (remaining !== undefined && remaining > 0) return undefined;
  const header = config.reset_header ? headers.get(config.reset_header) : null;
  const resetsAt = readReset(header, config.reset_format ?? "epoch_s", now);
  return resetsAt === null ? undefined : Math.max(0, resetsAt.getTime() - now);
}

/** A limit's name as it stands in a header; what is none cannot pass for one of our own. */
function nameIn(text: string | null | undefined): string | undefined {
  return text && /^[\w.:/-]{1,60}$/.test(text) ? text : undefined;
}

type Counted = Pick<RateLimit, "limit" | "remaining">;

function readCounts(
  { limit_header, remaining_header, limit_pointer, remaining_pointer }: RateLimitConfig,
  headers: Pick<Headers, "get">,
  body: unknown,
): Counted | undefined {
  const value = (header: string | undefined, pointer: string | undefined) =>
    number(header ? headers.get(header) : pointer ? atPointer(body, pointer) : undefined);
  const limit = value(limit_header, limit_pointer);
  const remaining = value(remaining_header, remaining_pointer);
  if (limit === undefined || remaining === undefined || limit <= 0) return undefined;
  return { limit, remaining: Math.max(0, remaining) };
}

function readUsage(
  { usage_header, usage_format, usage_pointer = "" }: RateLimitConfig,
  headers: Pick<Headers, "get">,
): Counted | undefined {
  const text = usage_header && headers.get(usage_header);
  if (!text) return undefined;
  if (usage_format === "used_of_limit") {
    const [, used, limit] = /^\s*(\d+)\s*\/\s*(\d+)\s*$/.exec(text) ?? [];
    if (!Number(limit)) return undefined;
    return { limit: Number(limit), remaining: Math.max(0, Number(limit) - Number(used)) };
  }
  let percent: number | undefined;
  try {
    percent = number(atPointer(JSON.parse(text), usage_pointer));
  } catch {
    return undefined;
  }
  if (percent === undefined) return undefined;
  return { limit: 100, remaining: Math.max(0, Math.floor(100 - percent)) };
}

function readReset(
  text: string | null,
  format: NonNullable<RateLimitConfig["reset_format"]>,
  now: number,
): Date | null {
  if (!text) return null;
  const at = {
    epoch_s: () => Number(text) * 1000,
    epoch_ms: () => Number(text),
    delta_s: () => now + Number(text) * 1000,
    delta_ms: () => now + Number(text),
    duration: () => now + duration(text),
    iso: () => Date.parse(text),
  }[format]();
  const isDate = Number.isFinite(at) && Math.abs(at) <= 8.64e15;
  return isDate ? new Date(at) : null;
}

/** `1h2m3.5s`, `6m0s`, `20ms`, in milliseconds; NaN for anything else. */
function duration(text: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.map(([part]) => part).join("") !== text.trim() || parts.length === 0) return NaN;
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit!]!, 0);
}

function number(value: unknown): number | undefined {
  if (typeof value === "string" && value.trim() === "") return undefined;
  const read = typeof value === "string" || typeof value === "number" ? Number(value) : NaN;
  return Number.isFinite(read) ? read : undefined;
}
