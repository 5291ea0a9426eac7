/**
 * Asking about and ending processes by pid, on Linux (with or without `ps`) and macOS.
 * @module
 */

/** Waits `ms` milliseconds. */
export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/**
 * The command line of a live process, or null when no such process runs (a zombie does not run).
 */
export async function commandLine(pid: number): Promise<string | null> {
  if (Deno.build.os === "linux") {
    try {
      const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
      if (stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z")) return null;
      return (await Deno.readTextFile(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").trim();
    } catch {
      return null;
    }
  }
  const ps = await new Deno.Command("ps", {
    args: ["-o", "stat=,command=", "-p", String(pid)],
    stdout: "piped",
    stderr: "null",
  }).output();
  const line = new TextDecoder().decode(ps.stdout).trim();
  return line === "" || line.startsWith("Z") ? null : line.replace(/^\S+\s+/, "");
}

/**
 * Sends each signal in turn, waiting for the process to end after each.
 * @param steps signals with the time in milliseconds the process has after each
 * @returns whether the process is gone
 * @throws {Error} when the process belongs to another user
 */
export async function endProcess(
  pid: number,
  steps: readonly (readonly [Deno.Signal, number])[],
): Promise<boolean> {
  for (const [signal, patience] of steps) {
    try {
      Deno.kill(pid, signal);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      if (await commandLine(pid) === null) return true;
      throw new Error(`Process ${pid} belongs to another user: end it, then try again.`, {
        cause: error,
      });
    }
    const deadline = Date.now() + patience;
    while (Date.now() < deadline) {
      if (await commandLine(pid) === null) return true;
      await sleep(20);
    }
  }
  return await commandLine(pid) === null;
}

/**
 * Ends a process that a killed run left behind, known by a pid file.
 * @param pidFile holds the pid
 * @param mark what its command line contains: a number alone may be somebody else's by now
 * @returns whether there was one
 */
export async function endRecorded(pidFile: string, mark: string): Promise<boolean> {
  const pid = parseInt(await Deno.readTextFile(pidFile).catch(() => ""), 10);
  if (!(pid > 1) || !(await commandLine(pid))?.includes(mark)) return false;
  return await endProcess(pid, [["SIGTERM", 10_000], ["SIGKILL", 3000]]);
}

/** Who listens on a local TCP port, as `name (pid n)`, when a tool of this machine can tell. */
async function portHolder(port: number): Promise<string | null> {
  try {
    const lsof = await new Deno.Command("lsof", {
      args: ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"],
      stdout: "piped",
      stderr: "null",
    }).output();
    const text = new TextDecoder().decode(lsof.stdout);
    const pid = /^p(\d+)$/m.exec(text)?.[1];
    const name = /^c(.+)$/m.exec(text)?.[1];
    if (pid && name) return `${name} (pid ${pid})`;
  } catch {
    // no lsof here: try ss
  }
  try {
    const ss = await new Deno.Command("ss", {
      args: ["-ltnpH", `sport = :${port}`],
      stdout: "piped",
      stderr: "null",
    }).output();
    const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(new TextDecoder().decode(ss.stdout));
    if (match) return `${match[1]} (pid ${match[2]})`;
  } catch {
    // neither: the port number alone has to do
  }
  return null;
}

/** Whether a loopback TCP port can be listened on now. */
export function isPortFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}

/**
 * Checks that a part of the stack can have its port.
 * @throws {Error} naming the port, its holder when that is known, and the remedy
 */
export async function requirePort(port: number, part: string): Promise<void> {
  if (isPortFree(port)) return;
  const holder = await portHolder(port);
  throw new Error(
    `Port ${port} (${part}) is taken${holder ? ` by ${holder}` : ""}. ` +
      `End that process, or set MARKETPLACE_PORT to move the whole stack to other ports.`,
  );
}

/** A base port whose block of six ports is free now, away from the default one. */
export function findFreeBase(blockSize = 6): number {
  for (let attempt = 0; attempt < 200; attempt++) {
    const base = 20000 + Math.floor(Math.random() * 1500) * 8;
    if (Array.from({ length: blockSize }, (_, i) => base + i).every(isPortFree)) return base;
  }
  throw new Error("No block of free ports between 20000 and 32000: end some listening processes.");
}
