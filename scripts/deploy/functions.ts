/**
 * The Edge Functions of the checkout, what each is made of, and how they get to a project.
 * @module
 */
import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { listFunctions } from "../platform/functions.ts";
import { REPOSITORY } from "../platform/layout.ts";
import { supabaseCli } from "../platform/supabase_cli.ts";
import type { DeployedFunction, ManagementApi } from "./management_api.ts";
import { isPending, type Item, type Part } from "./plan.ts";
import type { Release } from "./release.ts";

const FOLDER = join(REPOSITORY, "supabase", "functions");

/** One function of the checkout. */
export interface FunctionSource {
  slug: string;
  /** SHA-256 over its modules, its deno.json and its settings. */
  digest: string;
  /** What its modules import from somewhere a hosted bundle must not depend on, as written. */
  foreign: string[];
}

/** The part of `deno info --json` that is read here. */
interface Graph {
  modules: { specifier: string; error?: string; dependencies?: { specifier: string }[] }[];
}

/** Reads `verify_jwt` of each `[functions.<name>]` block of a config.toml. */
export function readFunctionSettings(config: string): Map<string, { verifyJwt: boolean }> {
  const settings = new Map<string, { verifyJwt: boolean }>();
  for (const [, name, block] of config.matchAll(/^\[functions\.([\w-]+)\]\n((?:(?!\[).*\n?)*)/gm)) {
    const verify = /^verify_jwt\s*=\s*(true|false)/m.exec(block!)?.[1];
    settings.set(name!, { verifyJwt: verify !== "false" });
  }
  return settings;
}

/** Every function of the checkout. */
export async function readFunctions(): Promise<FunctionSource[]> {
  const config = await Deno.readTextFile(join(REPOSITORY, "supabase", "config.toml"));
  const settings = readFunctionSettings(config);
  return await Promise.all(
    listFunctions(FOLDER).map(async (slug) => {
      const { modules } = await moduleGraph(slug);
      const local = modules.filter((module) => module.specifier.startsWith("file:"));
      const files = local.map((module) => fileURLToPath(module.specifier))
        .filter((file) => file.startsWith(join(REPOSITORY, "supabase")))
        .concat(join(FOLDER, slug, "deno.json"))
        .sort();
      const hash = createHash("sha256").update(JSON.stringify(settings.get(slug) ?? null));
      for (const file of files) {
        const bytes = await Deno.readFile(file);
        hash.update(`\0${relative(FOLDER, file)}\0${bytes.length}\0`).update(bytes);
      }
      const written = local.filter((module) => !module.specifier.includes("/node_modules/"))
        .flatMap((module) => module.dependencies ?? []).map((each) => each.specifier);
      const resolved = modules.map((module) => module.specifier);
      const foreign = [...written, ...resolved].filter((each) => /^(jsr|https?):/.test(each));
      return { slug, digest: hash.digest("hex"), foreign: [...new Set(foreign)].sort() };
    }),
  );
}

async function moduleGraph(slug: string): Promise<Graph> {
  const info = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", join(FOLDER, slug, "index.ts")],
    cwd: REPOSITORY,
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!info.success) throw new Error(new TextDecoder().decode(info.stderr));
  const graph: Graph = JSON.parse(new TextDecoder().decode(info.stdout));
  const broken = graph.modules.find((module) => module.error);
  if (broken) throw new Error(`${slug}: ${broken.specifier}: ${broken.error}`);
  return graph;
}

/**
 * Compares the checkout's functions with a project's.
 *
 * The platform's digest of a bundle cannot be computed here, so a release remembers which sources
 * made which bundle: a function is the same when its sources are those of the last release and the
 * project still runs that release's bundle.
 */
export function compareFunctions(
  wanted: readonly FunctionSource[],
  there: readonly DeployedFunction[],
  release: Release | null,
): Item[] {
  const items = wanted.map(({ slug, digest }): Item => {
    const item = (state: Item["state"], note: string) => ({
      kind: "function",
      name: slug,
      state,
      note,
    });
    const deployed = there.find((each) => each.slug === slug);
    if (!deployed) return item("new", "not deployed");
    const last = release?.functions[slug];
    if (!last) return item("changed", `version ${deployed.version}, not from a release`);
    if (last.version !== deployed.version || last.bundle !== (deployed.ezbr_sha256 ?? null)) {
      return item("changed", `version ${deployed.version}, deployed by other means`);
    }
    if (last.source !== digest) return item("changed", `version ${deployed.version}`);
    if (deployed.status !== "ACTIVE") return item("changed", `status ${deployed.status}`);
    return item("same", `version ${deployed.version}`);
  });
  for (const { slug } of there) {
    if (slug.startsWith("marketplace-") && !wanted.some((each) => each.slug === slug)) {
      items.push({
        kind: "function",
        name: slug,
        state: "hint",
        note: `no longer in the checkout: supabase functions delete ${slug}`,
      });
    }
  }
  return items;
}

/** How the functions get to a project. */
export interface FunctionsTarget {
  api: ManagementApi;
  /** Folder of shared downloads. */
  tools: string;
}

/**
 * The functions as a part of a deployment.
 * @param remember called with what the project runs after the upload
 */
export async function functionsPart(
  wanted: readonly FunctionSource[],
  release: Release | null,
  { api, tools }: FunctionsTarget,
  remember: (functions: Release["functions"]) => Promise<void>,
): Promise<Part> {
  const items = compareFunctions(wanted, await api.functions(), release);
  return {
    items,
    async apply() {
      const slugs = items.filter(isPending).map((item) => item.name);
      await upload(slugs, api, tools);
      const there = await api.functions();
      const functions: Release["functions"] = {};
      for (const { slug, digest } of wanted) {
        const deployed = there.find((each) => each.slug === slug);
        if (!deployed) throw new Error(`The project does not list ${slug} after its upload.`);
        const { version, ezbr_sha256 } = deployed;
        functions[slug] = { source: digest, version, bundle: ezbr_sha256 ?? null };
      }
      await remember(functions);
      return slugs.map((slug) => `uploaded ${slug}, now version ${functions[slug]!.version}`);
    },
  };
}

/** Bundles on the platform's side, each function with its own deno.json and its block of config.toml. */
async function upload(slugs: string[], api: ManagementApi, tools: string): Promise<void> {
  const { url, ref, token } = api.options;
  const profile = await Deno.makeTempFile({ prefix: "marketplace-", suffix: ".yaml" });
  try {
    const host = new URL(url).hostname.replace(/^api\./, "");
    await Deno.writeTextFile(
      profile,
      `name: deploy\napi_url: ${url}\ndashboard_url: https://${host}/dashboard\n` +
        `docs_url: https://supabase.com/docs\nproject_host: ${host.replace(/\.com$/, ".co")}\n`,
    );
    const result = await new Deno.Command(await supabaseCli(tools), {
      args: ["functions", "deploy", ...slugs, "--use-api", `--remote=${ref}`, "--yes"]
        .concat(["--profile", profile, "--agent", "no", "--workdir", REPOSITORY]),
      cwd: REPOSITORY,
      env: {
        SUPABASE_ACCESS_TOKEN: token,
        SUPABASE_TELEMETRY_DISABLED: "1",
        DO_NOT_TRACK: "1",
        NO_COLOR: "1",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (result.success) return;
    const decoder = new TextDecoder();
    const said = decoder.decode(result.stdout) + decoder.decode(result.stderr);
    throw new Error(
      `supabase functions deploy failed (exit code ${result.code}):\n` +
        said.replaceAll(token, "***").split("\n")
          .filter((line) => line && !line.startsWith("Uploading asset")).join("\n"),
    );
  } finally {
    await Deno.remove(profile);
  }
}
