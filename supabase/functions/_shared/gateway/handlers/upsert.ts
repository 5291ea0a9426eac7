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
