/**
 * The command line: which commands there are, and what ends them how.
 * @module
 */
import tab from "@bomb.sh/tab/commander";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { addAlerts } from "./commands/alerts.ts";
import { addCatalogue } from "./commands/catalogue.ts";
import { addConfiguration } from "./commands/configuration.ts";
import { addConnections } from "./commands/connections.ts";
import { addDatabase } from "./commands/database.ts";
import { addDead } from "./commands/dead.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEvents } from "./commands/events.ts";
import { addIntegrations } from "./commands/integrations.ts";
import { addJobs } from "./commands/jobs.ts";
import { addKeys } from "./commands/keys.ts";
import { addN8n } from "./commands/n8n.ts";
import { addNotifications } from "./commands/notifications.ts";
import { addQuota } from "./commands/quota.ts";
import { addRules } from "./commands/rules.ts";
import { addSend } from "./commands/send.ts";
import { addStatus } from "./commands/status.ts";
import { addTail } from "./commands/tail.ts";
import { addTrace } from "./commands/trace.ts";
import { addWatches } from "./commands/watches.ts";
import { addWorkflows } from "./commands/workflows.ts";
import { describeFault } from "./errors.ts";

const AFTER = `
Without --db-url it is about MARKETPLACE_DB_URL or SUPABASE_DB_URL, else about the local stack.
Ids may be cut short as the tables print them. Exit codes: 0 well, 1 a problem, 2 wrong usage.
"mp" stands for "deno task --quiet mp"; deno task mp complete bash|zsh|fish prints a completion.

Examples:
  mp doctor                          what is wrong, and what to do about it
  mp send github workflow_run        a signed sample delivery
  mp tail --since 10m                what happens now
  mp trace 019aa4c2-1f3e-7abc        the whole story of one delivery
  mp --db-url "$DB_URL" status       of a hosted project`;

/** Every command, in the order of the help. */
const COMMANDS = [
  addStatus,
  addDoctor,
  addAlerts,
  addSend,
  addTail,
  addTrace,
  addEvents,
  addJobs,
  addDead,
  addIntegrations,
  addConnections,
  addWatches,
  addRules,
  addWorkflows,
  addNotifications,
  addQuota,
  addKeys,
  addN8n,
  addCatalogue,
  addConfiguration,
  addDatabase,
];

/** The program, not run yet. */
export function createProgram(): Command {
  const program = new Command("mp")
    .description("Looks after a Marketplace, local or hosted.")
    .option("--json", "print JSON: one document, or one line an item where it follows")
    .option("--db-url <url>", "a Supabase database, as the role postgres")
    .configureHelp({ showGlobalOptions: true, helpWidth: 80 })
    .showHelpAfterError("Its --help says how it is called.")
    .exitOverride()
    .addHelpText("after", AFTER) as unknown as Command;
  for (const add of COMMANDS) add(program);
  tab(program as never);
  return program;
}

/**
 * Runs one command line.
 * @param args as after `mp`
 * @returns the exit code
 */
export async function runProgram(args: string[]): Promise<number> {
  Deno.exitCode = 0;
  try {
    await createProgram().parseAsync(args, { from: "user" });
    return Deno.exitCode;
  } catch (error) {
    // Commander has said what it has to say: help, or what is wrong with the arguments.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { exitCode, ...fault } = describeFault(error);
    console.error(
      args.includes("--json")
        ? JSON.stringify({ error: fault })
        : fault.hint
        ? `${fault.message}\n${fault.hint}`
        : fault.message,
    );
    return exitCode;
  }
}
