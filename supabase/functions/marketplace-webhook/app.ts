/**
 * Receives webhooks: verifies each delivery, stores it once, answers. Nothing else happens before
 * the answer; routing and dispatch are rung by the database.
 */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { waitUntil } from "../_shared/background.ts";
import { functionsUrl, secretFromEnv } from "../_shared/env.ts";
import { AppError, describeError, toAppError } from "../_shared/errors.ts";
import {
  adoptCorrelation,
  type AppEnv,
  createApp,
  errorResponse,
  methodNotAllowed,
} from "../_shared/http.ts";
import { createLogger } from "../_shared/logger.ts";
import type { Bytes } from "../_shared/webhooks/bytes.ts";
import { storedHeaders } from "../_shared/webhooks/headers.ts";
import { openDelivery, type Received, toEvents } from "../_shared/webhooks/normalise.ts";
import { holds, type Lookup } from "../_shared/webhooks/template.ts";
import { verifyDelivery } from "../_shared/webhooks/verify.ts";
import { type BodyLimits, readBodyInTime } from "./body_stream.ts";
import {
  type Closed,
  ConfigCache,
  type Endpoint,
  type EndpointPath,
  proofHeaders,
  validSecrets,
} from "./config_cache.ts";
import { databaseStore, type Store, type Stored } from "./ingest.ts";
import { RejectionCounter } from "./rejections.ts";
import { AbuseLimiter, sourceOf } from "./token_bucket.ts";

const NAME = "marketplace-webhook";

/** What {@link createWebhookApp} may be given; the defaults are the real ones. */
export interface WebhookAppOptions {
  store?: Store;
  limiter?: AbuseLimiter;
  secretFromEnv?: (name: string) => string | undefined;
  now?: () => number;
  bodyLimits?: Omit<BodyLimits, "maxBytes">;
  /** Milliseconds between two writes of the refusals' counts. */
  rejectionFlushMs?: number;
}

/** Slugs as the catalogue and the registry spell them; anything else costs no query. */
const PROVIDER_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const INTEGRATION_NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;

const CLOSED: Record<Closed["closed"], { status: number; message: string }> = {
  unknown_endpoint: {
    status: 404,
    message: "No such provider or integration.",
  },
  not_registered: {
    status: 404,
    message: "No integration is registered for this provider.",
  },
  inactive: { status: 404, message: "The integration is inactive." },
  no_webhooks: { status: 404, message: "This provider sends no webhooks." },
  invalid_config: {
    status: 503,
    message: "The provider's webhook settings are invalid.",
  },
};

const HEALTH_CACHE_MS = 1_000;

/** The Hono app at `/marketplace-webhook`. */
export function createWebhookApp(options: WebhookAppOptions = {}) {
  const {
    store = databaseStore,
    limiter = new AbuseLimiter(),
    now = Date.now,
  } = options;
  const bodyLimits = { totalMs: 30_000, idleMs: 10_000, ...options.bodyLimits };
  const log = createLogger(NAME);
  const cache = new ConfigCache({
    load: store.loadConfig,
    secretFromEnv: options.secretFromEnv ?? secretFromEnv,
    now,
  });
  const rejections = new RejectionCounter({
    flush: store.countRejections,
    log,
    intervalMs: options.rejectionFlushMs,
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

  app.on("POST", ["/:provider", "/:provider/:integration"], async (c) => {
    const source = `${sourceOf(c.req.raw.headers)} ${c.req.param("provider")}`;
    const path = endpointPath(c);
    let provider: string | undefined;
    try {
      if (!path) throw refusal("unknown_endpoint", CLOSED.unknown_endpoint);
      if (!limiter.allows(source)) {
        throw new AppError(
          "rate_limited",
          429,
          "Too many refused deliveries; slow down.",
          {
            retryAfterSeconds: 1,
          },
        );
      }
      return await receive(c, path, (known) => provider = known);
    } catch (thrown) {
      // An unread body would keep the connection, and with it the sender, waiting.
      if (c.req.raw.body && !c.req.raw.bodyUsed) {
        waitUntil(c.req.raw.body.cancel().catch(() => {}));
      }
      const error = toAppError(thrown);
      if (error.status >= 500) throw error;
      limiter.refused(source);
      if (rejections.add(provider, error.code)) {
        c.get("log").warn("delivery.refused", {
          provider,
          integration: path?.integration,
          reason: error.code,
          status: error.status,
          message: error.message,
          cause: error.cause === undefined ? undefined : describeError(error.cause),
        });
      }
      return errorResponse(c, error);
    }
  });
  app.all("/:provider", methodNotAllowed("POST"));
  app.all("/:provider/:integration", methodNotAllowed("POST"));

  /** The whole way of one delivery; refusals are thrown. */
  async function receive(
    c: Context<AppEnv>,
    path: EndpointPath,
    seen: (provider: string | undefined) => void,
  ): Promise<Response> {
    const receivedAt = now();
    let endpoint = opened(await cache.get(path), seen);
    const raw = await readBodyInTime(c.req.raw, {
      ...bodyLimits,
      maxBytes: endpoint.maxBodyBytes,
    });

    for (let attempt = 1; attempt <= 2; attempt++) {
      endpoint = await verified(c, path, { endpoint, raw, receivedAt });
      limiter.verified(
        `${sourceOf(c.req.raw.headers)} ${c.req.param("provider")}`,
      );

      const received: Received = {
        raw,
        headers: c.req.raw.headers,
        query: new URL(c.req.url).searchParams,
      };
      const { webhook } = endpoint;
      const delivery = openDelivery(received, webhook.body);
      if (!delivery.ok) {
        throw new AppError(delivery.code, 400, UNREADABLE[delivery.code]);
      }
      const events = toEvents(delivery, webhook);
      const headers = storedHeaders(
        c.req.raw.headers,
        proofHeaders(webhook.verify),
      );
      const { integrationId, version } = endpoint;
      const rows = events.map((event) => ({
        ...event,
        integrationId,
        version,
        headers,
      }));
      const stored = rows.length > 0 ? await store.ingest(rows) : [];

      if (!stored.some(({ outcome }) => outcome === "stale_config")) {
        if (stored[0]) adoptCorrelation(c, stored[0].correlationId);
        c.get("log").info("delivery.stored", {
          provider: endpoint.provider,
          integration: endpoint.integrationSlug,
          event_type: events[0]?.eventType,
          event_id: stored[0]?.eventId,
          outcome: stored[0]?.outcome ?? "empty",
          events: events.length,
          bytes: raw.byteLength,
          duration_ms: now() - receivedAt,
        });
        return acknowledge(c, endpoint, { stored, lookup: delivery.lookup });
      }
      // The settings changed after we had read them: nothing counts that they proved.
      cache.forget(path);
      endpoint = opened(await cache.get(path), seen);
    }
    throw new AppError(
      "settings_changing",
      503,
      "The integration is being changed; try again.",
      {
        retryAfterSeconds: 1,
      },
    );
  }

  /** The endpoint a delivery was verified for: as given, or reloaded when that one refused it. */
  async function verified(
    c: Context<AppEnv>,
    path: EndpointPath,
    { endpoint, raw, receivedAt }: {
      endpoint: Endpoint;
      raw: Bytes;
      receivedAt: number;
    },
  ): Promise<Endpoint> {
    const check = (candidate: Endpoint) =>
      verifyDelivery(candidate.webhook.verify, {
        raw,
        headers: c.req.raw.headers,
        method: c.req.method,
        url: () => publicUrl(c, candidate),
        now: now(),
      }, validSecrets(candidate, now()));
    let verdict = await check(endpoint);
    if (verdict.ok) return endpoint;
    if (
      verdict.code === "invalid_signature" || verdict.code === "missing_secret"
    ) {
      // The secret may have been set or rotated since the settings were read.
      const fresh = await cache.get(path, { newerThan: receivedAt });
      if (fresh && !("closed" in fresh) && fresh !== endpoint) {
        verdict = await check(fresh);
        if (verdict.ok) return fresh;
      }
    }
    const cause = verdict.code === "missing_secret"
      ? new Error(
        `no webhook secret: select marketplace.set_integration_secret('${endpoint.integrationSlug}', 'webhook', '…')`,
      )
      : undefined;
    throw new AppError(
      verdict.code,
      401,
      "The delivery could not be verified.",
      { cause },
    );
  }

  return app;
}

const UNREADABLE = {
  invalid_utf8: "The body is not UTF-8.",
  malformed_json: "The body is not valid JSON.",
  too_deep: "The body is nested too deeply.",
};

function refusal(
  code: string,
  { status, message }: { status: number; message: string },
): AppError {
  return new AppError(code, status, message);
}

function endpointPath(c: Context<AppEnv>): EndpointPath | undefined {
  const provider = c.req.param("provider") ?? "";
  const integration = c.req.param("integration") ?? null;
  if (!PROVIDER_NAME.test(provider)) return undefined;
  if (
    integration !== null &&
    !(INTEGRATION_NAME.test(integration) && integration.length <= 128)
  ) {
    return undefined;
  }
  return { provider, integration };
}

/** The endpoint if deliveries may be posted to it. */
function opened(
  found: Endpoint | Closed | undefined,
  seen: (provider: string | undefined) => void,
): Endpoint {
  if (!found) {
    throw new AppError(
      "rate_limited",
      429,
      "Too many unknown paths were asked for; slow down.",
      {
        retryAfterSeconds: 1,
      },
    );
  }
  seen(found.provider);
  if (!("closed" in found)) return found;
  const { status, message } = CLOSED[found.closed];
  const cause = found.detail === undefined ? undefined : new Error(found.detail);
  throw new AppError(found.closed, status, message, { cause });
}

/** The URL the provider signed: configured, never taken from a header; the query is this request's. */
function publicUrl(c: Context<AppEnv>, { webhook }: Endpoint): string {
  const { pathname, search } = new URL(c.req.url);
  return (webhook.public_url ?? `${functionsUrl()}${pathname}`) + search;
}

function acknowledge(
  c: Context<AppEnv>,
  { webhook }: Endpoint,
  { stored, lookup }: { stored: Stored[]; lookup: Lookup },
): Response {
  const rule = webhook.ack.find((ack) => holds(ack.if ?? {}, lookup));
  const status = rule?.status ?? 200;
  if (rule && (rule.body !== undefined || status === 204)) {
    if (rule.content_type) c.header("content-type", rule.content_type);
    return new Response(status === 204 ? null : rule.body, { status, headers: c.res.headers });
  }
  const answers = stored.map(({ eventId, correlationId, outcome }) => ({
    event_id: eventId,
    correlation_id: correlationId,
    duplicate: outcome === "duplicate",
  }));
  const body = answers.length === 1 ? answers[0] : { events: answers };
  return c.json({ received: true, ...body }, status as ContentfulStatusCode);
}

/** The function's app. */
export const app = createWebhookApp();
