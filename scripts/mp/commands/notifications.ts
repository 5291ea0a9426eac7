/** `mp notifications`: who is told of the platform's own events. */
import type { Command } from "@commander-js/extra-typings";
import { findId, several } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { age, stateColour } from "../output.ts";
import { inSession } from "../session.ts";

interface Endpoint {
  id: string;
  organization: string;
  url: string;
  event_types: string[];
  state: string;
  description: string;
  created_at: Date;
}

/** Adds the commands. */
export function addNotifications(program: Command): void {
  const group = program.command("notifications").description(
    "who is told of dead jobs, open circuits, …",
  );

  group.command("ls")
    .description("the endpoints that are told")
    .addHelpText("after", "\nExamples:\n  mp notifications ls")
    .action((_options, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<Endpoint[]>`
          select n.id, o.slug as organization, n.url, n.event_types, n.description, n.created_at,
            case when not w.is_active then 'disabled' when w.breaker_state <> 'closed' then 'open'
              else 'active' end as state
          from marketplace.notification_endpoints as n
          join marketplace.organizations as o on o.id = n.organization_id
          join marketplace.workflows as w on w.id = n.workflow_id
          order by n.created_at`;
        out.table(rows, [
          { title: "id", value: (row) => row.id, kind: "id" },
          { title: "state", value: (row) => row.state, colour: stateColour },
          { title: "age", value: (row) => age(row.created_at), align: "right" },
          { title: "events", value: (row) => row.event_types, isFlexible: true },
          { title: "url", value: (row) => row.url, isFlexible: true },
        ], "Nobody is told: mp notifications add <url> --event job.dead");
      })
    );

  group.command("add")
    .description("tell a URL; prints its signing secret, this once")
    .argument("<url>", "answers 2xx to a POST signed with Standard Webhooks")
    .requiredOption("--event <types>", "event types, such as job.dead,sync.* (repeatable)", several)
    .option("--description <text>", "what it is for", "")
    .option("--organization <slug>", "whose events (default: the platform's own organization)")
    .option("--private-network", "it may be on a private or loopback address")
    .addHelpText(
      "after",
      "\nAn URL that is subscribed already keeps its secret; its event types are replaced.\n" +
        "\nExamples:\n  mp notifications add https://ops.example.com/hook --event job.dead,workflow.*",
    )
    .action((url, { event, description, organization, privateNetwork }, command) =>
      inSession(command, async ({ out, sql }) => {
        if (event.length === 0) {
          throw new UsageError("--event is empty: name a type such as job.dead.");
        }
        const [made] = await sql<{ endpoint_id: string; signing_secret: string | null }[]>`
          select * from marketplace.add_notification_endpoint(
            ${url}, ${event}, ${description}, ${organization ?? null}, ${privateNetwork ?? false}
          )`;
        const { endpoint_id: id, signing_secret: secret } = made!;
        out.done(
          secret
            ? `${id} is told of ${
              event.join(", ")
            }.\nIts signing secret, shown this once: ${secret}`
            : `${id} was subscribed already; now it is told of ${event.join(", ")}.`,
          { id, url, event_types: event, signing_secret: secret },
        );
      })
    );

  group.command("rm")
    .description("tell an endpoint no more; what waits for it is dropped")
    .argument("<id>", "endpoint, as ls prints it")
    .addHelpText("after", "\nExamples:\n  mp notifications rm 019aa4c2-1f3e-7abc")
    .action((text, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        const id = await findId(sql, "notification endpoint", text);
        await sql`select marketplace.remove_notification_endpoint(${id})`;
        out.done(`${id} is told no more.`, { id, removed: true });
      })
    );
}
