/** Runs the installed n8n on loopback, with the committed workflows published in it. */
import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ensureDatabase } from "./database.ts";
import { IMPORT_SCOPES, importWorkflows, readWorkflows, type WorkflowFile } from "./import.ts";
import { defaultToolsDir, type Installation, installN8n } from "./install.ts";
import { commandLine, requirePort } from "../platform/processes.ts";
import { abortError, killGroup, type Log, sleep } from "./process.ts";

const DATABASE = "n8n";
const OWNER_EMAIL = "owner@example.com";
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;
const LOG_ROTATE_BYTES = 10_000_000;

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
 * Workflows and the credential are imported only when a file, the secret, the version or the
 * database is another one than at the last start.
 *
 * @throws Error naming the cause and the remedy: port in use, database refused, or n8n ended
 *   early (with the end of its log).
 */
export async function startN8n(options: StartOptions): Promise<N8n> {
  const { home, port, dbUrl, signingSecret, log = () => {}, signal } = options;
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
  await endOrphan(folder);
  const oid = await ensureDatabase({
    adminUrl: dbUrl,
    name: DATABASE,
    password: secrets.databasePassword,
    keyId: createHash("sha256").update(secrets.encryptionKey).digest("hex").slice(0, 12),
  });
  const workflows = await readWorkflows(options.workflowsDir);
  const database = lap();

  const url = `http://127.0.0.1:${port}`;
  const runner = new Runner(
    folder,
    installation,
    environment(options, installation, secrets, workflows),
    {
      ports: [port, options.brokerPort],
      logFile: join(home, "logs", "n8n.log"),
      onExit: options.onExit,
    },
  );
  try {
    await runner.start();
    await untilReady(url, runner, signal);
    const boot = lap();

    const wanted = createHash("sha256")
      .update(JSON.stringify([installation.version, oid, signingSecret, workflows])).digest("hex");
    const stamp = join(folder, "imported");
    if (await Deno.readTextFile(stamp).catch(() => "") !== wanted) {
      const names = await withApiKey(
        url,
        secrets,
        (apiKey) => importWorkflows({ url, apiKey, signingSecret, workflows, signal }),
      );
      await Deno.writeTextFile(stamp, wanted);
      log(`n8n: published ${names.join(", ")}`);
    }
    const imported = lap();
    await untilWebhooks(url, workflows, runner, signal);
    const ready = lap();
    log(`n8n ${installation.version}: ready on ${url} (${boot + imported + ready} ms)`);
    return {
      url,
      get pid() {
        return runner.pid;
      },
      timings: { install, database, boot, import: imported, ready },
      stop: () => runner.end("SIGTERM"),
      kill: () => runner.end("SIGKILL"),
      async restart() {
        await runner.end("SIGTERM");
        await runner.start();
        await untilReady(url, runner);
        await untilWebhooks(url, workflows, runner);
      },
    };
  } catch (error) {
    await runner.end("SIGKILL");
    throw error;
  }
}

/** One n8n process at a time, known by a pid file so that the next start finds an orphan. */
class Runner {
  #child: Deno.ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #ending = false;
  readonly #onUnload = () => this.#child && killGroup(this.#child.pid, "SIGKILL");

  constructor(
    readonly folder: string,
    readonly installation: Installation,
    readonly env: Record<string, string>,
    readonly options: { ports: number[]; logFile: string; onExit?: (code: number) => void },
  ) {}

  get pid(): number {
    if (this.#child === undefined) throw new Error("n8n is not running; restart() starts it.");
    return this.#child.pid;
  }

  async start(): Promise<void> {
    const { ports, logFile, onExit } = this.options;
    for (const port of ports) await requirePort(port, "n8n");
    const size = await Deno.stat(logFile).then((info) => info.size, () => 0);
    if (size > LOG_ROTATE_BYTES) await Deno.rename(logFile, `${logFile}.1`);
    const { node, entry } = this.installation;
    // The shell opens the log and becomes n8n: no pipe that would break when this process dies.
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", logFile, node, entry, "start"],
      cwd: this.folder,
      clearEnv: true,
      env: this.env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#child = child;
    this.#ending = false;
    await Deno.writeTextFile(join(this.folder, "n8n.pid"), String(child.pid));
    globalThis.addEventListener("unload", this.#onUnload);
    this.#exited = child.status.then(async ({ code }) => {
      globalThis.removeEventListener("unload", this.#onUnload);
      this.#child = undefined;
      await Deno.remove(join(this.folder, "n8n.pid")).catch(() => {});
      if (!this.#ending) onExit?.(code);
    });
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
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

/** Everything n8n reads from its environment; nothing of ours is inherited but paths and proxies. */
function environment(
  options: StartOptions,
  installation: Installation,
  secrets: Secrets,
  workflows: WorkflowFile[],
): Record<string, string> {
  const database = new URL(options.dbUrl);
  const inherited = Object.entries(Deno.env.toObject()).filter(([name]) =>
    /^(HOME|LANG|LC_ALL|TZ|TMPDIR|NODE_EXTRA_CA_CERTS|(HTTPS?|NO)_PROXY)$/i.test(name)
  );
  // A task runner (125 MB) only serves Code nodes; "external" means that n8n starts none.
  const usesCode = workflows.some((workflow) =>
    workflow.nodes.some((node) => node.type === "n8n-nodes-base.code")
  );
  return {
    ...Object.fromEntries(inherited),
    // The task runner is started as "node": it must be the one n8n was installed with.
    PATH: `${dirname(installation.node)}:${Deno.env.get("PATH") ?? "/usr/bin:/bin"}`,
    N8N_USER_FOLDER: join(options.home, "n8n"),
    N8N_ENCRYPTION_KEY: secrets.encryptionKey,
    N8N_LISTEN_ADDRESS: "127.0.0.1",
    N8N_HOST: "127.0.0.1",
    N8N_PORT: String(options.port),
    N8N_SECURE_COOKIE: "false", // plain HTTP on loopback
    N8N_RUNNERS_MODE: usesCode ? "internal" : "external",
    N8N_RUNNERS_AUTH_TOKEN: secrets.runnersToken,
    N8N_RUNNERS_BROKER_LISTEN_ADDRESS: "127.0.0.1",
    N8N_RUNNERS_BROKER_PORT: String(options.brokerPort),

    DB_TYPE: "postgresdb",
    DB_POSTGRESDB_HOST: database.hostname,
    DB_POSTGRESDB_PORT: database.port || "5432",
    DB_POSTGRESDB_DATABASE: DATABASE,
    DB_POSTGRESDB_USER: DATABASE,
    DB_POSTGRESDB_PASSWORD: secrets.databasePassword,
    DB_POSTGRESDB_POOL_SIZE: "4",

    N8N_INSTANCE_OWNER_MANAGED_BY_ENV: "true",
    N8N_INSTANCE_OWNER_EMAIL: secrets.ownerEmail,
    N8N_INSTANCE_OWNER_FIRST_NAME: "Local",
    N8N_INSTANCE_OWNER_LAST_NAME: "Owner",
    N8N_INSTANCE_OWNER_PASSWORD_HASH: secrets.ownerPasswordHash,

    // Nothing calls home.
    N8N_DIAGNOSTICS_ENABLED: "false",
    N8N_DYNAMIC_BANNERS_ENABLED: "false",
    N8N_HIRING_BANNER_ENABLED: "false",
    N8N_PERSONALIZATION_ENABLED: "false",
    N8N_TEMPLATES_ENABLED: "false",
    N8N_VERSION_NOTIFICATIONS_ENABLED: "false",
    N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED: "false",
    N8N_COMMUNITY_PACKAGES_ENABLED: "false",
    N8N_UNVERIFIED_PACKAGES_ENABLED: "false",
    N8N_DISABLED_MODULES: "mcp-registry",

    // Our tables tell what happened; n8n keeps only failures, for a day, to look at in the editor.
    EXECUTIONS_DATA_SAVE_ON_SUCCESS: "none",
    EXECUTIONS_DATA_SAVE_ON_ERROR: "all",
    EXECUTIONS_DATA_MAX_AGE: "24",
    EXECUTIONS_DATA_PRUNE_MAX_COUNT: "500",
    EXECUTIONS_DATA_HARD_DELETE_BUFFER: "0",
    EXECUTIONS_DATA_PRUNE_HARD_DELETE_INTERVAL: "1",
    N8N_DEFAULT_BINARY_DATA_MODE: "filesystem",

    // The default engine isolates expressions with an addon that Macs with Intel have no build of.
    ...(Deno.build.os === "darwin" && Deno.build.arch === "x86_64"
      ? { N8N_EXPRESSION_ENGINE: "legacy" }
      : {}),

    NODE_OPTIONS: "--max-old-space-size=768", // files are streamed; without it the heap drifts up
    N8N_LOG_LEVEL: "info",
    N8N_GRACEFUL_SHUTDOWN_TIMEOUT: String(STOP_TIMEOUT_MS / 1000 - 2),
  };
}

interface Secrets {
  encryptionKey: string;
  databasePassword: string;
  runnersToken: string;
  ownerEmail: string;
  ownerPassword: string;
  ownerPasswordHash: string;
}

/** This home's own secrets; made on first need, readable by its owner only. */
async function readSecrets(folder: string, installation: Installation): Promise<Secrets> {
  const file = join(folder, "secrets.json");
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const random = () => randomBytes(24).toString("hex");
  const ownerPassword = `A1-${random()}`;
  const n8n = await Deno.realPath(join(installation.directory, "node_modules", "n8n"));
  const bcrypt = createRequire(join(n8n, "package.json"))("bcryptjs");
  const secrets: Secrets = {
    encryptionKey: random(),
    databasePassword: random(),
    runnersToken: random(),
    ownerEmail: OWNER_EMAIL,
    ownerPassword,
    ownerPasswordHash: bcrypt.hashSync(ownerPassword, 10),
  };
  const text = JSON.stringify(secrets, null, 2) + "\n";
  await Deno.writeTextFile(`${file}.new`, text, { mode: 0o600 });
  await Deno.rename(`${file}.new`, file);
  return secrets;
}

/** Ends an n8n whose supervisor was killed: it still holds the ports and the database. */
async function endOrphan(folder: string): Promise<void> {
  const pid = Number(await Deno.readTextFile(join(folder, "n8n.pid")).catch(() => ""));
  if (!(pid > 1)) return;
  const isOurs = async () => (await commandLine(pid))?.includes("/bin/n8n start") ?? false;
  if (!await isOurs()) return;
  killGroup(pid, "SIGTERM");
  for (let waited = 0; await isOurs(); waited += 100) {
    if (waited === STOP_TIMEOUT_MS) killGroup(pid, "SIGKILL");
    await sleep(100);
  }
}

/** Waits until `check` holds. @throws when n8n ends, on abort, or after two minutes. */
async function until(
  what: string,
  check: () => Promise<boolean>,
  runner: Runner,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!await check()) {
    await runner.assertRunning();
    if (performance.now() > deadline) {
      throw new Error(`n8n: ${what} after two minutes; see ${runner.options.logFile}.`);
    }
    await sleep(50, signal);
  }
  if (signal?.aborted) throw abortError(signal);
}

async function answer(url: string): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

async function untilReady(url: string, runner: Runner, signal?: AbortSignal): Promise<void> {
  const ready = async () => (await answer(`${url}/healthz/readiness`)).status === 200;
  await until("not ready", ready, runner, signal);
}

/** n8n answers before webhooks are registered; asking with the wrong method tells without a run. */
async function untilWebhooks(
  url: string,
  workflows: WorkflowFile[],
  runner: Runner,
  signal?: AbortSignal,
): Promise<void> {
  const paths = workflows.flatMap(({ nodes }) => nodes)
    .filter(({ type, parameters }) =>
      type === "n8n-nodes-base.webhook" && parameters.httpMethod === "POST"
    )
    .map(({ parameters }) => String(parameters.path));
  for (const path of paths) {
    const registered = async () =>
      (await answer(`${url}/webhook/${path}`)).text.includes("mean to make a POST request");
    await until(`webhook ${path} not registered`, registered, runner, signal);
  }
}

/** Lends an API key of the owner's for as long as `use` takes. */
async function withApiKey<T>(
  url: string,
  secrets: Secrets,
  use: (apiKey: string) => Promise<T>,
): Promise<T> {
  const rest = async (method: string, path: string, cookie: string, body?: unknown) => {
    const response = await fetch(`${url}/rest/${path}`, {
      method,
      headers: { "content-type": "application/json", cookie },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (response.ok) return { response, data: JSON.parse(text).data };
    throw new Error(`n8n refused ${method} /rest/${path}: ${response.status} ${text}`);
  };
  const { response } = await rest("POST", "login", "", {
    emailOrLdapLoginId: secrets.ownerEmail,
    password: secrets.ownerPassword,
  });
  const cookie = response.headers.getSetCookie().map((each) => each.split(";")[0]).join("; ");
  const { data } = await rest("POST", "api-keys", cookie, {
    label: `import ${crypto.randomUUID().slice(0, 8)}`,
    scopes: IMPORT_SCOPES,
    expiresAt: Math.floor(Date.now() / 1000) + 600,
  });
  try {
    return await use(data.rawApiKey);
  } finally {
    await rest("DELETE", `api-keys/${data.id}`, cookie);
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
