/** Rate limits that live in the isolate's memory and cost nothing else. */

/** How much at once, and how much in the long run. */
export interface BucketSize {
  burst: number;
  perSecond: number;
}

/** A bucket that fills steadily and is emptied by taking. */
export class TokenBucket {
  #level: number;
  #filledAt: number;

  constructor(
    readonly size: BucketSize,
    readonly now: () => number = Date.now,
  ) {
    this.#level = size.burst;
    this.#filledAt = now();
  }

  /** Takes one token; false when there is none. */
  take(): boolean {
    if (this.level() < 1) return false;
    this.#level--;
    return true;
  }

  /** Tokens in the bucket now; a fraction counts towards the next one. */
  level(): number {
    const now = this.now();
    // A clock set back adds nothing.
    const elapsed = Math.max(0, now - this.#filledAt) / 1_000;
    this.#filledAt = now;
    return this.#level = Math.min(
      this.size.burst,
      this.#level + elapsed * this.size.perSecond,
    );
  }
}
