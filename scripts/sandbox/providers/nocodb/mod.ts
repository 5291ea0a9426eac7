import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Refusal } from "../../core/faults.ts";
import { FixtureError } from "../../core/fixtures.ts";
import type { ObservedEnv, Provider, Sandbox } from "../../core/provider.ts";
import { compileWhere, NocoError, type NocoRecord } from "./where.ts";

/** The fixed, public token of the sandbox's NocoDB (`xc-token`). */
export const NOCODB_TOKEN = "sandbox-nocodb-token";

const COLUMN_TYPES = [
  "SingleLineText",
  "LongText",
  "Email",
  "URL",
  "SingleSelect",
  "MultiSelect",
  "Date",
  "DateTime",
  "JSON",
  "Number",
  "Decimal",
  "Checkbox",
] as const;

/** A table, as `POST /_control/nocodb/tables` takes it. `Id`, `CreatedAt` and `UpdatedAt` are there anyway. */
export const NocoTableFixture = z.strictObject({
  /** Chosen by NocoDB when absent. */
  id: z.string().regex(/^[a-z0-9]+$/).optional(),
  title: z.string().min(1),
  columns: z.array(z.strictObject({
    title: z.string().min(1),
    type: z.enum(COLUMN_TYPES).default("SingleLineText"),
    required: z.boolean().default(false),
    /** No two records may have the same value. */
    unique: z.boolean().default(false),
  })),
  records: z.array(z.record(z.string(), z.unknown())).default([]),
});
/** The input form of {@linkcode NocoTableFixture}. */
export type NocoTableFixture = z.input<typeof NocoTableFixture>;

type Column = z.output<typeof NocoTableFixture>["columns"][number];

interface Table {
  id: string;
  title: string;
  columns: Column[];
  records: Map<number, NocoRecord>;
  nextId: number;
}

const BASE_ID = "psandbox0000000";
const USUAL_LIMIT = 25;
const LONGEST_LIMIT = 1000;
const SYSTEM_FIELDS = ["Id", "CreatedAt", "UpdatedAt"];

/**
 * NocoDB v2: one base, its tables, and their records.
 *
 * @see https://data-apis-v2.nocodb.com/
 */
export function createNocoDB(sandbox: Sandbox): Provider {
  const tables = new Map<string, Table>();
  const app = new Hono<ObservedEnv>();

  app.use(async (c, next) => {
    if (c.req.header("xc-token") !== NOCODB_TOKEN) {
      throw new NocoError(
        401,
        "AUTHENTICATION_REQUIRED",
        "Authentication required - Invalid token",
      );
    }
    await next();
  });

  app.get("/api/v2/meta/bases", (c) => {
    const list = [{ id: BASE_ID, title: "Sandbox", type: "database" }];
    return c.json({ list, pageInfo: pageInfo(1, 0, 1) });
  });

  app.get("/api/v2/meta/bases/:id/tables", (c) => {
    const id = c.req.param("id");
    if (id !== BASE_ID) throw new NocoError(404, "BASE_NOT_FOUND", `Base '${id}' not found`);
    const list = [...tables.values()].map((table) => ({
      id: table.id,
      base_id: BASE_ID,
      title: table.title,
      table_name: table.title,
      type: "table",
    }));
    return c.json({ list, pageInfo: pageInfo(list.length, 0, list.length || 1) });
  });

  app.get("/api/v2/meta/tables/:id", (c) => {
    const { id, title, columns } = find(c.req.param("id"));
    const described = columns.map((column) => ({
      title: column.title,
      column_name: column.title,
      uidt: column.type,
      rqd: column.required,
    }));
    const pk = { title: "Id", column_name: "id", uidt: "ID", pk: true, rqd: true };
    return c.json({
      id,
      base_id: BASE_ID,
      title,
      table_name: title,
      columns: [pk, ...described],
    });
  });

  const at = "/api/v2/tables/:table/records";

  app.get(at, (c) => {
    const table = find(c.req.param("table"));
    const found = search(c, table);
    const limit = Math.min(Number(c.req.query("limit")) || USUAL_LIMIT, LONGEST_LIMIT);
    const offset = Number(c.req.query("offset") ?? 0);
    if (!Number.isInteger(offset) || offset < 0) {
      throw new NocoError(
        422,
        "INVALID_OFFSET_VALUE",
        `Offset value '${c.req.query("offset")}' is invalid`,
      );
    }
    return c.json({
      list: found.slice(offset, offset + limit).map((record) => select(c, table, record)),
      pageInfo: pageInfo(found.length, offset, limit),
    });
  });

  app.get(`${at}/count`, (c) => c.json({ count: search(c, find(c.req.param("table"))).length }));

  app.get(`${at}/:id`, (c) => {
    const table = find(c.req.param("table"));
    return c.json(select(c, table, findRecord(table, c.req.param("id"))));
  });

  app.post(at, async (c) => {
    const table = find(c.req.param("table"));
    const body = await readRecords(c);
    const made = body.list.map((values) => check(table, values));
    checkUnique(table, made);
    const ids = made.map((values) => ({ Id: insert(table, values).Id }));
    return c.json(body.isList ? ids : ids[0]!);
  });

  app.patch(at, async (c) => {
    const table = find(c.req.param("table"));
    const body = await readRecords(c);
    const changed = body.list.map((values) => {
      const record = findRecord(table, idOf(values));
      const now = new Date(sandbox.clock.now()).toISOString();
      return { ...record, ...check(table, values, record), UpdatedAt: stamp(now) };
    });
    checkUnique(table, changed);
    for (const record of changed) table.records.set(record.Id, record);
    const ids = changed.map(({ Id }) => ({ Id }));
    return c.json(body.isList ? ids : ids[0]!);
  });

  app.delete(at, async (c) => {
    const table = find(c.req.param("table"));
    const body = await readRecords(c);
    const found = body.list.map((values) => findRecord(table, idOf(values)));
    for (const { Id } of found) table.records.delete(Id);
    const ids = found.map(({ Id }) => ({ Id }));
    return c.json(body.isList ? ids : ids[0]!);
  });

  app.all(
    "*",
    (c) => c.json({ msg: `Cannot ${c.req.method} ${new URL(c.req.url).pathname}` }, 404),
  );
  app.onError((error, c) => {
    if (error instanceof NocoError) return errorResponse(error);
    console.error(error);
    return c.json({ error: "INTERNAL_SERVER_ERROR", message: "Internal server error" }, 500);
  });

  function find(id: string): Table {
    const table = tables.get(id);
    if (table) return table;
    throw new NocoError(404, "TABLE_NOT_FOUND", `Table '${id}' not found`);
  }

  function insert(table: Table, values: Record<string, unknown>): NocoRecord {
    const now = stamp(new Date(sandbox.clock.now()).toISOString());
    const empty = Object.fromEntries(table.columns.map(({ title }) => [title, null]));
    const record = { ...empty, ...values, Id: table.nextId++, CreatedAt: now, UpdatedAt: null };
    table.records.set(record.Id, record);
    return record;
  }

  const control = new Hono();
  control.post("/nocodb/tables", async (c) => {
    const wanted = NocoTableFixture.parse(await c.req.json());
    const id = wanted.id ?? `m${crypto.randomUUID().replaceAll("-", "").slice(0, 14)}`;
    if (tables.has(id)) {
      throw new FixtureError(`There is a table ${id} already; choose another id.`);
    }
    const { title, columns } = wanted;
    const table: Table = { id, title, columns, records: new Map(), nextId: 1 };
    try {
      for (const values of wanted.records) insert(table, check(table, values));
    } catch (error) {
      throw error instanceof NocoError ? new FixtureError(error.message) : error;
    }
    tables.set(id, table);
    return c.json({ id, title, base_id: BASE_ID }, 201);
  });
  control.get("/nocodb/tables/:id/records", (c) => {
    const table = tables.get(c.req.param("id"));
    if (!table) throw new FixtureError(`There is no table ${c.req.param("id")}.`);
    return c.json({ records: [...table.records.values()] });
  });

  return { name: "nocodb", app, control, refuse, reset: () => tables.clear() };
}

function errorResponse({ status, code, message }: NocoError): Response {
  return Response.json({ error: code, message }, { status });
}

function refuse({ status, error, retryAfter }: Refusal): Response {
  if (retryAfter !== undefined || status === 429) {
    const body = { statusCode: 429, message: "ThrottlerException: Too Many Requests" };
    const response = Response.json(body, { status: status ?? 429 });
    if (retryAfter !== undefined) response.headers.set("retry-after", String(retryAfter));
    return response;
  }
  const code = error ?? "INTERNAL_SERVER_ERROR";
  return errorResponse(new NocoError(status ?? 500, code, "A fault was asked for."));
}

function pageInfo(totalRows: number, offset: number, pageSize: number) {
  return {
    totalRows,
    page: Math.floor(offset / pageSize) + 1,
    pageSize,
    isFirstPage: offset === 0,
    isLastPage: offset + pageSize >= totalRows,
  };
}

function titlesOf({ columns }: Table): Set<string> {
  return new Set([...SYSTEM_FIELDS, ...columns.map(({ title }) => title)]);
}

/** @throws NocoError */
function search(c: Context, table: Table): NocoRecord[] {
  const titles = titlesOf(table);
  const where = c.req.query("where");
  const matches = where ? compileWhere(where, titles) : () => true;
  const sorts = listOf(c, "sort").map((sort) => ({
    title: sort.replace(/^-/, ""),
    sign: sort.startsWith("-") ? -1 : 1,
  }));
  for (const { title } of sorts) {
    if (!titles.has(title)) {
      throw new NocoError(404, "FIELD_NOT_FOUND", `Field '${title}' not found`);
    }
  }
  return [...table.records.values()].filter(matches).sort((a, b) => {
    for (const { title, sign } of sorts) {
      const [x, y] = [a[title] as string, b[title] as string];
      if (x !== y) return (x < y ? -1 : 1) * sign;
    }
    return a.Id - b.Id;
  });
}

function select(c: Context, table: Table, record: NocoRecord): Record<string, unknown> {
  const wanted = listOf(c, "fields").filter((title) => titlesOf(table).has(title));
  if (wanted.length === 0) return record;
  return Object.fromEntries(wanted.map((title) => [title, record[title]]));
}

/** A list by commas or by repetition. */
function listOf(c: Context, name: string): string[] {
  return (c.req.queries(name) ?? []).flatMap((each) => each.split(","))
    .map((each) => each.trim()).filter(Boolean);
}

/** @throws NocoError */
function findRecord({ records }: Table, id: unknown): NocoRecord {
  const record = records.get(Number(id));
  if (record) return record;
  throw new NocoError(404, "RECORD_NOT_FOUND", `Record '${id}' not found`);
}

/** @throws NocoError */
function idOf({ Id }: Record<string, unknown>): unknown {
  if (Id !== undefined && Id !== null) return Id;
  throw new NocoError(
    422,
    "INVALID_PK_VALUE",
    `Primary key value '${Id}' is invalid for column 'Id'`,
  );
}

/** @throws NocoError */
async function readRecords(
  c: Context,
): Promise<{ list: Record<string, unknown>[]; isList: boolean }> {
  const body = await c.req.json().catch(() => undefined);
  const parsed = z.union([
    z.array(z.record(z.string(), z.unknown())),
    z.record(z.string(), z.unknown()),
  ])
    .safeParse(body);
  if (!parsed.success) throw new NocoError(400, "BAD_JSON", "Invalid JSON in request body");
  const isList = Array.isArray(parsed.data);
  return {
    list: isList
      ? parsed.data as Record<string, unknown>[]
      : [parsed.data as Record<string, unknown>],
    isList,
  };
}

/**
 * What of the values the table takes; what it has no column for is left out, as NocoDB does.
 *
 * @param known the record that is changed
 * @throws NocoError
 */
function check(
  { columns }: Table,
  values: Record<string, unknown>,
  known?: NocoRecord,
): Record<string, unknown> {
  const checked: Record<string, unknown> = {};
  for (const { title, type, required } of columns) {
    const value = Object.hasOwn(values, title) ? values[title] : known?.[title];
    if (required && (value === undefined || value === null || value === "")) {
      throw new NocoError(422, "REQUIRED_FIELD_MISSING", `Field '${title}' is required`);
    }
    if (Object.hasOwn(values, title)) checked[title] = convert(title, type, values[title]);
  }
  return checked;
}

function convert(title: string, type: Column["type"], value: unknown): unknown {
  if (value === null || value === undefined) return null;
  const invalid = new NocoError(
    422,
    "INVALID_VALUE_FOR_FIELD",
    `Invalid value '${value}' for type '${type}' on column '${title}'`,
  );
  if (type === "Number" || type === "Decimal") {
    const number = value === "" ? null : Number(value);
    if (number === null) return null;
    if (Number.isNaN(number) || typeof value === "boolean") throw invalid;
    return type === "Number" ? Math.round(number) : number;
  }
  if (type === "Checkbox") {
    return value === true || value === 1 || value === "true" || value === "1";
  }
  if (type === "JSON") return value;
  if (typeof value === "object") throw invalid;
  if ((type === "Date" || type === "DateTime") && Number.isNaN(Date.parse(String(value)))) {
    throw invalid;
  }
  return String(value);
}

/** @throws NocoError when a value of a unique column would be there twice */
function checkUnique(
  { columns, records }: Table,
  changed: readonly Record<string, unknown>[],
): void {
  for (const { title } of columns.filter(({ unique }) => unique)) {
    const others = [...records.values()].filter(({ Id }) =>
      !changed.some((record) => record.Id === Id)
    );
    const values = [...others, ...changed].map((record) => record[title]).filter((value) =>
      value !== null && value !== undefined
    );
    if (new Set(values).size === values.length) continue;
    throw new NocoError(422, "ERROR_DUPLICATE_RECORD", `Record with this ${title} already exists`);
  }
}

/** NocoDB writes `2026-01-31 12:00:00+00:00`. */
function stamp(iso: string): string {
  return iso.replace("T", " ").replace(/\.\d+Z$/, "+00:00");
}
