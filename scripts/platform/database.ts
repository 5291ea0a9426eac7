/**
 * What hosted Supabase has ready before the first migration: roles, schemas, Vault, Auth's tables.
 * @module
 */
import { getAuthSchemaSql } from "@supabase/lite";
import postgres from "postgres";

const script = (name: string) => Deno.readTextFile(new URL(name, import.meta.url));

/**
 * Brings a database to the state of a new hosted project. May be repeated.
 * @param url a superuser's connection
 */
export async function bootstrapDatabase(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(await script("./bootstrap.sql")).simple();
    await sql.unsafe(getAuthSchemaSql(true)).simple();
    await sql.unsafe(await script("./bootstrap_auth.sql")).simple();
  } finally {
    await sql.end();
  }
}

/**
 * Tells the migrated database where its functions are, so that it can ring them. Does nothing
 * when no migration made `marketplace.configure_platform`.
 * @param url a connection of the role `postgres`
 * @param functionsUrl e.g. `http://127.0.0.1:24960/functions/v1`
 */
export async function configurePlatform(url: string, functionsUrl: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const [found] = await sql`
      select to_regprocedure('marketplace.configure_platform(text)') is not null as yes`;
    if (found?.yes) await sql`select marketplace.configure_platform(${functionsUrl})`;
  } finally {
    await sql.end();
  }
}

/**
 * The secret that dispatches to workflows are signed with.
 * @param url a connection of the role `postgres`
 * @throws {Error} when the migrations that make it are not applied
 */
export async function signingSecret(url: string): Promise<string> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const [row] = await sql<{ secret: string | null }[]>`
      select marketplace.dispatch_settings() ->> 'signing_secret' as secret`;
    if (!row?.secret) throw new Error("marketplace.dispatch_settings() has no signing_secret.");
    return row.secret;
  } finally {
    await sql.end();
  }
}
