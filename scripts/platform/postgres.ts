/**
 * The embedded Postgres server of one stack: made on first use, started, watched, stopped, and
 * brought back after a run that was killed.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Layout } from "./layout.ts";
import { logStream } from "./log_file.ts";
import { prepareNative } from "./native.ts";
import { commandLine, endProcess, requirePort, sleep } from "./processes.ts";
import { type ServerUser, serverUser, userCanEnter } from "./server_user.ts";

/** The bootstrap superuser, as on hosted. `postgres` is made by bootstrap.sql and is none. */
export const SUPERUSER = "supabase_admin";
/** Every local role that can log in has this password, as in `supabase start`: loopback only. */
const PASSWORD = "postgres";

const SETTINGS: Record<string, string> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] %q%u ",
};

/** A running server. */
export interface PostgresServer {
  /** Resolves when the server ended without `stop()`, with what it said last. */
  readonly ended: Promise<string>;
  /** Where the data stands when the server's user cannot enter the home, else null. */
  readonly relocated: string | null;
  /** A connection URL for a role. */
  url(role: string): string;
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

/** Where the server of a home keeps what only its user may read. */
export interface ServerFolders {
  dataDir: string;
  keyFile: string;
  /** Set when the home cannot be entered by the server's user, and the data stands elsewhere. */
  relocated: string | null;
}

/**
 * The folders of a home's server. They stand in the home; only when this process is root and the
 * home lies where the unprivileged server user cannot enter (a checkout below /root), they stand
 * in a system folder whose name is derived from the home.
 */
export async function serverFolders(
  home: string,
  user: ServerUser | null,
): Promise<ServerFolders> {
  const elsewhere = relocatedFolder(home);
  const base = user && !(await userCanEnter(user, home)) ? elsewhere : home;
  return {
    dataDir: join(base, "pgdata"),
    keyFile: join(base, "vault.key"),
    relocated: base === home ? null : base,
  };
}

/** The system folder that stands in for a home the server's user cannot enter. */
export function relocatedFolder(home: string): string {
  const digest = createHash("sha256").update(home).digest("hex").slice(0, 12);
  return join(systemFolder(), digest);
}

function systemFolder(): string {
  return Deno.build.os === "darwin" ? "/var/db/marketplace" : "/var/lib/marketplace";
}

/**
 * Stops a server that a killed run left behind on a data directory, and clears its pid file.
 * @returns whether a server was running
 */
export async function stopOrphan(dataDir: string): Promise<boolean> {
  const pidFile = join(dataDir, "postmaster.pid");
  let pid: number;
  try {
    pid = parseInt((await Deno.readTextFile(pidFile)).split("\n")[0]!, 10);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  // The number may be somebody else's by now: only a postgres of this directory is ours to stop.
  const command = Number.isInteger(pid) ? await commandLine(pid) : null;
  const ours = command !== null && command.includes("postgres") && command.includes(dataDir);
  if (ours) {
    const gone = await endProcess(pid, [["SIGINT", 10_000], ["SIGQUIT", 3_000], [
      "SIGKILL",
      3_000,
    ]]);
    if (!gone) throw new Error(`Postgres (pid ${pid}) of ${dataDir} does not end: kill it.`);
  }
  await Deno.remove(pidFile).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  return ours;
}

async function initialise(
  native: string,
  folders: ServerFolders,
  as: { uid?: number; gid?: number },
): Promise<void> {
  const draft = `${folders.dataDir}.new`;
  await Deno.remove(draft, { recursive: true }).catch(() => {});
  await Deno.mkdir(draft, { recursive: true, mode: 0o700 });
  const passwordFile = await Deno.makeTempFile({ prefix: "marketplace-" });
  await Deno.writeTextFile(passwordFile, PASSWORD);
  if (as.uid !== undefined) {
    await Deno.chown(draft, as.uid, as.gid!);
    await Deno.chown(passwordFile, as.uid, as.gid!);
  }
  const initdb = await new Deno.Command(join(native, "bin/initdb"), {
    // The builtin provider sorts and folds alike on every system, whatever locales it has.
    args: ["-D", draft, "-U", SUPERUSER, "-A", "scram-sha-256", `--pwfile=${passwordFile}`]
      .concat(["-E", "UTF8", "--locale=C", "--locale-provider=builtin"])
      .concat(["--builtin-locale=C.UTF-8"]),
    ...as,
    cwd: native,
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  await Deno.remove(passwordFile);
  if (!initdb.success) {
    throw new Error(`initdb could not make ${draft}:\n${new TextDecoder().decode(initdb.stderr)}`);
  }
  // A run killed half-way leaves the draft behind, never half a data directory.
  await Deno.rename(draft, folders.dataDir);
}

async function ensureKeyFile(path: string, user: ServerUser | null): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  const key = crypto.getRandomValues(new Uint8Array(32));
  await Deno.writeTextFile(path, btoa(String.fromCharCode(...key)), { mode: 0o600 });
  if (user) await Deno.chown(path, user.uid, user.gid);
}

/**
 * Starts the server of a layout, on a data directory made now if there is none.
 * @throws {Error} when the port is taken, the data belongs to another user, or the server ends
 *   while starting
 */
export async function startPostgres(layout: Layout): Promise<PostgresServer> {
  const user = await serverUser();
  const as = user ? { uid: user.uid, gid: user.gid } : {};
  const native = await prepareNative(
    user,
    user ? [layout.tools, systemFolder()] : [layout.tools],
  );
  await Deno.mkdir(layout.home, { recursive: true });
  const folders = await serverFolders(layout.home, user);
  if (folders.relocated) await Deno.mkdir(folders.relocated, { recursive: true, mode: 0o755 });

  const owner = await Deno.stat(folders.dataDir).then((dir) => dir.uid, () => null);
  const wanted = user?.uid ?? Deno.uid();
  if (owner !== null && owner !== wanted) {
    throw new Error(
      `${folders.dataDir} belongs to user ${owner}, and the server would run as user ${wanted}: ` +
        `run as the user who made it, or set MARKETPLACE_HOME to a new folder.`,
    );
  }
  await stopOrphan(folders.dataDir);
  await requirePort(layout.ports.postgres, "Postgres");
  if (owner === null) await initialise(native, folders, as);
  await ensureKeyFile(folders.keyFile, user);

  const settings = { ...SETTINGS, "vault.key_file": folders.keyFile };
  const child = new Deno.Command(join(native, "bin/postgres"), {
    args: ["-D", folders.dataDir, "-p", String(layout.ports.postgres)].concat(
      Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ),
    ...as,
    cwd: native,
    env: { LC_ALL: "C" },
    // Ctrl-C goes to the supervisor alone, which ends the parts in order.
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();

  let tail = "";
  const logged = logStream(join(layout.logs, "postgres.log"), child.stderr, (text) => {
    tail = (tail + text).slice(-2000);
  });
  let ended = false;
  const status = child.status.finally(() => ended = true);

  // The server writes its state into the pid file: `ready` once it takes connections.
  const pidFile = join(folders.dataDir, "postmaster.pid");
  for (;;) {
    if (ended) {
      await logged;
      throw new Error(`Postgres ended while starting:\n${tail.trim()}`);
    }
    const lines = await Deno.readTextFile(pidFile).then((text) => text.split("\n"), () => []);
    if (lines[0] === String(child.pid) && lines[7]?.trim() === "ready") break;
    await sleep(10);
  }

  let stopping = false;
  return {
    ended: (async () => {
      const { code, signal } = await status;
      await logged;
      if (stopping) return await new Promise<never>(() => {});
      return `postgres ended (${signal ?? code}): ${tail.trim().split("\n").at(-1)}`;
    })(),
    relocated: folders.relocated,
    url: (role) => `postgres://${role}:${PASSWORD}@127.0.0.1:${layout.ports.postgres}/postgres`,
    async stop() {
      stopping = true;
      if (!ended) {
        await endProcess(child.pid, [["SIGINT", 15_000], ["SIGQUIT", 3_000], ["SIGKILL", 3_000]]);
      }
      await status;
      await logged;
    },
  };
}
