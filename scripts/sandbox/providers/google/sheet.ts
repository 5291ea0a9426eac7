import { GoogleError } from "./errors.ts";

/** What a cell holds; `null` is an empty one. */
export type Cell = string | number | boolean | null;

/** One sheet of a spreadsheet. */
export interface Sheet {
  id: number;
  title: string;
  /** Row by row; what is not there is empty. */
  rows: Cell[][];
  rowCount: number;
  columnCount: number;
}

/** A rectangle of cells: zero-based, `end…` exclusive. */
export interface Area {
  sheet: Sheet;
  startRow: number;
  endRow: number;
  startColumn: number;
  endColumn: number;
}

/** An empty sheet of the usual size. */
export function newSheet(title: string, id: number, rows: Cell[][] = []): Sheet {
  return {
    id,
    title,
    rows,
    rowCount: Math.max(1000, rows.length),
    columnCount: Math.max(26, ...rows.map((row) => row.length)),
  };
}

/**
 * Finds what a range in A1 notation names: `Sheet1!A1:C3`, `A2:C`, `'My sheet'!B:B`, `Sheet1`.
 *
 * @throws GoogleError `badRequest`
 * @see https://developers.google.com/workspace/sheets/api/guides/concepts#cell
 */
export function parseRange(sheets: readonly Sheet[], range: string): Area {
  const unparsable = new GoogleError("badRequest", `Unable to parse range: ${range}`);
  const mark = range.lastIndexOf("!");
  const unquote = (title: string) => title.replace(/^'(.*)'$/s, "$1").replaceAll("''", "'");
  const byTitle = (title: string) =>
    sheets.find((sheet) => sheet.title.toLowerCase() === unquote(title).toLowerCase());
  const whole = mark < 0 ? byTitle(range) : undefined;
  if (whole) return area(whole, {});
  const sheet = mark < 0 ? sheets[0] : byTitle(range.slice(0, mark));
  const cells = /^\$?([A-Za-z]{1,3})?\$?(\d+)?(?::\$?([A-Za-z]{1,3})?\$?(\d+)?)?$/
    .exec(range.slice(mark + 1));
  if (!sheet || !cells || cells[0] === "") throw unparsable;
  const [, column, row, lastColumn, lastRow] = cells;
  const isOne = !range.slice(mark + 1).includes(":");
  if (isOne && (!column || !row)) throw unparsable;
  const wanted = area(sheet, {
    startColumn: column ? columnNumber(column) : undefined,
    startRow: row ? Number(row) - 1 : undefined,
    endColumn: (isOne ? column : lastColumn)
      ? columnNumber((isOne ? column : lastColumn)!) + 1
      : undefined,
    endRow: (isOne ? row : lastRow) ? Number(isOne ? row : lastRow) : undefined,
  });
  if (wanted.startRow >= sheet.rowCount || wanted.startColumn >= sheet.columnCount) {
    throw new GoogleError(
      "badRequest",
      `Range (${
        formatRange(wanted)
      }) exceeds grid limits. Max rows: ${sheet.rowCount}, max columns: ${sheet.columnCount}`,
    );
  }
  // Beyond the grid there is nothing to read; ends are cut, as Google does.
  wanted.endRow = Math.min(wanted.endRow, sheet.rowCount);
  wanted.endColumn = Math.min(wanted.endColumn, sheet.columnCount);
  return wanted;
}

function area(
  sheet: Sheet,
  ends: { [key in keyof Omit<Area, "sheet">]?: number | undefined },
): Area {
  const [startRow, endRow] = ordered(ends.startRow, ends.endRow, sheet.rowCount);
  const [startColumn, endColumn] = ordered(ends.startColumn, ends.endColumn, sheet.columnCount);
  return { sheet, startRow, endRow, startColumn, endColumn };
}

/** `C3:A1` names the same cells as `A1:C3`; an open end is the grid's. */
function ordered(start = 0, end: number | undefined, count: number): [number, number] {
  if (end === undefined) return [start, Math.max(count, start + 1)];
  return start < end ? [start, end] : [end - 1, start + 1];
}

/** Writes a range as Google answers it. */
export function formatRange({ sheet, startRow, endRow, startColumn, endColumn }: Area): string {
  const title = /^[A-Za-z_][A-Za-z0-9_]*$/.test(sheet.title)
    ? sheet.title
    : `'${sheet.title.replaceAll("'", "''")}'`;
  const first = `${columnName(startColumn)}${startRow + 1}`;
  const last = `${columnName(endColumn - 1)}${endRow}`;
  return `${title}!${first === last ? first : `${first}:${last}`}`;
}

/** The values of a range without the empty rows and cells at its ends. */
export function readArea(
  { sheet, startRow, endRow, startColumn, endColumn }: Area,
  show: (cell: Cell) => unknown,
): unknown[][] {
  const rows = sheet.rows.slice(startRow, endRow).map((row) => {
    const cells = row.slice(startColumn, endColumn);
    while (cells.length > 0 && isEmpty(cells.at(-1))) cells.pop();
    return Array.from(cells, (cell) => show(cell ?? null));
  });
  while (rows.length > 0 && rows.at(-1)!.length === 0) rows.pop();
  return rows;
}

/**
 * Writes values from a range's first cell on; `null` leaves a cell as it is, `""` empties it.
 *
 * @returns the range that was written
 */
export function writeArea(
  target: Area,
  values: readonly (readonly Cell[])[],
): Area & { cells: number } {
  const { sheet, startRow, startColumn } = target;
  let cells = 0;
  for (const [y, line] of values.entries()) {
    const row = sheet.rows[startRow + y] ??= [];
    for (const [x, value] of line.entries()) {
      cells++;
      if (value !== null) row[startColumn + x] = value === "" ? null : value;
    }
  }
  // Holes would be left out by everything that walks over the rows.
  sheet.rows = Array.from(sheet.rows, (row) => Array.from(row ?? [], (cell) => cell ?? null));
  const width = Math.max(1, ...values.map((line) => line.length));
  const endRow = startRow + Math.max(1, values.length);
  sheet.rowCount = Math.max(sheet.rowCount, endRow);
  sheet.columnCount = Math.max(sheet.columnCount, startColumn + width);
  return { sheet, startRow, startColumn, endRow, endColumn: startColumn + width, cells };
}

/** Empties all cells of a range. */
export function clearArea({ sheet, startRow, endRow, startColumn, endColumn }: Area): void {
  for (const row of sheet.rows.slice(startRow, endRow)) {
    row.fill(null, startColumn, Math.min(endColumn, row.length));
  }
}

/** A cell as a person sees it. */
export function render(cell: Cell): string {
  if (cell === null) return "";
  return typeof cell === "boolean" ? String(cell).toUpperCase() : String(cell);
}

/** A cell as a person types it: numbers and truth values are recognised, formulas are not. */
export function typed(value: Cell): Cell {
  if (typeof value !== "string") return value;
  if (/^-?\d+(\.\d+)?$/.test(value.trim())) return Number(value);
  if (/^(true|false)$/i.test(value.trim())) return value.trim().toLowerCase() === "true";
  // A leading apostrophe says "this is text".
  return value.replace(/^'/, "");
}

/** Whether there is nothing in a cell. */
export function isEmpty(cell: Cell | undefined): boolean {
  return cell === null || cell === undefined || cell === "";
}

function columnNumber(name: string): number {
  let number = 0;
  for (const letter of name.toUpperCase()) number = number * 26 + letter.charCodeAt(0) - 64;
  return number - 1;
}

function columnName(index: number): string {
  const first = Math.floor(index / 26);
  return `${first > 0 ? columnName(first - 1) : ""}${String.fromCharCode(65 + index % 26)}`;
}
