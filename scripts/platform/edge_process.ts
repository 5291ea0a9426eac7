/**
 * Keeps the edge process running.
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Layout, REPOSITORY } from "./layout.ts";
import { logStream } from "./log_file.ts";
import { endProcess, requirePort, sleep } from "./processes.ts";

const ENTRY = fileURLToPath(new URL("./edge.ts", import.meta.url));
/** Names the edge process in its home, for whoever comes after a killed run. */
export const EDGE_PID_FILE = "edge.pid";
const BACKOFF_MS = [0, 100, 250, 500, 1000, 2000, 5000];
const HEALTHY_MS = 10_000;

/** The supervised edge process. */
export interface EdgeProcess {
  /** Resolves when the first process listens. */
  readonly ready: Promise<void>;
  pid(): number;
  /** Kills the process (SIGKILL) and resolves when its successor listens. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the edge process and restarts it whenever it dies, at once the first time and then with
 * growing pauses until it has stayed up for ten seconds.
 * @param options.env what the functions see besides this process's environment
 * @param options.note prints one line for the person at the console
 * @throws {Error} when the base port is taken
 */
export async function startEdge(options: {
  layout: Layout;
  dbUrl: string;
  env: Record<string, string>;
  isolated: boolean;
  note: (line: string) => void;
}): Promise<EdgeProcess> {
  const { layout } = options;
  await requirePort(layout.ports.gateway, "gateway");
  let stopping = false;
  let child: Deno.ChildProcess;
  // Settled by whichever process listens next: one that dies before it listens passes it on.
  let listening = Promise.withResolvers<void>();

  const spawn = () => {
    child = new Deno.Command(Deno.execPath(), {
      // A request's signal aborts when the client goes away, not when it got its answer.
      args: ["run", "-A", "--unstable-no-legacy-abort", "--config", join(REPOSITORY, "deno.json")]
        .concat([ENTRY, "--port", String(layout.ports.gateway), "--db-url", options.dbUrl])
        .concat(["--functions", join(REPOSITORY, "supabase", "functions")])
        .concat(options.isolated ? ["--isolated"] : []),
      cwd: REPOSITORY,
      env: options.env,
      detached: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    Deno.writeTextFileSync(join(layout.home, EDGE_PID_FILE), `${child.pid}\n`);
    const log = join(layout.logs, "edge.log");
    void logStream(log, child.stdout, (text) => text.includes("listening") && listening.resolve());
    void logStream(log, child.stderr);
    return child.status;
  };

  const keepUp = async (firstRun: Promise<Deno.CommandStatus>) => {
    let run = firstRun;
    for (let failures = 0; !stopping;) {
      const started = Date.now();
      const { code, signal } = await run;
      if (stopping) return;
      failures = Date.now() - started > HEALTHY_MS ? 1 : failures + 1;
      const pause = BACKOFF_MS[Math.min(failures - 1, BACKOFF_MS.length - 1)]!;
      options.note(
        `edge process ended (${signal ?? `exit code ${code}`}), starting it again` +
          (pause ? ` in ${pause} ms` : "") + `; see ${join(layout.logs, "edge.log")}`,
      );
      await sleep(pause);
      if (!stopping) run = spawn();
    }
  };

  const watching = keepUp(spawn());
  return {
    ready: listening.promise,
    pid: () => child.pid,
    async kill() {
      await listening.promise;
      listening = Promise.withResolvers();
      child.kill("SIGKILL");
      await listening.promise;
    },
    async stop() {
      stopping = true;
      // Let a restart that is under way see it, then end whatever runs now.
      await endProcess(child.pid, [["SIGTERM", 7000], ["SIGKILL", 2000]]);
      await watching;
      await Deno.remove(join(layout.home, EDGE_PID_FILE)).catch(() => {});
    },
  };
}
