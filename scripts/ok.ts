/**
 * `deno task ok`: what has to hold before a commit.
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkPins } from "./check_pins.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { REPOSITORY, resolveLayout } from "./platform/layout.ts";
import { platformName } from "./platform/native.ts";
import { npmTool } from "./platform/npm_tool.ts";
import { findTestFiles } from "./testing/deno_tests.ts";

const HELP = `
Usage: deno task ok

Checks formatting, lint, types, pinned versions, the migrations (squawk) and the workflows, and runs
the unit tests. Needs no running stack.`;

const SQUAWK_VERSION = "2.61.0";
/** Squawk rules that say nothing here: each would flag every file. */
const SQUAWK_EXCLUDED = [
  "prefer-bigint-over-int", // counts and attempts are ints on purpose
  "require-lock-timeout", // the CLI that applies migrations sets its own
  "require-statement-timeout",
];

/** Runs a program and returns what it printed when it failed, else null. */
async function failureOf(program: string, args: string[]): Promise<string | null> {
  const result = await new Deno.Command(program, {
    args,
    cwd: REPOSITORY,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (result.success) return null;
  const decoder = new TextDecoder();
  return (decoder.decode(result.stdout) + decoder.decode(result.stderr)).trim();
}

const deno = (...args: string[]) => failureOf(Deno.execPath(), args);

async function lintMigrations(): Promise<string | null> {
  const name = `@squawk-cli/${platformName()}`;
  const squawk = await npmTool(resolveLayout().tools, name, SQUAWK_VERSION);
  const folder = join(REPOSITORY, "supabase", "migrations");
  const files = [...Deno.readDirSync(folder)].map((entry) => join(folder, entry.name)).sort();
  return await failureOf(
    join(squawk, "bin", "squawk"),
    ["--assume-in-transaction", "--pg-version=15.0", `--exclude=${SQUAWK_EXCLUDED.join(",")}`]
      .concat(files),
  );
}

async function lintWorkflows(): Promise<string | null> {
  const script = join(REPOSITORY, "scripts", "lint_workflows.ts");
  return await Deno.stat(script).then(() => true, () => false)
    ? await deno("run", "-A", script)
    : null;
}

const STEPS: [string, () => Promise<string | null>][] = [
  ["format", () => deno("fmt", "--check")],
  ["lint", () => deno("lint", "--quiet")],
  ["types", () => deno("check", "--quiet", ".")],
  ["pins", async () => (await checkPins()).join("\n") || null],
  ["migrations", lintMigrations],
  ["workflows", lintWorkflows],
  [
    "unit tests",
    () => deno("test", "-A", "--quiet", "--no-check", "--reporter=dot", ...findTestFiles().unit),
  ],
];

await runCommand(async () => {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
  if (values.help) showHelp(HELP);

  let failed = 0;
  for (const [name, step] of STEPS) {
    const began = performance.now();
    const failure = await step();
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(
      `${name.padEnd(12)} ${(failure === null ? "ok" : "FAILED").padEnd(8)} ${seconds} s`,
    );
    if (failure !== null) {
      failed++;
      console.log(failure.replace(/^/gm, "    "));
    }
  }
  return failed > 0 ? 1 : 0;
});
