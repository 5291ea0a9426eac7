/**
 * `deno task reference`: the schema's tables, views and functions as a document.
 * @module
 */
import { parseArgs } from "node:util";
import { GENERATED, writeGenerated } from "./generate/files.ts";
import { makeReference } from "./generate/reference.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { databaseUrl } from "./platform/database_url.ts";

const HELP = `
Usage: deno task reference [--db-url URL] [--check]

Writes supabase/reference.md from the comments on the schema's tables, columns, views and functions.

  --db-url   a migrated database, as the role postgres; default: the running stack's
  --check    writes nothing; ends with 1 when the file is not what would be written`;

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      "db-url": { type: "string" },
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);

  const text = await makeReference(await databaseUrl(values["db-url"]));
  const isFresh = await writeGenerated(GENERATED.reference, text, { check: values.check });
  return values.check && !isFresh ? 1 : 0;
});
