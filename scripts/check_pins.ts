/**
 * Checks that every dependency is pinned, and that each Edge Function's deno.json names exactly
 * what its modules import, at the root's versions: a hosted deploy reads that file alone.
 *
 * `deno run -A scripts/check_pins.ts`
 * @module
 */
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { listFunctions } from "./platform/functions.ts";
import { REPOSITORY } from "./platform/layout.ts";

/** The part of `deno info --json` that is read here. */
interface Graph {
  roots: string[];
  modules: {
    specifier: string;
    dependencies?: { specifier: string; isDynamic?: boolean }[];
  }[];
}

async function imports(path: string): Promise<Record<string, string>> {
  return JSON.parse(await Deno.readTextFile(path)).imports ?? {};
}

/** The packages that a function's modules import by name, its own modules and the shared ones. */
async function importedNames(entry: string): Promise<Set<string>> {
  const info = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: REPOSITORY,
    stderr: "piped",
    stdout: "piped",
  }).output();
  if (!info.success) throw new Error(new TextDecoder().decode(info.stderr));
  const graph: Graph = JSON.parse(new TextDecoder().decode(info.stdout));
  const names = new Set<string>();
  for (const module of graph.modules) {
    if (!module.specifier.startsWith(pathToFileURL(join(REPOSITORY, "supabase")).href)) continue;
    for (const { specifier } of module.dependencies ?? []) {
      const name = /^(@[\w.-]+\/)?[\w.-]+(?=\/|$)/.exec(specifier)?.[0];
      if (name && !specifier.startsWith(".")) names.add(name);
    }
  }
  return names;
}

/** @returns one line a fault; none when all is well */
export async function checkPins(): Promise<string[]> {
  const faults: string[] = [];
  const root = await imports(join(REPOSITORY, "deno.json"));
  for (const [name, target] of Object.entries(root)) {
    if (!/^npm:(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+(-[\w.]+)?(\/.+)?$/.test(target)) {
      faults.push(`deno.json: "${name}" is "${target}": pin an exact version of an npm package.`);
    }
  }
  const functions = join(REPOSITORY, "supabase", "functions");
  for (const name of listFunctions(functions)) {
    const file = join(functions, name, "deno.json");
    const where = relative(REPOSITORY, file);
    const own = await imports(file).catch(() => null);
    if (own === null) {
      faults.push(`${where} is missing: a hosted deploy reads the function's pins there.`);
      continue;
    }
    const used = await importedNames(join(functions, name, "index.ts"));
    for (const specifier of used) {
      if (!(specifier in own)) faults.push(`${where} lacks "${specifier}": "${root[specifier]}".`);
    }
    for (const [specifier, target] of Object.entries(own)) {
      if (root[specifier] !== target) {
        faults.push(`${where}: "${specifier}" is "${target}", the root has "${root[specifier]}".`);
      } else if (!used.has(specifier)) {
        faults.push(`${where}: nothing imports "${specifier}".`);
      }
    }
  }
  return faults;
}

if (import.meta.main) {
  const faults = await checkPins();
  for (const fault of faults) console.error(fault);
  Deno.exit(faults.length > 0 ? 1 : 0);
}
