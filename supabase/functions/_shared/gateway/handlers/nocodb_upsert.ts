/**
 * NocoDB has no upsert: records are read, compared by the key column, created and changed.
 * @see https://data-apis-v2.nocodb.com/
 */
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";
import { chunks, differences, type Row, type UpsertResult } from "./upsert.ts";

const PAGE = 1000;
/** Records that are looked through. */
const MAX_RECORDS = 50_000;
/** Records a request writes. */
const BATCH = 100;

/** Creates what is missing and changes what differs. */
export const nocodbUpsert: Handler = async (context) => {
  const { key, rows } = context.parameters as { key: string; rows: Row[] };
  const { create, update, unchanged } = differences(
    rows,
    rows.length > 0 ? await readAll(context) : [],
    key,
  );
  let status = 200;
  for (const records of chunks(update, BATCH)) {
    const body = records.map(({ existing, changes }) => ({ Id: existing.Id, ...changes }));
    status = await write(context, "PATCH", body);
  }
  for (const records of chunks(create, BATCH)) status = await write(context, "POST", records);
  const result: UpsertResult = { created: create.length, updated: update.length, unchanged };
  return { kind: "result", status, result };
};

async function readAll(context: HandlerContext): Promise<Row[]> {
  const records: Row[] = [];
  for (;;) {
    const { body } = await context.client.call({
      method: "GET",
      url: `${table(context)}?limit=${PAGE}&offset=${records.length}`,
    });
    const { list, pageInfo } = body as { list: Row[]; pageInfo?: { isLastPage?: boolean } };
    records.push(...list);
    if (list.length === 0 || pageInfo?.isLastPage !== false) return records;
    if (records.length >= MAX_RECORDS) {
      throw new ExecutionError(
        "validation_failed",
        422,
        `The table has more than ${MAX_RECORDS} records, the most that are compared.`,
      );
    }
  }
}

async function write(
  context: HandlerContext,
  method: "POST" | "PATCH",
  records: Row[],
): Promise<number> {
  const { status } = await context.client.call({
    method,
    url: table(context),
    headers: { ...context.request.headers, "content-type": "application/json" },
    body: JSON.stringify(records),
    // What was created before an answer was lost is found by the next look.
  }, { isRepeatable: method === "PATCH" });
  return status;
}

function table({ request }: HandlerContext): string {
  return request.url.split("?")[0]!;
}
