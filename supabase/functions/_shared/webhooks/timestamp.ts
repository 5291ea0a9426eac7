/** The time a sender claims to have signed at, held to the receiver's clock. */
import type { TimestampRule } from "./config.ts";
import type { Refusal } from "./verdict.ts";

/**
 * Why a timestamp is refused, or undefined when it lies in its window.
 *
 * @param text as sent; undefined when it is missing
 * @param now milliseconds since 1970
 */
export function refuseTimestamp(
  text: string | undefined,
  rule: TimestampRule,
  now: number,
): Refusal | undefined {
  if (!text) return "missing_timestamp";
  const at = timestampMs(text, rule.unit);
  if (at === undefined) return "invalid_signature";
  if (now - at > rule.tolerance_seconds * 1_000) return "stale_timestamp";
  if (at - now > rule.future_seconds * 1_000) return "future_timestamp";
  return undefined;
}

function timestampMs(
  text: string,
  unit: TimestampRule["unit"],
): number | undefined {
  if (unit === "iso") {
    const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(text) : NaN;
    return Number.isNaN(at) ? undefined : at;
  }
  if (!/^\d{1,16}$/.test(text)) return undefined;
  return Number(text) * (unit === "s" ? 1_000 : 1);
}
