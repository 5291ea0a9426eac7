/**
 * `deno task openapi`: the description of the HTTP API that marketplace-execute serves.
 * @module
 */
import { parseArgs } from "node:util";
import settings from "../deno.json" with { type: "json" };
import { formatJson, GENERATED, writeGenerated } from "./generate/files.ts";
import { makeDocument } from "./openapi/document.ts";
import { runCommand, showHelp } from "./platform/command.ts";

const HELP = `
Usage: deno task openapi [--check]

Writes supabase/functions/marketplace-execute/openapi.json: every route with its schemas, as
scripts/openapi lists them and the functions parse them.

  --check   writes nothing; ends with 1 when the file is not what would be written`;

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);

  const text = await formatJson(JSON.stringify(makeDocument(settings.version)));
  const isFresh = await writeGenerated(GENERATED.openapi, text, { check: values.check });
  return values.check && !isFresh ? 1 : 0;
});
