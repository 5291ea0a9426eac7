import assert from "node:assert/strict";
import { drive } from "@googleapis/drive";
import { sheets, type sheets_v4 } from "@googleapis/sheets";
import { useSandbox } from "../../testing.ts";
import { googleAuth } from "./testing.ts";

const { control, url } = useSandbox();
const at = { rootUrl: `${url}/google/sheets/` };
const ROWS = [["id", "name", "done"], [1, "one", true], [2, "two", null], [null, null, null]];

function connect(): sheets_v4.Resource$Spreadsheets {
  return sheets({ version: "v4", auth: googleAuth(url), retry: false }).spreadsheets;
}

async function values(spreadsheetId: string, range: string, options = {}) {
  return (await connect().values.get({ spreadsheetId, range, ...options }, at)).data;
}

async function create(): Promise<string> {
  const rows = { Sheet1: ROWS, "My sheet": [["x"]] };
  return (await control.createSpreadsheet({ title: "Data", sheets: rows })).id;
}

Deno.test("values are read by range, without what is empty at the ends", async () => {
  const id = await create();
  assert.deepEqual(await values(id, "Sheet1!A1:Z"), {
    range: "Sheet1!A1:Z1000",
    majorDimension: "ROWS",
    values: [["id", "name", "done"], ["1", "one", "TRUE"], ["2", "two"]],
  });
  const raw = await values(id, "A2:C3", { valueRenderOption: "UNFORMATTED_VALUE" });
  assert.deepEqual(raw.values, [[1, "one", true], [2, "two"]]);
  assert.deepEqual((await values(id, "B2")).values, [["one"]]);
  assert.equal((await values(id, "B2")).range, "Sheet1!B2");
  assert.deepEqual((await values(id, "A:B", { majorDimension: "COLUMNS" })).values, [
    ["id", "1", "2"],
    ["name", "one", "two"],
  ]);
  assert.deepEqual(await values(id, "'My sheet'!B1:B9"), {
    range: "'My sheet'!B1:B9",
    majorDimension: "ROWS",
  });
  const batch = await connect().values.batchGet(
    { spreadsheetId: id, ranges: ["Sheet1!1:1", "My sheet"] },
    at,
  );
  assert.deepEqual(batch.data.valueRanges?.map((range) => range.values?.[0]?.[0]), ["id", "x"]);
});

Deno.test("a wrong range, sheet or spreadsheet is refused in Google's words", async () => {
  const id = await create();
  const message = async (spreadsheetId: string, range: string) => {
    const error = await values(spreadsheetId, range).then(() => assert.fail(), (error) => error);
    const { code, message, status } = error.response.data.error;
    return `${code} ${status} ${message}`;
  };
  assert.equal(
    await message(id, "Nope!A1"),
    "400 INVALID_ARGUMENT Unable to parse range: Nope!A1",
  );
  assert.equal(
    await message(id, "A2000:B"),
    "400 INVALID_ARGUMENT Range (Sheet1!A2000:B2000) exceeds grid limits. Max rows: 1000, max columns: 26",
  );
  assert.equal(await message("nope", "A1"), "404 NOT_FOUND Requested entity was not found.");
  const { id: document } = await control.createDocument({ title: "a" });
  assert.match(await message(document, "A1"), /^400 INVALID_ARGUMENT This operation is not supp/);
});

Deno.test("values are written as typed or raw, and the change is one of Drive", async () => {
  const id = await create();
  const update = async (range: string, rows: unknown[][], valueInputOption = "RAW") =>
    (await connect().values.update(
      { spreadsheetId: id, range, valueInputOption, requestBody: { values: rows } },
      at,
    )).data;
  const { data: start } = await drive({ version: "v3", auth: googleAuth(url) }).changes
    .getStartPageToken({}, { rootUrl: `${url}/google/` });
  assert.deepEqual(await update("Sheet1!B3", [["zwei", "FALSE"]], "USER_ENTERED"), {
    spreadsheetId: id,
    updatedRange: "Sheet1!B3:C3",
    updatedRows: 1,
    updatedColumns: 2,
    updatedCells: 2,
  });
  await update("A2:B2", [["7", null]]);
  const read = await values(id, "A2:C3", { valueRenderOption: "UNFORMATTED_VALUE" });
  assert.deepEqual(read.values, [["7", "one", true], [2, "zwei", false]]);
  const { data } = await drive({ version: "v3", auth: googleAuth(url) }).changes
    .list({ pageToken: start.startPageToken! }, { rootUrl: `${url}/google/` });
  assert.deepEqual(data.changes?.map(({ fileId }) => fileId), [id]);

  await assert.rejects(
    update("A1:B1", [["a"], ["b"]]),
    /within range \[Sheet1!A1:B1\], but tried writing to row \[2\]/,
  );
  await assert.rejects(update("A1:B1", [["a", "b", "c"]]), /writing to column \[C\]/);
  await assert.rejects(update("A1", [["a"]], ""), /'valueInputOption' is required/);
});

Deno.test("rows are appended below the table, cleared, and added to new sheets", async () => {
  const id = await create();
  const { data } = await connect().values.append({
    spreadsheetId: id,
    range: "Sheet1!A1",
    valueInputOption: "USER_ENTERED",
    requestBody: { values: [["3", "three"]] },
  }, at);
  assert.equal(data.tableRange, "Sheet1!A1:C3");
  assert.equal(data.updates?.updatedRange, "Sheet1!A4:B4");
  await connect().values.clear({ spreadsheetId: id, range: "A2:C3" }, at);
  assert.deepEqual((await values(id, "A:C")).values, [["id", "name", "done"], [], [], [
    "3",
    "three",
  ]]);
  const addSheet = { properties: { title: "Log" } };
  const requestBody = { requests: [{ addSheet }] };
  await connect().batchUpdate({ spreadsheetId: id, requestBody }, at);
  await assert.rejects(
    connect().batchUpdate({ spreadsheetId: id, requestBody }, at),
    /A sheet with the name "Log" already exists/,
  );
  const { data: spreadsheet } = await connect().get({ spreadsheetId: id }, at);
  assert.deepEqual(spreadsheet.sheets?.map(({ properties }) => properties?.title), [
    "Sheet1",
    "My sheet",
    "Log",
  ]);
});

Deno.test("people edit single cells or whole sheets, and CSV has what is in the first", async () => {
  const id = await create();
  await control.editSpreadsheet(id, { cells: { "Sheet1!B2": 'o"ne', C3: false } });
  const client = drive({ version: "v3", auth: googleAuth(url) });
  const csv = await client.files.export({ fileId: id, mimeType: "text/csv" }, {
    rootUrl: `${url}/google/`,
    responseType: "text",
  });
  assert.equal(csv.data, 'id,name,done\r\n1,"o""ne",TRUE\r\n2,two,FALSE\r\n,,');
  await control.editSpreadsheet(id, { sheets: { Sheet1: [["only"]] } });
  assert.deepEqual((await values(id, "Sheet1")).values, [["only"]]);
});

Deno.test("a spreadsheet is made by the API, and too many readings are told as 429", async () => {
  const { data } = await connect().create({ requestBody: { properties: { title: "New" } } }, at);
  assert.equal(data.sheets?.[0]?.properties?.title, "Sheet1");
  await control.addFault({ provider: "google", path: "/sheets/**", status: 429 });
  const error = await values(data.spreadsheetId!, "A1").then(() => assert.fail(), (error) => error);
  assert.equal(error.response.status, 429);
  assert.equal(error.response.data.error.status, "RESOURCE_EXHAUSTED");
});
