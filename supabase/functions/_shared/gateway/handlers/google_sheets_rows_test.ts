import assert from "node:assert/strict";
import { toRows } from "./google_sheets_rows.ts";
import { differences, writeTaken } from "./upsert.ts";

Deno.test("the first row names the columns; what has no name is left out", () => {
  const { columns, rows } = toRows([["id", "", " name "], [1, "aside", "a"], [2]]);
  assert.deepEqual(columns, ["id", "name"]);
  assert.deepEqual(rows, [{ id: 1, name: "a" }, { id: 2, name: null }]);
});

Deno.test("rows without a usable key are named by their number in the sheet", () => {
  const values = [
    ["id", "n"],
    ["", 1],
    [],
    [7, 2],
    ["7", 3],
    ["#REF!", 4],
    [8, 5],
    [9, "#DIV/0!"],
    [10, "Loading..."],
    [11, "#1 of all"],
  ];
  assert.deepEqual(toRows(values, { key: "id", firstRow: 3 }), {
    columns: ["id", "n"],
    rows: [{ id: 7, n: 2 }, { id: 8, n: 5 }, { id: 11, n: "#1 of all" }],
    bad_rows: [
      { row: 4, reason: "id is empty" },
      { row: 7, reason: "id 7 stands in row 6 already" },
      { row: 8, reason: "id is #REF!" },
      { row: 10, reason: "n is #DIV/0!" },
      { row: 11, reason: "n is Loading..." },
    ],
  });
});

Deno.test("a header that cannot be used is refused, saying why", () => {
  assert.throws(() => toRows([["a", "b", "a"]]), /Two columns are called "a"/);
  assert.throws(() => toRows([["a"]], { key: "id" }), /No column is called "id"; row 1 has a/);
  assert.throws(() => toRows([], { key: "id" }), /row 1 has none/);
});

Deno.test("what a table holds already is not written, whatever type its columns have", () => {
  const rows = [
    { id: 1, price: 9.5, note: null },
    { id: 2, price: 3, note: "x" },
    { id: "007", price: 1, note: "" },
    { id: 4, price: 4, note: "new" },
  ];
  const existing = [
    { id: "1", price: "9.50", note: "" },
    { id: "2", price: "4", note: "x" },
    { id: "007", price: 1, note: null },
    { id: "7", price: 1, note: null },
  ];
  assert.deepEqual(differences(rows, existing, "id"), {
    create: [rows[3]],
    update: [{ existing: existing[1], row: rows[1], changes: { price: 3 } }],
    unchanged: 2,
  });
});

Deno.test("of a refused batch what is not to blame is written, and the rest is named", async () => {
  class Refused extends Error {}
  const run = async (rows: number[], refuses: (row: number) => boolean) => {
    const written: number[] = [];
    let calls = 0;
    const refused = await writeTaken(rows, {
      size: 50,
      write(batch) {
        calls++;
        if (batch.some(refuses)) throw new Refused(`${batch.find(refuses)}`);
        return Promise.resolve(void written.push(...batch));
      },
      reasonOf: (error) => error instanceof Refused ? error.message : undefined,
    });
    return { written: written.length, refused, calls };
  };
  const rows = Array.from({ length: 120 }, (_, index) => index);
  const two = await run(rows, (row) => row === 7 || row === 99);
  assert.equal(two.written, 118);
  assert.deepEqual(two.refused, [{ row: 7, reason: "7" }, { row: 99, reason: "99" }]);
  assert.ok(two.calls < 35, `${two.calls} requests`);
  await assert.rejects(run(rows, (row) => row < 30), Refused, "so many are no slips");
  await assert.rejects(run([1], () => true), Refused, "and all of them neither");
  assert.equal((await run([], () => true)).calls, 0);
});
