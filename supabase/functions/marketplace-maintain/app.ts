/**
 * marketplace-maintain: rung by pg_cron, looks after connections that nobody uses just now.
 *
 * Each token is claimed with a lease and stored by itself: a run that is cut off is continued by the
 * next one.
 */
import { waitUntil } from "../_shared/background.ts";
import { db } from "../_shared/db.ts";
import { describeError } from "../_shared/errors.ts";
import { bearerToken, createApp, methodNotAllowed } from "../_shared/http.ts";
import { createLogger } from "../_shared/logger.ts";
import { claimExpiring, renew } from "../_shared/oauth/tokens.ts";
import { requireRingKey } from "../_shared/ring_key.ts";

/** What a run did. */
export interface MaintainReport {
  refreshed: number;
  failed: number;
}

/** How many token endpoints are asked side by side. */
const PARALLEL = 8;
/** No refresh is begun later than this; well below the host's wall clock limit. */
const RUN_MS = 60_000;

/** The function's Hono app, mounted at /marketplace-maintain. */
export const app = createApp("marketplace-maintain");

app.post("/", async (c) => {
  await requireRingKey(bearerToken(c.req.raw));
  await c.req.raw.body?.cancel();
  const run = maintain();
  if (c.req.query("wait") === "true") return c.json(await run);
  waitUntil(run);
  return c.json({ status: "accepted" }, 202);
});
app.all("/", methodNotAllowed("POST"));

let current: Promise<MaintainReport> | undefined;

/** One run an isolate; others share it, and leases keep the isolates apart. */
function maintain(): Promise<MaintainReport> {
  return current ??= refreshExpiring().finally(() => current = undefined);
}

async function refreshExpiring(): Promise<MaintainReport> {
  const sql = db();
  const log = createLogger("marketplace-maintain");
  const deadline = performance.now() + RUN_MS;
  const report: MaintainReport = { refreshed: 0, failed: 0 };
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
  log.info("maintain.finished", { ...report });
  return report;
}
