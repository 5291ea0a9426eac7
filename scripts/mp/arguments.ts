/**
 * Arguments as people type them: counts, times, ids cut short.
 * @module
 */
import { InvalidArgumentError } from "@commander-js/extra-typings";
import type { Sql } from "./session.ts";
import { UsageError } from "./errors.ts";

/** A whole number from 1 to a bound; how `--limit` is read. */
export function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 10_000) return value;
  throw new InvalidArgumentError("Give a whole number from 1 to 10000.");
}

/** A positive number; how `--per-second` is read. */
export function rate(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Give a number above 0, such as 5 or 0.5.");
}

const SECONDS = { s: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800 } as const;

/** A point in time: `15m`, `2h`, `3d` ago, or an ISO 8601 date or time. */
export function moment(text: string): Date {
  const seconds = secondsOf(text);
  const at = seconds === undefined
    ? /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(NaN)
    : new Date(Date.now() - seconds * 1000);
  if (!Number.isNaN(at.getTime())) return at;
  throw new InvalidArgumentError("Give 90s, 15m, 2h, 3d or a time such as 2026-01-31T09:00Z.");
}

/** A duration such as `24h`, in seconds. */
export function period(text: string): number {
  const seconds = text === "0" ? 0 : secondsOf(text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError("Give a duration such as 15m, 24h or 7d.");
}

function secondsOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)$/.exec(text);
  return match ? Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS] : undefined;
}

/** Gathers an option that may be repeated, or hold several separated by commas. */
export function several(text: string, former: string[] = []): string[] {
  return [...former, ...text.split(",").map((each) => each.trim()).filter(Boolean)];
}

const FULL_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text can be the beginning of a UUID that is worth looking up. */
export function isIdPrefix(text: string): boolean {
  return text.length >= 8 && text.length <= 36 &&
    /^[0-9a-f-]+$/i.test(text) && idRange(text) !== undefined;
}

/**
 * The lowest and highest UUID that begin with a text: an index finds what lies between.
 * @returns undefined when no UUID begins so
 */
export function idRange(text: string): [string, string] | undefined {
  const fill = (digit: string) => {
    const mask = "00000000-0000-0000-0000-000000000000".replaceAll("0", digit);
    return (text + mask.slice(text.length)).toLowerCase();
  };
  const range: [string, string] = [fill("0"), fill("f")];
  return range.every((each) => FULL_ID.test(each)) ? range : undefined;
}

/** The lowest UUIDv7 of a time: rows are found by it in the index of their id. */
export function idAt(at: Date): string {
  const digits = at.getTime().toString(16).padStart(12, "0");
  return `${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000`;
}

/** Tables whose rows are named by id on the command line. */
const TABLES = {
  event: "webhook_events",
  job: "sync_jobs",
  rule: "sync_rules",
  "notification endpoint": "notification_endpoints",
  "API key": "api_keys",
} as const;

/**
 * The full id of a row, given its beginning as the tables print it.
 * @throws {UsageError} when none or several begin so
 */
export async function findId(sql: Sql, what: keyof typeof TABLES, text: string): Promise<string> {
  const range = isIdPrefix(text) ? idRange(text) : undefined;
  if (!range) throw new UsageError(`"${text}" is no id of a ${what}: give at least 8 characters.`);
  if (FULL_ID.test(text)) return text.toLowerCase();
  const rows = await sql<{ id: string }[]>`
    select id from ${sql(`marketplace.${TABLES[what]}`)}
    where id between ${range[0]}::uuid and ${range[1]}::uuid limit 2`;
  if (rows.length === 1) return rows[0]!.id;
  throw new UsageError(
    rows.length === 0
      ? `No ${what} has an id that begins with ${text}.`
      : `Several ${what}s have an id that begins with ${text}: give more of it.`,
  );
}

/** A JSON object: as text, or from a file that `@path` names. */
export function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith("@") ? Deno.readTextFileSync(text.slice(1)) : text);
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be read as JSON: ${(error as Error).message}`);
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new InvalidArgumentError('Give an object, such as {"bucket": "artifacts"}, or @file.json.');
}
