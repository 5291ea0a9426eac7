/**
 * Finding and running this project's Deno tests.
 * @module
 */
import { join, relative } from "node:path";
import { REPOSITORY } from "../platform/layout.ts";
import { afterRetry, sumResults, type TestFailure, type TestResults } from "./results.ts";

/** Test files by what they need. */
export interface TestFiles {
  /** Beside their source: nothing but themselves. */
  unit: string[];
  /** In a folder named `tests`: a stack, or the right to start one. */
  stack: string[];
  /** Those of them that start all they need themselves, and so may run beside the others. */
  apart: string[];
}

/** In a test file: what it needs it starts itself. */
const APART = /^\/\/ apart\b/m;

const SKIPPED = new Set(["node_modules", "package"]);

/** Every `*_test.ts` of the checkout, as paths relative to it, sorted. */
export function findTestFiles(): TestFiles {
  const files: TestFiles = { unit: [], stack: [], apart: [] };
  const visit = (folder: string, inTests: boolean) => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) {
        if (entry.name.startsWith(".") || SKIPPED.has(entry.name)) continue;
        visit(path, inTests || entry.name === "tests");
      } else if (entry.name.endsWith("_test.ts")) {
        const kind = !inTests
          ? "unit"
          : APART.test(Deno.readTextFileSync(path))
          ? "apart"
          : "stack";
        files[kind].push(relative(REPOSITORY, path));
      }
    }
  };
  for (const folder of ["scripts", "supabase", "n8n"]) visit(join(REPOSITORY, folder), false);
  for (const list of Object.values(files)) list.sort();
  return files;
}

/** What one file's tests came to, by the file. */
export type FileResults = Map<string, TestResults>;

/** Reads a JUnit report as `deno test` writes it; a skipped test is neither passed nor failed. */
export function readJunit(xml: string): FileResults {
  const files: FileResults = new Map();
  for (const [, attributes, tests] of xml.matchAll(/<testsuite\s([^>]*)>([^]*?)<\/testsuite>/g)) {
    const read = (name: string) => readAttribute(attributes!, name) ?? "";
    const file = read("name").replace(/^\.\//, "");
    const failed = Number(read("failures")) + Number(read("errors"));
    const skipped = Number(read("disabled")) + Number(read("skipped"));
    const failures: TestFailure[] = [];
    for (
      const [, test, message] of tests!.matchAll(
        /<testcase\s([^>]*)>\s*<(?:failure|error)\s([^>]*)>/g,
      )
    ) {
      failures.push({
        file,
        name: readAttribute(test!, "name") ?? "",
        message: readAttribute(message!, "message") ?? "",
      });
    }
    files.set(file, {
      passed: Number(read("tests")) - failed - skipped,
      failed,
      failures,
      flaky: [],
    });
  }
  return files;
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function readAttribute(attributes: string, name: string): string | undefined {
  return new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1]
    ?.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity) => ENTITIES[entity]!);
}

/** Checks the types of test files and all they import: one failure, or nothing to count. */
export async function checkTypes(
  files: readonly string[],
  signal?: AbortSignal,
): Promise<TestResults> {
  const results: TestResults = { passed: 0, failed: 0, failures: [], flaky: [] };
  if (files.length === 0) return results;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", ...files],
    cwd: REPOSITORY,
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal,
  }).output();
  if (!success) {
    const message = new TextDecoder().decode(stderr).trim();
    results.failures.push({ file: "deno check", name: "types", message });
    results.failed = 1;
  }
  return results;
}

/**
 * Runs test files in one `deno test` process whose output goes to the console, without a look at
 * types: {@link checkTypes} has one for all files together.
 *
 * @param options.files relative to the checkout; none is no tests
 * @param options.env added to this process's environment
 * @param options.filter only tests whose name contains this
 * @param options.write takes the whole output at the end; else it goes to the console as it comes
 * @param options.retries how often files with a failed test are run again, alone
 * @returns a run that failed without a failing test (a file that does not load) is 1 failed
 */
export async function runDenoTests(options: {
  files: readonly string[];
  env?: Record<string, string>;
  filter?: string;
  write?: (output: string) => void;
  retries?: number;
  signal?: AbortSignal;
}): Promise<TestResults> {
  const { retries = 0, signal } = options;
  if (options.files.length === 0) return { passed: 0, failed: 0, failures: [], flaky: [] };
  const { files, success } = await runOnce(options);
  const total = sumResults(files.values());
  if (success || signal?.aborted) return total;
  if (total.failed === 0) {
    const message = "a file did not load, or a test process ended early: see above";
    total.failures.push({ file: "deno test", name: options.files.join(" "), message });
    total.failed = 1;
    return total;
  }
  const again = [...files].filter(([, { failed }]) => failed > 0).map(([file]) => file);
  if (retries === 0) return total;
  const rerun = await runDenoTests({ ...options, files: again, retries: retries - 1 });
  const rest = sumResults([...files].filter(([file]) => !again.includes(file)).map(([, r]) => r));
  return afterRetry(total, sumResults([rest, rerun]));
}

/** One process for all files. */
async function runOnce(
  options: Parameters<typeof runDenoTests>[0],
): Promise<{ files: FileResults; success: boolean }> {
  const report = await Deno.makeTempFile({ prefix: "marketplace-", suffix: ".xml" });
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--quiet", "--no-check", `--junit-path=${report}`]
        .concat(options.filter ? [`--filter=${options.filter}`] : [])
        .concat(options.files),
      cwd: REPOSITORY,
      env: options.env,
      stdin: "null",
      stdout: options.write ? "piped" : "inherit",
      stderr: options.write ? "piped" : "inherit",
    }).spawn();
    const onAbort = () => child.kill("SIGTERM");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const [status] = await Promise.all([
      child.status,
      options.write && gather(child, options.write),
    ]);
    options.signal?.removeEventListener("abort", onAbort);
    return { files: readJunit(await Deno.readTextFile(report)), success: status.success };
  } finally {
    await Deno.remove(report);
  }
}

/** What a process prints, in the order of its arrival, handed over when it has ended. */
async function gather(child: Deno.ChildProcess, write: (output: string) => void): Promise<void> {
  let output = "";
  await Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) output += chunk;
  }));
  write(output);
}
