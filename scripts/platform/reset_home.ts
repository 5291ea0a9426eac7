/**
 * Deletes the state of a stack that does not run.
 * @module
 */
import { join } from "node:path";
import type { Layout } from "./layout.ts";
import { lockHolder } from "./lock.ts";
import { relocatedFolder, stopOrphan } from "./postgres.ts";

const STATE = ["pgdata", "pgdata.new", "vault.key", "n8n", "logs", "env", "edge.pid"];

/**
 * Deletes database, Vault key, n8n's data and logs, wherever they stand. Shared downloads stay.
 * @throws {Error} when a stack runs on the home
 */
export async function resetHome(layout: Layout): Promise<void> {
  const pid = await lockHolder(layout.lockFile);
  if (pid !== null) {
    throw new Error(`A stack is running on ${layout.home} (pid ${pid}): "deno task stop" first.`);
  }
  const elsewhere = relocatedFolder(layout.home);
  for (const base of [layout.home, elsewhere]) await stopOrphan(join(base, "pgdata"));
  for (const path of [...STATE.map((name) => join(layout.home, name)), elsewhere]) {
    await Deno.remove(path, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}
