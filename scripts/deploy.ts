/**
 * `deno task deploy`: brings this checkout to a hosted project or a self-hosted platform.
 * @module
 */
import { parseArgs } from "node:util";
import { deploy } from "./deploy/deploy.ts";
import { MANAGEMENT_API } from "./deploy/management_api.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { readEnvFile } from "./platform/env_file.ts";
import { resolveLayout } from "./platform/layout.ts";

const HELP = `
Usage: deno task deploy --project-ref REF [--env-file FILE] [--dry-run] [--expose-schema]
       deno task deploy --functions-url URL [--dry-run]                      (self-hosted)

Checks the checkout, compares it with what is deployed, prints the plan and applies it: migrations
and seed, the functions' URL, schedules, function secrets, functions, n8n workflows. What is the
same already is left alone, so a second run does nothing.

  --project-ref    reference of a hosted project (or SUPABASE_PROJECT_REF)
  --functions-url  base URL of a self-hosted platform's functions; they are files there, see
                   scripts/self_host/README.md
  --env-file       the functions' environment; names are printed, values never
  --db-url         a Supabase database, as the role postgres (or SUPABASE_DB_URL)
  --expose-schema  let the Data API serve the schema marketplace
  --api-url        another Management API than ${MANAGEMENT_API}
  --dry-run        print the plan and change nothing

SUPABASE_ACCESS_TOKEN  personal access token, for --project-ref
N8N_URL, N8N_API_KEY   the n8n that gets the workflows; without the key they are left out`;

const ROLLBACK = `
To go back: check out the last release and deploy it again; functions and workflows are exchanged.
Migrations only add, and the functions of the last release run on them. Data is brought back with
"deno task restore" (scripts/README.md).`;

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      "project-ref": { type: "string" },
      "functions-url": { type: "string" },
      "env-file": { type: "string" },
      "db-url": { type: "string" },
      "api-url": { type: "string", default: MANAGEMENT_API },
      "expose-schema": { type: "boolean", default: false },
      "dry-run": { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);

  const ref = values["project-ref"] ?? Deno.env.get("SUPABASE_PROJECT_REF");
  if (!ref && !values["functions-url"]) {
    throw new Error("Where to? Give --project-ref REF, or --functions-url URL when self-hosted.");
  }
  if (ref && !/^[a-z]{20}$/.test(ref)) {
    throw new Error(`"${ref}" is no project reference: it is twenty lowercase letters.`);
  }
  const token = Deno.env.get("SUPABASE_ACCESS_TOKEN");
  if (ref && !token) {
    throw new Error(
      "SUPABASE_ACCESS_TOKEN is not set: make one at https://supabase.com/dashboard/account/tokens.",
    );
  }
  const dbUrl = values["db-url"] ?? Deno.env.get("SUPABASE_DB_URL");
  if (!dbUrl) {
    throw new Error(
      "SUPABASE_DB_URL is not set: take the session pooler's connection string (Dashboard → " +
        "Connect), or give --db-url.",
    );
  }
  const envFile = values["env-file"];
  const secrets = envFile ? await readEnvFile(envFile) : undefined;
  if (secrets === null) throw new Error(`There is no ${envFile}.`);

  const n8nUrl = Deno.env.get("N8N_URL") || secrets?.N8N_URL;
  const apiKey = Deno.env.get("N8N_API_KEY");
  const n8n = n8nUrl && apiKey ? { url: n8nUrl, apiKey } : undefined;
  if (!n8n) console.log("n8n         left out: N8N_URL and N8N_API_KEY say where it is");

  const { isChanged } = await deploy({
    dbUrl,
    project: ref ? { apiUrl: values["api-url"], ref, token: token! } : undefined,
    functionsUrl: (values["functions-url"] ?? `https://${ref}.supabase.co/functions/v1`)
      .replace(/\/+$/, ""),
    n8n,
    secrets,
    exposeSchema: values["expose-schema"],
    dryRun: values["dry-run"],
    tools: resolveLayout().tools,
    write: console.log,
  });
  if (isChanged) console.log(ROLLBACK);
  return 0;
});
