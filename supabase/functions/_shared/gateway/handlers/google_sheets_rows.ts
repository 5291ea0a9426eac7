/**
 * A range of a spreadsheet as rows: the first one names the columns.
 * @see https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/get
 */
import { createHash } from "node:crypto";
import type { Handler } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";

/** What a cell holds. */
export type Cell = string | number | boolean | null;

/** A row that cannot be used, by its number in the sheet. */
export interface BadRow {
  row: number;
  reason: string;
}

/** A range, read. */
export interface SheetRows {
  columns: string[];
  rows: Record<string, Cell>[];
  bad_rows: BadRow[];
}

/** Reads the range. */
export const googleSheetsRows: Handler = async ({ client, parameters }) => {
  const { spreadsheetId, range, key, valueRenderOption, dateTimeRenderOption } =
    parameters as Record<string, string>;
  const query = new URLSearchParams({
    majorDimension: "ROWS",
    valueRenderOption: valueRenderOption!,
    dateTimeRenderOption: dateTimeRenderOption!,
  });
  const { status, body } = await client.call({
    method: "GET",
    url: `${client.baseUrl}/spreadsheets/${encodeURIComponent(spreadsheetId!)}/values/${
      encodeURIComponent(range!)
    }?${query}`,
  });
  const { values = [], range: found = range! } = body as { values?: Cell[][]; range?: string };
  const firstRow = Number(/![$]?[A-Z]*[$]?(\d+)/.exec(found)?.[1] ?? 1);
  const read = toRows(values, { key, firstRow });
  const sha256 = createHash("sha256").update(JSON.stringify([read.columns, read.rows]))
    .digest("hex");
  return { kind: "result", status, result: { range: found, sha256, ...read } };
};

/**
 * Values as rows by column name. Rows without any value are no rows.
 *
 * @param options.firstRow number of the header's row in the sheet, for {@link BadRow}
 * @throws ExecutionError `validation_failed` (422): a column's name twice, or no column of the key
 */
export function toRows(
  values: readonly (readonly Cell[])[],
  { key, firstRow = 1 }: { key?: string | undefined; firstRow?: number } = {},
): SheetRows {
  const header = (values[0] ?? []).map((cell) => String(cell ?? "").trim());
  const columns = header.filter((name) => name !== "");
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined) {
    throw invalid(
      `Two columns are called ${JSON.stringify(twice)}; rename one in row ${firstRow}.`,
    );
  }
  if (key !== undefined && !columns.includes(key)) {
    throw invalid(
      `No column is called ${JSON.stringify(key)}; row ${firstRow} has ${
        columns.join(", ") || "none"
      }.`,
    );
  }
  const rows: SheetRows["rows"] = [];
  const bad_rows: BadRow[] = [];
  const seen = new Map<string, number>();
  values.slice(1).forEach((cells, index) => {
    const number = firstRow + index + 1;
    const row: Record<string, Cell> = {};
    header.forEach((name, column) => {
      if (name === "") return;
      const cell = cells[column];
      row[name] = cell === undefined || cell === "" ? null : cell;
    });
    if (Object.values(row).every((cell) => cell === null)) return;
    if (key !== undefined) {
      const id = row[key];
      if (id === null || id === undefined) {
        return bad_rows.push({ row: number, reason: `${key} is empty` });
      }
      const failed = Object.entries(row).find(([, cell]) => isFormulaError(cell));
      if (failed) return bad_rows.push({ row: number, reason: `${failed[0]} is ${failed[1]}` });
      const first = seen.get(String(id));
      if (first !== undefined) {
        return bad_rows.push({
          row: number,
          reason: `${key} ${id} stands in row ${first} already`,
        });
      }
      seen.set(String(id), number);
    }
    rows.push(row);
  });
  return { columns, rows, bad_rows };
}

/** What a formula that failed, or is not done, leaves behind: nothing to write over a value with. */
function isFormulaError(cell: Cell): boolean {
  return typeof cell === "string" &&
    /^(#(REF!|N\/A|VALUE!|ERROR!|NAME\?|DIV\/0!|NUM!|NULL!)|Loading\.\.\.)$/.test(cell);
}

function invalid(message: string): ExecutionError {
  return new ExecutionError("validation_failed", 422, message, { retryable: false });
}
