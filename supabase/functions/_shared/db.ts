/** The database connection of an isolate. */
import postgres from "postgres";
import { env, missingEnv } from "./env.ts";

/** A pool of connections; tagged template in, rows out. */
export type Sql = postgres.Sql;

/** A part of a statement, with the values in it. */
export type Fragment = postgres.PendingQuery<postgres.Row[]>;

/** Supabase's transaction pooler listens here: no prepared statements, no start-up parameters. */
const TRANSACTION_POOLER_PORT = "6543";

let client: Sql | undefined;

/**
 * The isolate's pool, made at first use; connections open lazily and close when idle.
 *
 * jsonb parameters are passed as text and cast, `${toJsonText(value)}::text::jsonb`: the client would
 * encode them a second time.
 *
 * @throws AppError `configuration_missing` (503) without MARKETPLACE_DB_URL and SUPABASE_DB_URL.
 */
export function db(): Sql {
  return client ??= connect(databaseUrl(), env().MARKETPLACE_DB_POOL);
}

/** Closes the isolate's pool; the next {@link db} opens a new one. */
export async function closeDb(): Promise<void> {
  const closing = client;
  client = undefined;
  await closing?.end({ timeout: 2 });
}

/**
 * A value as JSON that Postgres takes: its text holds no NUL and only whole characters, while what
 * providers and workflows send may.
 */
export function toJsonText(value: unknown): string {
  const text = JSON.stringify(value);
  // Both are written as escapes; most values hold neither, and are not looked at one by one.
  if (!/\\u(?:0000|d[89a-f])/i.test(text)) return text;
  return JSON.stringify(value, (_key, part) => typeof part === "string" ? cleanText(part) : part);
}

/** A text that Postgres takes. */
export function cleanText(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}

function databaseUrl(): string {
  const url = env().MARKETPLACE_DB_URL ?? env().SUPABASE_DB_URL;
  if (!url) throw missingEnv("MARKETPLACE_DB_URL");
  return url;
}

function connect(url: string, max: number): Sql {
  const pooled = new URL(url).port === TRANSACTION_POOLER_PORT;
  return postgres(url, {
    max,
    prepare: !pooled,
    idle_timeout: 20,
    connect_timeout: 5,
    max_lifetime: 30 * 60,
    // The client's default waits up to 20 s between attempts: too long once a database is back.
    backoff: (attempts: number) => Math.min(0.05 * 2 ** attempts, 1),
    onnotice: () => {},
    connection: pooled
      ? { application_name: "marketplace" }
      : { application_name: "marketplace", statement_timeout: 15_000 },
  });
}
