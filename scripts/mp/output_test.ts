import assert from "node:assert/strict";
import { age, cell, type Column, duration, formatTable, Output, time } from "./output.ts";

interface Row {
  id: string;
  name: string;
  count: number;
}

const COLUMNS: Column<Row>[] = [
  { title: "id", value: (row) => row.id, kind: "id" },
  { title: "name", value: (row) => row.name, isFlexible: true },
  { title: "count", value: (row) => row.count, align: "right" },
];
const ROWS: Row[] = [
  { id: "01a1fc86-5c40-712c-a804-e6ac07c9b4f6", name: "short", count: 7 },
  { id: "01a1fc86-5d8b-7451-bd90-e21b039e6d46", name: "a name that is too long", count: 1234 },
];

Deno.test("a table has its natural widths where there is room", () => {
  assert.equal(
    formatTable(ROWS, COLUMNS, Infinity),
    [
      "id                                    name                     count",
      "01a1fc86-5c40-712c-a804-e6ac07c9b4f6  short                        7",
      "01a1fc86-5d8b-7451-bd90-e21b039e6d46  a name that is too long   1234",
    ].join("\n"),
  );
});

Deno.test("a narrow table shortens ids to what finds them, then cuts flexible columns", () => {
  assert.equal(
    formatTable(ROWS, COLUMNS, 40),
    [
      "id                  name           count",
      "01a1fc86-5c40-712c  short              7",
      "01a1fc86-5d8b-7451  a name that …   1234",
    ].join("\n"),
  );
});

Deno.test("no table is wider than it may be, as long as its columns have six characters", () => {
  for (let width = 40; width < 90; width++) {
    for (const line of formatTable(ROWS, COLUMNS, width).split("\n")) {
      assert.ok(line.length <= width, `${line.length} in ${width}`);
    }
  }
});

Deno.test("what strangers sent cannot steer a terminal", () => {
  assert.equal(cell("a\x1b[2Jb\x9bc\u202ed\r\n\te"), "a·[2Jb·c·d· ·e");
  assert.equal(cell("two\nlines", { keepLines: true }), "two\nlines");
});

Deno.test("values read as people write them", () => {
  assert.equal(cell(null), "-");
  assert.equal(cell([]), "-");
  assert.equal(cell(["a", "b"]), "a, b");
  assert.equal(cell({ a: 1 }), '{"a":1}');
  assert.equal(time(new Date("2026-01-31T09:00:00.123Z")), "2026-01-31 09:00:00Z");
  assert.equal(cell(new Date(NaN)), "-"); // Postgres' infinity
  assert.equal(age(new Date(0), 90_000), "90 s");
  assert.deepEqual([5, 600, 7200, 1e6].map(duration), ["5 s", "10 min", "2 h", "12 d"]);
});

Deno.test("with --json there is one document and no word beside it", () => {
  let written = "";
  const out = new Output(true, 80, (text) => written += text);
  out.say("Hello");
  out.table(ROWS, COLUMNS, "none");
  assert.deepEqual(JSON.parse(written), ROWS);
});
