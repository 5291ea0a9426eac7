/**
 * The real supabase CLI: its binary for this platform, fetched on first use.
 * @module
 */
import { join } from "node:path";
import { REPOSITORY } from "./layout.ts";
import { platformName } from "./native.ts";
import { npmTool } from "./npm_tool.ts";

/** Pinned release. */
const CLI_VERSION = "3.1.0";

/**
 * Path of the CLI's binary for this platform.
 * @param tools folder of shared downloads
 * @throws {Error} when the package cannot be installed
 */
export async function supabaseCli(tools: string): Promise<string> {
  const installed = await npmTool(tools, `@supabase/cli-${platformName()}`, CLI_VERSION);
  return join(installed, "bin", "supabase");
}

/**
 * Applies supabase/migrations, then supabase/seed.sql, to a database.
 * @param options.tools folder of shared downloads
 * @param options.dbUrl connection of the role `postgres`
 * @returns the lines the CLI printed
 * @throws {Error} with what the CLI printed when it fails
 */
export async function pushMigrations(
  options: { tools: string; dbUrl: string },
): Promise<string> {
  const push = await runCli(options, (url) => [
    ...["db", "push", `--remote=${url}`, "--include-all", "--include-seed", "--yes"],
    ...["--agent", "no", "--workdir", REPOSITORY],
  ]);
  if (push.code !== 0) {
    throw new Error(
      `supabase db push failed (exit code ${push.code}):\n${push.said}` +
        (push.isLocal
          ? '\nWas a migration edited after it was applied here? "deno task reset" begins anew.'
          : ""),
    );
  }
  return push.said;
}

/**
 * TypeScript types of a schema, as `supabase gen types` makes them: unformatted.
 * @param options.tools folder of shared downloads
 * @param options.dbUrl connection of the role `postgres`
 * @throws {Error} with what the CLI printed when it fails
 */
export async function generateTypes(
  options: { tools: string; dbUrl: string; schema: string },
): Promise<string> {
  const made = await runCli(options, (url) => [
    ...["gen", "types", "typescript", `--remote=${url}`, "--schema", options.schema],
    ...["--agent", "no"],
  ]);
  if (made.code !== 0) {
    throw new Error(`supabase gen types failed (exit code ${made.code}):\n${made.said}`);
  }
  return made.output;
}

async function runCli(
  options: { tools: string; dbUrl: string },
  args: (url: URL) => string[],
): Promise<{ code: number; output: string; said: string; isLocal: boolean }> {
  const url = new URL(options.dbUrl);
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (isLocal && !url.searchParams.has("sslmode")) url.searchParams.set("sslmode", "disable");
  const { code, stdout, stderr } = await new Deno.Command(await supabaseCli(options.tools), {
    args: args(url),
    cwd: REPOSITORY,
    env: { SUPABASE_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1", NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout);
  const said = (output + decoder.decode(stderr)).trim();
  return { code, output, said: said.replaceAll(`:${url.password}@`, ":***@"), isLocal };
}
