/** Failures inside answers whose status says success, found as the provider's row says. */
import type { ResponseErrors } from "./catalogue.ts";
import { atPointer } from "./pointer.ts";

/** A failure in the provider's own words. */
export interface ProviderError {
  code: string | undefined;
  message: string | undefined;
  /** `rejected` would be so again; of `failed` nobody knows. */
  kind: "rate_limited" | "unauthorized" | "rejected" | "failed";
}

/**
 * The failure an answer reports, undefined when it reports none.
 *
 * Slack answers 200 with `ok: false`, GraphQL with `errors`, JSON-RPC with `error`.
 */
export function readProviderError(
  config: ResponseErrors,
  body: unknown,
): ProviderError | undefined {
  if (config.pointer === undefined) return undefined;
  const decisive = atPointer(body, config.pointer);
  const isFailure = config.success === undefined
    ? decisive !== undefined && decisive !== null && !isEmpty(decisive)
    : decisive !== config.success;
  if (!isFailure) return undefined;
  const code = text(config.code === undefined ? undefined : atPointer(body, config.code));
  const message = config.message === undefined
    ? code
    : [config.message].flat().map((at) => text(atPointer(body, at))).find((each) => each);
  const means = (codes: string[] | undefined) => code !== undefined && codes?.includes(code);
  const kind = means(config.rate_limited)
    ? "rate_limited"
    : means(config.unauthorized)
    ? "unauthorized"
    : means(config.rejected)
    ? "rejected"
    : "failed";
  return { code, message, kind };
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function text(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  return String(value).replace(/\s+/g, " ").slice(0, 300);
}
