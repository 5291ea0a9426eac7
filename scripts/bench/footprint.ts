/**
 * Figure 7: what each function weighs before it has done anything, and how long a start takes.
 * @module
 */
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { listFunctions } from "../platform/functions.ts";
import { REPOSITORY } from "../platform/layout.ts";
import { findFreeBase } from "../platform/mod.ts";
import { compare, medianOf, type Row, type Sample, type Variant } from "./harness/compare.ts";
import { type Bench, type Figure, type Table, target } from "./harness/figure.ts";
import { withPlace } from "./harness/stack.ts";

const PROBE = fileURLToPath(new URL("./harness/import_process.ts", import.meta.url));
const FUNCTIONS = join(REPOSITORY, "supabase", "functions");
const BARE = "nothing: the runtime alone";

export const figure: Figure = {
  number: 7,
  title: "footprint: import, bundle and memory of each function, start-up of stack and demo",
  stack: false,
  async run(bench) {
    const folder = await Deno.makeTempDir({ prefix: "marketplace-bench-" });
    try {
      return [await functions(bench, folder), await starts(bench, folder)];
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
};

async function functions(bench: Bench, folder: string): Promise<Table> {
  const bare = join(folder, "bare.js");
  await Deno.writeTextFile(bare, "export default { fetch: () => new Response() };\n");
  const bundles = [{ name: BARE, file: bare }];
  for (const name of listFunctions(FUNCTIONS)) {
    const file = join(folder, `${name}.js`);
    await bundle(join(FUNCTIONS, name, "index.ts"), file);
    bundles.push({ name, file });
  }
  const variants = bundles.map(({ name, file }) => ({ name, run: () => imported(file) }));
  const rows = await compare(bench, variants, { rounds: bench.quick ? 1 : 7 });
  const worst = (value: string) => Math.max(...rows.map((row) => medianOf([row], row.name, value)));
  return {
    title: "7. Footprint of each function, cold",
    rowsAre: "imported in a fresh process",
    rows,
    checks: [{ what: "functions imported", expected: bundles.length, found: rows.length }],
    targets: [
      target("largest import ≤ 150 ms of CPU", worst("cpu_ms"), { atMost: 150 }),
      target("largest bundle ≤ 3 MB", worst("bundle_mb"), { atMost: 3 }),
      target("largest process ≤ 80 MB", worst("rss_mb"), { atMost: 80 }),
    ],
    notes: [
      "Bundled by `deno bundle`, not minified. CPU counts all threads, as the hosted limit (2 s) does.",
    ],
  };

  async function imported(file: string): Promise<Sample> {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-config", PROBE, pathToFileURL(file).href],
      env: { MARKETPLACE_LOG_LEVEL: "error" },
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const { size } = await Deno.stat(file);
    const { runtime_mb: _, ...sample } = JSON.parse(new TextDecoder().decode(stdout));
    return { ...sample, bundle_mb: size / 1e6 };
  }
}

async function bundle(entry: string, file: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform=deno", "--no-check", "-o", file, entry],
    cwd: REPOSITORY,
  }).output();
  if (!success) throw new Error(`${entry}: ${new TextDecoder().decode(stderr)}`);
}

async function starts(bench: Bench, folder: string): Promise<Table> {
  const { quick, signal } = bench;
  const note = () => {};
  const variants: Variant[] = [{
    name: "start --no-n8n, from nothing",
    run: () =>
      withPlace({ sandbox: true, note, signal }, ({ readyMs }) =>
        Promise.resolve({
          ready_s: readyMs / 1000,
          total_s: readyMs / 1000,
        })),
  }];
  if (!quick) variants.push({ name: "demo, from nothing", run: () => demo(folder) });
  const rows: Row[] = await compare(bench, variants, { rounds: quick ? 1 : 3, warmUp: false });
  return {
    title: "7. Start-up",
    rowsAre: "until ready, and until done",
    rows,
    checks: [],
    targets: [],
    notes: ["Downloads are there already. The demo ends with verified copies at S3 and Drive."],
  };
}

/** Runs the demo as a newcomer does, in a state folder of its own. */
async function demo(folder: string): Promise<Sample> {
  const home = join(folder, "home");
  await Deno.mkdir(home, { recursive: true });
  await Deno.chmod(folder, 0o755);
  const began = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(REPOSITORY, "scripts", "demo.ts"), "--json"],
    cwd: REPOSITORY,
    env: { MARKETPLACE_HOME: home, MARKETPLACE_PORT: String(findFreeBase()) },
  }).output();
  if (!success) throw new Error(`The demo failed: ${new TextDecoder().decode(stderr)}`);
  const { ready_ms: ready } = JSON.parse(new TextDecoder().decode(stdout));
  return { ready_s: ready / 1000, total_s: (performance.now() - began) / 1000 };
}
