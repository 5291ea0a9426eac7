/** How one attempt went, as it is written down. */
import type { ClaimedJob, DispatchResult } from "./queue.ts";

/** Makes the outcomes of a job's attempt that begins now; what is not given is null. */
export function beginAttempt(
  job: Pick<ClaimedJob, "job_id" | "lease_id">,
): (outcome: DispatchResult["outcome"], rest?: Partial<DispatchResult>) => DispatchResult {
  const started = performance.now();
  return (outcome, rest = {}) => ({
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
}
