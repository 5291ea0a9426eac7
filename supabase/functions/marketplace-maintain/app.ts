/**
 * marketplace-maintain: looks after what nobody waits for. Tokens that are about to end, feeds of
 * changes that are due, push channels, webhooks at providers.
 *
 * Rung by the database: by pg_cron, and at once by a push. Everything is claimed with a lease and
 * stored piece by piece: a run that is cut off is continued by the next one.
 */
import { waitUntil } from "../_shared/background.ts";
import { db, type Sql } from "../_shared/db.ts";
import { bearerToken, createApp, methodNotAllowed } from "../_shared/http.ts";
import { createLogger, type Logger } from "../_shared/logger.ts";
import { requireRingKey } from "../_shared/ring_key.ts";
import { type ChannelReport, tendChannels } from "./channels.ts";
import { pullDue, type PullReport } from "./pulls.ts";
import { refreshExpiring } from "./tokens.ts";
import { tendWebhooks, type WebhookReport } from "./webhooks.ts";

/** What a run did. */
export interface MaintainReport extends PullReport, ChannelReport, WebhookReport {
  refreshed: number;
  failed: number;
}

/** Nothing is begun later than this; well below the host's wall clock limit. */
const RUN_MS = 60_000;
/**
 * After a pull, further pushes make the same cursor due within two seconds, and ring nobody: so long
 * a run stays and looks again.
 */
const LINGER_MS = 2_300;
const LOOK_AGAIN_MS = 300;

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
let next: Promise<MaintainReport> | undefined;

/**
 * One run at a time an isolate; leases keep the isolates apart. Who rings during a run may ring about
 * what it has passed by already, and gets the next one.
 */
function maintain(): Promise<MaintainReport> {
  if (!current) return current = run().finally(() => current = undefined);
  return next ??= current.catch(() => {}).then(() => {
    next = undefined;
    return maintain();
  });
}

async function run(): Promise<MaintainReport> {
  const sql = db();
  const log = createLogger("marketplace-maintain");
  const deadline = performance.now() + RUN_MS;
  const [tokens, feeds] = await Promise.all([
    refreshExpiring(sql, log, deadline),
    tendFeeds(sql, log, deadline),
  ]);
  const report = { ...tokens, ...feeds };
  log.info("maintain.finished", { ...report });
  return report;
}

/** Feeds, channels and webhooks in turn: a cursor that is begun wants a channel, and another pull. */
async function tendFeeds(sql: Sql, log: Logger, deadline: number) {
  const total = {
    pulls: 0,
    events: 0,
    failed_pulls: 0,
    channels_opened: 0,
    channels_stopped: 0,
    failed_channels: 0,
    webhooks: 0,
    failed_webhooks: 0,
  };
  let lastPull = -Infinity;
  while (performance.now() < deadline) {
    const done = {
      ...await pullDue(sql, log, deadline),
      ...await tendChannels(sql, log, deadline),
      ...await tendWebhooks(sql, log, deadline),
    };
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += done[key];
    if (done.pulls > 0) lastPull = performance.now();
    if (Object.values(done).some((count) => count > 0)) continue;
    if (performance.now() - lastPull > LINGER_MS) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  await sql`select marketplace.finish_removals()`;
  return total;
}
