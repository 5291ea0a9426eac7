/**
 * Which database a command is about.
 * @module
 */
import { readEnvFile } from "./env_file.ts";
import { resolveLayout } from "./layout.ts";

/**
 * The URL that was given, else the running stack's.
 * @throws {Error} when neither is there
 */
export async function databaseUrl(given: string | undefined): Promise<string> {
  if (given) return given;
  const { envFile } = resolveLayout();
  const url = (await readEnvFile(envFile))?.SUPABASE_DB_URL;
  if (!url) {
    throw new Error(`No ${envFile}: start the stack (deno task start), or give --db-url URL.`);
  }
  return url;
}
