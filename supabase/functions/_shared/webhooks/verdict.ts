/**
 * What every verifier is given, and what it answers.
 */
import type { Bytes } from "./bytes.ts";

/** What a verifier looks at. */
export interface Delivery {
  /** The body exactly as received. */
  raw: Bytes;
  headers: Headers;
  method: string;
  /** The URL the provider was given, with the query string of this request. */
  url: () => string;
  /** Milliseconds since 1970. */
  now: number;
}

/** Members of the webhook config that schemes name: audience, topic ARNs, … */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * Why a delivery was refused; stable, counted, and shown to the sender. In order of progress: when
 * several schemes were tried, the one that got furthest tells most.
 */
export const REFUSALS = [
  "missing_secret",
  "missing_setting",
  "missing_signature",
  "missing_timestamp",
  "unexpected_source",
  "invalid_signature",
  "stale_timestamp",
  "future_timestamp",
  "keys_unavailable",
] as const;

/** Code of a refusal; all but `keys_unavailable` are final for this delivery. */
export type Refusal = typeof REFUSALS[number];

/** The outcome of a verification, with the secret that proved it where there was one. */
export type Verdict = { ok: true; secret?: string } | { ok: false; code: Refusal };

/** Verdict of acceptance. */
export function accept(secret?: string): Verdict {
  return { ok: true, secret };
}

/** Verdict of refusal. */
export function refuse(code: Refusal): Verdict {
  return { ok: false, code };
}
