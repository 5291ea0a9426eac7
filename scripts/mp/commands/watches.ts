/** `mp watches`: whose changes are followed, and what providers push through. */
import type { Command } from "@commander-js/extra-typings";
import { age, plural, stateColour } from "../output.ts";
import { inSession } from "../session.ts";

interface Watch {
  integration: string;
  feed: string;
  scope: string;
  connection_id: string | null;
  status: string;
  channel: string;
  channel_ends_at: Date | null;
  caught_up_at: Date | null;
  last_event_at: Date | null;
  error_message: string | null;
}

/** Adds the commands. */
export function addWatches(program: Command): void {
  const group = program.command("watches").description(
    "whose changes are followed: Drive, Docs, Sheets, Gmail, GitHub, S3, …",
  );

  group.command("ls")
    .description("what is followed, up to when, and through which channel")
    .addHelpText("after", "\nExamples:\n  mp watches ls")
    .action((_options, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<Watch[]>`
          select c.integration, c.feed, c.scope, c.connection_id, c.status, c.caught_up_at,
            c.last_event_at, coalesce(w.status, 'none') as channel, w.expires_at as channel_ends_at,
            coalesce(c.error_message, w.error_message) as error_message
          from marketplace.v_sync_cursors as c
          left join lateral (
            select v.status, v.expires_at, v.error_message
            from marketplace.v_watch_channels as v
            where v.cursor_id = c.cursor_id
              or v.provider = 'github' and v.integration = c.integration and v.scope = c.scope
            order by v.status = 'active' desc, v.created_at desc
            limit 1
          ) as w on true
          where c.is_active
          union all
          -- a bucket is not pulled: it tells, or does not
          select h.integration, h.feed, h.scope, h.connection_id, h.status, null, null, h.status, null,
            h.error_message
          from marketplace.v_watch_channels as h
          where h.feed = 's3.bucket'
          order by 1, 2, 3`;
        out.table(rows, [
          { title: "integration", value: (row) => row.integration, isFlexible: true },
          { title: "feed", value: (row) => row.feed },
          { title: "of", value: (row) => row.scope || row.connection_id, isFlexible: true },
          { title: "state", value: (row) => row.status, colour: stateColour },
          { title: "behind", value: (row) => age(row.caught_up_at), align: "right" },
          { title: "channel", value: (row) => row.channel, colour: stateColour },
          { title: "ends in", value: (row) => age(row.channel_ends_at), align: "right" },
          { title: "error", value: (row) => row.error_message, isFlexible: true },
        ], "Nothing is followed: mp watches add <integration>");
      })
    );

  group.command("add")
    .description("follow an account's changes from now on")
    .argument("<integration>", "slug; of GitHub and S3, the webhook is made and kept")
    .option("--of <scope>", "shared drive, mailbox, calendar, owner/repo, organization or bucket")
    .option("--connection <id>", "with this connection's credential")
    .addHelpText(
      "after",
      "\nExamples:\n  mp watches add google-drive\n  mp watches add github-actions --of octo-org/octo-repo\n" +
        "  mp watches add archive",
    )
    .action((integration, { of: scope, connection }, command) =>
      inSession(command, async ({ out, sql }) => {
        const isHook = await hasWebhooks(sql, integration);
        const [row] = isHook
          ? await sql<{ id: string }[]>`
            select marketplace.ensure_webhook(
              ${integration}, ${scope ?? null}, null, ${connection ?? null}
            ) as id`
          : await sql<{ id: string }[]>`
            select marketplace.watch(
              ${integration}, null, ${scope ?? ""}, ${connection ?? null}
            ) as id`;
        out.done(`${integration} is followed from now on.`, { id: row!.id, integration });
      })
    );

  group.command("rm")
    .description("follow it no more; its channels are stopped at the provider")
    .argument("<integration>", "slug")
    .option("--of <scope>", "as it was added")
    .option("--connection <id>", "as it was added")
    .addHelpText("after", "\nExamples:\n  mp watches rm google-drive")
    .action((integration, { of: scope, connection }, command) =>
      inSession(command, async ({ out, sql }) => {
        const [row] = await hasWebhooks(sql, integration)
          ? await sql<{ ended: number }[]>`
            select marketplace.remove_webhook(${integration}, ${scope ?? null})::int as ended`
          : await sql<{ ended: number }[]>`
            select marketplace.unwatch(
              ${integration}, null, ${scope ?? ""}, ${connection ?? null}
            ) as ended`;
        const ended = row!.ended;
        out.done(
          ended > 0
            ? `${plural(ended, "feed")} of ${integration} ended.`
            : `Nothing of that kind was followed: mp watches ls`,
          { integration, ended },
        );
        return ended > 0 ? 0 : 1;
      })
    );
}

/** Whether the provider's webhooks are made through its API. */
async function hasWebhooks(
  sql: Parameters<Parameters<typeof inSession>[1]>[0]["sql"],
  integration: string,
): Promise<boolean> {
  const [row] = await sql<{ provider: string }[]>`
    select i.provider from marketplace.integrations as i
    where i.id = marketplace._integration_id(${integration})`;
  return ["github", "aws_s3"].includes(row!.provider);
}
