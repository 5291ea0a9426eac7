/** Running one job whose workflow is a function of the database. */
import type { Sql } from "../_shared/db.ts";
import { toAppError } from "../_shared/errors.ts";
import { beginAttempt } from "./outcome.ts";
import { type ClaimedJob, type DispatchResult, QUERY_CANCELED, runJob } from "./queue.ts";

/**
 * Calls a job's function once. Never throws: whatever happens is an outcome.
 *
 * - it returned, and the job is completed → `delivered`
 * - it raised, ran out of time or does not exist → `failed`; nothing that it did is left
 * - the connection broke → `failed`: if it was committed, the job is completed and no longer ours
 */
export async function call(job: ClaimedJob, sql: Sql): Promise<DispatchResult> {
  const result = beginAttempt(job);
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
  if (code === QUERY_CANCELED) {
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
