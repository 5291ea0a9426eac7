/**
 * `deno task restore`: a backup into a freshly pushed database.
 * @module
 */
import { parseArgs } from "node:util";
import { restore } from "./backup/load.ts";
import { readPassphrase } from "./backup/passphrase.ts";
import { runCommand, showHelp } from "./platform/command.ts";

const HELP = `
Usage: deno task restore --db-url URL [--replace] [--passphrase-file FILE] FILE

Brings a backup into a database that has the same migrations (deno task db:push), in one
transaction: every table is compared with what the backup says of it, and the secrets are written
into the database's own Vault. Either all of it is there afterwards, or nothing was changed.

  --db-url           a Supabase database, as the role postgres, directly or through the session pooler
  --replace          give up what the database holds already
  --passphrase-file  a file whose first line is the passphrase

MARKETPLACE_BACKUP_PASSPHRASE  the passphrase the backup was made with

A restored database rings nobody until it is told where its functions are ("deno task deploy", or
marketplace.configure_platform): a copy for a drill stays silent. From then on waiting jobs run.`;

await runCommand(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "db-url": { type: "string" },
      "passphrase-file": { type: "string" },
      replace: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);
  const [file] = positionals;
  if (!file || positionals.length > 1) throw new Error("What from? Give one FILE.");
  const dbUrl = values["db-url"];
  // No default: a restore must not hit the running stack because something was forgotten.
  if (!dbUrl) throw new Error("Where to? Give --db-url URL.");
  const passphrase = await readPassphrase(values["passphrase-file"]);
  const done = await restore({ dbUrl, file, passphrase, replace: values.replace });
  console.log(
    `${done.rows} rows of ${done.tables} tables and ${done.secrets} secrets, as of ` +
      `${done.takenAt}, restored and compared`,
  );
  if (!done.isConfigured) {
    console.log(
      'It does not know its functions yet, and rings nobody: "deno task deploy" says it.',
    );
  }
  return 0;
});
