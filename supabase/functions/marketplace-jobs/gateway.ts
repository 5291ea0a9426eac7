/** Actions that the control plane runs for a job, with the job's own token: logged and counted. */
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { execute } from "../_shared/execution/execute.ts";
import type { JobContext } from "../_shared/jobs/context.ts";

/** A request to `marketplace-execute`, as a workflow may send it. */
export interface ActionCall {
  /** Slug. */
  integration: string;
  action: string;
  parameters: Record<string, unknown>;
  idempotency_key?: string;
}

/** What `marketplace-execute` answers when it fails. */
export interface GatewayError {
  code: string;
  message: string;
  details?: Record<string, unknown> | undefined;
}

/**
 * Runs an action and returns its result.
 *
 * @throws AppError with the gateway's code, status and details
 */
export async function runAction(
  sql: Sql,
  { job, token }: JobContext,
  call: ActionCall,
): Promise<unknown> {
  const answer = await execute(sql, {
    request: call,
    caller: { kind: "job", token },
    correlationId: job.correlation_id,
    isJsonOnly: true,
  });
  if (answer.kind === "json" && !("error" in answer.body)) return answer.body.result;
  const { error } = answer.kind === "json"
    ? answer.body as { error: GatewayError }
    : { error: { code: "internal_error", message: "The action answered with bytes." } };
  const status = answer.status >= 400 ? answer.status : 502;
  throw new AppError(error.code, status, error.message, {
    retryable: isRetryable(error),
    ...(error.details ? { details: error.details } : {}),
  });
}

/** A failure as it is written to an artifact. */
export interface Failure {
  error_code: string;
  error_message: string;
  /** Another attempt would end in the same way. */
  is_final: boolean;
}

/** The gateway's reasons, as the artifact's error codes call them, behind whose it is. */
const REASONS: Record<string, string> = {
  provider_unavailable: "unavailable",
  provider_timeout: "unavailable",
  provider_unauthorized: "unauthorized",
  provider_forbidden: "forbidden",
  provider_not_found: "not_found",
  provider_rejected: "rejected",
  provider_redirected: "redirected",
  provider_invalid_response: "invalid_response",
};
/** Failures that only a change of the object, the rule or the destination ends. */
const FINAL = new Set([
  "conflict",
  "connection_ambiguous",
  "connection_not_found",
  "validation_failed",
  "payload_too_large",
  "export_too_large",
  "provider_rejected",
  "provider_not_found",
]);

/** What a failed action means for the artifact it was run for. */
export function failureOf(context: JobContext, error: GatewayError): Failure {
  const { details = {}, message } = error;
  const role = details.integration === context.source.slug ? "source" : "destination";
  if (isTooLarge(details)) {
    return {
      error_code: "export_too_large",
      error_message: `${message} Google exports documents of at most 10 MB.`,
      is_final: true,
    };
  }
  const reason = typeof details.reason === "string" ? details.reason : error.code;
  const known = REASONS[reason] ?? (error.code === "rate_limited" ? "rate_limited" : undefined);
  return {
    error_code: known
      ? `${role}_${known}`
      : error.code === "provider_error"
      ? `${role}_failed`
      : error.code,
    error_message: message,
    is_final: !isRetryable(error) && FINAL.has(reason),
  };
}

/** Whether what was to be read is there no longer. Nothing is wrong with the rule then. */
export function isGoneAtSource({ source }: JobContext, { details }: GatewayError): boolean {
  return details?.integration === source.slug && details.reason === "provider_not_found";
}

function isRetryable({ code, details }: GatewayError): boolean {
  return code === "rate_limited" || details?.retryable === true;
}

/** Drive's `exportSizeLimitExceeded`. */
function isTooLarge({ body }: Record<string, unknown>): boolean {
  const { error } = (body ?? {}) as { error?: { errors?: { reason?: string }[] } };
  return error?.errors?.some(({ reason }) => reason === "exportSizeLimitExceeded") ?? false;
}
