/**
 * Ends a stack from outside its supervisor.
 * @module
 */
import { join } from "node:path";
import { EDGE_PID_FILE } from "./edge_process.ts";
import type { Layout } from "./layout.ts";
import { lockHolder } from "./lock.ts";
import { relocatedFolder, stopOrphan } from "./postgres.ts";
import { endProcess, endRecorded } from "./processes.ts";

/** What was there to stop. */
export interface Stopped {
  /** Pid of the supervisor that was ended. */
  supervisor: number | null;
  /** Whether a killed run had left something running. */
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
  let orphan = await endOrphans(layout);
  for (const base of [layout.home, relocatedFolder(layout.home)]) {
    orphan = await stopOrphan(join(base, "pgdata")) || orphan;
  }
  return { supervisor, orphan };
}

/**
 * Ends the processes of a killed run but its database server, which `startPostgres` and
 * `stopStack` see to.
 * @returns whether there were any
 */
export async function endOrphans(layout: Layout): Promise<boolean> {
  const edge = await endRecorded(join(layout.home, EDGE_PID_FILE), "platform/edge.ts");
  const n8n = await endRecorded(join(layout.home, "n8n", "n8n.pid"), "/bin/n8n start");
  return edge || n8n;
}
