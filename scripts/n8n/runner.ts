/** The n8n process: started, watched, ended, and found again when its supervisor was killed. */
import { join } from "node:path";
import { commandLine, isPortFree, requirePort } from "../platform/processes.ts";
import type { Installation } from "./install.ts";
import { killGroup, sleep } from "./process.ts";

/** How long n8n has to end in order. */
export const STOP_TIMEOUT_MS = 10_000;
const LOG_ROTATE_BYTES = 10_000_000;

/** What a {@link Runner} needs to know. */
export interface RunnerOptions {
  /** n8n's folder in the home; its pid file stands there. */
  folder: string;
  installation: Installation;
  /** n8n's command and its options; default `start`. */
  args?: string[];
  env: Record<string, string>;
  /** Ports that have to be free. */
  ports: number[];
  logFile: string;
  /** Called when n8n ends without having been asked to. */
  onExit?: (code: number) => void;
}

/** One n8n process at a time, known by a pid file so that the next start finds an orphan. */
export class Runner {
  #child: Deno.ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #ending = false;
  #order = 0;
  readonly #onUnload = () => this.#child && killGroup(this.#child.pid, "SIGKILL");

  constructor(readonly options: RunnerOptions) {}

  /** @throws Error when none runs. */
  get pid(): number {
    if (this.#child === undefined) throw new Error("n8n is not running; restart() starts it.");
    return this.#child.pid;
  }

  /** @throws Error when a port is taken, or when `end` was called meanwhile. */
  async start(): Promise<void> {
    const { folder, installation, args = ["start"], env, ports, logFile, onExit } = this.options;
    const order = ++this.#order;
    for (const port of ports) await requirePort(port, "n8n");
    const size = await Deno.stat(logFile).then((info) => info.size, () => 0);
    if (size > LOG_ROTATE_BYTES) await Deno.rename(logFile, `${logFile}.1`);
    if (order !== this.#order) throw new Error("n8n was stopped while it was starting.");
    const { node, entry } = installation;
    // The shell opens the log and becomes n8n: no pipe that would break when this process dies.
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", logFile, node, entry, ...args],
      cwd: folder,
      clearEnv: true,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#child = child;
    this.#ending = false;
    globalThis.addEventListener("unload", this.#onUnload);
    this.#exited = child.status.then(async ({ code }) => {
      globalThis.removeEventListener("unload", this.#onUnload);
      this.#child = undefined;
      await Deno.remove(join(folder, "n8n.pid")).catch(() => {});
      if (!this.#ending) onExit?.(code);
    });
    Deno.writeTextFileSync(join(folder, "n8n.pid"), String(child.pid));
  }

  /** Ends it and its task runner, with SIGKILL after ten seconds; harmless when none runs. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#order++;
    const child = this.#child;
    if (child === undefined) return;
    this.#ending = true;
    killGroup(child.pid, signal);
    const timer = setTimeout(() => killGroup(child.pid, "SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
    killGroup(child.pid, "SIGKILL"); // a task runner that outlived n8n
  }

  /** @throws Error with the end of the log when n8n has ended. */
  async assertRunning(): Promise<void> {
    if (this.#child !== undefined) return;
    const text = await Deno.readTextFile(this.options.logFile).catch(() => "");
    throw new Error(
      `n8n ended while starting; ${this.options.logFile} ends with:\n` +
        text.trimEnd().split("\n").slice(-15).join("\n"),
    );
  }
}

/**
 * Ends an n8n whose supervisor was killed: it still holds the ports and the database.
 * @param folder n8n's folder in the home
 * @param ports what it may still hold
 */
export async function endOrphan(folder: string, ports: number[]): Promise<void> {
  const pid = Number(await Deno.readTextFile(join(folder, "n8n.pid")).catch(() => ""));
  if (!(pid > 1)) return;
  if (!(await commandLine(pid))?.includes("/bin/n8n start")) return;
  killGroup(pid, "SIGTERM");
  // An ending process loses its command line before it lets go of its port.
  for (let waited = 0; await commandLine(pid) !== null; waited += 100) {
    if (waited === STOP_TIMEOUT_MS) killGroup(pid, "SIGKILL");
    await sleep(100);
  }
  // Its first thread can be gone while others still hold its sockets.
  for (let waited = 0; waited < 5000 && !ports.every(isPortFree); waited += 100) await sleep(100);
}
