// Sheets' part of the Workspace events handler through real n8n (N8N_URL): rows brought up to date.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import { makeFlow, removeFlows, sandbox, sync, uniqueName } from "./support_workspace.ts";

const sql = useDatabase();
const tables: string[] = [];
Deno.test.afterEach(() => sandbox.clearFaults());
Deno.test.afterAll(async () => {
  for (const table of tables) await sql`drop table if exists ${sql(table)}`;
  await removeFlows(sql);
});

/** A table of Postgres behind the Data API; the service role may write it. */
async function makeTable(): Promise<string> {
  const table = uniqueName("prices").replaceAll("-", "_");
  tables.push(table);
  await sql`create table ${
    sql(table)
  } (sku text primary key, price numeric, active boolean, note text, writes int not null default 0)`;
  await sql`grant all on ${sql(table)} to service_role`;
  // Counts what is really written, unchanged values too.
  await sql.unsafe(`
    create or replace function public._count_writes() returns trigger language plpgsql set search_path = ''
    as $$ begin new.writes := old.writes + 1; return new; end $$;
    create trigger count_writes before update on public.${table} for each row execute function public._count_writes();
    notify pgrst, 'reload schema';
  `);
  return table;
}

const HEADER = ["sku", "price", "active", "note"];

Deno.test("a sheet becomes rows of Postgres; what changes is updated, the rest is not touched", async () => {
  const table = await makeTable();
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "supabase",
    rule: { source_pattern: "files/**", event_types: ["sheets.spreadsheet.changed"] },
    config: { range: "Prices!A1:Z", key: "sku", table },
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "Price list",
    folder: "Shop",
    sheets: {
      Prices: [HEADER, ["a-1", 9.5, true, "blue"], ["a-2", 3, false, null], ["a-3", 7, true, "x"]],
    },
  });
  const first = await sync(sql, flow, "google_sheets", sheet);
  assert.equal(
    first.job.status,
    "completed",
    `${first.job.error_message} ${JSON.stringify(first.syncs)}`,
  );
  assert.deepEqual([first.syncs[0]!.kind, first.syncs[0]!.status], ["table", "completed"]);
  const { created, updated, unchanged } = first.syncs[0]!.result;
  assert.deepEqual({ created, updated, unchanged }, { created: 3, updated: 0, unchanged: 0 });
  const rows = async () =>
    (await sql`select sku, price::float8 as price, active, note, writes from ${
      sql(table)
    } order by sku`)
      .map((row) => ({ ...row }));
  assert.deepEqual(await rows(), [
    { sku: "a-1", price: 9.5, active: true, note: "blue", writes: 0 },
    { sku: "a-2", price: 3, active: false, note: null, writes: 0 },
    { sku: "a-3", price: 7, active: true, note: "x", writes: 0 },
  ]);

  await sandbox.editSpreadsheet(sheet.id, { cells: { "Prices!B3": 4, "Prices!D3": "now" } });
  const second = await sync(sql, flow, "google_sheets", sheet);
  assert.deepEqual(
    [
      second.syncs[0]!.result.created,
      second.syncs[0]!.result.updated,
      second.syncs[0]!.result.unchanged,
    ],
    [0, 1, 2],
  );
  assert.deepEqual(await rows(), [
    { sku: "a-1", price: 9.5, active: true, note: "blue", writes: 0 },
    { sku: "a-2", price: 4, active: false, note: "now", writes: 1 },
    { sku: "a-3", price: 7, active: true, note: "x", writes: 0 },
  ]);

  // Renamed: a new version of the file, the same rows.
  await sandbox.editSpreadsheet(sheet.id, { title: "Prices 2026" });
  await sql`update ${sql(table)} set note = 'by hand' where sku = 'a-1'`;
  const third = await sync(sql, flow, "google_sheets", sheet);
  assert.deepEqual([third.job.status, third.syncs[0]!.status], ["completed", "skipped"]);
  assert.equal((await rows())[0]!.note, "by hand");
});

Deno.test("rows that cannot be used are named, the others are synced", async () => {
  const table = await makeTable();
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "supabase",
    config: { range: "Sheet1!A1:D", key: "sku", table },
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "Mixed",
    sheets: {
      Sheet1: [HEADER, ["b-1", 1, true, ""], [null, 2, true, "no key"], [], [
        "b-1",
        3,
        true,
        "twice",
      ], ["b-2", 4]],
    },
  });
  const { job, syncs } = await sync(sql, flow, "google_sheets", sheet);
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  assert.equal(syncs[0]!.result.created, 2);
  assert.deepEqual(syncs[0]!.result.bad_rows, [
    { row: 3, reason: "sku is empty" },
    { row: 5, reason: "sku b-1 stands in row 2 already" },
  ]);
  assert.equal((await sql`select from ${sql(table)}`).length, 2);
});

Deno.test("a sheet without the key column fails once, naming the columns there are", async () => {
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "supabase",
    config: { range: "Sheet1!A1:D", key: "id", table: "nowhere" },
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "Keyless",
    sheets: { Sheet1: [["name"], ["x"]] },
  });
  const { job, syncs } = await sync(sql, flow, "google_sheets", sheet);
  assert.deepEqual([job.status, job.attempt_count], ["dead", 1]);
  assert.match(syncs[0]!.error_message!, /No column is called "id"; row 1 has name/);
});

Deno.test("a rule that says too little is not tried ten times", async () => {
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "supabase",
    config: { key: "id" },
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "Unused",
    sheets: { Sheet1: [["id"], [1]] },
  });
  const { job } = await sync(sql, flow, "google_sheets", sheet);
  assert.deepEqual([job.status, job.attempt_count, job.error_code], [
    "dead",
    1,
    "rule_misconfigured",
  ]);
  assert.match(job.error_message!, /config\.range/);
});

Deno.test("a sheet becomes records of NocoDB by its key column; what is the same is not written", async () => {
  const { id: table } = await sandbox.createNocoTable({
    title: uniqueName("Products"),
    columns: [
      { title: "sku" },
      { title: "price", type: "Number" },
      { title: "active", type: "Checkbox" },
      { title: "note" },
    ],
    records: [{ sku: "n-1", price: 1, active: true, note: "old" }, { sku: "other", price: 5 }],
  });
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "nocodb",
    config: { range: "Sheet1!A1:D", key: "sku", table },
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "To NocoDB",
    sheets: { Sheet1: [HEADER, ["n-1", 2, true, "old"], ["n-2", 3, false, "new"]] },
  });
  // NocoDB takes five requests a second.
  await sandbox.addFault({
    provider: "nocodb",
    path: "/api/v2/tables/**",
    rate_limit: { retry_after: 1 },
    times: 2,
  });
  const { job, syncs } = await sync(sql, flow, "google_sheets", sheet);
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  const { created, updated, unchanged } = syncs[0]!.result;
  assert.deepEqual({ created, updated, unchanged }, { created: 1, updated: 1, unchanged: 0 });
  const records = async () =>
    (await sandbox.nocoRecords(table)).map(({ sku, price, note }) => [sku, price, note]);
  assert.deepEqual(await records(), [["n-1", 2, "old"], ["other", 5, null], ["n-2", 3, "new"]]);

  await sandbox.editSpreadsheet(sheet.id, { cells: { "Sheet1!D3": "newer" } });
  const writes = async () =>
    (await sandbox.journal({ provider: "nocodb" })).filter(({ method, path }) =>
      path.includes(table) && method !== "GET"
    ).length;
  const before = await writes();
  await sync(sql, flow, "google_sheets", sheet);
  assert.equal(await writes() - before, 1);
  assert.deepEqual((await records())[2], ["n-2", 3, "newer"]);
});
