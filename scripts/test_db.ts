/**
 * `deno task db:test`: runs the pgTAP files against a database.
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand, showHelp } from "./platform/command.ts";
import { databaseUrl } from "./platform/database_url.ts";
import { REPOSITORY } from "./platform/layout.ts";
import { runDatabaseTests } from "./testing/database_tests.ts";

const HELP = `
Usage: deno task db:test [--db-url URL] [paths…]

Runs pgTAP files (default supabase/tests/database), each in a session of its own. A file begins and
rolls back a transaction itself; one whose first line is "-- serial" runs alone.

  --db-url   a migrated database, as the role postgres; default: the running stack's`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "db-url": { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) showHelp(HELP);

  const { passed, failed } = await runDatabaseTests({
    url: await databaseUrl(values["db-url"]),
    paths: positionals.length ? positionals : [join(REPOSITORY, "supabase", "tests", "database")],
    write: console.log,
  });
  if (passed + failed === 0) console.error("no test ran");
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
});
