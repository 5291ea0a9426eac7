/**
 * Receives webhooks: verifies each delivery, stores it once, answers. Nothing else happens before
 * the answer; routing and dispatch are rung by the database.
 */
import type { Context } from "hono";
import { waitUntil } from "../_shared/background.ts";
import { secretFromEnv } from "../_shared/env.ts";
import { AppError, describeError, toAppError } from "../_shared/errors.ts";
import { type AppEnv, createApp, errorResponse, methodNotAllowed } from "../_shared/http.ts";
import { createLogger } from "../_shared/logger.ts";
import { CertificateCache, type Fetch } from "../_shared/webhooks/certificates.ts";
import { AbuseLimiter, type Sender, sourceOf } from "./abuse_limiter.ts";
import type { BodyLimits } from "./body_stream.ts";
import { ConfigCache, type EndpointPath } from "./config_cache.ts";
import { Handshakes } from "./handshakes.ts";
import { databaseStore, type Store } from "./ingest.ts";
import { type Exchange, Receiver } from "./receiver.ts";
import { RejectionCounter } from "./rejections.ts";

const NAME = "marketplace-webhook";

/** What {@link createWebhookApp} may be given; the defaults are the real ones. */
export interface WebhookAppOptions {
  store?: Store;
  limiter?: AbuseLimiter;
  secretFromEnv?: (name: string) => string | undefined;
  fetch?: Fetch;
  /** Milliseconds since 1970. */
  now?: () => number;
  bodyLimits?: Omit<BodyLimits, "maxBytes">;
  /** Milliseconds between two writes of the refusals' counts. */
  rejectionFlushMs?: number;
}

const ONE_DELIVERY = ["/:provider", "/:provider/:integration"];

/** Slugs as the catalogue and the registry spell them; anything else costs no query. */
const PROVIDER_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const INTEGRATION_NAME = /^(?=.{1,128}$)[a-z0-9]+(-[a-z0-9]+)*$/;

const HEALTH_CACHE_MS = 1_000;

/** The Hono app at `/marketplace-webhook`. */
export function createWebhookApp(options: WebhookAppOptions = {}) {
  const { store = databaseStore, limiter = new AbuseLimiter(), now = Date.now } = options;
  const fetch: Fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const log = createLogger(NAME);
  const rejections = new RejectionCounter({
    flush: store.countRejections,
    log,
    intervalMs: options.rejectionFlushMs,
  });
  const receiver = new Receiver({
    store,
    cache: new ConfigCache({
      load: store.loadConfig,
      secretFromEnv: options.secretFromEnv ?? secretFromEnv,
      now,
    }),
    certificates: new CertificateCache({ fetch, now }),
    handshakes: new Handshakes({ store, fetch, now }),
    bodyLimits: { totalMs: 30_000, idleMs: 10_000, ...options.bodyLimits },
    onVerified: (c) => limiter.verified(senderOf(c)),
    now,
  });
  const app = createApp(NAME);

  let health: { at: number; report: ReturnType<Store["health"]> } | undefined;
  app.get("/health", async (c) => {
    if (!health || now() - health.at >= HEALTH_CACHE_MS) {
      health = { at: now(), report: store.health() };
    }
    try {
      return c.json(await health.report);
    } catch (error) {
      health = undefined;
      log.error("health.unavailable", { error: describeError(error) });
      c.header("retry-after", "5");
      return c.json({ status: "unavailable", database: "unreachable" }, 503);
    }
  });
  app.all("/health", methodNotAllowed("GET"));

  app.on("POST", ONE_DELIVERY, (c) => guard(c, (exchange) => receiver.post(exchange)));
  app.on("GET", ONE_DELIVERY, (c) =>
    guard(c, async (exchange) => {
      const answer = await receiver.query(exchange);
      return answer ?? await methodNotAllowed("POST")(c, async () => {}) as Response;
    }));
  for (const path of ONE_DELIVERY) app.all(path, methodNotAllowed("POST"));

  /** Lets a request through unless its source is abusive, and counts it when it is refused. */
  async function guard(
    c: Context<AppEnv>,
    handle: (exchange: Exchange) => Promise<Response>,
  ): Promise<Response> {
    const path = endpointPath(c);
    const exchange: Partial<Exchange> = { c, path };
    try {
      if (!path) throw new AppError("unknown_endpoint", 404, "No such provider or integration.");
      if (!limiter.allows(senderOf(c))) {
        throw new AppError("rate_limited", 429, "Too many refused deliveries; slow down.", {
          retryAfterSeconds: 1,
        });
      }
      return await handle(exchange as Exchange);
    } catch (thrown) {
      // An unread body would keep the connection, and with it the sender, waiting.
      const { raw } = c.req;
      if (raw.body && !raw.bodyUsed) waitUntil(raw.body.cancel().catch(() => {}));
      const error = toAppError(thrown);
      if (error.status >= 500) throw error;
      // Who is slowed down already gets its tokens back meanwhile.
      if (error.status !== 429) limiter.refused(senderOf(c), exchange.provider === undefined);
      if (rejections.add(exchange.provider, error.code)) {
        c.get("log").warn("delivery.refused", {
          provider: exchange.provider,
          integration: path?.integration,
          reason: error.code,
          status: error.status,
          message: error.message,
          cause: error.cause === undefined ? undefined : describeError(error.cause),
        });
      }
      return errorResponse(c, error);
    }
  }

  return app;
}

/** Whom refusals are counted against. */
function senderOf(c: Context<AppEnv>): Sender {
  const provider = (c.req.param("provider") ?? "").slice(0, 64);
  return { source: sourceOf(c.req.raw.headers), provider };
}

function endpointPath(c: Context<AppEnv>): EndpointPath | undefined {
  const provider = c.req.param("provider") ?? "";
  const integration = c.req.param("integration") ?? null;
  const isPossible = PROVIDER_NAME.test(provider) &&
    (integration === null || INTEGRATION_NAME.test(integration));
  return isPossible ? { provider, integration } : undefined;
}

/** The function's app. */
export const app = createWebhookApp();
