/** Running one job whose workflow is a function of the database. */
import type { Sql } from "../_shared/db.ts";
import { toAppError } from "../_shared/errors.ts";
import { type ClaimedJob, type DispatchResult, runJob } from "./queue.ts";

/** `query_canceled`, as after statement_timeout. */
const CANCELLED = "57014";

/**
 * Calls a job's function once. Never throws: whatever happens is an outcome.
 *
 * - it returned, and the job is completed → `delivered`
 * - it raised, ran out of time or does not exist → `failed`; nothing that it did is left
 * - the connection broke → `failed`: if it was committed, the job is completed and no longer ours
 */
export async function call(job: ClaimedJob, sql: Sql): Promise<DispatchResult> {
  const started = performance.now();
  const result = (
    outcome: DispatchResult["outcome"],
    rest: Partial<DispatchResult> = {},
  ): DispatchResult => ({
    job_id: job.job_id,
    lease_id: job.lease_id,
    outcome,
    status_code: null,
    duration_ms: Math.round((performance.now() - started) * 10) / 10,
    error_code: null,
    error: null,
    response: null,
    retry_after_ms: null,
    ...rest,
  });
  try {
    await runJob(sql, job);
    return result("delivered");
  } catch (thrown) {
    return result("failed", describe(thrown, job));
  }
}

function describe(
  thrown: unknown,
  { endpoint, timeout_ms: timeoutMs }: ClaimedJob,
): Pick<DispatchResult, "error_code" | "error" | "retryable"> {
  const { code, message, severity } = thrown as Record<
    string,
    string | undefined
  >;
  if (code === CANCELLED) {
    return {
      error_code: "timeout",
      error: `${endpoint} did not return within ${timeoutMs} ms; what it did is undone.`,
      retryable: true,
    };
  }
  // Said by Postgres, not by our connection to it: what the function raised, in its own words.
  if (severity) {
    return {
      error_code: `sqlstate_${code}`,
      error: message ?? null,
      retryable: true,
    };
  }
  const error = toAppError(thrown);
  return { error_code: error.code, error: error.message, retryable: true };
}
