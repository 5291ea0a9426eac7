import assert from "node:assert/strict";
import { toForm, toPairs, toQuery } from "./serialize.ts";

const query = (value: unknown, style?: string) => {
  const schema = { type: "object", properties: { a: style ? { "x-style": style } : {} } };
  const result = toPairs({ a: value }, schema);
  return result.ok ? toQuery(result.pairs) : result.message;
};

Deno.test("plain values are written as JSON writes them", () => {
  assert.equal(query("x y&z=1"), "a=x%20y%26z%3D1");
  assert.equal(query(true), "a=true");
  assert.equal(query(1.5), "a=1.5");
  assert.equal(query(""), "a=");
  assert.equal(query("\ud800"), "a=%EF%BF%BD", "half a surrogate pair");
  assert.equal(query(null), "");
  assert.equal(query(undefined), "");
});

Deno.test("lists are repeated unless the schema says otherwise", () => {
  assert.equal(query(["x", "y z"]), "a=x&a=y%20z");
  assert.equal(query(["x", "y"], "comma"), "a=x%2Cy");
  assert.equal(query(["x", "y"], "brackets"), "a[0]=x&a[1]=y");
  assert.equal(query(["x", 1], "json"), "a=%5B%22x%22%2C1%5D");
  assert.equal(query([]), "");
  assert.equal(query([], "comma"), "");
});

Deno.test("objects need brackets or JSON", () => {
  assert.equal(
    query({ b: { c: [1, { d: true }] } }, "brackets"),
    "a[b][c][0]=1&a[b][c][1][d]=true",
  );
  assert.equal(query({ b: null }, "brackets"), "a[b]=");
  assert.equal(query(null, "brackets"), "a=");
  assert.equal(query({ b: 1 }, "json"), "a=%7B%22b%22%3A1%7D");
  assert.equal(query({ b: 1 }), "the parameter a must be a list of plain values");
  assert.equal(query([{ b: 1 }], "comma"), "the parameter a must be a list of plain values");
});

Deno.test("a schema's own style holds for parameters without one", () => {
  const result = toPairs({ expand: ["x"], ids: ["1", "2"] }, {
    type: "object",
    "x-style": "brackets",
    properties: { expand: {}, ids: { "x-style": "comma" } },
  });
  assert.deepEqual(result, { ok: true, pairs: [["expand[0]", "x"], ["ids", "1,2"]] });
});

Deno.test("a form is encoded as forms are", () => {
  assert.equal(toForm([["a b", "c&d"], ["x", "+"]]), "a+b=c%26d&x=%2B");
});

Deno.test("names cannot break out of the query", () => {
  assert.equal(toQuery([["a&b=c#", "1"]]), "a%26b%3Dc%23=1");
});
