import assert from "node:assert/strict";
import { findTestFiles, readJunit, runDenoTests } from "./deno_tests.ts";
import { afterRetry, listFailures } from "./results.ts";

Deno.test("a report's files are counted, their failures named, and skipped tests left out", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="6" failures="1" errors="1" time="0.1">
  <testsuite name="./a_test.ts" tests="4" disabled="1" errors="1" failures="1">
    <testcase name="tests=&quot;9&quot; &gt;" classname="./a_test.ts"></testcase>
    <testcase name="a &lt;b&gt; &amp;amp;" classname="./a_test.ts">
      <failure message="Error: 1 &gt; 2
&lt;x&gt;">Error</failure>
    </testcase>
  </testsuite>
  <testsuite name="./b_test.ts" tests="2" disabled="0" errors="0" failures="0"></testsuite>
</testsuites>`;
  const failure = { file: "a_test.ts", name: "a <b> &amp;", message: "Error: 1 > 2\n<x>" };
  assert.deepEqual([...readJunit(xml)], [
    ["a_test.ts", { passed: 1, failed: 2, failures: [failure], flaky: [] }],
    ["b_test.ts", { passed: 2, failed: 0, failures: [], flaky: [] }],
  ]);
  assert.equal(readJunit("").size, 0);
  assert.equal(listFailures([failure]), "  a_test.ts: a <b> &amp;: Error: 1 > 2 <x>");
});

Deno.test("the second of two runs counts, and names what failed in the first alone", () => {
  const [one, two] = ["one", "two"].map((name) => ({ file: "a_test.ts", name, message: "" }));
  const first = { passed: 1, failed: 2, failures: [one!, two!], flaky: [] };
  const last = { passed: 2, failed: 1, failures: [two!], flaky: [] };
  assert.deepEqual(afterRetry(first, last), { ...last, flaky: [one] });
});

Deno.test("files with a failure run again, those that keep failing or do not load are failures", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const place = async (name: string, text: string) => {
      await Deno.writeTextFile(`${folder}/${name}_test.ts`, text);
      return `${folder}/${name}_test.ts`;
    };
    const note = JSON.stringify(`${folder}/ran`);
    const good = await place("good", `Deno.test("good", () => {});`);
    const flaky = await place(
      "flaky",
      `Deno.test("second time", () => {
        try { Deno.statSync(${note}); } catch { Deno.mkdirSync(${note}); throw new Error("no"); }
      });`,
    );
    const bad = await place("bad", `Deno.test("bad", () => { throw new Error("never"); });`);
    const run = async (...files: string[]) => {
      const { passed, failed, failures, flaky } = await runDenoTests({
        files,
        retries: 1,
        write() {},
      });
      return [passed, failed, failures.map(({ name }) => name), flaky.map(({ name }) => name)];
    };
    assert.deepEqual(await run(good, flaky, bad), [2, 1, ["bad"], ["second time"]]);
    const broken = await place("broken", `throw new Error("on loading");`);
    assert.deepEqual(await run(broken), [0, 1, [broken], []]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tests beside their source are unit tests, those in a tests folder need a stack", () => {
  const { unit, stack, apart } = findTestFiles();
  assert.ok(unit.includes("scripts/testing/deno_tests_test.ts"));
  assert.ok(stack.includes("supabase/functions/tests/platform_test.ts"));
  assert.ok(apart.includes("supabase/functions/tests/platform_lifecycle_test.ts"));
  assert.deepEqual(stack.filter((file) => apart.includes(file)), []);
  assert.deepEqual(unit.filter((file) => file.includes("/tests/")), []);
});
