/**
 * Proof that a delivery is the provider's: raw bytes, headers, secrets and the time in, verdict out.
 *
 * Fail closed: without a secret, a header or a scheme nothing is accepted.
 */
import type { Bytes } from "./bytes.ts";
import type { Scheme } from "./config.ts";
import { verifyHmac } from "./hmac.ts";
import { verifyToken } from "./token.ts";

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

/** Why a delivery was refused; stable, counted, and shown to the sender. */
export type Refusal =
  | "missing_secret"
  | "missing_signature"
  | "invalid_signature"
  | "missing_timestamp"
  | "stale_timestamp"
  | "future_timestamp";

/** The outcome of a verification. */
export type Verdict = { ok: true } | { ok: false; code: Refusal };

/** Verdict of acceptance. */
export const ACCEPTED: Verdict = { ok: true };

/** Verdict of refusal. */
export function refuse(code: Refusal): Verdict {
  return { ok: false, code };
}

/** How telling a refusal is, when several schemes were tried: the later, the further it got. */
const PROGRESS: Refusal[] = [
  "missing_secret",
  "missing_signature",
  "missing_timestamp",
  "invalid_signature",
  "stale_timestamp",
  "future_timestamp",
];

/**
 * Verifies a delivery against each scheme; one that accepts suffices.
 *
 * @param secrets all that are valid now, in any order
 */
export async function verifyDelivery(
  schemes: readonly Scheme[],
  delivery: Delivery,
  secrets: readonly string[],
): Promise<Verdict> {
  let furthest: Refusal = "missing_secret";
  for (const scheme of schemes) {
    const verdict = await verifyScheme(scheme, delivery, secrets);
    if (verdict.ok) return verdict;
    if (PROGRESS.indexOf(verdict.code) > PROGRESS.indexOf(furthest)) {
      furthest = verdict.code;
    }
  }
  return refuse(furthest);
}

function verifyScheme(
  scheme: Scheme,
  delivery: Delivery,
  secrets: readonly string[],
): Promise<Verdict> | Verdict {
  const usable = secrets.filter((secret) => secret !== "");
  if (usable.length === 0) return refuse("missing_secret");
  switch (scheme.family) {
    case "hmac":
      return verifyHmac(scheme, delivery, usable);
    case "token":
      return verifyToken(scheme, delivery, usable);
  }
}
