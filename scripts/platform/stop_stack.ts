/**
 * Ends a stack from outside its supervisor.
 * @module
 */
import { join } from "node:path";
import type { Layout } from "./layout.ts";
import { lockHolder } from "./lock.ts";
import { relocatedFolder, stopOrphan } from "./postgres.ts";
import { commandLine, endProcess } from "./processes.ts";

/** What was there to stop. */
export interface Stopped {
  /** Pid of the supervisor that was ended. */
  supervisor: number | null;
  /** Whether a killed run had left its database server or its n8n running. */
  orphan: boolean;
}

/**
 * Ends the supervisor of a home, which ends its parts, and stops a server that has none.
 * @throws {Error} when the supervisor does not end within 40 seconds
 */
export async function stopStack(layout: Layout): Promise<Stopped> {
  const supervisor = await lockHolder(layout.lockFile);
  if (supervisor !== null && !(await endProcess(supervisor, [["SIGTERM", 40_000]]))) {
    throw new Error(`The stack (pid ${supervisor}) does not end: look into ${layout.logs}.`);
  }
  let orphan = await stopOrphanN8n(layout.home);
  for (const base of [layout.home, relocatedFolder(layout.home)]) {
    orphan = await stopOrphan(join(base, "pgdata")) || orphan;
  }
  return { supervisor, orphan };
}

/** n8n leads a process group, and its pid file stands in its folder (see scripts/n8n/start.ts). */
async function stopOrphanN8n(home: string): Promise<boolean> {
  const pid = parseInt(await Deno.readTextFile(join(home, "n8n", "n8n.pid")).catch(() => ""), 10);
  if (!(pid > 1) || !(await commandLine(pid))?.includes("/bin/n8n start")) return false;
  return await endProcess(pid, [["SIGTERM", 10_000], ["SIGKILL", 3000]]);
}
