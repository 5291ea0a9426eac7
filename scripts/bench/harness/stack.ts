/**
 * A stack of the bench's own: fresh, on free ports, in a temporary home, and gone afterwards.
 * @module
 */
import { join } from "node:path";
import postgres from "postgres";
import { type Layout, resolveLayout } from "../../platform/layout.ts";
import { findFreeBase, type Stack, startStack } from "../../platform/mod.ts";
import { serverFolders, SUPERUSER } from "../../platform/postgres.ts";
import { resetHome } from "../../platform/reset_home.ts";
import { serverUser } from "../../platform/server_user.ts";

/** Where a figure measures. */
export interface Place {
  stack: Stack;
  layout: Layout;
  /** The stack's env file: URLs and keys. */
  env: Record<string, string>;
  /** How long the stack took to come up, in milliseconds. */
  readyMs: number;
  /** Connections of the role `postgres`, as the functions have. */
  sql: postgres.Sql;
  /** Connections of the database's superuser, to look at the server itself. */
  admin: postgres.Sql;
  /** Connection URL of the superuser. */
  adminUrl: string;
}

/**
 * Brings a stack up, lends it, and removes all of it.
 *
 * @param options.note prints one line while it comes up
 */
export async function withPlace<T>(
  options: { n8n?: boolean; sandbox?: boolean; note: (line: string) => void; signal: AbortSignal },
  use: (place: Place) => Promise<T>,
): Promise<T> {
  const home = await Deno.makeTempDir({ prefix: "marketplace-bench-" });
  // The database server runs as another user when this is root: it has to get to its data.
  await Deno.chmod(home, 0o755);
  const where = { home, port: findFreeBase() };
  const layout = resolveLayout(where);
  try {
    const began = performance.now();
    const stack = await startStack({
      ...where,
      n8n: options.n8n ?? false,
      sandbox: options.sandbox ?? false,
      note: options.note,
      signal: options.signal,
    });
    const readyMs = performance.now() - began;
    const url = stack.env.SUPABASE_DB_URL!;
    const adminUrl = url.replace("//postgres:", `//${SUPERUSER}:`);
    const sql = postgres(url, { max: 4, onnotice: () => {} });
    const admin = postgres(adminUrl, { max: 2, onnotice: () => {} });
    try {
      return await use({ stack, layout, env: stack.env, readyMs, sql, admin, adminUrl });
    } finally {
      await Promise.all([sql.end({ timeout: 1 }), admin.end({ timeout: 1 })]);
      await stack.stop();
    }
  } finally {
    await resetHome(layout);
    await Deno.remove(home, { recursive: true });
  }
}

/**
 * Stops all that works by itself: no ring, no sweep, no maintenance. For figures that measure one
 * part alone.
 */
export async function silence({ admin }: Pick<Place, "admin">): Promise<void> {
  await admin`update cron.job set active = false`;
  await admin`update marketplace.dispatcher_state set polling_until = 'infinity'`;
}

/** Pid of the place's Postgres server. */
export async function postmasterPid({ layout }: Pick<Place, "layout">): Promise<number> {
  const { dataDir } = await serverFolders(layout.home, await serverUser());
  return Number((await Deno.readTextFile(join(dataDir, "postmaster.pid"))).split("\n")[0]);
}
