/**
 * `deno task test`: every test, against one fresh stack.
 * @module
 */
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand, showHelp } from "./platform/command.ts";
import { REPOSITORY, resolveLayout } from "./platform/layout.ts";
import { findFreeBase, type Stack, startStack } from "./platform/mod.ts";
import { resetHome } from "./platform/reset_home.ts";
import { runDatabaseTests } from "./testing/database_tests.ts";
import { checkTypes, findTestFiles, runDenoTests } from "./testing/deno_tests.ts";
import { listFailures, sumResults, type TestResults } from "./testing/results.ts";

const HELP = `
Usage: deno task test [--no-n8n] [--filter TEXT] [--retries N] [paths…]

Starts a stack in a temporary home on free ports, and runs the database tests and the tests that
need the stack. Beside it: those that need n8n, on a second stack, then the unit tests; and those
that start a stack of their own. The last line is "N passed, N failed".

  paths         only test files whose path contains one of these (.sql and .ts alike)
  --filter      only TypeScript tests whose name contains this
  --no-n8n      without n8n, and without the files whose tests need it
  --retries N   run files with a failed test again, up to N times; a test that passes then counts,
                and is named as flaky (default: 1 where CI is set, else 0)`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "no-n8n": { type: "boolean", default: false },
      filter: { type: "string" },
      retries: { type: "string", default: Deno.env.get("CI") ? "1" : "0" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);
  const retries = Number(values.retries);
  if (!Number.isInteger(retries) || retries < 0 || retries > 5) {
    throw new Error(`--retries takes a number from 0 to 5, not "${values.retries}".`);
  }

  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => abort.abort(new Error("interrupted")));
  }
  const total = await run({
    paths: positionals,
    filter: values.filter,
    n8n: !values["no-n8n"],
    retries,
    signal: abort.signal,
  });
  if (total.passed + total.failed === 0) console.log("no test ran");
  if (total.flaky.length > 0) {
    console.log(`\n== failed, and passed when run again\n${listFailures(total.flaky)}`);
  }
  if (total.failures.length > 0) console.log(`\n== failed\n${listFailures(total.failures)}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

async function run(options: {
  paths: string[];
  filter?: string;
  n8n: boolean;
  retries: number;
  signal: AbortSignal;
}): Promise<TestResults> {
  const { filter, retries, signal } = options;
  const chosen = (file: string) =>
    options.paths.length === 0 || options.paths.some((path) => file.includes(path));
  const files = findTestFiles();
  const unit = files.unit.filter(chosen);
  let apart = files.apart.filter(chosen);
  const onStack = files.stack.filter(chosen);
  const needsN8n = (file: string) => /N8N_URL/.test(Deno.readTextFileSync(file));
  let onN8n = onStack.filter(needsN8n);
  const withoutN8n = onStack.filter((file) => !onN8n.includes(file));
  const leftOut = options.n8n ? [] : [...apart.filter(needsN8n), ...onN8n];
  if (leftOut.length > 0) {
    console.log(`left out, they need n8n: ${leftOut.join(", ")}`);
    apart = apart.filter((file) => !leftOut.includes(file));
    onN8n = [];
  }
  const database = filter ? [] : databaseFiles().filter(chosen);

  const results: TestResults[] = [];
  /** What goes to the console goes there test by test. */
  const deno = (files: string[], write: Write, env?: Record<string, string>) =>
    runDenoTests({ files, filter, retries, signal, env, write: write === say ? undefined : write });
  const add = async (what: string, write: Write, tests: () => Promise<TestResults>) => {
    signal.throwIfAborted();
    const began = performance.now();
    write(`\n== ${what}`);
    const result = await tests();
    results.push(result);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    write(`-- ${what}: ${result.passed} passed, ${result.failed} failed in ${seconds} s`);
    return result;
  };
  const addOnStack = async (what: string, files: string[], stack: Stack, write: Write) => {
    const { failed, flaky } = await add(what, write, () => deno(files, write, stack.env));
    if (failed + flaky.length > 0) await showLog(join(stack.layout.logs, "edge.log"), write);
  };

  const databaseAndStack = (write: Write) =>
    withStack({ n8n: false, write, signal }, async (stack) => {
      const url = stack.env.SUPABASE_DB_URL!;
      const tests = () => runDatabaseTests({ url, paths: database, write, retries });
      await add("database tests", write, tests);
      await addOnStack("stack tests", withoutN8n, stack, write);
    });
  const stackWithN8n = (write: Write) =>
    withStack(
      { n8n: true, write, signal },
      (stack) => addOnStack("stack tests that need n8n", onN8n, stack, write),
    );
  // Lanes run side by side, because each mostly waits. The first prints as it goes, the others at
  // their end.
  const lanes = [
    [database.length + withoutN8n.length > 0 && databaseAndStack],
    [
      onN8n.length > 0 && stackWithN8n,
      unit.length > 0 && ((write: Write) => add("unit tests", write, () => deno(unit, write))),
    ],
    [
      apart.length > 0 &&
      ((write: Write) => add("tests with a stack of their own", write, () => deno(apart, write))),
    ],
    [(write: Write) =>
      add("types", write, () => checkTypes([...onStack, ...unit, ...apart], signal))],
  ].map((steps) => steps.filter((step) => step !== false)).filter((steps) => steps.length > 0);

  await Promise.all(lanes.map(async (steps, n) => {
    let output = "";
    const write = n === 0 ? say : (text: string) => void (output += `${text}\n`);
    for (const step of steps) {
      await step(write).catch((error) => {
        // A stack that does not come up is a failure to be counted like any other.
        const message = error instanceof Error ? error.message : String(error);
        write(message);
        const failure = { file: "scripts/test.ts", name: "the stack", message };
        results.push({ passed: 0, failed: 1, failures: [failure], flaky: [] });
      });
    }
    if (output) say(output);
  }));
  return sumResults(results);
}

/** Prints a line, or many. */
type Write = (text: string) => void;
function say(text: string): void {
  console.log(text);
}

/** The end of a log that is about to be removed. */
async function showLog(path: string, write: Write): Promise<void> {
  const lines = (await Deno.readTextFile(path).catch(() => "")).trimEnd().split("\n");
  write(`\n== the last lines of ${basename(path)}\n${lines.slice(-60).join("\n")}`);
}

function databaseFiles(): string[] {
  const found: string[] = [];
  const visit = (folder: string) => {
    for (const entry of Deno.readDirSync(join(REPOSITORY, folder))) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) visit(path);
      else if (path.endsWith(".sql")) found.push(path);
    }
  };
  visit("supabase/tests/database");
  return found.sort();
}

/** Starts a stack in a temporary home, and removes it with everything it left. */
async function withStack(
  options: { n8n: boolean; write: Write; signal: AbortSignal },
  use: (stack: Stack) => Promise<void>,
): Promise<void> {
  const { n8n, write, signal } = options;
  const home = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  // The database server runs as another user when this is root: it has to get to its data.
  await Deno.chmod(home, 0o755);
  write(`\n== stack${n8n ? " with n8n" : ""}`);
  const place = { home, port: findFreeBase() };
  try {
    const stack = await startStack({ ...place, n8n, note: write, signal });
    try {
      await use(stack);
    } finally {
      await stack.stop();
    }
  } finally {
    await resetHome(resolveLayout(place));
    await Deno.remove(home, { recursive: true });
  }
}
