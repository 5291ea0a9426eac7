/**
 * What a command's action works with: its place, a database connection on first use, an output.
 * @module
 */
import postgres from "postgres";
import { findPlace, isLoopback, type Place } from "./place.ts";
import { Output } from "./output.ts";

/** A command's connections; bigint and numeric come as numbers. */
export type Sql = postgres.Sql<{ number: number }>;

/** Options that every command has. */
export interface GlobalOptions {
  json?: boolean;
  dbUrl?: string;
}

/** One run of one command. */
export interface Session {
  out: Output;
  place: Place;
  sql: Sql;
}

/**
 * Runs an action and closes what it opened.
 * @param command the command whose action it is, for its global options
 * @param work may return an exit code: 1 when it found problems
 */
export async function inSession(
  command: { optsWithGlobals(): object },
  work: (session: Session) => Promise<number | void>,
): Promise<void> {
  const { json = false, dbUrl } = command.optsWithGlobals() as GlobalOptions;
  const place = await findPlace(dbUrl);
  const sql = connect(place.dbUrl);
  try {
    Deno.exitCode = await work({ out: new Output(json), place, sql }) ?? 0;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The transaction pooler: no prepared statements, no settings at start. */
const POOLER_PORT = "6543";

/** Opens a database; off this machine with TLS, unless the URL says otherwise. */
export function connect(dbUrl: string): Sql {
  const url = new URL(dbUrl);
  const isPooled = url.port === POOLER_PORT;
  return postgres(dbUrl, {
    max: 2,
    prepare: !isPooled,
    connect_timeout: 10,
    onnotice: () => {},
    // bigint and numeric: counts and milliseconds, all of them small enough.
    types: { number: { to: 1700, from: [20, 1700], serialize: String, parse: Number } },
    connection: isPooled
      ? { application_name: "marketplace-cli" }
      : { application_name: "marketplace-cli", statement_timeout: 30_000 },
    ...(isLoopback(url) || /[?&]ssl(mode)?=/.test(url.search) ? {} : { ssl: "require" }),
  });
}
