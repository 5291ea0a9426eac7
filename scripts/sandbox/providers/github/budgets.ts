import type { Clock } from "../../core/clock.ts";

const HOUR_MS = 60 * 60 * 1000;
const USUAL = { authenticated: 5000, anonymous: 60 };

/** A token's requests in the current hour, as `GET /rate_limit` tells them. */
export interface Budget {
  limit: number;
  used: number;
  remaining: number;
  /** Seconds since the epoch. */
  reset: number;
}

/**
 * GitHub's primary rate limit: so many requests an hour for each token.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
export class Budgets {
  readonly #hours = new Map<string, { used: number; resetAt: number }>();
  #limits = USUAL;

  constructor(readonly clock: Clock) {}

  /**
   * Takes requests from a token's hour.
   *
   * @param token `""` for anonymous requests
   * @returns the budget after it, and whether it allowed the requests
   */
  spend(token: string, requests: number): { allowed: boolean; budget: Budget } {
    const now = this.clock.now();
    let hour = this.#hours.get(token);
    if (!hour || hour.resetAt <= now) {
      hour = { used: 0, resetAt: now + HOUR_MS };
      this.#hours.set(token, hour);
    }
    const limit = token ? this.#limits.authenticated : this.#limits.anonymous;
    const allowed = hour.used + requests <= limit;
    if (allowed) hour.used += requests;
    return {
      allowed,
      budget: {
        limit,
        used: hour.used,
        remaining: limit - hour.used,
        reset: Math.floor(hour.resetAt / 1000),
      },
    };
  }

  /** Sets the limit of an hour and starts a new one. */
  setLimit(limit: number): void {
    this.#limits = { authenticated: limit, anonymous: Math.min(limit, USUAL.anonymous) };
    this.#hours.clear();
  }

  /** Returns to GitHub's own limits and a new hour. */
  reset(): void {
    this.#limits = USUAL;
    this.#hours.clear();
  }
}

/** Writes a budget into response headers. */
export function setBudgetHeaders(headers: Headers, budget: Budget): void {
  for (const [name, value] of Object.entries(budget)) {
    headers.set(`x-ratelimit-${name}`, String(value));
  }
  headers.set("x-ratelimit-resource", "core");
}
