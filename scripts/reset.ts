/**
 * `deno task reset`: deletes the data of a stopped stack, so that the next start begins anew.
 * @module
 */
import { parseArgs } from "node:util";
import { runCommand, showHelp } from "./platform/command.ts";
import { resolveLayout } from "./platform/layout.ts";
import { resetHome } from "./platform/reset_home.ts";

const HELP = `
Usage: deno task reset

Deletes the database, the Vault key, n8n's data and the logs in MARKETPLACE_HOME (default .local).
Shared downloads (MARKETPLACE_TOOLS) stay. The stack must not be running.`;

await runCommand(async () => {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
  if (values.help) showHelp(HELP);

  const layout = resolveLayout();
  await resetHome(layout);
  console.log(`reset ${layout.home}: the next "deno task start" makes everything anew`);
  return 0;
});
