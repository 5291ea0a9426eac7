/**
 * The functions' environment on a hosted project. Values go out, only names and digests come back.
 * @module
 */
import { createHash } from "node:crypto";
import { Env } from "../../supabase/functions/_shared/env.ts";
import type { ManagementApi } from "./management_api.ts";
import { isPending, type Item, type Part } from "./plan.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/**
 * What is wrong with an environment that functions are to get: one line a fault, names only.
 * @param env the file's variables
 */
export function checkSecrets(env: Record<string, string>): string[] {
  const faults: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith("SUPABASE_")) {
      faults.push(`${name}: the platform sets this name itself and refuses it; leave it out.`);
    } else if (value.trim() === "") {
      faults.push(`${name} is empty: give it a value, or leave the line out.`);
    }
  }
  const parsed = Env.safeParse(env);
  for (const issue of parsed.error?.issues ?? []) {
    faults.push(`${issue.path.join(".")}: ${issue.message}`);
  }
  if (!env.N8N_URL && !env.WINDMILL_URL) {
    faults.push("N8N_URL is not set: the functions would not know where to send jobs.");
  }
  return faults;
}

/** Compares wanted values with the digests that a project lists. */
export function compareSecrets(
  wanted: Record<string, string>,
  there: readonly { name: string; value: string }[],
): Item[] {
  return Object.entries(wanted).map(([name, value]) => {
    const found = there.find((each) => each.name === name);
    const state = !found ? "new" : found.value === sha256(value) ? "same" : "changed";
    return { kind: "secret", name, state };
  });
}

/** The functions' environment as a part of a deployment. */
export async function secretsPart(
  wanted: Record<string, string>,
  api: ManagementApi,
): Promise<Part> {
  const items = compareSecrets(wanted, await api.secrets());
  return {
    items,
    async apply() {
      const names = items.filter(isPending).map((item) => item.name);
      await api.setSecrets(names.map((name) => ({ name, value: wanted[name]! })));
      return [`set ${names.join(", ")}`];
    },
  };
}

/** Whether the Data API serves the schema; exposing it is the owner's choice. */
export async function dataApiPart(api: ManagementApi, expose: boolean): Promise<Part> {
  const schemas = (await api.postgrest()).db_schema.split(",").map((each) => each.trim());
  const name = "schema marketplace";
  const item: Item = schemas.includes("marketplace")
    ? { kind: "data api", name, state: "same" }
    : expose
    ? { kind: "data api", name, state: "new" }
    : {
      kind: "data api",
      name,
      state: "hint",
      note: "not exposed; --expose-schema does it, for tenants that query through supabase-js",
    };
  return {
    items: [item],
    async apply() {
      await api.exposeSchemas([...schemas.filter(Boolean), "marketplace"]);
      return ["the Data API serves the schema marketplace"];
    },
  };
}
