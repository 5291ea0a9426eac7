/**
 * What has to hold before anything is sent anywhere.
 * @module
 */
import { join } from "node:path";
import { checkPins } from "../check_pins.ts";
import { REPOSITORY } from "../platform/layout.ts";
import { type FunctionSource, readFunctionSettings } from "./functions.ts";
import { checkSecrets } from "./secrets.ts";

/**
 * Checks config, pins, bundles and environment.
 * @param secrets the functions' environment, or null when none is deployed
 * @returns one line a fault; none when all is well
 */
export async function checkCheckout(
  functions: readonly FunctionSource[],
  secrets: Record<string, string> | null,
): Promise<string[]> {
  const faults = await checkPins();
  const config = await Deno.readTextFile(join(REPOSITORY, "supabase", "config.toml"));
  const settings = readFunctionSettings(config);
  for (const { slug, foreign } of functions) {
    const own = settings.get(slug);
    if (!own || own.verifyJwt) {
      faults.push(
        `supabase/config.toml: [functions.${slug}] must set verify_jwt = false: callers are no ` +
          "users of the project, and each function checks its own kind of credential.",
      );
    }
    for (const specifier of foreign) {
      faults.push(`${slug} imports "${specifier}": use an npm: package, pinned in its deno.json.`);
    }
  }
  return secrets ? faults.concat(checkSecrets(secrets)) : faults;
}

/**
 * Refuses a database that is not the project's.
 * @param dbUrl connection string
 * @param ref project reference
 * @throws {Error} naming the host
 */
export function requireSameProject(dbUrl: string, ref: string): void {
  const url = new URL(dbUrl);
  const isHosted = /\.supabase\.(co|com)$/.test(url.hostname);
  if (isHosted && !`${decodeURIComponent(url.username)}@${url.hostname}`.includes(ref)) {
    throw new Error(
      `The database at ${url.hostname} is not that of the project ${ref}: take the connection ` +
        "string from that project's page (Dashboard → Connect).",
    );
  }
}
