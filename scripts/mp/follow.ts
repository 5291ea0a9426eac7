/**
 * Following tables whose ids are UUIDv7 by looking again and again, never by reading them whole.
 * @module
 */
import { idAt } from "./arguments.ts";

/** A line of `tail`. */
export interface TailRow {
  id: string;
  at: Date;
  kind: "event" | "job" | "artifact";
  state: string;
  subject: string;
  detail: string;
  correlation_id: string;
  /** It may still change. */
  is_open?: boolean;
}

/** Where rows come from. */
export interface Source {
  /** Rows behind an id, in the order of their ids. `from` is a lower bound of their creation. */
  page(after: string, from: Date, limit: number): Promise<readonly TailRow[]>;
  /** The same rows as they are now; absent where rows never change. */
  again?(ids: string[]): Promise<readonly TailRow[]>;
}

/**
 * A row gets its id before its transaction ends, so a lower id can appear after a higher one: this
 * much is looked through again each time.
 */
const OVERLAP_MS = 10_000;
const PAGE = 500;
/** Rows that are watched for changes; beyond it the oldest are forgotten. */
const MAX_OPEN = 1_000;
/** Pages of one look; a flood is caught up with in the next ones. */
const MAX_PAGES = 10;

/** Gives each new row once, and again whenever its state or detail has changed. */
export class Follower {
  /** What was shown of each row that the overlap can bring again, or that may still change. */
  #shown = new Map<string, string>();
  #open = new Set<string>();
  #horizon: number;
  /** Where to go on, without an overlap: at the beginning, and after a look that was cut short. */
  #next: string | undefined;

  constructor(readonly source: Source, since: Date) {
    this.#horizon = since.getTime();
    this.#next = idAt(since);
  }

  /** Whether the last call left rows for the next one. */
  get isBehind(): boolean {
    return this.#next !== undefined;
  }

  /** What is new or has changed since the last call. */
  async poll(): Promise<TailRow[]> {
    const news: TailRow[] = [];
    const show = (row: TailRow) => {
      const face = `${row.state}\0${row.detail}`;
      if (this.#shown.get(row.id) !== face) news.push(row);
      this.#shown.set(row.id, face);
      if (row.is_open) this.#open.add(row.id);
      else this.#open.delete(row.id);
    };

    const open = [...this.#open].slice(-MAX_OPEN);
    this.#open = new Set(open);
    if (open.length > 0) { for (const row of await this.source.again?.(open) ?? []) show(row); }

    let after = this.#next ?? idAt(new Date(this.#horizon - OVERLAP_MS));
    const from = new Date(createdAt(after) - OVERLAP_MS);
    for (let page = 0; page < MAX_PAGES; page++) {
      const rows = await this.source.page(after, from, PAGE);
      for (const row of rows) show(row);
      this.#next = rows.length < PAGE ? undefined : rows.at(-1)!.id;
      after = this.#next ?? after;
      this.#horizon = Math.max(this.#horizon, createdAt(rows.at(-1)?.id ?? after));
      if (this.#next === undefined) break;
    }
    this.#forget();
    return news;
  }

  /** Drops what neither the overlap nor a change can bring again. */
  #forget(): void {
    const oldest = idAt(new Date(this.#horizon - OVERLAP_MS));
    for (const id of this.#shown.keys()) {
      if (id < oldest && !this.#open.has(id)) this.#shown.delete(id);
    }
  }
}

/** The time in a UUIDv7, in milliseconds since 1970. */
export function createdAt(id: string): number {
  return parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
