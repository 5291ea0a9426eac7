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
import { runDatabaseTests, type TestCounts } from "./testing/database_tests.ts";
import { findTestFiles, runDenoTests } from "./testing/deno_tests.ts";

const HELP = `
Usage: deno task test [--no-n8n] [--filter TEXT] [paths…]

Starts a stack in a temporary home on free ports, then runs the database tests, the unit tests and
the tests that need the stack. The last line is "N passed, N failed".

  paths         only test files whose path contains one of these (.sql and .ts alike)
  --filter      only TypeScript tests whose name contains this
  --no-n8n      without n8n, and without the files whose tests need it`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "no-n8n": { type: "boolean", default: false },
      filter: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);

  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => abort.abort(new Error("interrupted")));
  }
  const total = await run({
    paths: positionals,
    filter: values.filter,
    n8n: !values["no-n8n"],
    signal: abort.signal,
  });
  if (total.passed + total.failed === 0) console.log("no test ran");
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

async function run(options: {
  paths: string[];
  filter?: string;
  n8n: boolean;
  signal: AbortSignal;
}): Promise<TestCounts> {
  const { filter, signal } = options;
  const chosen = (file: string) =>
    options.paths.length === 0 || options.paths.some((path) => file.includes(path));
  const files = findTestFiles();
  const unit = files.unit.filter(chosen);
  let stackTests = files.stack.filter(chosen);
  const needN8n = stackTests.filter((file) => /N8N_URL/.test(Deno.readTextFileSync(file)));
  if (!options.n8n && needN8n.length > 0) {
    console.log(`left out, they need n8n: ${needN8n.join(", ")}`);
    stackTests = stackTests.filter((file) => !needN8n.includes(file));
  }
  const database = filter ? [] : databaseFiles().filter(chosen);

  const total: TestCounts = { passed: 0, failed: 0 };
  const add = async (what: string, tests: () => Promise<TestCounts>) => {
    signal.throwIfAborted();
    const began = performance.now();
    console.log(`\n== ${what}`);
    const { passed, failed } = await tests();
    total.passed += passed;
    total.failed += failed;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`-- ${what}: ${passed} passed, ${failed} failed in ${seconds} s`);
  };

  await add("unit tests", () => runDenoTests({ files: unit, filter, signal }));
  if (database.length + stackTests.length === 0) return total;

  const work = withStack(options.n8n && needN8n.length > 0, signal, async (stack) => {
    await add("database tests", () =>
      runDatabaseTests({
        url: stack.env.SUPABASE_DB_URL!,
        paths: database,
        write: console.log,
      }));
    const before = total.failed;
    await add(
      "stack tests",
      () => runDenoTests({ files: stackTests, filter, env: stack.env, signal }),
    );
    if (total.failed > before) await showLog(join(stack.layout.logs, "edge.log"));
  });
  await work.catch((error) => {
    // A stack that does not come up is a failure to be counted like any other.
    console.error(error instanceof Error ? error.message : error);
    total.failed++;
  });
  return total;
}

/** The end of a log that is about to be removed. */
async function showLog(path: string): Promise<void> {
  const lines = (await Deno.readTextFile(path).catch(() => "")).trimEnd().split("\n");
  console.log(`\n== the last lines of ${basename(path)}\n${lines.slice(-60).join("\n")}`);
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
  n8n: boolean,
  signal: AbortSignal,
  use: (stack: Stack) => Promise<void>,
): Promise<void> {
  const home = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  // The database server runs as another user when this is root: it has to get to its data.
  await Deno.chmod(home, 0o755);
  console.log("\n== stack");
  const place = { home, port: findFreeBase() };
  try {
    const stack = await startStack({ ...place, n8n, note: console.log, signal });
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
