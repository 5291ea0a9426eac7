import assert from "node:assert/strict";
import { isTooDeep } from "./depth.ts";

Deno.test("brackets are counted where they nest, and not inside texts", () => {
  assert.equal(isTooDeep("[[1]]", 2), false);
  assert.equal(isTooDeep('[{"a":[1]}]', 2), true);
  assert.equal(isTooDeep("[1],[2],[3]", 1), false);
  assert.equal(isTooDeep(String.raw`["[[[[", "\"[[[[", "\\"]`, 1), false);
  assert.equal(isTooDeep(String.raw`["\\", [[1]]]`, 2), true);
  assert.equal(isTooDeep("", 1), false);
});

Deno.test("what passes can be written down again", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assert.equal(isTooDeep(nested(200)), false);
  JSON.stringify(JSON.parse(nested(200)));
  assert.equal(isTooDeep(nested(201)), true);
  assert.equal(isTooDeep("[".repeat(4_000_000)), true);
});
