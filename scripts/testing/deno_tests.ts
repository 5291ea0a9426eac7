/**
 * Finding and running this project's Deno tests.
 * @module
 */
import { join, relative } from "node:path";
import { REPOSITORY } from "../platform/layout.ts";
import type { TestCounts } from "./database_tests.ts";

/** Test files by what they need. */
export interface TestFiles {
  /** Beside their source: nothing but themselves. */
  unit: string[];
  /** In a folder named `tests`: a stack, or the right to start one. */
  stack: string[];
}

const SKIPPED = new Set(["node_modules", "package"]);

/** Every `*_test.ts` of the checkout, as paths relative to it, sorted. */
export function findTestFiles(): TestFiles {
  const files: TestFiles = { unit: [], stack: [] };
  const visit = (folder: string, inTests: boolean) => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) {
        if (entry.name.startsWith(".") || SKIPPED.has(entry.name)) continue;
        visit(path, inTests || entry.name === "tests");
      } else if (entry.name.endsWith("_test.ts")) {
        files[inTests ? "stack" : "unit"].push(relative(REPOSITORY, path));
      }
    }
  };
  for (const folder of ["scripts", "supabase", "n8n"]) visit(join(REPOSITORY, folder), false);
  files.unit.sort();
  files.stack.sort();
  return files;
}

/** Sums a JUnit report's suites; a skipped test is neither passed nor failed. */
export function readJunit(xml: string): TestCounts {
  const counts: TestCounts = { passed: 0, failed: 0 };
  for (const [, attributes] of xml.matchAll(/<testsuite\s([^>]*)>/g)) {
    const read = (name: string) =>
      Number(new RegExp(`\\b${name}="(\\d+)"`).exec(attributes!)?.[1] ?? 0);
    const failed = read("failures") + read("errors");
    counts.failed += failed;
    counts.passed += read("tests") - failed - read("disabled") - read("skipped");
  }
  return counts;
}

/**
 * Runs test files in one `deno test` process whose output goes to the console.
 * @param options.files relative to the checkout; none is no tests
 * @param options.env added to this process's environment
 * @param options.filter only tests whose name contains this
 * @returns counts; a run that failed without a failing test (a file that does not load) is 1 failed
 */
export async function runDenoTests(options: {
  files: readonly string[];
  env?: Record<string, string>;
  filter?: string;
  signal?: AbortSignal;
}): Promise<TestCounts> {
  if (options.files.length === 0) return { passed: 0, failed: 0 };
  const report = await Deno.makeTempFile({ prefix: "marketplace-", suffix: ".xml" });
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--quiet", `--junit-path=${report}`]
        .concat(options.filter ? [`--filter=${options.filter}`] : [])
        .concat(options.files),
      cwd: REPOSITORY,
      env: options.env,
      stdin: "null",
    }).spawn();
    const onAbort = () => child.kill("SIGTERM");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const status = await child.status;
    options.signal?.removeEventListener("abort", onAbort);
    const counts = readJunit(await Deno.readTextFile(report));
    if (!status.success && counts.failed === 0) counts.failed = 1;
    return counts;
  } finally {
    await Deno.remove(report);
  }
}
