/**
 * `deno task backup`: the control plane's data and secrets in one encrypted file.
 * @module
 */
import { parseArgs } from "node:util";
import { backup } from "./backup/dump.ts";
import { readPassphrase } from "./backup/passphrase.ts";
import { runCommand, showHelp } from "./platform/command.ts";
import { databaseUrl } from "./platform/database_url.ts";

const HELP = `
Usage: deno task backup --out FILE [--db-url URL] [--passphrase-file FILE]

Writes every row of the schema marketplace, and the Vault secrets that belong to them, from one
snapshot into one file that is encrypted with a passphrase. Needs no pg_dump.

  --out              the file; it must not exist
  --db-url           a Supabase database, as the role postgres, directly or through the session
                     pooler; default: the running stack's
  --passphrase-file  a file whose first line is the passphrase

MARKETPLACE_BACKUP_PASSPHRASE  the passphrase, at least 16 characters. Without it the backup cannot
                               be opened by anybody: keep it apart from the file.`;

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      out: { type: "string" },
      "db-url": { type: "string" },
      "passphrase-file": { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);
  const file = values.out;
  if (!file) throw new Error("Where to? Give --out FILE.");
  if (await Deno.stat(file).then(() => true, () => false)) {
    throw new Error(`${file} exists: give another name, a backup is never overwritten.`);
  }
  const passphrase = await readPassphrase(values["passphrase-file"]);
  const began = performance.now();
  const done = await backup({ dbUrl: await databaseUrl(values["db-url"]), file, passphrase });
  console.log(
    `${done.rows} rows of ${done.tables} tables and ${done.secrets} secrets in ${file} ` +
      `(${done.bytes} bytes, ${((performance.now() - began) / 1000).toFixed(1)} s)`,
  );
  return 0;
});
