import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, ProviderPart } from "../../core/provider.ts";
import { type DriveFile, type DriveFiles, SPREADSHEET } from "./drive_files.ts";
import { DriveAuthor, type DriveFixtures, findFile } from "./drive_fixtures.ts";
import { GoogleError } from "./errors.ts";
import { answer, readBody } from "./requests.ts";
import {
  type Area,
  type Cell,
  clearArea,
  formatRange,
  isEmpty,
  newSheet,
  parseRange,
  readArea,
  render,
  type Sheet,
  typed,
  writeArea,
} from "./sheet.ts";

const CellValue = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const Rows = z.array(z.array(CellValue));

/** A new spreadsheet, as `POST /_control/sheets/spreadsheets` takes it. */
export const SpreadsheetFixture = z.strictObject({
  title: z.string().min(1),
  /** Names from Drive's root folder down, joined by `/`; made when they are not there. */
  folder: z.string().default(""),
  /** Rows by the title of their sheet. */
  sheets: z.record(z.string(), Rows).default({ Sheet1: [] }),
  author: DriveAuthor.optional(),
  properties: z.record(z.string(), z.string()).optional(),
});
/** The input form of {@linkcode SpreadsheetFixture}. */
export type SpreadsheetFixture = z.input<typeof SpreadsheetFixture>;

/** What changes in a spreadsheet; all else of it is edited as a file of Drive. */
export const SpreadsheetEdit = z.strictObject({
  title: z.string().min(1).optional(),
  /** Rows by the title of their sheet, each replaced whole. */
  sheets: z.record(z.string(), Rows).optional(),
  /** Single cells by their place, such as `Sheet1!B2`; `null` empties one. */
  cells: z.record(z.string(), CellValue).optional(),
  author: DriveAuthor.optional(),
});
/** The input form of {@linkcode SpreadsheetEdit}. */
export type SpreadsheetEdit = z.input<typeof SpreadsheetEdit>;

const ValueRange = z.object({
  range: z.string().optional(),
  majorDimension: z.enum(["ROWS", "COLUMNS"]).default("ROWS"),
  values: Rows.default([]),
});
type ValueRange = z.output<typeof ValueRange>;

/**
 * Sheets v4: spreadsheets and the values of their cells. The spreadsheets themselves are files of
 * Drive. Formulas are kept as text, not calculated.
 *
 * @see https://developers.google.com/workspace/sheets/api/reference/rest
 */
export function createSheets(
  files: DriveFiles,
  fixtures: DriveFixtures,
): ProviderPart {
  const app = new Hono<ObservedEnv>();
  const at = "/sheets/v4/spreadsheets";

  app.post(at, async (c) => {
    const { properties, sheets } = await readBody(
      c,
      z.object({
        properties: z.object({ title: z.string().optional() }).optional(),
        sheets: z.array(z.object({ properties: z.object({ title: z.string() }) })).optional(),
      }),
    );
    const titles = sheets?.map((sheet) => sheet.properties.title) ?? ["Sheet1"];
    const file = files.create(
      { name: properties?.title ?? "Untitled spreadsheet", mimeType: SPREADSHEET },
      { native: { kind: "spreadsheet", sheets: titles.map((title, id) => newSheet(title, id)) } },
    );
    return c.json(describe(file, sheetsOf(file.id)));
  });

  app.get(`${at}/:id`, (c) => {
    const sheets = sheetsOf(c.req.param("id"));
    return answer(c, describe(files.get(c.req.param("id")), sheets));
  });

  app.post(`${at}/:call`, async (c) => {
    const [id = "", verb] = c.req.param("call").split(":");
    if (verb !== "batchUpdate") throw new GoogleError("notFound", "Not Found");
    const sheets = sheetsOf(id).map((sheet) => ({ ...sheet }));
    const { requests } = await readBody(
      c,
      z.object({
        requests: z.array(z.object({
          addSheet: z.object({ properties: z.object({ title: z.string() }) }).optional(),
        })),
      }),
    );
    const replies = requests.map(({ addSheet }, index) => {
      const where = `Invalid requests[${index}]`;
      if (!addSheet) throw new GoogleError("badRequest", `${where}: the sandbox knows addSheet.`);
      const { title } = addSheet.properties;
      if (sheets.some((sheet) => sheet.title === title)) {
        const message =
          `${where}.addSheet: A sheet with the name "${title}" already exists. Please enter another name.`;
        throw new GoogleError("badRequest", message);
      }
      const sheet = newSheet(title, Math.max(...sheets.map((each) => each.id)) + 1);
      sheets.push(sheet);
      return { addSheet: { properties: describeSheet(sheet, sheets.length - 1) } };
    });
    await save(id, sheets);
    return c.json({ spreadsheetId: id, replies });
  });

  app.get(`${at}/:id/values:batchGet`, (c) => {
    const id = c.req.param("id");
    const sheets = sheetsOf(id);
    const ranges = c.req.queries("ranges") ?? [];
    return c.json({
      spreadsheetId: id,
      valueRanges: ranges.map((range) => readValues(c, parseRange(sheets, range))),
    });
  });

  app.get(
    `${at}/:id/values/:range`,
    (c) => c.json(readValues(c, parseRange(sheetsOf(c.req.param("id")), c.req.param("range")))),
  );

  app.put(`${at}/:id/values/:range`, async (c) => {
    const id = c.req.param("id");
    const sheets = copyOf(sheetsOf(id));
    const body = await readBody(c, ValueRange);
    const written = write(sheets, c.req.param("range"), body, c.req.query("valueInputOption"));
    await save(id, sheets);
    return c.json({ spreadsheetId: id, ...describeUpdate(c, written) });
  });

  app.post(`${at}/:id/values:batchUpdate`, async (c) => {
    const id = c.req.param("id");
    const sheets = copyOf(sheetsOf(id));
    const body = await readBody(
      c,
      z.object({ valueInputOption: z.string().optional(), data: z.array(ValueRange).default([]) }),
    );
    const written = body.data.map((each) =>
      write(sheets, each.range ?? "", each, body.valueInputOption)
    );
    await save(id, sheets);
    const responses = written.map((area) => ({ spreadsheetId: id, ...describeUpdate(c, area) }));
    const total = (name: "updatedRows" | "updatedColumns" | "updatedCells") =>
      responses.reduce((sum, response) => sum + response[name], 0);
    return c.json({
      spreadsheetId: id,
      totalUpdatedRows: total("updatedRows"),
      totalUpdatedColumns: total("updatedColumns"),
      totalUpdatedCells: total("updatedCells"),
      totalUpdatedSheets: new Set(written.map(({ sheet }) => sheet.id)).size,
      responses,
    });
  });

  app.post(`${at}/:id/values/:call`, async (c) => {
    const id = c.req.param("id");
    const call = c.req.param("call");
    const range = call.slice(0, call.lastIndexOf(":"));
    const sheets = copyOf(sheetsOf(id));
    const area = parseRange(sheets, range);
    if (call.endsWith(":clear")) {
      clearArea(area);
      await save(id, sheets);
      return c.json({ spreadsheetId: id, clearedRange: formatRange(area) });
    }
    if (!call.endsWith(":append")) throw new GoogleError("notFound", "Not Found");
    const body = await readBody(c, ValueRange);
    const table = tableAt(area);
    const target = { ...area, startRow: table.endRow, startColumn: table.startColumn };
    const values = inputOf(body, c.req.query("valueInputOption"));
    const written = writeArea(target, values);
    await save(id, sheets);
    return c.json({
      spreadsheetId: id,
      ...(table.endRow > table.startRow && { tableRange: formatRange(table) }),
      updates: { spreadsheetId: id, ...describeUpdate(c, written) },
    });
  });

  /** @throws GoogleError `notFound`, `badRequest` when it is no spreadsheet */
  function sheetsOf(id: string): Sheet[] {
    const file = files.all().find((each) => each.id === id);
    if (!file) throw new GoogleError("notFound", "Requested entity was not found.");
    if (file.native?.kind === "spreadsheet") return file.native.sheets;
    throw new GoogleError("badRequest", "This operation is not supported for this document");
  }

  async function save(id: string, sheets: Sheet[]): Promise<void> {
    await files.update(id, {}, { native: { kind: "spreadsheet", sheets } });
  }

  const control = new Hono();
  control.post("/sheets/spreadsheets", async (c) => {
    const wanted = SpreadsheetFixture.parse(await c.req.json());
    const sheets = Object.entries(wanted.sheets).map(([title, rows], id) =>
      newSheet(title, id, rows)
    );
    const file = files.create({
      name: wanted.title,
      mimeType: SPREADSHEET,
      parents: [files.folder(wanted.folder).id],
      ...(wanted.properties && { properties: wanted.properties }),
    }, { native: { kind: "spreadsheet", sheets }, author: wanted.author });
    return c.json(fixtures.describe(file), 201);
  });
  control.patch("/sheets/spreadsheets/:id", async (c) => {
    const { id } = findFile(files, c.req.param("id"), SPREADSHEET);
    const { title, author, cells = {}, ...wanted } = SpreadsheetEdit.parse(await c.req.json());
    let sheets = copyOf(sheetsOf(id));
    for (const [name, rows] of Object.entries(wanted.sheets ?? {})) {
      const known = sheets.find((sheet) => sheet.title === name);
      const sheet = newSheet(name, known?.id ?? sheets.length, rows);
      sheets = known ? sheets.map((each) => each === known ? sheet : each) : [...sheets, sheet];
    }
    for (const [place, value] of Object.entries(cells)) {
      writeArea(parseRange(sheets, place), [[value ?? ""]]);
    }
    const isEdited = wanted.sheets !== undefined || Object.keys(cells).length > 0;
    const file = await files.update(id, title === undefined ? {} : { name: title }, {
      author,
      ...(isEdited && { native: { kind: "spreadsheet", sheets } }),
    });
    return c.json(fixtures.describe(file));
  });

  return { app, control };
}

function describe(file: DriveFile, sheets: readonly Sheet[]): Record<string, unknown> {
  return {
    spreadsheetId: file.id,
    properties: {
      title: file.name,
      locale: "en_US",
      autoRecalc: "ON_CHANGE",
      timeZone: "Etc/GMT",
    },
    sheets: sheets.map((sheet, index) => ({ properties: describeSheet(sheet, index) })),
    spreadsheetUrl: `https://docs.google.com/spreadsheets/d/${file.id}/edit`,
  };
}

function describeSheet({ id, title, rowCount, columnCount }: Sheet, index: number) {
  return {
    sheetId: id,
    title,
    index,
    sheetType: "GRID",
    gridProperties: { rowCount, columnCount },
  };
}

function readValues(c: Context, area: Area): Record<string, unknown> {
  const option = c.req.query("valueRenderOption") ?? "FORMATTED_VALUE";
  const rows = readArea(area, (cell) => option === "FORMATTED_VALUE" ? render(cell) : cell ?? "");
  const majorDimension = c.req.query("majorDimension") ?? "ROWS";
  const values = majorDimension === "COLUMNS" ? transpose(rows, "") : rows;
  return { range: formatRange(area), majorDimension, ...(values.length > 0 && { values }) };
}

/** @throws GoogleError `badRequest` when the values do not fit the range or how they are meant is not said */
function write(sheets: readonly Sheet[], range: string, body: ValueRange, option?: string) {
  const area = parseRange(sheets, range);
  const values = inputOf(body, option);
  const rows = area.endRow - area.startRow;
  const columns = area.endColumn - area.startColumn;
  // One cell only says where the values begin.
  const isStart = rows === 1 && columns === 1;
  const wide = values.find((line) => line.length > columns);
  if (!isStart && (values.length > rows || wide)) {
    const beyond = values.length > rows
      ? `row [${area.startRow + rows + 1}]`
      : `column [${
        formatRange({ ...area, startColumn: area.endColumn }).replace(/.*!|\d.*/g, "")
      }]`;
    throw new GoogleError(
      "badRequest",
      `Requested writing within range [${formatRange(area)}], but tried writing to ${beyond}`,
    );
  }
  return writeArea(area, values);
}

/** @throws GoogleError `badRequest` */
function inputOf({ values, majorDimension }: ValueRange, option: string | undefined): Cell[][] {
  if (!option || option === "INPUT_VALUE_OPTION_UNSPECIFIED") {
    throw new GoogleError("badRequest", "'valueInputOption' is required but not specified");
  }
  if (option !== "RAW" && option !== "USER_ENTERED") {
    const message =
      `Invalid value at 'value_input_option' (type.googleapis.com/google.apps.sheets.v4.ValueInputOption), "${option}"`;
    throw new GoogleError("badRequest", message);
  }
  const rows = majorDimension === "COLUMNS" ? transpose(values, null) as Cell[][] : values;
  return option === "RAW" ? rows : rows.map((row) => row.map(typed));
}

function describeUpdate(c: Context, written: Area & { cells: number }) {
  return {
    updatedRange: formatRange(written),
    updatedRows: written.endRow - written.startRow,
    updatedColumns: written.endColumn - written.startColumn,
    updatedCells: written.cells,
    ...(c.req.query("includeValuesInResponse") === "true" && {
      updatedData: readValues(c, written),
    }),
  };
}

/** The table that values are appended to: from the range's first row to the last one that is filled. */
function tableAt({ sheet, startRow, startColumn }: Area): Area {
  const filled = sheet.rows.map((row) => row.some((cell) => !isEmpty(cell)));
  const endRow = Math.max(filled.lastIndexOf(true) + 1, startRow);
  const width = Math.max(1, ...sheet.rows.map((row) => row.length));
  return { sheet, startRow, endRow, startColumn, endColumn: Math.max(startColumn + 1, width) };
}

function copyOf(sheets: readonly Sheet[]): Sheet[] {
  return sheets.map((sheet) => ({ ...sheet, rows: sheet.rows.map((row) => [...row]) }));
}

function transpose(rows: readonly (readonly unknown[])[], missing: unknown): unknown[][] {
  const width = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: width }, (_, x) => rows.map((row) => row[x] ?? missing));
}
