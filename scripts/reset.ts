/**
 * `deno task reset`: deletes the data of a stopped stack, so that the next start begins anew.
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCommand, showHelp } from "./platform/command.ts";
import { resolveLayout } from "./platform/layout.ts";
import { lockHolder } from "./platform/lock.ts";
import { relocatedFolder, stopOrphan } from "./platform/postgres.ts";

const HELP = `
Usage: deno task reset

Deletes the database, the Vault key, n8n's data and the logs in MARKETPLACE_HOME (default .local).
Shared downloads (MARKETPLACE_TOOLS) stay. The stack must not be running.`;

const STATE = ["pgdata", "pgdata.new", "vault.key", "n8n", "logs", "env"];

await runCommand(async () => {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
  if (values.help) showHelp(HELP);

  const layout = resolveLayout();
  const pid = await lockHolder(layout.lockFile);
  if (pid !== null) {
    throw new Error(`A stack is running on ${layout.home} (pid ${pid}): "deno task stop" first.`);
  }
  const elsewhere = relocatedFolder(layout.home);
  for (const base of [layout.home, elsewhere]) await stopOrphan(join(base, "pgdata"));
  for (const path of [...STATE.map((name) => join(layout.home, name)), elsewhere]) {
    await Deno.remove(path, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  console.log(`reset ${layout.home}: the next "deno task start" makes everything anew`);
  return 0;
});
