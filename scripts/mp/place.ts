/**
 * Which Marketplace a command is about: the local stack's, or any other by its database.
 * @module
 */
import { join } from "node:path";
import { readEnvFile } from "../platform/env_file.ts";
import { resolveLayout } from "../platform/layout.ts";
import { UsageError } from "./errors.ts";

/** One Marketplace, seen from here. */
export interface Place {
  dbUrl: string;
  /** Says which one it is, without a password. */
  name: string;
  /** Base URL of the Edge Functions, when the environment says it; else the database knows. */
  functionsUrl: string | undefined;
  n8nUrl: string | undefined;
  n8nApiKey: string | undefined;
  /** Platform's secret key, to call functions with. */
  secretKey: string | undefined;
  /** Where a local n8n keeps its owner's account; null when there is none. */
  n8nSecretsFile: string | null;
}

/**
 * The place that `--db-url` names, else MARKETPLACE_DB_URL or SUPABASE_DB_URL, else the running local
 * stack. What else is known of a place comes from where its database came from, so that a hosted
 * database is never combined with the local stack's keys.
 *
 * @throws {UsageError} when there is none
 */
export async function findPlace(dbUrl: string | undefined): Promise<Place> {
  const environment = Deno.env.toObject();
  const given = dbUrl || environment.MARKETPLACE_DB_URL || environment.SUPABASE_DB_URL;
  if (given) return placeOf(checkUrl(given), environment, environment.MARKETPLACE_HOME);

  const { envFile, home } = resolveLayout();
  const file = await readEnvFile(envFile);
  if (!file?.SUPABASE_DB_URL) {
    throw new UsageError(
      `No database: there is no ${envFile}. Start the stack (deno task start), or name a hosted ` +
        "database with --db-url or SUPABASE_DB_URL.",
    );
  }
  const { N8N_API_KEY } = environment;
  return placeOf(file.SUPABASE_DB_URL, { ...file, ...(N8N_API_KEY ? { N8N_API_KEY } : {}) }, home);
}

function placeOf(dbUrl: string, env: Record<string, string>, home: string | undefined): Place {
  const url = new URL(dbUrl);
  const n8nUrl = env.N8N_URL || undefined;
  return {
    dbUrl,
    name: `${url.hostname}:${url.port || 5432}${url.pathname}`,
    functionsUrl: env.MARKETPLACE_FUNCTIONS_URL?.replace(/\/+$/, "") || undefined,
    n8nUrl,
    n8nApiKey: env.N8N_API_KEY || undefined,
    secretKey: env.SUPABASE_SECRET_KEY || env.SUPABASE_SERVICE_ROLE_KEY || undefined,
    n8nSecretsFile: home && n8nUrl && isLoopback(new URL(n8nUrl))
      ? join(home, "n8n", "secrets.json")
      : null,
  };
}

/** Whether a URL leads to this machine. */
export function isLoopback({ hostname }: URL): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname);
}

function checkUrl(text: string): string {
  const url = URL.parse(text);
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname) return text;
  // Not repeated: whatever it is, it may hold a password.
  throw new UsageError(
    "The database URL is none: give one as Dashboard → Connect shows it, postgresql://…, its " +
      "password percent-encoded.",
  );
}
