/**
 * marketplace-dispatch: rung by the database when there is work, drains the queue.
 *
 * A ring only wakes; it carries nothing. Losing one costs a sweep, a needless one costs a look.
 */
import { waitUntil } from "../_shared/background.ts";
import { db } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import {
  bearerToken,
  constantTimeEqual,
  createApp,
  isServiceKey,
  methodNotAllowed,
} from "../_shared/http.ts";
import { createLogger } from "../_shared/logger.ts";
import { Doorbell, drain, type DrainReport } from "./drain.ts";
import { OPENMETRICS, renderMetrics } from "./metrics.ts";
import { type DispatchSettings, readMetrics, readSettings, ringIfDue } from "./queue.ts";

const SETTINGS_MS = 60_000;
const SETTINGS_REREAD_MS = 1_000;

/** The function's Hono app, mounted at /marketplace-dispatch. */
export const app = createApp("marketplace-dispatch");

app.get("/health", async (c) => {
  const [row] = await db()`select marketplace.health() as health`;
  return c.json({ ...row?.health, draining: current !== undefined });
});
app.all("/health", methodNotAllowed("GET"));

app.get("/metrics", async (c) => {
  await authorize(bearerToken(c.req.raw));
  return c.body(renderMetrics(await readMetrics(db())), 200, { "content-type": OPENMETRICS });
});
app.all("/metrics", methodNotAllowed("GET"));

app.post("/", async (c) => {
  const settings = await authorize(bearerToken(c.req.raw));
  await c.req.raw.body?.cancel();
  const drained = wake(settings);
  if (c.req.query("wait") === "true") return c.json(await drained);
  waitUntil(drained);
  return c.json({ status: "accepted" }, 202);
});
app.all("/", methodNotAllowed("POST"));

const doorbell = new Doorbell();
let current: Promise<DrainReport> | undefined;

/**
 * Starts a drain, or makes the running one look again. One drain per isolate is enough: it sends
 * many jobs at once.
 */
function wake(settings: DispatchSettings): Promise<DrainReport> {
  doorbell.ring();
  return current ??= drainUntilQuiet(settings).finally(() => current = undefined);
}

/** Drains, and once more if somebody rang after the last look. */
async function drainUntilQuiet(
  settings: DispatchSettings,
): Promise<DrainReport> {
  const log = createLogger("marketplace-dispatch");
  const report = await drain({ sql: db(), settings, doorbell, log });
  log.info("drain.finished", { ...report });
  if (!doorbell.isRung) return report;
  if (!report.is_out_of_time) return await drainUntilQuiet(settings);
  // This isolate's time is over: the ring goes on to the next one.
  doorbell.answer();
  await ringIfDue(db());
  return report;
}

let cache: { settings: DispatchSettings; readAt: number } | undefined;

/**
 * The settings, if the token is the ring key or a service key. A key that was changed is noticed at
 * once, but a stranger cannot make us read the settings more than once a second.
 *
 * @throws AppError `invalid_token` (401)
 */
async function authorize(token: string): Promise<DispatchSettings> {
  const age = () => cache ? Date.now() - cache.readAt : Infinity;
  if (age() > SETTINGS_MS) await reread();
  if (isServiceKey(token)) return cache!.settings;
  if (constantTimeEqual(token, cache!.settings.ring_key)) {
    return cache!.settings;
  }
  if (age() > SETTINGS_REREAD_MS) {
    await reread();
    if (constantTimeEqual(token, cache!.settings.ring_key)) {
      return cache!.settings;
    }
  }
  throw new AppError(
    "invalid_token",
    401,
    "The token is neither the ring key nor a service key.",
  );
}

async function reread(): Promise<void> {
  cache = { settings: await readSettings(db()), readAt: Date.now() };
}
