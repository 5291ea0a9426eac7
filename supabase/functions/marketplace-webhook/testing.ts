/** The app with a store in memory, for tests that look at one provider at a time. */
import assert from "node:assert/strict";
import { backgroundIdle } from "../_shared/background.ts";
import type { Fetch } from "../_shared/webhooks/certificates.ts";
import { type CatalogueRow, readCatalogue } from "../_shared/webhooks/testing.ts";
import { AbuseLimiter } from "./abuse_limiter.ts";
import { createWebhookApp } from "./app.ts";
import type { EventRow, Store, Stored } from "./ingest.ts";

/** What {@link openProvider} may be given. */
export interface ProviderOptions {
  secrets?: string[];
  /** Members of the integration's `config.webhook`. */
  settings?: Record<string, unknown>;
  /** Whether an operator waits for the provider's handshake. */
  expectsHandshake?: boolean;
  /** Other secrets of the integration by purpose. */
  credentials?: Record<string, string>;
  /** Milliseconds since 1970. */
  now?: () => number;
  fetch?: Fetch;
  /** What the database says of pushes; given, the integration is followed. */
  notePush?: Store["notePush"];
  noteAccountPush?: Store["noteAccountPush"];
}

/** A delivery as a provider sends it. */
export interface SentDelivery {
  body?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
  /** With its question mark. */
  query?: string;
  method?: string;
}

/** What came back. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Of a refusal. */
  code: string | undefined;
}

/** The URL that deliveries are posted to, as the provider knows it. */
export function publicUrlOf(provider: string): string {
  return `https://hooks.example.com/functions/v1/marketplace-webhook/${provider}`;
}

let catalogue: Map<string, CatalogueRow> | undefined;

/** An app that knows one integration of a provider from the catalogue. */
export async function openProvider(provider: string, options: ProviderOptions = {}) {
  catalogue ??= await readCatalogue();
  const row = catalogue.get(provider);
  assert.ok(row, `${provider} is not in the catalogue`);
  const { secrets = [], settings = {}, credentials = {}, now = Date.now } = options;
  const rows: EventRow[] = [];
  const kept = new Map<string, Stored>();
  const offered: string[] = [];
  const confirmed: string[] = [];
  const held = [...secrets];
  let { expectsHandshake = false } = options;
  const store: Store = {
    loadConfig: () =>
      Promise.resolve({
        integration_id: "0198c7de-9a3c-7c11-8a5b-1f2e3d4c5b6a",
        integration_slug: `my-${provider.replaceAll("_", "-")}`,
        provider,
        is_default: true,
        is_watched: options.notePush !== undefined || options.noteAccountPush !== undefined,
        status: "active",
        version: held.length,
        webhook_config: { ...row.webhookConfig, public_url: publicUrlOf(provider), ...settings },
        secret_env: row.secretEnv,
        max_body_bytes: row.maxBodyBytes,
        secrets: held.map((secret) => ({
          secret,
          valid_from: "2020-01-01T00:00:00Z",
          valid_until: null,
        })),
      }),
    ingest: (events) =>
      Promise.resolve(events.map((event) => {
        const known = kept.get(event.dedupeKey);
        if (known) return { ...known, outcome: "duplicate" };
        const stored: Stored = {
          outcome: "stored",
          eventId: crypto.randomUUID(),
          correlationId: crypto.randomUUID(),
        };
        rows.push(event);
        kept.set(event.dedupeKey, stored);
        return stored;
      })),
    countRejections: () => Promise.resolve(),
    health: () => assert.fail("nobody asked"),
    acceptHookSecret: (_id, secret) => {
      const isOpen = expectsHandshake;
      expectsHandshake = false;
      if (isOpen) held.push(secret);
      return Promise.resolve(isOpen);
    },
    offerSecret: (_id, secret) => Promise.resolve(void offered.push(secret)),
    credentials: () => Promise.resolve(credentials),
    notePush: options.notePush ?? (() => assert.fail("nobody follows it")),
    noteAccountPush: options.noteAccountPush ?? (() => assert.fail("nobody follows it")),
    noteConfirmation: (_id, topic) => Promise.resolve(void confirmed.push(topic)),
  };
  const app = createWebhookApp({
    store,
    now,
    fetch: options.fetch ?? (() => assert.fail("nothing is to be fetched")),
    secretFromEnv: () => undefined,
    limiter: new AbuseLimiter({ size: { burst: 1e9, perSecond: 1 } }),
    rejectionFlushMs: 1,
  });

  async function send(sent: SentDelivery): Promise<Answer> {
    const { body, headers, query = "", method = "POST" } = sent;
    const response = await app.request(`/marketplace-webhook/${provider}${query}`, {
      method,
      body: body === "" ? undefined : body,
      headers,
    });
    const text = await response.text();
    await backgroundIdle();
    let code: string | undefined;
    try {
      code = JSON.parse(text).error?.code;
    } catch {
      // Not every provider is answered with JSON.
    }
    return { status: response.status, headers: response.headers, text, code };
  }

  return { send, rows, offered, held, confirmed };
}
