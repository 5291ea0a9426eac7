/**
 * Public keys out of certificates that a delivery points to.
 *
 * The URL comes from the sender, so the caller holds it to a rule first; here it is fetched without
 * redirects, in bounded time and size, once for many waiters, and remembered, failures too.
 */
import { X509Certificate } from "node:crypto";
import { importX509 } from "jose";
import { TokenBucket } from "./token_bucket.ts";

/** Fetches as the platform does; tests bring their own. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A key, or why there is none: `invalid` is the sender's fault, `unavailable` the moment's. */
export type KeyResult = { ok: true; key: CryptoKey } | {
  ok: false;
  code: "invalid" | "unavailable";
};

type Hash = "SHA-1" | "SHA-256";

interface Entry {
  result: KeyResult;
  /** Milliseconds since 1970. */
  until: number;
}

/** Senders try again within seconds, so a hiccup is soon forgotten. */
const KEPT_MS = { key: 24 * 3_600_000, invalid: 60_000, unavailable: 5_000 };

/** A sender may invent URLs; this many are fetched all the same. */
const FETCHES = { burst: 20, perSecond: 1 };
const MAX_BYTES = 65_536;
const TIMEOUT_MS = 3_000;

/** The certificates an isolate has seen. */
export class CertificateCache {
  readonly #keys = new Map<string, Entry>();
  /** Apart from the keys, so that invented URLs cannot push those out. */
  readonly #failures = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<KeyResult>>();
  readonly #fetches: TokenBucket;
  readonly #options: Required<CertificateCacheOptions>;

  constructor(options: CertificateCacheOptions = {}) {
    this.#options = { fetch: globalThis.fetch, now: Date.now, maxEntries: 100, ...options };
    this.#fetches = new TokenBucket(FETCHES, this.#options.now);
  }

  /** The RSA key of the certificate at a URL, for signatures over this hash. */
  async key(url: string, hash: Hash): Promise<KeyResult> {
    const { now } = this.#options;
    const id = `${hash} ${url}`;
    const known = this.#keys.get(id) ?? this.#failures.get(id);
    if (known && known.until > now()) return known.result;
    const underWay = this.#loading.get(id);
    if (underWay) return await underWay;
    if (!this.#fetches.take()) return { ok: false, code: "unavailable" };
    const loading = this.#load(url, hash);
    this.#loading.set(id, loading);
    const result = await loading;
    this.#loading.delete(id);
    const [entries, keptMs] = result.ok
      ? [this.#keys, KEPT_MS.key]
      : [this.#failures, KEPT_MS[result.code]];
    entries.delete(id);
    entries.set(id, { result, until: now() + keptMs });
    if (entries.size > this.#options.maxEntries) entries.delete(entries.keys().next().value!);
    return result;
  }

  async #load(url: string, hash: Hash): Promise<KeyResult> {
    let pem: string;
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await this.#options.fetch(url, { redirect: "error", signal });
      if (!response.ok) {
        await response.body?.cancel();
        // A certificate that does not exist was not the provider's to begin with.
        const isTheirs = response.status < 500 && response.status !== 429;
        return { ok: false, code: isTheirs ? "invalid" : "unavailable" };
      }
      pem = await readText(response);
    } catch {
      return { ok: false, code: "unavailable" };
    }
    try {
      return { ok: true, key: await this.#toKey(pem, hash) };
    } catch {
      return { ok: false, code: "invalid" };
    }
  }

  async #toKey(pem: string, hash: Hash): Promise<CryptoKey> {
    const [first] = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(pem) ?? [];
    if (!first) throw new Error("no certificate");
    const { validFrom, validTo } = new X509Certificate(first);
    const now = this.#options.now();
    if (!(Date.parse(validFrom) <= now && now <= Date.parse(validTo))) throw new Error("expired");
    // The cast: node's typings, where they are loaded, call the same thing by another name.
    const key = await importX509(first, "RS256", { extractable: true }) as CryptoKey;
    const spki = await crypto.subtle.exportKey("spki", key);
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash };
    return await crypto.subtle.importKey("spki", spki, algorithm, false, ["verify"]);
  }
}

/** What a {@link CertificateCache} is made with. */
export interface CertificateCacheOptions {
  fetch?: Fetch;
  /** Milliseconds since 1970. */
  now?: () => number;
  maxEntries?: number;
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  if (response.body) {
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > MAX_BYTES) throw new Error("too large");
    }
  }
  return text;
}
