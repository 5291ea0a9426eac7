/**
 * Rows of a table behind PostgREST: compared by the key column, and only what differs is upserted.
 * @see https://docs.postgrest.org/en/stable/references/api/tables_views.html#upsert
 */
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";
import { chunks, differences, type Row, type UpsertResult, writeTaken } from "./upsert.ts";

/** Keys that a URL names. */
const KEYS = 100;
/** Rows a request writes. */
const BATCH = 500;

/** Creates what is missing and changes what differs. */
export const supabaseUpsert: Handler = async (context) => {
  const { key, rows, schema } = context.parameters as { key: string; rows: Row[]; schema?: string };
  const existing: Row[] = [];
  const columns = [...new Set([key, ...rows.flatMap((row) => Object.keys(row))])];
  for (const some of chunks(rows, KEYS)) {
    const { body } = await context.client.call({
      method: "GET",
      url: `${table(context)}?${new URLSearchParams({
        select: columns.map(quote).join(","),
        [quoteIfNeeded(key)]: `in.(${some.map((row) => quote(String(row[key]))).join(",")})`,
      })}`,
      headers: { accept: "application/json", ...(schema ? { "accept-profile": schema } : {}) },
    });
    existing.push(...body as Row[]);
  }
  const { create, update, unchanged } = differences(rows, existing, key);
  let status = 200;
  const write = async (some: readonly Row[]) => {
    const query = new URLSearchParams({ on_conflict: key, columns: columns.map(quote).join(",") });
    const answer = await context.client.call({
      method: "POST",
      url: `${table(context)}?${query}`,
      headers: {
        "content-type": "application/json",
        prefer: "resolution=merge-duplicates,return=minimal",
        ...(schema ? { "content-profile": schema } : {}),
      },
      body: JSON.stringify(some),
      // The same rows again are the same rows.
    }, { isRepeatable: true });
    status = answer.status;
  };
  const created = new Set(create);
  const refused = await writeTaken([...create, ...update.map(({ row }) => row)], {
    size: BATCH,
    write,
    reasonOf,
  });
  const refusedNew = refused.filter(({ row }) => created.has(row)).length;
  const result: UpsertResult = {
    created: create.length - refusedNew,
    updated: update.length - (refused.length - refusedNew),
    unchanged,
    ...(refused.length === 0
      ? {}
      : { refused: refused.map(({ row, reason }) => ({ key: String(row[key]), reason })) }),
  };
  return { kind: "result", status, result };
};

/** What Postgres has against a row: a value that does not fit its column, a check, a key of others. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof ExecutionError) || ![400, 409].includes(error.providerStatus ?? 0)) return;
  const { code, message } = (error.response ?? {}) as { code?: string; message?: string };
  return /^2[23]/.test(code ?? "") ? message : undefined;
}

function table({ request }: HandlerContext): string {
  return request.url.split("?")[0]!;
}

/** A name or value with nothing in it that PostgREST would read as its own. */
function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function quoteIfNeeded(name: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : quote(name);
}
