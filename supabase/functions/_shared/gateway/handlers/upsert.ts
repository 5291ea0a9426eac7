/** Bringing a table up to date by a key column: what is missing, what differs, nothing else. */

/** A row by column name. */
export type Row = Record<string, unknown>;

/** What is to be written. */
export interface Differences<Existing extends Row> {
  create: Row[];
  update: { existing: Existing; row: Row; changes: Row }[];
  unchanged: number;
}

/** What was written. */
export interface UpsertResult {
  created: number;
  updated: number;
  unchanged: number;
  /** Rows that the table does not take, by their key; absent: it takes all. */
  refused?: RefusedRow[];
}

/** A row that was refused alone. */
export interface RefusedRow {
  key: string;
  reason: string;
}

/** Rows that are refused one by one before all of it is taken to be wrong. */
const MAX_REFUSED = 20;

/**
 * Writes rows in batches. A batch that is refused is halved until it is known which rows are: the
 * others are written. Only for batches that are written whole or not at all.
 *
 * @param write throws when the batch is refused
 * @param reasonOf why it is, if that is about its rows
 * @throws what `write` threw: for another reason, of more than twenty rows, or of all there are
 */
export async function writeTaken<T>(
  rows: readonly T[],
  { size, write, reasonOf }: {
    size: number;
    write: (batch: readonly T[]) => Promise<void>;
    reasonOf: (error: unknown) => string | undefined;
  },
): Promise<{ row: T; reason: string }[]> {
  const refused: { row: T; reason: string }[] = [];
  const attempt = async (batch: readonly T[]): Promise<void> => {
    try {
      await write(batch);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason === undefined || refused.length >= MAX_REFUSED) throw error;
      if (batch.length > 1) {
        const half = Math.ceil(batch.length / 2);
        await attempt(batch.slice(0, half));
        await attempt(batch.slice(half));
        return;
      }
      refused.push({ row: batch[0]!, reason });
      if (refused.length === rows.length) throw error;
    }
  };
  for (const batch of chunks(rows, size)) await attempt(batch);
  return refused;
}

/**
 * Compares rows with those of the same key.
 *
 * @param rows of two rows with one key the last one counts
 * @param existing of the table, those with the rows' keys at least
 */
export function differences<Existing extends Row>(
  rows: readonly Row[],
  existing: readonly Existing[],
  key: string,
): Differences<Existing> {
  const byKey = new Map(existing.map((row) => [canonical(row[key]), row]));
  const wanted = new Map(rows.map((row) => [canonical(row[key]), row]));
  const found: Differences<Existing> = { create: [], update: [], unchanged: 0 };
  for (const [id, row] of wanted) {
    const there = byKey.get(id);
    if (!there) {
      found.create.push(row);
      continue;
    }
    const changes = Object.fromEntries(
      Object.entries(row).filter(([name, value]) => canonical(value) !== canonical(there[name])),
    );
    if (Object.keys(changes).length === 0) found.unchanged++;
    else found.update.push({ existing: there, row, changes });
  }
  return found;
}

/** Pieces of a list. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from(
    { length: Math.ceil(items.length / size) },
    (_, index) => items.slice(index * size, (index + 1) * size),
  );
}

/** A value as text that does not depend on whether a column is of numbers or of texts. */
function canonical(value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "object") return JSON.stringify(value);
  const text = String(value);
  // A code such as 007 is no number.
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text) ? String(Number(text)) : text;
}
