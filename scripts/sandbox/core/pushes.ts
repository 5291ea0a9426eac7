import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Clock } from "./clock.ts";

/** How pushes leave the sandbox, as `POST /_control/pushes/options` takes it. */
export const PushOptions = z.strictObject({
  /** Only this provider's: `google`, `github`. Absent: everybody's. */
  provider: z.string().min(1).optional(),
  /** `now` sends, `hold` keeps them until they are released, `drop` loses them. */
  delivery: z.enum(["now", "hold", "drop"]).optional(),
  /** How often each push is sent; all copies are equal. */
  copies: z.int().min(1).max(1000).optional(),
  /** The wait before the first repetition of a refused push, doubled each time. */
  retry_ms: z.int().min(1).max(60_000).optional(),
  /** How often a push is tried before it is given up. */
  attempts: z.int().min(1).max(10).optional(),
  /** The answer that opens a watch channel waits until its `sync` message was delivered. */
  sync_before_answer: z.boolean().optional(),
});
/** The input form of {@linkcode PushOptions}. */
export type PushOptions = z.input<typeof PushOptions>;

/** What became of a push: what was sent, where to, and each try. */
export interface PushInfo {
  id: string;
  provider: string;
  url: string;
  /** The request's headers, without credentials. */
  headers: Record<string, string>;
  state: "held" | "dropped" | "sending" | "delivered" | "failed";
  /** `status` is 0 when nobody answered. */
  attempts: { at: string; status: number; duration_ms: number }[];
}

/** A request that a provider wants to be sent. */
export interface PushRequest {
  provider: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
  /** Statuses after which the provider tries again; 0 is a connection that failed. */
  retryOn: (status: number) => boolean;
}

/** What came back for the last try of a push. */
export interface PushResult {
  status: number;
  headers: Record<string, string>;
  body: string;
  durationMs: number;
}

interface Settings {
  delivery: "now" | "hold" | "drop";
  copies: number;
  retryMs: number;
  attempts: number;
  syncBeforeAnswer: boolean;
}

interface Push extends PushInfo {
  request: PushRequest;
  settings: Settings;
}

const USUAL: Settings = {
  delivery: "now",
  copies: 1,
  retryMs: 250,
  attempts: 5,
  syncBeforeAnswer: false,
};
const PARALLEL = 16;
const TIMEOUT_MS = 10_000;
const KEPT = 5000;
const SECRETS = /^(authorization|x-goog-channel-token|x-hub-signature.*)$/;

/**
 * Sends what providers push to their subscribers. Only loopback addresses are ever called: a
 * sandbox that a test points at a real address must not reach it.
 */
export class Pushes {
  #pushes: Push[] = [];
  #settings = new Map<string, Settings>();
  #nextId = 1;
  #free = PARALLEL;
  #waiting: (() => void)[] = [];
  #ending = new AbortController();
  #underway = new Set<Promise<unknown>>();

  constructor(readonly clock: Clock) {}

  /** How the pushes of a provider leave. */
  settings(provider: string): Settings {
    return this.#settings.get(provider) ?? this.#settings.get("") ?? USUAL;
  }

  configure({ provider = "", ...wanted }: z.output<typeof PushOptions>): Settings {
    // What is said about all providers holds for those, too, that were spoken of before.
    const names = provider === "" ? ["", ...this.#settings.keys()] : [provider];
    for (const name of names) {
      const known = this.settings(name);
      this.#settings.set(name, {
        delivery: wanted.delivery ?? known.delivery,
        copies: wanted.copies ?? known.copies,
        retryMs: wanted.retry_ms ?? known.retryMs,
        attempts: wanted.attempts ?? known.attempts,
        syncBeforeAnswer: wanted.sync_before_answer ?? known.syncBeforeAnswer,
      });
    }
    return this.settings(provider);
  }

  /**
   * Sends a push, or keeps or loses it as the options say.
   *
   * @returns when it was delivered or given up: what the last answer was, if there was one
   */
  async send(request: PushRequest): Promise<PushResult | undefined> {
    const settings = this.settings(request.provider);
    const pushes = Array.from({ length: settings.copies }, () => this.#add(request, settings));
    if (settings.delivery !== "now") return undefined;
    const results = await Promise.all(pushes.map((push) => this.#track(this.#deliver(push))));
    return results[0];
  }

  /** Sends what was held; the latest first when `reverse`. @returns how many they were */
  async release(reverse = false): Promise<number> {
    const held = this.#pushes.filter(({ state }) => state === "held");
    for (const push of reverse ? held.toReversed() : held) await this.#track(this.#deliver(push));
    return held.length;
  }

  list(): PushInfo[] {
    return this.#pushes.map(({ request: _request, settings: _settings, ...info }) => info);
  }

  /** Forgets all pushes and options; what is under way is broken off. */
  async reset(): Promise<void> {
    this.#ending.abort();
    await Promise.allSettled(this.#underway);
    this.#ending = new AbortController();
    this.#pushes = [];
    this.#settings.clear();
  }

  #add(request: PushRequest, settings: Settings): Push {
    const push: Push = {
      id: `push-${this.#nextId++}`,
      provider: request.provider,
      url: request.url,
      headers: Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => !SECRETS.test(name.toLowerCase())),
      ),
      state: settings.delivery === "now"
        ? "sending"
        : settings.delivery === "hold"
        ? "held"
        : "dropped",
      attempts: [],
      request,
      settings,
    };
    this.#pushes.push(push);
    if (this.#pushes.length > KEPT) this.#pushes.shift();
    return push;
  }

  async #deliver(push: Push): Promise<PushResult | undefined> {
    const { request, settings } = push;
    const { signal } = this.#ending;
    push.state = "sending";
    let result: PushResult | undefined;
    for (let attempt = 1; attempt <= settings.attempts && !signal.aborted; attempt++) {
      result = await this.#try(push, signal);
      if (result && result.status >= 200 && result.status < 300) {
        push.state = "delivered";
        return result;
      }
      if (!request.retryOn(result?.status ?? 0) || attempt === settings.attempts) break;
      await sleep(settings.retryMs * 2 ** (attempt - 1), undefined, { signal }).catch(() => {});
    }
    push.state = "failed";
    return result;
  }

  async #try(push: Push, ending: AbortSignal): Promise<PushResult | undefined> {
    await this.#takePlace();
    const startedAt = performance.now();
    const at = new Date(this.clock.now()).toISOString();
    const note = (status: number) => {
      const duration_ms = Math.round(performance.now() - startedAt);
      push.attempts.push({ at, status, duration_ms });
      return duration_ms;
    };
    try {
      const response = await fetch(push.url, {
        method: "POST",
        headers: push.request.headers,
        body: push.request.body ?? "",
        redirect: "manual",
        signal: AbortSignal.any([ending, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      const body = await response.text();
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body,
        durationMs: note(response.status),
      };
    } catch {
      note(0);
      return undefined;
    } finally {
      this.#givePlace();
    }
  }

  async #takePlace(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((ready) => this.#waiting.push(ready));
  }

  #givePlace(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#underway.add(work);
    return work.finally(() => this.#underway.delete(work));
  }
}

/** Whether a URL leads to this machine and nowhere else. */
export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname, protocol } = new URL(url);
  return /^https?:$/.test(protocol) &&
    /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
