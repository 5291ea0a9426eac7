/**
 * The way of one delivery: read, verify, open, store, answer. Whatever speaks against it is thrown as
 * an AppError.
 */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { functionsUrl } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import { adoptCorrelation, type AppEnv } from "../_shared/http.ts";
import type { Bytes } from "../_shared/webhooks/bytes.ts";
import type { CertificateCache } from "../_shared/webhooks/certificates.ts";
import { storedHeaders } from "../_shared/webhooks/headers.ts";
import {
  openDelivery,
  type OpenedDelivery,
  toEvents,
  type UnreadableCode,
} from "../_shared/webhooks/normalise.ts";
import { holds, type Lookup } from "../_shared/webhooks/template.ts";
import type { Verdict } from "../_shared/webhooks/verdict.ts";
import { proofHeaders, verifyDelivery } from "../_shared/webhooks/verify.ts";
import { type BodyLimits, readBodyInTime } from "./body_stream.ts";
import {
  type Closed,
  type ConfigCache,
  type Endpoint,
  type EndpointPath,
  validSecrets,
} from "./config_cache.ts";
import type { Handshakes } from "./handshakes.ts";
import type { Store, Stored } from "./ingest.ts";
import { notePush } from "./pushes.ts";

/** What a receiver works with. */
export interface ReceiverParts {
  store: Pick<Store, "ingest" | "notePush" | "noteAccountPush">;
  cache: ConfigCache;
  certificates: CertificateCache;
  handshakes: Handshakes;
  bodyLimits: Omit<BodyLimits, "maxBytes">;
  /** Called when a delivery has proven where it comes from. */
  onVerified: (c: Context<AppEnv>) => void;
  now: () => number;
}

/** One request on its way. */
export interface Exchange {
  c: Context<AppEnv>;
  path: EndpointPath;
  /** The provider's slug once it is known: refusals are counted under names of the catalogue. */
  provider?: string;
}

const CLOSED: Record<Closed["closed"], { status: number; message: string }> = {
  unknown_endpoint: { status: 404, message: "No such provider or integration." },
  not_registered: { status: 404, message: "No integration is registered for this provider." },
  inactive: { status: 404, message: "The integration is inactive." },
  no_webhooks: { status: 404, message: "This provider sends no webhooks." },
  invalid_config: { status: 503, message: "The provider's webhook settings are invalid." },
};

const UNREADABLE: Record<UnreadableCode, string> = {
  invalid_utf8: "The body is not UTF-8.",
  malformed_json: "The body is not valid JSON.",
  too_deep: "The body is nested too deeply.",
};

/** Refusals that other settings, a new secret for example, could turn around. */
const WORTH_A_RELOAD = [
  "invalid_signature",
  "missing_secret",
  "missing_setting",
  "unexpected_source",
];

/** Receives what is posted, and answers the challenges that come as GET or HEAD. */
export class Receiver {
  constructor(readonly parts: ReceiverParts) {}

  /** A POST: a delivery or a handshake. */
  async post(exchange: Exchange): Promise<Response> {
    const { cache, bodyLimits, handshakes, store, now } = this.parts;
    const { c, path } = exchange;
    const receivedAt = now();
    const startedMs = performance.now();
    let endpoint = await this.#endpoint(exchange);
    const { maxBodyBytes: maxBytes } = endpoint;
    const raw = await readBodyInTime(c.req.raw, { ...bodyLimits, maxBytes });
    const readMs = performance.now();

    const early = await handshakes.unverified(c.req.raw, raw, endpoint);
    if (early) {
      cache.forget(path);
      return early;
    }
    for (let attempt = 1; attempt <= 2; attempt++) {
      const proven = await this.#verify(exchange, { endpoint, raw, receivedAt });
      endpoint = proven.endpoint;
      const timings = { receiveMs: readMs - startedMs, verifyMs: performance.now() - readMs };
      const { webhook, integrationId, version } = endpoint;
      const delivery = this.#open(c, raw, endpoint);
      const { lookup } = delivery;
      const push = await notePush(store, endpoint, { headers: c.req.raw.headers, lookup });
      if (push) {
        c.set("facts", {
          provider: endpoint.provider,
          integration: endpoint.integrationSlug,
          outcome: push,
        });
        return c.json({ received: true, push });
      }
      const handshake = await handshakes.verified(lookup, endpoint, proven.secret);
      if (handshake) return handshake;

      const events = toEvents(delivery, webhook);
      const headers = storedHeaders(c.req.raw.headers, proofHeaders(webhook.verify));
      const rows = events.map((event) => ({
        ...event,
        ...timings,
        integrationId,
        version,
        headers,
      }));
      const stored = rows.length > 0 ? await store.ingest(rows) : [];

      if (!stored.some(({ outcome }) => outcome === "stale_config")) {
        if (stored[0]) adoptCorrelation(c, stored[0].correlationId);
        // In the request's own line: a second one would cost as much as the proof.
        c.set("facts", {
          provider: endpoint.provider,
          integration: endpoint.integrationSlug,
          event_type: events[0]?.eventType,
          event_id: stored[0]?.eventId,
          outcome: stored[0]?.outcome ?? "empty",
          events: events.length,
          bytes: raw.byteLength,
        });
        return acknowledge(c, endpoint, { stored, lookup });
      }
      // The settings changed after we had read them: what they proved does not count.
      cache.forget(path);
      endpoint = await this.#endpoint(exchange);
    }
    throw new AppError("settings_changing", 503, "The integration is being changed; try again.", {
      retryAfterSeconds: 1,
    });
  }

  /** A GET or HEAD: a challenge, or undefined. */
  async query(exchange: Exchange): Promise<Response | undefined> {
    return await this.parts.handshakes.query(exchange.c.req.raw, await this.#endpoint(exchange));
  }

  async #endpoint(exchange: Exchange): Promise<Endpoint> {
    const found = await this.parts.cache.get(exchange.path);
    if (!found) {
      throw new AppError("rate_limited", 429, "Too many unknown paths were asked for; slow down.", {
        retryAfterSeconds: 1,
      });
    }
    exchange.provider = found.provider;
    if (!("closed" in found)) return found;
    const { status, message } = CLOSED[found.closed];
    const cause = found.detail === undefined ? undefined : new Error(found.detail);
    throw new AppError(found.closed, status, message, { cause });
  }

  /** The endpoint a delivery was verified for: as given, or reloaded when that one refused it. */
  async #verify(
    { c, path }: Exchange,
    { endpoint, raw, receivedAt }: { endpoint: Endpoint; raw: Bytes; receivedAt: number },
  ): Promise<{ endpoint: Endpoint; secret: string | undefined }> {
    const { cache, onVerified } = this.parts;
    let candidate = endpoint;
    let verdict = await this.#check(c, raw, candidate);
    if (!verdict.ok && WORTH_A_RELOAD.includes(verdict.code)) {
      const fresh = await cache.get(path, { newerThan: receivedAt });
      if (fresh && !("closed" in fresh) && fresh !== endpoint) {
        candidate = fresh;
        verdict = await this.#check(c, raw, candidate);
      }
    }
    if (!verdict.ok) throw unverified(verdict, candidate);
    onVerified(c);
    return { endpoint: candidate, secret: verdict.secret };
  }

  #check(c: Context<AppEnv>, raw: Bytes, endpoint: Endpoint): Promise<Verdict> {
    const { certificates, now } = this.parts;
    const at = now();
    return verifyDelivery(endpoint.webhook.verify, {
      raw,
      headers: c.req.raw.headers,
      method: c.req.method,
      url: () => publicUrl(c, endpoint),
      now: at,
    }, { secrets: validSecrets(endpoint, at), settings: endpoint.webhook, certificates });
  }

  /** The parsed delivery, its source held to what the integration expects. */
  #open(c: Context<AppEnv>, raw: Bytes, endpoint: Endpoint): OpenedDelivery {
    const { webhook } = endpoint;
    const { url } = c.req;
    const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?")) : "");
    const delivery = openDelivery({ raw, headers: c.req.raw.headers, query }, webhook.body);
    if (!delivery.ok) throw new AppError(delivery.code, 400, UNREADABLE[delivery.code]);
    for (const [reference, setting] of Object.entries(webhook.require)) {
      const allowed = webhook[setting];
      if (allowed === undefined) throw unverified({ code: "missing_setting" }, endpoint);
      const value = delivery.lookup(reference);
      if (value === undefined || ![allowed].flat().includes(value)) {
        throw unverified({ code: "unexpected_source" }, endpoint);
      }
    }
    return delivery;
  }
}

/** The refusal of an unproven delivery; what an operator can do about it is for the log alone. */
function unverified(
  { code }: Pick<Extract<Verdict, { ok: false }>, "code">,
  { integrationSlug }: Endpoint,
): AppError {
  if (code === "keys_unavailable") {
    return new AppError(code, 503, "The provider's keys cannot be fetched now; try again.", {
      retryAfterSeconds: 5,
    });
  }
  const remedies: Partial<Record<typeof code, string>> = {
    missing_secret:
      `no webhook secret: select marketplace.set_integration_secret('${integrationSlug}', 'webhook', '…')`,
    missing_setting:
      `integration ${integrationSlug} lacks a setting in config.webhook that its provider's scheme needs; see the function's README`,
  };
  const remedy = remedies[code];
  return new AppError(code, 401, "The delivery could not be verified.", {
    cause: remedy === undefined ? undefined : new Error(remedy),
  });
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
    const headers = new Headers(rule.content_type ? { "content-type": rule.content_type } : {});
    return new Response(status === 204 ? null : rule.body, { status, headers });
  }
  const answers = stored.map(({ eventId, correlationId, outcome }) => ({
    event_id: eventId,
    correlation_id: correlationId,
    duplicate: outcome === "duplicate",
  }));
  const body = answers.length === 1 ? answers[0] : { events: answers };
  return c.json({ received: true, ...body }, status as ContentfulStatusCode);
}
