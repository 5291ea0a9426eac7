import assert from "node:assert/strict";
import { readTap } from "./tap.ts";

const read = (text: string) => readTap(text.trim().split("\n").map((line) => line.trim()));

Deno.test("a met plan of passing tests passes", () => {
  assert.deepEqual(read("1..2\nok 1 - a\nok 2 - b"), {
    passed: 2,
    failed: 0,
    skipped: 0,
    failures: [],
  });
});

Deno.test("a plan may come last, as no_plan() writes it", () => {
  assert.equal(read("ok 1 - a\n1..1").failed, 0);
});

Deno.test("a failure carries its own diagnostics and no others", () => {
  const result = read("1..3\nnot ok 1 - a\n# have: 1\n# want: 2\nok 2\n# a remark\nok 3");
  assert.deepEqual([result.passed, result.failed], [2, 1]);
  assert.deepEqual(result.failures, ["not ok 1 - a\n# have: 1\n# want: 2"]);
});

Deno.test("fewer tests than planned is a failure", () => {
  assert.deepEqual(read("1..3\nok 1\nok 2").failures, ["planned 3 tests but ran 2"]);
});

Deno.test("more tests than planned is a failure", () => {
  assert.deepEqual(read("1..1\nok 1\nok 2").failures, ["planned 1 tests but ran 2"]);
});

Deno.test("no plan is a failure, even when every test passed", () => {
  assert.equal(read("ok 1\nok 2").failed, 1);
});

Deno.test("a failing TODO test is no failure, a skipped one is counted apart", () => {
  const result = read("1..3\nnot ok 1 - later # TODO not yet\nok 2 # SKIP no such thing\nok 3");
  assert.deepEqual([result.passed, result.failed, result.skipped], [2, 0, 1]);
});

Deno.test("a plan that skips everything is one skip", () => {
  assert.deepEqual(read("1..0 # SKIP not on this server"), {
    passed: 0,
    failed: 0,
    skipped: 1,
    failures: [],
  });
});

Deno.test("a bail-out is a failure", () => {
  assert.ok(read("1..1\nok 1\nBail out! lost the database").failures[0]!.startsWith("Bail out!"));
});

Deno.test("an escaped # is no directive", () => {
  assert.equal(read("1..1\nnot ok 1 - issue \\# TODO list").failed, 1);
});
