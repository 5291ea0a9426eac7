/** Refused deliveries: counted, never kept. */
import { waitUntil } from "../_shared/background.ts";
import { describeError } from "../_shared/errors.ts";
import type { Logger } from "../_shared/logger.ts";

/** One counter's growth. */
export interface RejectionCount {
  provider: string;
  reason: string;
  count: number;
}

/** What the counter is made with. */
export interface RejectionCounterOptions {
  /** Writes the counts; may fail. */
  flush: (rows: RejectionCount[]) => Promise<void>;
  log: Logger;
  /** Milliseconds between two writes. */
  intervalMs?: number;
}

/** Providers × reasons; whatever exceeds it is counted together. */
const MAX_KEYS = 300;

/** Adds refusals up in memory and writes them at most once a second, after the response. */
export class RejectionCounter {
  #counts = new Map<string, RejectionCount>();
  #isScheduled = false;

  constructor(readonly options: RejectionCounterOptions) {}

  /**
   * Counts a refusal.
   *
   * @param provider slug, or undefined when the path names no provider we know
   * @returns whether it is the first of its kind since the last write, and so worth a log line
   */
  add(provider: string | undefined, reason: string): boolean {
    const isNew = this.#add({
      provider: provider ?? "unknown",
      reason,
      count: 1,
    });
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      waitUntil(this.#flushLater());
    }
    return isNew;
  }

  #add(row: RejectionCount): boolean {
    const key = `${row.provider} ${row.reason}`;
    const known = this.#counts.get(key);
    if (known) {
      known.count += row.count;
      return false;
    }
    if (this.#counts.size >= MAX_KEYS && row.provider !== "other") {
      return this.#add({
        provider: "other",
        reason: "other",
        count: row.count,
      });
    }
    this.#counts.set(key, { ...row });
    return true;
  }

  async #flushLater(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.options.intervalMs ?? 1_000));
    const rows = [...this.#counts.values()];
    this.#counts = new Map();
    this.#isScheduled = false;
    try {
      await this.options.flush(rows);
    } catch (error) {
      // Counted again with the next refusal's write.
      for (const row of rows) this.#add(row);
      this.options.log.warn("rejections.unwritten", {
        error: describeError(error),
      });
    }
  }
}
