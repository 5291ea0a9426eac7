/** `mp jobs`: the queue. */
import { type Command, Option } from "@commander-js/extra-typings";
import { count, findId, idAt, moment, rate } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { age, type Output, plural, stateColour } from "../output.ts";
import { inSession, type Sql } from "../session.ts";

interface JobRow {
  id: string;
  created_at: Date;
  status: string;
  rule: string;
  workflow: string;
  event_type: string | null;
  attempt_count: number;
  max_attempts: number;
  run_at: Date;
  error_code: string | null;
  error_message: string | null;
  correlation_id: string;
}

/** What jobs are chosen by. */
interface JobFilter {
  status?: string | undefined;
  workflow?: string | undefined;
  rule?: string | undefined;
  provider?: string | undefined;
  since?: Date | undefined;
  until?: Date | undefined;
}

/** Adds the commands. */
export function addJobs(program: Command): void {
  const group = program.command("jobs").description("the queue: list, show, replay, cancel");

  group.command("ls")
    .description("latest first")
    .addOption(
      new Option("--status <status>", "only those").choices(
        ["pending", "running", "completed", "dead", "cancelled"] as const,
      ),
    )
    .option("--workflow <slug>", "only of this workflow")
    .option("--rule <id>", "only of this rule")
    .option("--provider <slug>", "only of this source's provider")
    .option("--since <time>", "made since: 15m, 2h, 3d ago, or a date", moment)
    .option("--until <time>", "made before", moment)
    .option("--limit <count>", "how many", count, 20)
    .addHelpText(
      "after",
      "\nExamples:\n  mp jobs ls --status running\n  mp jobs ls --since 1h --json",
    )
    .action(({ limit, ...filter }, command) =>
      inSession(command, async ({ out, sql }) => {
        const ruleId = filter.rule ? await findId(sql, "rule", filter.rule) : undefined;
        const rows = await sql<JobRow[]>`
          select j.id, j.created_at, j.status, r.name as rule, w.slug as workflow, e.event_type,
            j.attempt_count, j.max_attempts, j.run_at, j.error_code, j.error_message,
            j.correlation_id
          from marketplace.sync_jobs as j
          join marketplace.sync_rules as r on r.id = j.rule_id
          join marketplace.workflows as w on w.id = j.workflow_id
          join marketplace.integrations as i on i.id = r.source_integration_id
          left join marketplace.webhook_events as e
            on e.id = j.event_id and e.created_at = j.event_created_at
          where ${where(sql, filter, ruleId)}
          order by j.id desc
          limit ${limit}`;
        out.table(rows, [
          { title: "id", value: (row) => row.id, kind: "id" },
          { title: "age", value: (row) => age(row.created_at), align: "right" },
          { title: "status", value: (row) => row.status, colour: stateColour },
          {
            title: "tries",
            value: (row) => `${row.attempt_count}/${row.max_attempts}`,
            align: "right",
          },
          { title: "rule", value: (row) => row.rule, isFlexible: true },
          { title: "error", value: (row) => row.error_code, isFlexible: true },
        ], "No such jobs.");
      })
    );

  group.command("show")
    .description("one job with its attempts and artifacts")
    .argument("<id>", "job, as ls prints it")
    .addHelpText("after", "\nExamples:\n  mp jobs show 019aa4c2-1f3e-7abc")
    .action((text, _options, command) =>
      inSession(command, async ({ out, sql }) => await showJob(out, sql, text))
    );

  group.command("replay")
    .description("run finished jobs again, under their correlation id")
    .argument("[ids...]", "jobs; without them, those of --rule, --status, --since …")
    .option("--rule <id>", "of this rule")
    .option("--provider <slug>", "of this source's provider")
    .addOption(
      new Option("--status <status>", "that ended so").choices(
        ["completed", "dead", "cancelled"] as const,
      ),
    )
    .option("--since <time>", "made since", moment)
    .option("--until <time>", "made before", moment)
    .option("--limit <count>", "at most", count, 10_000)
    .option("--per-second <rate>", "no faster than this", rate)
    .option("--dry-run", "only say how many it would be")
    .addHelpText(
      "after",
      "\nExamples:\n  mp jobs replay 019aa4c2-1f3e-7abc\n" +
        "  mp jobs replay --rule 019aa4b0 --status completed --since 1d --per-second 2",
    )
    .action((texts, options, command) =>
      inSession(command, async ({ out, sql }) => {
        const { rule, provider, status, since, until, limit, perSecond, dryRun = false } = options;
        if (texts.length > 0) {
          const replayed = [];
          for (const text of texts) {
            const id = await findId(sql, "job", text);
            if (dryRun) {
              await refuseOpen(sql, id);
              replayed.push({ job: id, replay: null });
              continue;
            }
            const [row] = await sql<{ replay: string }[]>`
              select marketplace.replay_job(${id}) as replay`;
            replayed.push({ job: id, replay: row!.replay });
          }
          out.done(
            dryRun
              ? `It would make ${plural(replayed.length, "job")}.`
              : replayed.map(({ job, replay }) => `${job} runs again as ${replay}`).join("\n"),
            { jobs: replayed, dry_run: dryRun },
          );
          return;
        }
        if (!rule && !provider && !status && !since && !until) {
          throw new UsageError(
            "Name jobs, or say which ones: --rule, --provider, --status, --since.",
          );
        }
        const ruleId = rule ? await findId(sql, "rule", rule) : null;
        const [row] = await sql<{ jobs: number }[]>`
          select marketplace.replay_events(
            ${provider ?? null}, null, null, ${since ?? null}, ${until ?? null}, ${status ?? null},
            ${ruleId}, ${limit}, ${perSecond ?? null}, ${dryRun}
          ) as jobs`;
        const jobs = row!.jobs;
        out.done(
          dryRun
            ? `It would make ${plural(jobs, "job")}.`
            : `${plural(jobs, "job")} made: mp jobs ls`,
          { jobs, dry_run: dryRun },
        );
      })
    );

  group.command("cancel")
    .description("end jobs that wait or run; a running workflow's token is dead from then on")
    .argument("[ids...]", "jobs; without them, those of --rule, --workflow …")
    .addOption(
      new Option("--status <status>", "only those").choices(["pending", "running"] as const),
    )
    .option("--workflow <slug>", "of this workflow")
    .option("--rule <id>", "of this rule")
    .option("--provider <slug>", "of this source's provider")
    .option("--since <time>", "made since", moment)
    .option("--until <time>", "made before", moment)
    .option("--limit <count>", "at most", count, 1_000)
    .option("--reason <text>", "kept with the job", "cancelled by an operator")
    .option("--dry-run", "only say how many it would be")
    .addHelpText(
      "after",
      "\nExamples:\n  mp jobs cancel 019aa4c2-1f3e-7abc\n  mp jobs cancel --rule 019aa4b0 --dry-run",
    )
    .action((texts, { limit, reason, dryRun = false, ...filter }, command) =>
      inSession(command, async ({ out, sql }) => {
        if (texts.length === 0 && Object.values(filter).every((each) => each === undefined)) {
          throw new UsageError("Name jobs, or say which ones: --rule, --workflow, --provider, …");
        }
        const ruleId = filter.rule ? await findId(sql, "rule", filter.rule) : undefined;
        const ids = texts.length > 0
          ? await Promise.all(texts.map((text) => findId(sql, "job", text)))
          : (await sql<{ id: string }[]>`
            select j.id
            from marketplace.sync_jobs as j
            join marketplace.workflows as w on w.id = j.workflow_id
            join marketplace.sync_rules as r on r.id = j.rule_id
            join marketplace.integrations as i on i.id = r.source_integration_id
            where j.status in ('pending', 'running') and ${where(sql, filter, ruleId)}
            order by j.id limit ${limit}`).map(({ id }) => id);
        if (!dryRun) {
          for (const id of ids) await sql`select marketplace.cancel_job(${id}, ${reason})`;
        }
        out.done(
          dryRun
            ? `It would cancel ${plural(ids.length, "job")}.`
            : `Cancelled ${plural(ids.length, "job")}.`,
          { jobs: ids, dry_run: dryRun },
        );
      })
    );
}

/** @param ruleId full id of the filter's rule: a fragment must not be awaited */
function where(sql: Sql, filter: JobFilter, ruleId: string | undefined) {
  const { status, workflow, provider, since, until } = filter;
  return sql`true
    ${status ? sql`and j.status = ${status}` : sql``}
    ${workflow ? sql`and w.slug = ${workflow}` : sql``}
    ${ruleId ? sql`and j.rule_id = ${ruleId}` : sql``}
    ${provider ? sql`and i.provider = ${provider.replaceAll("-", "_")}` : sql``}
    ${since ? sql`and j.id >= ${idAt(since)}` : sql``}
    ${until ? sql`and j.id < ${idAt(until)}` : sql``}`;
}

async function refuseOpen(sql: Sql, id: string): Promise<void> {
  const [job] = await sql<{ status: string }[]>`
    select status from marketplace.sync_jobs where id = ${id}`;
  if (!job) throw new UsageError(`Job ${id} does not exist.`);
  if (job.status === "pending" || job.status === "running") {
    throw new UsageError(`Job ${id} is still ${job.status}: wait for it, or cancel it first.`);
  }
}

/** Prints a job with its attempts and artifacts; of `dead show` too. */
export async function showJob(out: Output, sql: Sql, text: string): Promise<void> {
  const id = await findId(sql, "job", text);
  const [job] = await sql`
    select j.id, j.status, r.name as rule, w.slug as workflow, i.slug as source, j.event_id,
      j.correlation_id, j.attempt_count, j.max_attempts, j.concurrency_key, j.absorbed_count,
      j.replay_of, j.replayed_at, j.created_at, j.run_at, j.dispatched_at, j.finished_at,
      j.error_code, j.error_message, j.result
    from marketplace.sync_jobs as j
    join marketplace.sync_rules as r on r.id = j.rule_id
    join marketplace.workflows as w on w.id = j.workflow_id
    join marketplace.integrations as i on i.id = r.source_integration_id
    where j.id = ${id}`;
  if (!job) throw new UsageError(`Job ${id} does not exist: mp jobs ls lists the latest.`);
  const attempts = await sql`
    select a.attempt, a.started_at, a.ended_at, a.dispatch_outcome, a.dispatch_status,
      a.dispatch_ms, a.result, a.error_code, a.error_message, a.response
    from marketplace.sync_job_attempts as a
    where a.job_id = ${id}
    union all
    -- on its way to its workflow: nothing is written down of it yet
    select j.attempt_count, j.claimed_at, null, null, null, null, null, null, null, null
    from marketplace.sync_jobs as j
    where j.id = ${id} and j.status = 'running' and not exists (
      select from marketplace.sync_job_attempts as a where a.job_id = j.id and a.id = j.lease_id
    )
    order by started_at`;
  const artifacts = await sql`
    select a.name, a.status, a.destination_path, a.size_bytes, a.destination_checksum,
      a.error_code, a.error_message
    from marketplace.artifact_syncs as a
    where a.job_id = ${id} order by a.created_at`;
  if (out.json) return out.document({ ...job, attempts, artifacts });
  out.record(job);
  out.line("");
  out.table(attempts, [
    { title: "attempt", value: (row) => row.attempt, align: "right" },
    { title: "age", value: (row) => age(row.started_at), align: "right" },
    { title: "dispatch", value: (row) => row.dispatch_outcome, colour: stateColour },
    { title: "status", value: (row) => row.dispatch_status, align: "right" },
    { title: "result", value: (row) => row.result ?? "running", colour: stateColour },
    { title: "error", value: (row) => row.error_message ?? row.error_code, isFlexible: true },
  ], "No attempt yet.");
  if (artifacts.length === 0) return;
  out.line("");
  out.table(artifacts, [
    { title: "artifact", value: (row) => row.name, isFlexible: true },
    { title: "status", value: (row) => row.status, colour: stateColour },
    { title: "bytes", value: (row) => row.size_bytes, align: "right" },
    { title: "to", value: (row) => row.destination_path, isFlexible: true },
    { title: "error", value: (row) => row.error_message ?? row.error_code, isFlexible: true },
  ], "");
}
