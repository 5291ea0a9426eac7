/**
 * The real supabase CLI: its binary for this platform, fetched on first use.
 * @module
 */
import { join } from "node:path";
import { REPOSITORY } from "./layout.ts";
import { platformName } from "./native.ts";

/** Pinned release. */
export const CLI_VERSION = "3.1.0";

/**
 * Path of the CLI's binary. Each platform has a package of its own, so it cannot stand among the
 * project's imports without being installed on all of them: it is installed into the tools folder
 * on first need, by Deno's npm client and from its cache.
 * @param tools folder of shared downloads
 * @throws {Error} when the package cannot be installed
 */
export async function supabaseCli(tools: string): Promise<string> {
  const name = `@supabase/cli-${platformName()}`;
  const folder = join(tools, `supabase-cli-${CLI_VERSION}-${platformName()}`);
  const binary = join(folder, "node_modules", name, "bin", "supabase");
  const isThere = () => Deno.stat(binary).then(() => true, () => false);
  if (await isThere()) return binary;

  const draft = `${folder}.${Deno.pid}.tmp`;
  await Deno.mkdir(draft, { recursive: true });
  await Deno.writeTextFile(
    join(draft, "deno.json"),
    JSON.stringify({
      nodeModulesDir: "auto",
      lock: false,
      imports: { [name]: `npm:${name}@${CLI_VERSION}` },
    }),
  );
  const install = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: draft,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!install.success) {
    await Deno.remove(draft, { recursive: true });
    throw new Error(
      `The supabase CLI (${name}@${CLI_VERSION}) could not be installed into ${tools}: ` +
        `check that the npm registry can be reached.\n${new TextDecoder().decode(install.stderr)}`,
    );
  }
  await Deno.rename(draft, folder).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    if (!(await isThere())) throw error;
  });
  return binary;
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
