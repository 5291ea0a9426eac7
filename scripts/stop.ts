/**
 * `deno task stop`: ends the stack of a home, and whatever a killed run left of it.
 * @module
 */
import { parseArgs } from "node:util";
import { runCommand, showHelp } from "./platform/command.ts";
import { resolveLayout } from "./platform/layout.ts";
import { stopStack } from "./platform/stop_stack.ts";

const HELP = `
Usage: deno task stop

Ends the stack that runs on MARKETPLACE_HOME (default .local), and whatever a killed run left
running. The data stays; "deno task reset" deletes it.`;

await runCommand(async () => {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
  if (values.help) showHelp(HELP);

  const layout = resolveLayout();
  const stopped = await stopStack(layout);
  console.log(
    stopped.supervisor
      ? `stopped the stack on ${layout.home} (pid ${stopped.supervisor})`
      : stopped.orphan
      ? `stopped what a killed run left running on ${layout.home}`
      : `nothing runs on ${layout.home}`,
  );
  return 0;
});
