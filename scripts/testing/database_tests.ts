/**
 * Runs pgTAP files against a database.
 * @module
 */
import { dirname, join, relative } from "node:path";
import postgres from "postgres";
import { afterRetry, sumResults, type TestResults } from "./results.ts";
import { readTap, type TapResult } from "./tap.ts";

/** Files run at once; they roll back what they do, so they do not see each other. */
const PARALLEL = 4;
const STATEMENT_TIMEOUT_MS = 120_000;

interface FileResult extends TapResult {
  /** Lost a deadlock against another file, which says nothing about the file itself. */
  deadlocked: boolean;
  ms: number;
}

/** The `.sql` files at or below the paths, sorted. */
export function listTestFiles(paths: readonly string[]): string[] {
  const files: string[] = [];
  const visit = (path: string, given: boolean) => {
    if (Deno.statSync(path).isDirectory) {
      for (const entry of Deno.readDirSync(path)) visit(join(path, entry.name), false);
    } else if (given || path.endsWith(".sql")) {
      files.push(path);
    }
  };
  for (const path of paths) visit(path, true);
  return [...new Set(files)].sort();
}

/** A file's text, and that of the one which its first line includes as psql does: `\ir <path>`. */
async function readTest(file: string): Promise<[text: string, included: string]> {
  const text = await Deno.readTextFile(file);
  const path = /^\\ir (\S+)\n/.exec(text)?.[1];
  if (!path) return [text, ""];
  // The line stays, empty: errors are told by their line.
  return [text.replace(/^.*/, ""), await Deno.readTextFile(join(dirname(file), path))];
}

async function runFile(url: string, file: string): Promise<FileResult> {
  const [text, included] = await readTest(file);
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { application_name: "db:test", statement_timeout: STATEMENT_TIMEOUT_MS },
  });
  const began = performance.now();
  const lines: string[] = [];
  let trouble: string | null = null;
  let deadlocked = false;
  try {
    if (included) await sql.unsafe(included).simple();
    // Row by row, so that what ran before an error is still counted.
    await sql.unsafe(text).simple().forEach((row) => {
      for (const value of Object.values(row)) lines.push(...String(value ?? "").split("\n"));
    });
  } catch (error) {
    const { code, message, position, where, hint } = error as postgres.PostgresError;
    deadlocked = code === "40P01";
    const line = position && text.slice(0, Number(position)).split("\n").length;
    trouble = [`ERROR ${code ?? ""}${line ? ` at line ${line}` : ""}: ${message}`, where, hint]
      .filter(Boolean).join("\n");
  } finally {
    await sql.end({ timeout: 5 });
  }
  const result = readTap(lines);
  if (trouble) {
    // The unmet plan is a consequence: one failure says what happened.
    result.failures = result.failures.filter((text) => !/^(planned|no plan)/.test(text));
    result.failures.push(trouble);
    result.failed = result.failures.length;
  }
  return { ...result, deadlocked, ms: performance.now() - began };
}

/**
 * Runs each file in a session of its own and prints its result. Files whose first line is
 * `-- serial` run alone, after the others.
 * @param options.url connection of the role `postgres`
 * @param options.paths files or folders
 * @param options.write prints one line or block
 * @param options.retries how often a file with a failed test is run again, alone
 * @throws {Error} when pgTAP is missing and cannot be created
 */
export async function runDatabaseTests(options: {
  url: string;
  paths: readonly string[];
  write: (text: string) => void;
  retries?: number;
}): Promise<TestResults> {
  const { url, write, retries = 0 } = options;
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql`create extension if not exists pgtap with schema extensions`;
  } catch (error) {
    throw new Error(
      `pgTAP cannot be created at ${new URL(url).host}: ${(error as Error).message}. ` +
        "Install the extension on that server (hosted Supabase has it).",
      { cause: error },
    );
  } finally {
    await sql.end();
  }

  const results = new Map<string, TestResults>();
  const serial: string[] = [];
  const parallel: string[] = [];
  for (const file of listTestFiles(options.paths)) {
    const first = (await Deno.readTextFile(file)).split("\n", 1)[0]!;
    (/^--\s*serial\b/.test(first) ? serial : parallel).push(file);
  }
  const report = (file: string, result: FileResult): TestResults => {
    const verdict = result.failed ? "FAILED" : "ok";
    const skipped = result.skipped ? `, ${result.skipped} skipped` : "";
    const name = relative(Deno.cwd(), file);
    write(
      `${name} ... ${verdict} (${result.passed} passed${skipped}, ${Math.round(result.ms)} ms)`,
    );
    for (const failure of result.failures) write(failure.replace(/^/gm, "    "));
    const failures = result.failures.map((text) => {
      const [first = "", ...rest] = text.split("\n");
      return { file: name, name: first, message: rest.join("\n") };
    });
    return { passed: result.passed, failed: result.failed, failures, flaky: [] };
  };

  const run = async (file: string) => report(file, await runFile(url, file));

  const waiting = [...parallel];
  await Promise.all(Array.from({ length: PARALLEL }, async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(url, file);
      if (result.deadlocked) serial.push(file);
      else results.set(file, report(file, result));
    }
  }));
  for (const file of serial) results.set(file, await run(file));
  for (let again = 0; again < retries; again++) {
    for (const [file, result] of results) {
      if (result.failed > 0) results.set(file, afterRetry(result, await run(file)));
    }
  }
  return sumResults(results.values());
}
