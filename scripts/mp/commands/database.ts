/** `mp db`: Postgres' own tools, pointed at the same database. */
import type { Command } from "@commander-js/extra-typings";
import { inSession } from "../session.ts";
import type { Place } from "../place.ts";

/** Adds the commands. */
export function addDatabase(program: Command): void {
  const group = program.command("db").description("psql and pg_dump on the same database");

  group.command("psql")
    .description("an SQL console, its search path on marketplace")
    .argument("[args...]", "further arguments of psql, behind --")
    .addHelpText(
      "after",
      "\nExamples:\n  mp db psql\n  mp db psql -- -c 'select * from v_job_queue'",
    )
    .action((args, _options, command) =>
      inSession(
        command,
        async ({ place }) =>
          await run("psql", args, place, {
            PGOPTIONS: "-c search_path=marketplace,public,extensions",
          }),
      )
    );

  group.command("dump")
    .description("the schema marketplace and its rows as SQL, to standard output")
    .argument("[args...]", "further arguments of pg_dump, behind --")
    .addHelpText(
      "after",
      "\nVault's secrets are not in it: deno task backup keeps them too.\n" +
        "\nExamples:\n  mp db dump > marketplace.sql\n  mp db dump -- --schema-only",
    )
    .action((args, _options, command) =>
      inSession(
        command,
        async ({ place }) =>
          await run("pg_dump", ["--schema=marketplace", "--no-owner", ...args], place),
      )
    );
}

/** Runs a program on this terminal; the password goes through its environment, not its arguments. */
async function run(
  program: string,
  args: string[],
  { dbUrl }: Place,
  env: Record<string, string> = {},
): Promise<number> {
  const url = new URL(dbUrl);
  const sslmode = url.searchParams.get("sslmode");
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      env: {
        PGHOST: url.hostname.replace(/^\[|\]$/g, ""),
        PGPORT: url.port || "5432",
        PGUSER: decodeURIComponent(url.username),
        PGPASSWORD: decodeURIComponent(url.password),
        PGDATABASE: decodeURIComponent(url.pathname.slice(1)) || "postgres",
        ...(sslmode ? { PGSSLMODE: sslmode } : {}),
        ...env,
      },
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `${program} is not installed: install PostgreSQL's client (Debian: postgresql-client, macOS: libpq).`,
    );
  }
  // Ctrl-C ends a query in psql, not psql's parent.
  const ignore = () => {};
  Deno.addSignalListener("SIGINT", ignore);
  const { code } = await child.status;
  Deno.removeSignalListener("SIGINT", ignore);
  return code === 0 ? 0 : 1;
}
