/**
 * `deno task db:push`: applies migrations and seed to a database.
 * @module
 */
import { parseArgs } from "node:util";
import { runCommand, showHelp } from "./platform/command.ts";
import { databaseUrl } from "./platform/database_url.ts";
import { resolveLayout } from "./platform/layout.ts";
import { pushMigrations } from "./platform/supabase_cli.ts";

const HELP = `
Usage: deno task db:push [--db-url URL]

Applies the migrations that are not in the database's history, then supabase/seed.sql, with the
supabase CLI.

  --db-url   a Supabase database, as the role postgres; default: the running stack's`;

await runCommand(async () => {
  const { values } = parseArgs({
    options: { "db-url": { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) showHelp(HELP);

  const dbUrl = await databaseUrl(values["db-url"]);
  console.log(await pushMigrations({ tools: resolveLayout().tools, dbUrl }));
  return 0;
});
