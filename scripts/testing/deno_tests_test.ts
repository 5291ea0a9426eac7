import assert from "node:assert/strict";
import { findTestFiles, readJunit } from "./deno_tests.ts";

Deno.test("a report's suites are summed, and skipped tests are left out", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="6" failures="1" errors="1" time="0.1">
  <testsuite name="./a_test.ts" tests="4" disabled="1" errors="1" failures="1">
    <testcase name="tests=&quot;9&quot; &gt;" classname="./a_test.ts"></testcase>
  </testsuite>
  <testsuite name="./b_test.ts" tests="2" disabled="0" errors="0" failures="0"></testsuite>
</testsuites>`;
  assert.deepEqual(readJunit(xml), { passed: 3, failed: 2 });
  assert.deepEqual(readJunit(""), { passed: 0, failed: 0 });
});

Deno.test("tests beside their source are unit tests, those in a tests folder need a stack", () => {
  const { unit, stack } = findTestFiles();
  assert.ok(unit.includes("scripts/testing/deno_tests_test.ts"));
  assert.ok(stack.includes("supabase/functions/tests/platform_test.ts"));
  assert.deepEqual(unit.filter((file) => file.includes("/tests/")), []);
});
