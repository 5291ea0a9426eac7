/**
 * Deploying the checkout: checks, a plan, and its application in the only order that works.
 *
 * Migrations come first, as functions of the new checkout may need them, and functions of the last
 * one keep working on them (a release only adds). Workflows come last: they call the functions.
 * @module
 */
import postgres from "postgres";
import { signingSecret } from "../platform/database.ts";
import { checkCheckout, requireSameProject } from "./checks.ts";
import { migrationsPart, platformPart, schedulesPart } from "./database.ts";
import { functionsPart, readFunctions } from "./functions.ts";
import { ManagementApi } from "./management_api.ts";
import { describe, isPending, type Item, type Part } from "./plan.ts";
import { readRelease, writeRelease } from "./release.ts";
import { dataApiPart, secretsPart } from "./secrets.ts";
import { type N8nTarget, workflowsPart } from "./workflows.ts";

/** What to deploy to. A part whose destination is not given is left out. */
export interface DeployOptions {
  /** Connection of the role `postgres`. */
  dbUrl: string;
  /** A hosted project; absent on a self-hosted platform, where functions are files. */
  project?: { apiUrl: string; ref: string; token: string };
  /** Base URL of the functions as the database reaches them. */
  functionsUrl: string;
  n8n?: N8nTarget;
  /** The functions' environment. */
  secrets?: Record<string, string>;
  exposeSchema: boolean;
  dryRun: boolean;
  /** Folder of shared downloads. */
  tools: string;
  /** Prints one line. */
  write: (line: string) => void;
}

/** What a deployment found and did. */
export interface Deployment {
  items: Item[];
  /** Whether anything was changed. */
  isChanged: boolean;
}

/**
 * Deploys, or with `dryRun` only says what a deployment would do.
 * @throws {Error} naming what is wrong and the remedy; what was applied before stays, and the next
 *   run goes on from there
 */
export async function deploy(options: DeployOptions): Promise<Deployment> {
  const { write, project } = options;
  const functions = await readFunctions();
  const faults = await checkCheckout(functions, options.secrets ?? null);
  if (faults.length > 0) {
    throw new Error(`Nothing was deployed:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
  }
  write(`checked     config, pins, bundles, environment (${functions.length} functions)`);

  const api = project && new ManagementApi({ ...project, url: project.apiUrl });
  if (api && project) {
    requireSameProject(options.dbUrl, project.ref);
    const { name, region, status } = await api.project();
    if (status !== "ACTIVE_HEALTHY") {
      throw new Error(
        `The project ${project.ref} is ${status}: wait or restore it (Dashboard), then deploy.`,
      );
    }
    write(`project     ${name}, ${project.ref}${region ? `, ${region}` : ""}`);
  }

  const sql = postgres(options.dbUrl, { max: 1, prepare: false, onnotice: () => {} });
  try {
    const parts = await planParts(sql, options, functions, api);
    const items = parts.flatMap((part) => part.items);
    for (const line of describe(items)) write(line);
    const pending = parts.filter((part) => part.items.some(isPending));
    const count = items.filter(isPending).length;
    if (count === 0) {
      write("nothing to do");
      return { items, isChanged: false };
    }
    if (options.dryRun) {
      write(`${count} to change; nothing was changed (--dry-run)`);
      return { items, isChanged: false };
    }
    for (const part of pending) {
      for (const line of await part.apply()) write(`done        ${line}`);
    }
    return { items, isChanged: true };
  } finally {
    await sql.end();
  }
}

/** The parts in the order of their application. */
async function planParts(
  sql: postgres.Sql,
  options: DeployOptions,
  functions: Awaited<ReturnType<typeof readFunctions>>,
  api: ManagementApi | undefined,
): Promise<Part[]> {
  const { dbUrl, functionsUrl, tools, secrets, n8n } = options;
  const target = options.project?.ref ?? functionsUrl;
  const [found] = await sql`
    select to_regprocedure('marketplace.dispatch_settings()') is not null as is_migrated`;
  const release = await readRelease(sql, target);
  const remember = (changes: Parameters<typeof writeRelease>[2]) =>
    writeRelease(sql, target, changes);

  const parts: Part[] = [
    await migrationsPart(sql, { tools, dbUrl }),
    await platformPart(sql, { dbUrl, functionsUrl }),
    await schedulesPart(sql),
  ];
  if (api) {
    if (secrets) parts.push(await secretsPart(secrets, api));
    parts.push(
      await functionsPart(
        functions,
        release,
        { api, tools },
        (deployed) => remember({ functions: deployed }),
      ),
      await dataApiPart(api, options.exposeSchema),
    );
  }
  if (n8n) {
    parts.push(
      await workflowsPart(n8n, {
        release,
        signingSecret: found?.is_migrated ? await signingSecret(dbUrl) : null,
        readSigningSecret: () => signingSecret(dbUrl),
      }, (credential) => remember({ credential })),
    );
  }
  return parts;
}
