/**
 * The local platform: everything hosted Supabase gives this project, n8n and a provider sandbox,
 * on the loopback address of one machine and without containers.
 *
 * `startStack` is what `deno task start`, the tests and the demo call. One process supervises:
 * it owns Postgres, the workers of pg_net and pg_cron, the sandbox and n8n, and keeps one child,
 * the edge process, which serves the base port.
 * @module
 */
import { join } from "node:path";
import { startCronWorker } from "./cron_worker.ts";
import { bootstrapDatabase, configurePlatform, signingSecret } from "./database.ts";
import { startEdge } from "./edge_process.ts";
import { readEnvFile, writeEnvFile } from "./env_file.ts";
import { stackEnvironment } from "./environment.ts";
import { type Layout, REPOSITORY, resolveLayout } from "./layout.ts";
import { takeLock } from "./lock.ts";
import { startNetWorker } from "./net_worker.ts";
import { type PostgresServer, startPostgres, SUPERUSER } from "./postgres.ts";
import { requirePort, sleep } from "./processes.ts";
import { endOrphans } from "./stop_stack.ts";
import { pushMigrations, supabaseCli } from "./supabase_cli.ts";

export { findFreeBase } from "./processes.ts";
export { type Layout, resolveLayout } from "./layout.ts";

/** What to start, and where. */
export interface StackOptions {
  /** State folder; default MARKETPLACE_HOME, else `.local` in the checkout. */
  home?: string;
  /** Base port; default MARKETPLACE_PORT, else 24960. */
  port?: number;
  /** Whether to start n8n (default true). */
  n8n?: boolean;
  /** Whether to start the provider sandbox (default true). */
  sandbox?: boolean;
  /** Whether each function runs in a Worker of its own (default false). */
  isolated?: boolean;
  /** Whether to apply migrations and seed (default true). */
  migrate?: boolean;
  /** Prints one line for the person at the console; default: nothing is printed. */
  note?: (line: string) => void;
  /** Gives up starting, and undoes what was started. */
  signal?: AbortSignal;
}

/** A running stack. */
export interface Stack {
  readonly layout: Layout;
  /** The contents of the env file. */
  readonly env: Record<string, string>;
  /** Pid of the edge process at this moment. */
  edgePid(): number;
  /** Kills the edge process; resolves when the next one listens. */
  killEdge(): Promise<void>;
  /** Stops everything in order; nothing keeps running and no lock is left. May be repeated. */
  stop(): Promise<void>;
}

/** A home is in use by another supervisor. */
export class AlreadyRunningError extends Error {
  override name = "AlreadyRunningError";
  constructor(readonly pid: number, home: string) {
    super(
      `A stack is already running on ${home} (pid ${pid}). ` +
        `Stop it with "deno task stop", or set MARKETPLACE_HOME and MARKETPLACE_PORT for a second.`,
    );
  }
}

/**
 * Starts a stack and resolves when all of it is ready and its env file is written.
 * @throws {AlreadyRunningError} when another supervisor holds the home
 * @throws {Error} naming the part that could not be started; nothing is left running then
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const layout = resolveLayout(options);
  const note = options.note ?? (() => {});
  await Deno.mkdir(layout.home, { recursive: true, mode: 0o755 });
  const lock = await takeLock(layout.lockFile);
  if ("heldBy" in lock) throw new AlreadyRunningError(lock.heldBy, layout.home);

  const parts = new AsyncDisposableStack();
  parts.defer(() => lock.release());
  try {
    const stack = await startParts(layout, options, parts, note);
    options.signal?.throwIfAborted();
    return stack;
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

async function startParts(
  layout: Layout,
  options: StackOptions,
  parts: AsyncDisposableStack,
  note: (line: string) => void,
): Promise<Stack> {
  await Deno.remove(layout.envFile).catch(() => {}); // left by a killed run
  const began = performance.now();
  const ready = (part: string, where: string) => {
    options.signal?.throwIfAborted();
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    note(`${part.padEnd(11)} ${where.padEnd(52)} ${seconds.padStart(6)} s`);
  };

  const wantsSandbox = options.sandbox !== false;
  const wantsN8n = options.n8n !== false;
  await endOrphans(layout);
  await requirePort(layout.ports.gateway, "gateway");
  if (wantsSandbox) {
    await requirePort(layout.ports.sandbox, "provider sandbox");
    await requirePort(layout.ports.sandboxS3, "sandbox S3");
  }
  if (wantsN8n) {
    await requirePort(layout.ports.n8n, "n8n");
    await requirePort(layout.ports.n8nBroker, "n8n task broker");
  }

  // The CLI is fetched, on the first run, while Postgres comes up.
  const migrate = options.migrate !== false;
  const cli = migrate ? supabaseCli(layout.tools) : Promise.resolve("");
  cli.catch(() => {});

  const database = await keepPostgres(layout, note);
  parts.defer(() => database.stop());
  ready("postgres", `127.0.0.1:${layout.ports.postgres}`);
  if (database.relocated) {
    note(`            data in ${database.relocated}: the server cannot enter the home`);
  }

  await bootstrapDatabase(database.url(SUPERUSER));
  const env = stackEnvironment(layout, database.url("postgres"), {
    sandbox: wantsSandbox,
    n8n: wantsN8n,
  });

  const edge = await startEdge({
    layout,
    dbUrl: database.url("supabase_lite"),
    // As `supabase functions serve` does: a developer's own secrets, which are never committed.
    env: { ...await readEnvFile(join(REPOSITORY, "supabase", "functions", ".env")), ...env },
    isolated: options.isolated ?? false,
    note,
  });
  parts.defer(() => edge.stop());

  if (migrate) {
    await cli;
    await pushMigrations({ tools: layout.tools, dbUrl: database.url("postgres") });
    ready("migrations", "supabase/migrations, supabase/seed.sql");
  }
  await configurePlatform(database.url("postgres"), env.MARKETPLACE_FUNCTIONS_URL!);

  const net = await startNetWorker(database.url(SUPERUSER));
  parts.defer(() => net.stop());
  const cron = await startCronWorker((role) => database.url(role), SUPERUSER);
  parts.defer(() => cron.stop());
  ready("workers", "pg_net, pg_cron");

  if (wantsSandbox) {
    const { startSandbox } = await import("../sandbox/mod.ts");
    const sandbox = startSandbox({
      port: layout.ports.sandbox,
      s3Port: layout.ports.sandboxS3,
      hostname: "127.0.0.1",
    });
    parts.defer(() => sandbox.stop());
    ready("sandbox", `${env.SANDBOX_URL} (S3 on ${env.SANDBOX_S3_URL})`);
  }

  await edge.ready;
  ready("functions", env.MARKETPLACE_FUNCTIONS_URL!);
  ready("data api", `${env.SUPABASE_URL}/rest/v1, /auth/v1`);

  if (wantsN8n) {
    const n8n = await keepN8n(layout, database.url("postgres"), note, options.signal);
    parts.defer(() => n8n.stop());
    ready("n8n", env.N8N_URL!);
  }

  await writeEnvFile(layout.envFile, env);
  parts.defer(() => Deno.remove(layout.envFile).catch(() => {}));

  let stopped: Promise<void> | undefined;
  return {
    layout,
    env,
    edgePid: () => edge.pid(),
    killEdge: () => edge.kill(),
    stop: () => stopped ??= parts.disposeAsync(),
  };
}

type N8n = Awaited<ReturnType<typeof import("../n8n/mod.ts").startN8n>>;

/** Starts n8n, and starts it again when it ends without being asked to. */
async function keepN8n(
  layout: Layout,
  dbUrl: string,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<{ stop(): Promise<void> }> {
  const { startN8n } = await import("../n8n/mod.ts");
  let stopping = false;
  let restart = Promise.resolve();
  const again = async (ended: N8n, code: number) => {
    note(`n8n ended (exit code ${code}), starting it again; see ${join(layout.logs, "n8n.log")}`);
    for (let pause = 1000; !stopping; pause = Math.min(pause * 2, 8000)) {
      await sleep(pause);
      try {
        if (!stopping) await ended.restart();
        return;
      } catch (error) {
        note(error instanceof Error ? error.message : String(error));
      }
    }
  };
  let started: N8n | undefined; // one that ends while starting makes startN8n throw
  const n8n = started = await startN8n({
    home: layout.home,
    toolsDir: layout.tools,
    port: layout.ports.n8n,
    brokerPort: layout.ports.n8nBroker,
    dbUrl,
    signingSecret: await signingSecret(dbUrl),
    log: note,
    signal,
    onExit: (code) => {
      if (!stopping && started) restart = again(started, code);
    },
  });
  return {
    async stop() {
      stopping = true;
      await restart;
      await n8n.stop();
    },
  };
}

/** Starts Postgres, and starts it again when it ends without being asked to. */
async function keepPostgres(
  layout: Layout,
  note: (line: string) => void,
): Promise<Pick<PostgresServer, "url" | "relocated" | "stop">> {
  let server = await startPostgres(layout);
  let stopping = false;
  let restart = Promise.resolve();
  const again = async () => {
    for (let pause = 100; !stopping; pause = Math.min(pause * 2, 5000)) {
      try {
        server = await startPostgres(layout);
        watch();
        return;
      } catch (error) {
        note(error instanceof Error ? error.message : String(error));
        await sleep(pause);
      }
    }
  };
  const watch = () => {
    void server.ended.then((reason) => {
      if (stopping) return;
      note(`${reason}; starting it again, see ${join(layout.logs, "postgres.log")}`);
      restart = again();
    });
  };
  watch();
  return {
    url: (role) => server.url(role),
    relocated: server.relocated,
    async stop() {
      stopping = true;
      await restart;
      await server.stop();
    },
  };
}
