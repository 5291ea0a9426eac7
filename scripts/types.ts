/**
 * `deno task types`: types of the database and of the catalogue's actions, for apps.
 * @module
 */
import { parseArgs } from "node:util";
import { loadCatalogue } from "./catalogue/rows.ts";
import { makeActionTypes } from "./generate/action_types.ts";
import { makeDatabaseTypes } from "./generate/database_types.ts";
import { GENERATED, writeGenerated } from "./generate/files.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { databaseUrl } from "./platform/database_url.ts";
import { resolveLayout } from "./platform/layout.ts";

const HELP = `
Usage: deno task types [--db-url URL] [--check]

Writes supabase/functions/_shared/client: database.types.ts with "supabase gen types", and
action.types.ts from the rows of marketplace.actions.

  --db-url   a migrated database, as the role postgres; default: the running stack's
  --check    writes nothing; ends with 1 when a file is not what would be written`;

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      "db-url": { type: "string" },
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);

  const { check } = values;
  const dbUrl = await databaseUrl(values["db-url"]);
  const { tools } = resolveLayout();
  const { actions } = await loadCatalogue(dbUrl);
  const isFresh = [
    await writeGenerated(
      GENERATED.databaseTypes,
      await makeDatabaseTypes({ tools, dbUrl }),
      { check },
    ),
    await writeGenerated(GENERATED.actionTypes, await makeActionTypes(actions), { check }),
  ];
  return check && isFresh.includes(false) ? 1 : 0;
});
