/** Runs the installed n8n on loopback, with the committed workflows published in it. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ensureDatabase } from "./database.ts";
import { environment } from "./environment.ts";
import { importWorkflows, readWorkflows } from "./import.ts";
import { defaultToolsDir, installN8n } from "./install.ts";
import { makeExecutionsKey, readSecrets, withApiKey } from "./owner.ts";
import type { Log } from "./process.ts";
import { untilReady, untilWebhooks } from "./readiness.ts";
import { endOrphan, Runner } from "./runner.ts";

/** What {@link startN8n} needs to know. */
export interface StartOptions {
  /** State folder of this platform; n8n's own state goes to `n8n/`, its log to `logs/n8n.log`. */
  home: string;
  /** Folder of shared installations, see {@link defaultToolsDir}. */
  toolsDir?: string;
  /** Port of editor, API and webhooks on 127.0.0.1. */
  port: number;
  /** Port of n8n's task broker on 127.0.0.1. */
  brokerPort: number;
  /** Postgres connection of a role that may create roles and databases. */
  dbUrl: string;
  /** Name of n8n's database there, and of its role; default `n8n`. */
  database?: string;
  /** What n8n's environment has besides, or instead. */
  env?: Record<string, string>;
  /** The secret dispatches are signed with (`whsec_…`, printable when decoded). */
  signingSecret: string;
  /** Folder of the workflows; defaults to the committed ones. */
  workflowsDir?: string;
  log?: Log;
  /** Aborting ends install and start; nothing runs on. */
  signal?: AbortSignal;
  /** Called when n8n ends without having been asked to. */
  onExit?: (code: number) => void;
}

/** A running n8n. */
export interface N8n {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Process id of the n8n that runs now. */
  readonly pid: number;
  /** Milliseconds that each step of the start took. */
  readonly timings: Readonly<Record<"install" | "database" | "boot" | "import" | "ready", number>>;
  /** Ends n8n in order, forcibly after ten seconds. */
  stop(): Promise<void>;
  /** Ends n8n at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again, after a stop, a kill or while it runs; resolves when webhooks answer. */
  restart(): Promise<void>;
}

/**
 * Starts n8n and resolves when the production webhook of every workflow answers.
 *
 * Workflows and credentials are imported only when a file, the secret, the version, the address or
 * the database is another one than at the last start.
 *
 * @throws Error naming the cause and the remedy: port in use, database refused, or n8n ended
 *   early (with the end of its log).
 */
export async function startN8n(options: StartOptions): Promise<N8n> {
  const { home, port, dbUrl, database = "n8n", signingSecret, log = () => {}, signal } = options;
  const lap = stopwatch();
  const installation = await installN8n({
    toolsDir: options.toolsDir ?? defaultToolsDir(),
    log,
    signal,
  });
  const install = lap();

  const folder = join(home, "n8n");
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await Deno.mkdir(join(home, "logs"), { recursive: true });
  const secrets = await readSecrets(folder, installation);
  await endOrphan(folder, [port, options.brokerPort]);
  const oid = await ensureDatabase({
    adminUrl: dbUrl,
    name: database,
    password: secrets.databasePassword,
    keyId: createHash("sha256").update(secrets.encryptionKey).digest("hex").slice(0, 12),
  });
  const workflows = await readWorkflows(options.workflowsDir);
  const databaseMs = lap();

  const url = `http://127.0.0.1:${port}`;
  const runner = new Runner({
    folder,
    installation,
    env: {
      ...environment({ ...options, folder, database, installation, secrets, workflows }),
      ...options.env,
    },
    ports: [port, options.brokerPort],
    logFile: join(home, "logs", "n8n.log"),
    onExit: options.onExit,
  });
  try {
    await runner.start();
    await untilReady({ url, runner, signal });
    const boot = lap();

    const wanted = createHash("sha256")
      .update(JSON.stringify([installation.version, oid, url, signingSecret, workflows]))
      .digest("hex");
    const stamp = join(folder, "imported");
    if (await Deno.readTextFile(stamp).catch(() => "") !== wanted) {
      const executionsKey = await makeExecutionsKey({ url, secrets });
      const names = await withApiKey(
        { url, secrets },
        (apiKey) =>
          importWorkflows({ url, apiKey, executionsKey, signingSecret, workflows, signal }),
      );
      await Deno.writeTextFile(stamp, wanted);
      log(`n8n: published ${names.join(", ")}`);
    }
    const imported = lap();
    await untilWebhooks(workflows, { url, runner, signal });
    const ready = lap();
    log(`n8n ${installation.version}: ready on ${url} (${boot + imported + ready} ms)`);
    return {
      url,
      get pid() {
        return runner.pid;
      },
      timings: { install, database: databaseMs, boot, import: imported, ready },
      stop: () => runner.end("SIGTERM"),
      kill: () => runner.end("SIGKILL"),
      async restart() {
        await runner.end("SIGTERM");
        await runner.start();
        await untilReady({ url, runner });
        await untilWebhooks(workflows, { url, runner });
      },
    };
  } catch (error) {
    await runner.end("SIGKILL");
    throw error;
  }
}

/** Milliseconds since the last call, rounded. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const elapsed = Math.round(now - last);
    last = now;
    return elapsed;
  };
}
