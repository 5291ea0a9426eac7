/**
 * One statement for all deliveries that came while the database was busy with the one before.
 *
 * A delivery that comes alone is inserted at once and waits for nobody. Under load the commit is what
 * costs, and deliveries that would have queued for it share the next one instead.
 */
import { toAppError } from "../_shared/errors.ts";
import type { EventRow, Stored } from "./ingest.ts";

/** What a {@link SharedInsert} is made with. */
export interface SharedInsertOptions {
  /** Stores rows in one statement and says in their order what became of each. */
  insert: (rows: EventRow[]) => Promise<Stored[]>;
  /** Statements under way from which on deliveries wait for each other. */
  busyAt?: number;
  /** Milliseconds a delivery waits at most for a statement that hangs. */
  patienceMs?: number;
  /** Rows of one statement; a single delivery may have more. */
  maxRows?: number;
  /** Characters of payload of one statement; a single delivery may have more. */
  maxCharacters?: number;
}

/** A delivery's rows, stored together or not at all. */
interface Waiting {
  rows: EventRow[];
  characters: number;
  stored: (outcomes: Stored[]) => void;
  failed: (reason: unknown) => void;
}

/** Shares inserts between deliveries. */
export class SharedInsert {
  readonly #options: Required<SharedInsertOptions>;
  #waiting: Waiting[] = [];
  #underWay = 0;
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SharedInsertOptions) {
    this.#options = {
      busyAt: 1,
      patienceMs: 25,
      maxRows: 64,
      maxCharacters: 512 * 1024,
      ...options,
    };
  }

  /**
   * Stores a delivery's rows; resolves after the commit.
   *
   * @throws whatever the statement failed with; one delivery's data never fails another's
   */
  add(rows: EventRow[]): Promise<Stored[]> {
    return new Promise((stored, failed) => {
      const characters = rows.reduce(
        (sum, { payload }) => sum + payload.length,
        0,
      );
      this.#waiting.push({ rows, characters, stored, failed });
      if (this.#underWay < this.#options.busyAt) this.#start();
      else this.#patience ??= setTimeout(() => this.#start(), this.#options.patienceMs);
    });
  }

  /** Sends those who wait, as many as one statement takes. */
  #start(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const group = this.#takeGroup();
    if (group.length === 0) return;
    this.#underWay++;
    void this.#store(group).finally(() => {
      this.#underWay--;
      if (this.#underWay < this.#options.busyAt) this.#start();
    });
    if (this.#waiting.length > 0) {
      this.#patience = setTimeout(
        () => this.#start(),
        this.#options.patienceMs,
      );
    }
  }

  #takeGroup(): Waiting[] {
    const { maxRows, maxCharacters } = this.#options;
    let rows = 0;
    let characters = 0;
    const end = this.#waiting.findIndex((each, index) => {
      rows += each.rows.length;
      characters += each.characters;
      return index > 0 && (rows > maxRows || characters > maxCharacters);
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  async #store(group: Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#options.insert(
        group.flatMap(({ rows }) => rows),
      );
      let from = 0;
      for (const { rows, stored } of group) {
        stored(outcomes.slice(from, from += rows.length));
      }
    } catch (error) {
      if (group.length === 1 || toAppError(error).code === "database_unavailable") {
        for (const { failed } of group) failed(error);
        return;
      }
      // One of them cannot be stored, and the statement does not say which.
      await Promise.all(
        group.map(({ rows, stored, failed }) => this.#options.insert(rows).then(stored, failed)),
      );
    }
  }
}
