/**
 * What the isolate knows about providers and integrations, for a few seconds.
 *
 * Nothing depends on it being fresh: the database refuses a delivery that was verified against an
 * older version, and a failing verification asks for a reload.
 */
import { z } from "zod";
import { WebhookConfig } from "../_shared/webhooks/config.ts";
import { TokenBucket } from "../_shared/webhooks/token_bucket.ts";

/** A row of `marketplace.webhook_config(provider, integration)`. */
const ConfigRow = z.object({
  integration_id: z.uuid().nullable(),
  integration_slug: z.string().nullable(),
  provider: z.string(),
  is_default: z.boolean(),
  is_watched: z.boolean().default(false),
  status: z.string().nullable(),
  version: z.number().nullable(),
  webhook_config: z.record(z.string(), z.unknown()),
  secret_env: z.string().nullable(),
  max_body_bytes: z.int(),
  secrets: z.array(z.object({
    secret: z.string().nullable(),
    valid_from: z.string(),
    valid_until: z.string().nullable(),
  })),
});

/** A secret and when it is valid, in milliseconds since 1970. */
interface Secret {
  value: string;
  from: number;
  until: number;
}

/** Where deliveries may be posted: a provider's integration and how it proves them. */
export interface Endpoint {
  provider: string;
  integrationId: string;
  integrationSlug: string;
  version: number;
  /** Whether somebody follows its changes, so that a push is no event. */
  isWatched: boolean;
  maxBodyBytes: number;
  webhook: WebhookConfig;
  secrets: Secret[];
}

/** Why nothing can be posted to a path. */
export type Closed = {
  closed:
    | "unknown_endpoint"
    | "not_registered"
    | "inactive"
    | "no_webhooks"
    | "invalid_config";
  /** The provider's slug when there is one: refusals are counted under names we know. */
  provider: string | undefined;
  /** For the log: what is wrong with an invalid config. */
  detail?: string;
};

/** Reads a row; null for an unknown provider or integration. */
export type ConfigLoader = (provider: string, integration: string | null) => Promise<unknown>;

/** What the cache is made with. */
export interface ConfigCacheOptions {
  load: ConfigLoader;
  /** The value of an environment variable that holds a secret. */
  secretFromEnv: (name: string) => string | undefined;
  now?: () => number;
  /** Milliseconds an entry is used without asking. */
  ttlMs?: number;
  /** Entries kept; the least recently used goes first. */
  maxEntries?: number;
}

interface Entry {
  value: Endpoint | Closed;
  loadedAt: number;
  /** Reloads that senders may provoke. */
  reloads: TokenBucket;
}

/** A wrong signature may mean a new secret: worth a look, but one a second in the long run. */
const RELOADS = { burst: 5, perSecond: 1 };

/** Paths never seen cost a query each; a flood of invented ones may cost this many. */
const LOOKUPS = { burst: 100, perSecond: 50 };

/** The isolate's cache of endpoints, negative ones included. */
export class ConfigCache {
  readonly #open = new Map<string, Entry>();
  /** Apart from the open ones, so that invented paths cannot push those out. */
  readonly #closed = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<Entry>>();
  readonly #lookups: TokenBucket;
  readonly #options: Required<ConfigCacheOptions>;

  constructor(options: ConfigCacheOptions) {
    this.#options = { now: Date.now, ttlMs: 30_000, maxEntries: 500, ...options };
    this.#lookups = new TokenBucket(LOOKUPS, this.#options.now);
  }

  /**
   * The endpoint of a path.
   *
   * @param options.newerThan time (ms since 1970) before which the answer must not have been loaded;
   *   an older one is given all the same when the path was reloaded often lately
   * @returns undefined when too many unknown paths were asked for lately
   */
  async get(
    path: EndpointPath,
    { newerThan = 0 }: { newerThan?: number } = {},
  ): Promise<Endpoint | Closed | undefined> {
    const { now, ttlMs } = this.#options;
    const key = keyOf(path);
    const known = this.#open.get(key) ?? this.#closed.get(key);
    if (known) {
      // What is closed may be opened any moment, so that is asked again as often as it may be.
      const isClosed = "closed" in known.value;
      const isOld = now() - known.loadedAt >= ttlMs;
      const mayBeWrong = isClosed || known.loadedAt < newerThan;
      if (!isOld && !(mayBeWrong && known.reloads.take())) {
        this.#keep(key, known);
        return known.value;
      }
    }
    const underWay = this.#loading.get(key);
    const isNewPath = !known || "closed" in known.value;
    if (!underWay && isNewPath && !this.#lookups.take()) return undefined;
    return (await (underWay ?? this.#load(key, path))).value;
  }

  /** Drops what is known about a path, because the database has moved on. */
  forget(path: EndpointPath): void {
    this.#open.delete(keyOf(path));
    this.#closed.delete(keyOf(path));
  }

  #load(key: string, { provider, integration }: EndpointPath): Promise<Entry> {
    const { load, now } = this.#options;
    const loading = load(provider, integration)
      .then((row) => {
        const former = this.#open.get(key) ?? this.#closed.get(key);
        const reloads = former?.reloads ?? new TokenBucket(RELOADS, now);
        const entry = { value: this.#toEndpoint(row), loadedAt: now(), reloads };
        this.#keep(key, entry);
        return entry;
      })
      .finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    return loading;
  }

  /** Makes an entry the most recently used one of its kind. */
  #keep(key: string, entry: Entry): void {
    this.#open.delete(key);
    this.#closed.delete(key);
    const entries = "closed" in entry.value ? this.#closed : this.#open;
    entries.set(key, entry);
    if (entries.size > this.#options.maxEntries) entries.delete(entries.keys().next().value!);
  }

  #toEndpoint(row: unknown): Endpoint | Closed {
    if (row === null || row === undefined) {
      return { closed: "unknown_endpoint", provider: undefined };
    }
    const config = ConfigRow.parse(row);
    const { provider } = config;
    if (Object.keys(config.webhook_config).length === 0) {
      return { closed: "no_webhooks", provider };
    }
    if (
      !config.integration_id || !config.integration_slug ||
      config.version === null
    ) {
      return { closed: "not_registered", provider };
    }
    if (config.status === "inactive") return { closed: "inactive", provider };
    const webhook = WebhookConfig.safeParse(config.webhook_config);
    if (!webhook.success) {
      return {
        closed: "invalid_config",
        provider,
        detail: z.prettifyError(webhook.error),
      };
    }
    return {
      provider,
      integrationId: config.integration_id,
      integrationSlug: config.integration_slug,
      version: config.version,
      isWatched: config.is_watched,
      maxBodyBytes: config.max_body_bytes,
      webhook: webhook.data,
      secrets: this.#toSecrets(config),
    };
  }

  #toSecrets(config: z.infer<typeof ConfigRow>): Secret[] {
    const secrets = config.secrets.flatMap((
      { secret, valid_from, valid_until },
    ) =>
      secret
        ? [{
          value: secret,
          from: Date.parse(valid_from),
          until: valid_until === null ? Infinity : Date.parse(valid_until),
        }]
        : []
    );
    const fromEnv = config.is_default && config.secret_env
      ? this.#options.secretFromEnv(config.secret_env)
      : undefined;
    if (fromEnv) secrets.push({ value: fromEnv, from: 0, until: Infinity });
    return secrets;
  }
}

/** The names in `/marketplace-webhook/<provider>[/<integration>]`. */
export interface EndpointPath {
  provider: string;
  integration: string | null;
}

function keyOf({ provider, integration }: EndpointPath): string {
  return `${provider}/${integration ?? ""}`;
}

/** The secrets that are valid at a time, in milliseconds since 1970. */
export function validSecrets({ secrets }: Endpoint, now: number): string[] {
  // A second of grace: the database's clock may be ahead of ours.
  return secrets.filter((s) => s.from <= now + 1_000 && now < s.until).map((
    s,
  ) => s.value);
}
