/** n8n in queue mode, with the settings of the self-hosting guide: main, webhook processor, workers. */
import { join } from "node:path";
import { parse } from "yaml";
import { REPOSITORY } from "../platform/layout.ts";
import { findFreeBase, isPortFree, sleep } from "../platform/processes.ts";
import { environment } from "./environment.ts";
import { readWorkflows } from "./import.ts";
import { installN8n } from "./install.ts";
import { readSecrets } from "./owner.ts";
import { untilReady, untilWebhooks } from "./readiness.ts";
import { Runner } from "./runner.ts";
import { type N8n, startN8n } from "./start.ts";

/** What {@link startQueueMode} needs to know. */
export interface QueueOptions {
  /** Folder for the state of all of them. */
  home: string;
  toolsDir: string;
  /** Postgres connection of a role that may create roles and databases. */
  dbUrl: string;
  signingSecret: string;
  /** How many workers. */
  workers: number;
  /** Name of n8n's database there, and of its role; default `n8n_queue`. */
  database?: string;
  /** What differs from the guide's settings. */
  env?: Record<string, string>;
  signal?: AbortSignal;
}

/** n8n in queue mode. */
export interface QueueMode {
  /** Base URL of the main process: editor, API and webhooks. */
  url: string;
  /** Base URL of the webhook processor. */
  webhookUrl: string;
  /** Process ids of main, webhook processor and workers. */
  pids: { main: number; webhook: number; workers: number[] };
  /** Ends a worker: at once, or when its runs have ended. */
  endWorker(index: number, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  stop(): Promise<void>;
}

/** Whether there is a Redis to start. */
export async function hasRedis(): Promise<boolean> {
  const found = await new Deno.Command("redis-server", { args: ["--version"] }).output()
    .catch(() => null);
  return found?.success ?? false;
}

/**
 * The settings of queue mode in `scripts/self_host/compose.yml`, and the options of a worker there:
 * what is tried is what the guide says.
 */
export async function composeSettings(): Promise<
  { env: Record<string, string>; worker: string[]; redis: string[] }
> {
  const file = join(REPOSITORY, "scripts", "self_host", "compose.yml");
  const { services } = parse(await Deno.readTextFile(file), { merge: true, logLevel: "silent" });
  const chosen = Object.entries(services.n8n.environment as Record<string, string>).filter(
    ([name]) =>
      /^(EXECUTIONS_MODE|QUEUE_|N8N_DEFAULT_BINARY|N8N_BINARY|DB_POSTGRESDB_POOL)/.test(name),
  );
  return {
    env: Object.fromEntries(chosen),
    worker: services["n8n-worker"].command.split(" "),
    redis: services.redis.command.slice(1),
  };
}

/**
 * Starts Redis (`redis-server` on the PATH), n8n's main process with the committed workflows, a
 * webhook processor, and workers, all on loopback.
 * @throws Error naming what did not start
 */
export async function startQueueMode(options: QueueOptions): Promise<QueueMode> {
  const { home, toolsDir, dbUrl, signingSecret, signal } = options;
  const compose = await composeSettings();
  await using started = new AsyncDisposableStack();

  const redis = { port: findFreeBase(1), password: crypto.randomUUID() };
  const fill = (text: string) => text.replace("${REDIS_PASSWORD}", redis.password);
  await startRedis(join(home, "redis"), redis.port, compose.redis.map(fill), started);
  const env = {
    ...compose.env,
    QUEUE_BULL_REDIS_HOST: "127.0.0.1",
    QUEUE_BULL_REDIS_PORT: String(redis.port),
    QUEUE_BULL_REDIS_PASSWORD: redis.password,
    N8N_BINARY_DATA_DATABASE_MAX_FILE_SIZE: "512",
    N8N_WORKER_SERVER_ADDRESS: "127.0.0.1",
    ...options.env,
  };

  const ports = () => {
    const port = findFreeBase(2);
    return { port, brokerPort: port + 1 };
  };
  const shared = {
    toolsDir,
    dbUrl,
    database: options.database ?? "n8n_queue",
    signingSecret,
    signal,
  };
  const main: N8n = await startN8n({ ...shared, ...ports(), home: join(home, "main"), env });
  started.defer(() => main.stop());

  const installation = await installN8n({ toolsDir });
  const secrets = await readSecrets(join(home, "main", "n8n"), installation);
  const workflows = await readWorkflows();
  const more = async (name: string, args: string[]) => {
    const own = ports();
    const folder = join(home, name);
    await Deno.mkdir(folder, { recursive: true });
    const runner = new Runner({
      folder,
      installation,
      args,
      env: {
        ...environment({ ...shared, ...own, folder, installation, secrets, workflows }),
        ...env,
        QUEUE_HEALTH_CHECK_PORT: String(own.port),
      },
      ports: [own.port, own.brokerPort],
      logFile: join(home, `${name}.log`),
    });
    started.defer(() => runner.end("SIGTERM"));
    await runner.start();
    const url = `http://127.0.0.1:${own.port}`;
    await untilReady({ url, runner, signal });
    return { url, runner };
  };
  const processor = await more("webhook", ["webhook"]);
  await untilWebhooks(workflows, { ...processor, signal });
  const workers: Runner[] = [];
  for (let i = 0; i < options.workers; i++) {
    workers.push((await more(`worker-${i + 1}`, compose.worker)).runner);
  }

  const all = started.move();
  return {
    url: main.url,
    webhookUrl: processor.url,
    pids: {
      main: main.pid,
      webhook: processor.runner.pid,
      workers: workers.map(({ pid }) => pid),
    },
    endWorker: (index, signal) => workers[index]!.end(signal),
    stop: () => all.disposeAsync(),
  };
}

async function startRedis(
  folder: string,
  port: number,
  args: string[],
  started: AsyncDisposableStack,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const child = new Deno.Command("redis-server", {
    args: ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  started.defer(async () => {
    child.kill("SIGTERM");
    await child.status;
  });
  for (let waited = 0; isPortFree(port); waited += 50) {
    if (waited > 5000) throw new Error(`redis-server did not listen on ${port} within 5 s.`);
    await sleep(50);
  }
}
