/** `mp connections`: accounts that users authorised. */
import { type Command, Option } from "@commander-js/extra-typings";
import { count } from "../arguments.ts";
import { age, stateColour } from "../output.ts";
import { inSession } from "../session.ts";

interface Connection {
  id: string;
  integration: string;
  organization: string;
  name: string;
  account: string | null;
  status: string;
  is_shared: boolean;
  is_renewable: boolean;
  expires_at: Date | null;
  error_message: string | null;
  created_at: Date;
}

/** Adds the commands. */
export function addConnections(program: Command): void {
  const group = program.command("connections").description("accounts that users authorised");

  group.command("ls")
    .description("the connections, those in trouble first")
    .option("--integration <slug>", "only of this one")
    .option("--organization <slug>", "only of this one")
    .addOption(
      new Option("--status <status>", "only those").choices(
        ["pending", "active", "reauthorization_required", "revoked", "error"] as const,
      ),
    )
    .option("--limit <count>", "how many", count, 50)
    .addHelpText("after", "\nExamples:\n  mp connections ls --status reauthorization_required")
    .action(({ integration, organization, status, limit }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<Connection[]>`
          select c.id, i.slug as integration, o.slug as organization, c.name, c.account, c.status,
            c.is_shared, c.is_renewable, c.expires_at, c.error_message, c.created_at
          from marketplace.connections as c
          join marketplace.integrations as i on i.id = c.integration_id
          join marketplace.organizations as o on o.id = c.organization_id
          where (${integration ?? null}::text is null or i.slug = ${integration ?? null})
            and (${organization ?? null}::text is null or o.slug = ${organization ?? null})
            and (${status ?? null}::text is null or c.status = ${status ?? null})
          order by c.status in ('error', 'reauthorization_required') desc, c.created_at desc
          limit ${limit}`;
        out.table(rows, [
          { title: "id", value: (row) => row.id, kind: "id" },
          { title: "integration", value: (row) => row.integration, isFlexible: true },
          { title: "name", value: (row) => row.name, isFlexible: true },
          { title: "account", value: (row) => row.account, isFlexible: true },
          { title: "status", value: (row) => row.status, colour: stateColour },
          { title: "expires", value: (row) => age(row.expires_at), align: "right" },
          { title: "error", value: (row) => row.error_message, isFlexible: true },
        ], "No such connections.");
      })
    );
}
