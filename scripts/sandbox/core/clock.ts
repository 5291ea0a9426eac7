/**
 * The sandbox's own clock: real time plus an offset that a test moves forward,
 * so that "one minute later" or "a week later" needs no sleeping.
 */
export class Clock {
  #offsetMs = 0;

  /** Milliseconds since the epoch, as the sandbox sees it. */
  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Moves the clock forward by `ms` milliseconds (negative moves it back). */
  advance(ms: number): void {
    this.#offsetMs += ms;
  }

  /** Returns to real time. */
  reset(): void {
    this.#offsetMs = 0;
  }
}
