/**
 * One statement for all that came while the database was busy with the one before.
 *
 * What comes alone is sent at once and waits for nobody. Under load the round trip and the commit are
 * what costs, and those who would have queued for them share the next ones instead.
 */
import { toAppError } from "./errors.ts";

/** What a {@link SharedStatement} is made with. */
export interface SharedStatementOptions<Item, Result> {
  /** Sends items in one statement and says in their order what became of each. */
  run: (items: Item[]) => Promise<Result[]>;
  /** Characters of an item. */
  sizeOf: (item: Item) => number;
  /** Statements under way from which on callers wait for each other. */
  busyAt?: number;
  /** So many callers wait for nobody: they get one statement more, beside those of `busyAt`. */
  crowd?: number;
  /** Milliseconds a caller waits at most for a statement that hangs. */
  patienceMs?: number;
  /** Items of one statement; a single caller may have more. */
  maxItems?: number;
  /** Characters of one statement; a single caller may have more. */
  maxCharacters?: number;
}

/** A caller's items, sent together. */
interface Waiting<Item, Result> {
  items: Item[];
  characters: number;
  done: (results: Result[]) => void;
  failed: (reason: unknown) => void;
}

/** Shares statements between callers. */
export class SharedStatement<Item, Result> {
  readonly #options: Required<SharedStatementOptions<Item, Result>>;
  #waiting: Waiting<Item, Result>[] = [];
  #underWay = 0;
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SharedStatementOptions<Item, Result>) {
    this.#options = {
      busyAt: 1,
      crowd: Infinity,
      patienceMs: 25,
      maxItems: 64,
      maxCharacters: 512 * 1024,
      ...options,
    };
  }

  /**
   * Sends a caller's items; resolves after the commit.
   *
   * @throws whatever the statement failed with; one caller's data never fails another's
   */
  add(items: Item[]): Promise<Result[]> {
    return new Promise((done, failed) => {
      const characters = items.reduce((sum, item) => sum + this.#options.sizeOf(item), 0);
      this.#waiting.push({ items, characters, done, failed });
      if (this.#mayStart()) this.#start();
      else this.#patience ??= setTimeout(() => this.#start(), this.#options.patienceMs);
    });
  }

  #mayStart(): boolean {
    const { busyAt, crowd } = this.#options;
    return this.#underWay < busyAt + (this.#waiting.length >= crowd ? 1 : 0);
  }

  /** Sends those who wait, as many as one statement takes. */
  #start(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const group = this.#takeGroup();
    if (group.length === 0) return;
    this.#underWay++;
    void this.#send(group).finally(() => {
      this.#underWay--;
      if (this.#mayStart()) this.#start();
    });
    if (this.#waiting.length > 0) {
      this.#patience = setTimeout(() => this.#start(), this.#options.patienceMs);
    }
  }

  #takeGroup(): Waiting<Item, Result>[] {
    const { maxItems, maxCharacters } = this.#options;
    let count = 0;
    let characters = 0;
    const end = this.#waiting.findIndex((each, index) => {
      count += each.items.length;
      characters += each.characters;
      return index > 0 && (count > maxItems || characters > maxCharacters);
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  async #send(group: Waiting<Item, Result>[]): Promise<void> {
    const { run } = this.#options;
    try {
      const results = await run(group.flatMap(({ items }) => items));
      let from = 0;
      for (const { items, done } of group) done(results.slice(from, from += items.length));
    } catch (error) {
      if (group.length === 1 || toAppError(error).code === "database_unavailable") {
        for (const { failed } of group) failed(error);
        return;
      }
      // One of them cannot be taken, and the statement does not say which.
      await Promise.all(group.map(({ items, done, failed }) => run(items).then(done, failed)));
    }
  }
}
