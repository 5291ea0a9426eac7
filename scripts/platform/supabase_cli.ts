/**
 * The real supabase CLI: its binary for this platform, fetched on first use.
 * @module
 */
import { join } from "node:path";
import { REPOSITORY } from "./layout.ts";
import { platformName } from "./native.ts";
import { npmTool } from "./npm_tool.ts";

/** Pinned release. */
export const CLI_VERSION = "3.1.0";

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
  const url = new URL(options.dbUrl);
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (isLocal && !url.searchParams.has("sslmode")) url.searchParams.set("sslmode", "disable");
  const push = await new Deno.Command(await supabaseCli(options.tools), {
    args: ["db", "push", `--remote=${url}`, "--include-all", "--include-seed", "--yes"]
      .concat(["--agent", "no", "--workdir", REPOSITORY]),
    cwd: REPOSITORY,
    env: { SUPABASE_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1", NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  const said = (decoder.decode(push.stdout) + decoder.decode(push.stderr)).trim();
  if (!push.success) {
    throw new Error(
      `supabase db push failed (exit code ${push.code}):\n` +
        said.replaceAll(`:${url.password}@`, ":***@") +
        (isLocal
          ? '\nWas a migration edited after it was applied here? "deno task reset" begins anew.'
          : ""),
    );
  }
  return said;
}
