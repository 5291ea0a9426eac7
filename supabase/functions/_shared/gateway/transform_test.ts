import assert from "node:assert/strict";
import { transform, transformFault } from "./transform.ts";

const value = async (source: string, input: unknown, bindings = {}) => {
  const result = await transform(source, input, bindings);
  return result.ok ? result.value : `${result.code}: ${result.message}`;
};

Deno.test("a row is wrapped into rows, rows stay as they are", async () => {
  const wrap = `{"values": $type(values[0]) = "array" ? values : [[values]]}`;
  const cases: [unknown[], unknown[][]][] = [
    [[1, 2, 3], [[1, 2, 3]]],
    [["a"], [["a"]]],
    [[null, true], [[null, true]]],
    [[[1, 2, 3]], [[1, 2, 3]]],
    [[[1], [2]], [[1], [2]]],
    [[], [[]]],
    [[[]], [[]]],
  ];
  for (const [values, expected] of cases) {
    assert.deepEqual(await value(wrap, { values }), { values: expected });
  }
});

Deno.test("bindings are variables, missing members are left out", async () => {
  assert.deepEqual(
    await value(`{"db": $connection.db, "x": $body.x, "none": nothing}`, { x: 1 }, {
      connection: { db: "acme" },
      body: { x: 1 },
    }),
    { db: "acme", x: 1 },
  );
});

Deno.test("$error speaks for the row", async () => {
  assert.equal(
    await value(`ok ? $ : $error(error)`, { ok: false, error: "no" }),
    "transform_failed: no",
  );
});

Deno.test("time, depth and size have limits", async () => {
  assert.match(
    String(await value(`($f := function($n) { $f($n + 1) }; $f(1))`, {})),
    /^transform_failed: D1012/,
  );
  assert.match(
    String(await value(`($f := function($n) { 1 + $f($n) }; $f(1))`, {})),
    /^transform_failed: D1011/,
  );
  assert.match(String(await value(`[1..1000000].($ * 2)`, {})), /^transform_failed: D2015/);
  assert.match(String(await value(`$`, "x".repeat(3_000_000))), /^too_large: .*input/);
  const half = "x".repeat(1_500_000);
  assert.match(String(await value(`{"a": $, "b": $}`, half)), /^too_large: .*output/);
});

Deno.test("an expression that is none is the row's fault", async () => {
  assert.match(await transformFault(`{"a": `) ?? "", /S0\d+/);
  assert.match(await transformFault(`$eval(x)`) ?? "", /\$eval is not allowed/);
  assert.equal(await transformFault(`{"a": a}`), undefined);
  assert.match(String(await value(`{"a": `, {})), /^transform_invalid/);
});

Deno.test("nothing is null", async () => {
  assert.equal(await value(`missing`, {}), null);
});

Deno.test("prototypes cannot be reached", async () => {
  assert.equal(await value(`constructor.constructor("return 1")()`, {}), null);
  assert.equal(await value(`$type(__proto__)`, {}), null);
  assert.equal(await value(`$lookup($, "constructor")`, {}), null);
});
