/** Tokens that are about to end and that nobody uses just now. */
import type { Sql } from "../_shared/db.ts";
import { describeError } from "../_shared/errors.ts";
import type { Logger } from "../_shared/logger.ts";
import { claimExpiring, renew } from "../_shared/oauth/tokens.ts";

/** How many token endpoints are asked side by side. */
const PARALLEL = 8;

/** Renews them until none is left, or it is time to stop. */
export async function refreshExpiring(
  sql: Sql,
  log: Logger,
  deadline: number,
): Promise<{ refreshed: number; failed: number }> {
  const report = { refreshed: 0, failed: 0 };
  const work = async () => {
    while (performance.now() < deadline) {
      // One at a time each: a slow provider holds nobody's lease but its own.
      const [lease] = await claimExpiring(sql, 1);
      if (!lease) return;
      try {
        if ((await renew(sql, lease)).ok) report.refreshed++;
        else report.failed++;
      } catch (error) {
        report.failed++;
        log.error("refresh.failed", {
          grant_id: lease.grant_id,
          error: describeError(error),
        });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return report;
}
