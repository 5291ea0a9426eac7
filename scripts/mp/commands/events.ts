/** `mp events`: verified deliveries. */
import { type Command, Option } from "@commander-js/extra-typings";
import { count, findId, idAt, moment, rate } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { age, plural } from "../output.ts";
import { inSession } from "../session.ts";

interface EventRow {
  id: string;
  created_at: Date;
  provider: string;
  integration: string | null;
  event_type: string;
  resource_path: string;
  account: string | null;
  processed: boolean;
  job_count: number;
  correlation_id: string;
}

/** Adds the commands. */
export function addEvents(program: Command): void {
  const group = program.command("events").description("verified deliveries: list, show, replay");

  group.command("ls")
    .description("latest first")
    .option("--provider <slug>", "only this provider's")
    .option("--integration <slug>", "only this integration's")
    .option("--type <type>", "event type; a trailing * matches the rest")
    .option("--since <time>", "15m, 2h, 3d ago, or a date", moment)
    .option("--until <time>", "as --since", moment)
    .option("--waiting", "only those that are not routed yet")
    .option("--limit <count>", "how many", count, 20)
    .addHelpText(
      "after",
      "\nExamples:\n  mp events ls --provider github --type 'workflow_run.*' --since 2h",
    )
    .action(({ provider, integration, type, since, until, waiting, limit }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<EventRow[]>`
          select e.id, e.created_at, e.provider, i.slug as integration, e.event_type,
            e.resource_path, e.account, e.processed, e.job_count, e.correlation_id
          from marketplace.webhook_events as e
          left join marketplace.integrations as i on i.id = e.integration_id
          where true
            ${since ? sql`and e.id >= ${idAt(since)} and e.created_at >= ${since}` : sql``}
            ${until ? sql`and e.id < ${idAt(until)} and e.created_at < ${until}` : sql``}
            ${provider ? sql`and e.provider = ${provider.replaceAll("-", "_")}` : sql``}
            ${integration ? sql`and i.slug = ${integration}` : sql``}
            ${
          type?.endsWith("*")
            ? sql`and starts_with(e.event_type, ${type.slice(0, -1)})`
            : type
            ? sql`and e.event_type = ${type}`
            : sql``
        }
            ${waiting ? sql`and not e.processed` : sql``}
          order by e.id desc
          limit ${limit}`;
        out.table(rows, [
          { title: "id", value: (row) => row.id, kind: "id" },
          { title: "age", value: (row) => age(row.created_at), align: "right" },
          {
            title: "integration",
            value: (row) => row.integration ?? row.provider,
            isFlexible: true,
          },
          { title: "type", value: (row) => row.event_type, isFlexible: true },
          { title: "path", value: (row) => row.resource_path, isFlexible: true },
          {
            title: "jobs",
            value: (row) => row.processed ? row.job_count : "waiting",
            align: "right",
          },
        ], "No such events.");
      })
    );

  group.command("show")
    .description("one event with its headers, payload and jobs")
    .argument("<id>", "event, as ls prints it")
    .addHelpText("after", "\nExamples:\n  mp events show 019aa4c2-1f3e-7abc --json | jq .payload")
    .action((text, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        const id = await findId(sql, "event", text);
        const [event] = await sql`
          select e.id, e.created_at, e.occurred_at, i.slug as integration, e.provider,
            e.event_type, e.resource_path, e.account, e.dedupe_key as delivery, e.correlation_id,
            e.processed_at, e.absorbed_by, d.duplicate_count, e.headers, e.payload
          from marketplace.webhook_events as e
          left join marketplace.integrations as i on i.id = e.integration_id
          left join marketplace.webhook_deliveries as d
            on d.integration_id = e.integration_id and d.dedupe_key = e.dedupe_key
          where e.id = ${id}`;
        if (!event) throw new UsageError(`Event ${id} does not exist; it may have been dropped.`);
        const jobs = await sql<{ id: string; rule: string; status: string }[]>`
          select j.id, r.name as rule, j.status
          from marketplace.sync_jobs as j
          join marketplace.sync_rules as r on r.id = j.rule_id
          where j.event_id = ${id} order by j.position`;
        out.record({
          ...event,
          jobs: out.json
            ? jobs
            : jobs.map((job) => `${job.id} ${job.status} (${job.rule})`).join("\n"),
        });
      })
    );

  group.command("replay")
    .description("apply today's rules again: to one event, or the jobs of many")
    .argument("[id]", "event; without it, finished jobs are replayed by filter")
    .option("--provider <slug>", "of this provider")
    .option("--integration <slug>", "of this integration")
    .option("--type <type>", "of this event type; a trailing * matches the rest")
    .option("--since <time>", "made since", moment)
    .option("--until <time>", "made before", moment)
    .addOption(
      new Option("--status <status>", "whose jobs ended so").choices(
        ["completed", "dead", "cancelled"] as const,
      ),
    )
    .option("--limit <count>", "at most", count, 10_000)
    .option("--per-second <rate>", "no faster than this", rate)
    .option("--dry-run", "only say how many it would be")
    .addHelpText(
      "after",
      "\nExamples:\n  mp events replay 019aa4c2-1f3e-7abc\n" +
        "  mp events replay --provider github --since 2h --status dead --dry-run",
    )
    .action((text, options, command) =>
      inSession(command, async ({ out, sql }) => {
        const { provider, integration, type, since, until, status, limit, perSecond, dryRun } =
          options;
        if (text) {
          const id = await findId(sql, "event", text);
          const [row] = dryRun
            ? await sql<{ jobs: number }[]>`
              select count(*) as jobs
              from marketplace.webhook_events as e
              cross join lateral (
                select r.id from marketplace._matching_rules(
                  e.integration_id, e.event_type, e.resource_path, e.payload) as r
                where not exists (
                  select from marketplace.sync_jobs as j
                  where j.event_id = e.id and j.rule_id = r.id and j.replay_of is null)
                union all
                select j.id from marketplace.sync_jobs as j
                where j.event_id = e.id and j.replay_of is null and j.finished_at is not null
                  and not exists (
                    select from marketplace.sync_jobs as o
                    where o.replay_of = j.id and o.status in ('pending', 'running'))
              ) as job
              where e.id = ${id}`
            : await sql<{ jobs: number }[]>`select marketplace.replay_event(${id}) as jobs`;
          return sayReplayed(row!.jobs, dryRun);
        }
        if (!provider && !integration && !type && !since && !until && !status) {
          throw new UsageError(
            "Name an event, or say which ones: --provider, --since, --status, …",
          );
        }
        const [row] = await sql<{ jobs: number }[]>`
          select marketplace.replay_events(
            ${provider ?? null}, ${integration ?? null}, ${type ?? null}, ${since ?? null},
            ${until ?? null}, ${status ?? null}, null, ${limit}, ${perSecond ?? null},
            ${dryRun ?? false}
          ) as jobs`;
        return sayReplayed(row!.jobs, dryRun);

        function sayReplayed(jobs: number, isDry = false): void {
          out.done(
            isDry
              ? `It would make ${plural(jobs, "job")}.`
              : `${plural(jobs, "job")} made: mp jobs ls`,
            { jobs, dry_run: isDry },
          );
        }
      })
    );
}
