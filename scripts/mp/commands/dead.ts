/** `mp dead`: jobs that were given up. */
import type { Command } from "@commander-js/extra-typings";
import { count, findId, moment, rate } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { age, plural } from "../output.ts";
import { inSession } from "../session.ts";
import { showJob } from "./jobs.ts";

interface DeadLetter {
  job_id: string;
  died_at: Date;
  workflow: string;
  rule: string;
  source: string;
  error_code: string;
  error_message: string | null;
  attempt_count: number;
  correlation_id: string;
  event_id: string | null;
}

/** Adds the commands. */
export function addDead(program: Command): void {
  const group = program.command("dead").description("jobs that were given up: list, show, replay");

  group.command("ls")
    .description("not replayed since, latest first; 1 when there are some")
    .option("--workflow <slug>", "only of this workflow")
    .option("--error <code>", "only with this error code")
    .option("--since <time>", "died since: 15m, 2h, 3d ago, or a date", moment)
    .option("--limit <count>", "how many", count, 20)
    .addHelpText(
      "after",
      "\nExamples:\n  mp dead ls --since 1d\n  mp dead ls --error source_gone --json",
    )
    .action(({ workflow, error, since, limit }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<DeadLetter[]>`
          select job_id, died_at, workflow, rule, source, error_code, error_message, attempt_count,
            correlation_id, event_id
          from marketplace.v_dead_letters
          where (${workflow ?? null}::text is null or workflow = ${workflow ?? null})
            and (${error ?? null}::text is null or error_code = ${error ?? null})
            and died_at >= ${since ?? new Date(0)}
          limit ${limit}`;
        out.table(rows, [
          { title: "id", value: (row) => row.job_id, kind: "id" },
          { title: "died", value: (row) => age(row.died_at), align: "right" },
          { title: "rule", value: (row) => row.rule, isFlexible: true },
          { title: "error", value: (row) => row.error_code },
          { title: "message", value: (row) => row.error_message, isFlexible: true },
        ], "No dead letters.");
        return rows.length > 0 ? 1 : 0;
      })
    );

  group.command("show")
    .description("one dead job with its attempts and artifacts")
    .argument("<id>", "job, as ls prints it")
    .addHelpText("after", "\nExamples:\n  mp dead show 019aa4c2-1f3e-7abc")
    .action((text, _options, command) =>
      inSession(command, async ({ out, sql }) => await showJob(out, sql, text))
    );

  group.command("replay")
    .description("run dead jobs again, under their correlation id")
    .argument("[ids...]", "jobs; without them, those of the filters")
    .option("--provider <slug>", "of this source's provider")
    .option("--rule <id>", "of this rule")
    .option("--error <code>", "with this error code")
    .option("--since <time>", "died since", moment)
    .option("--until <time>", "died before", moment)
    .option("--all", "every one")
    .option("--limit <count>", "at most", count, 10_000)
    .option("--per-second <rate>", "no faster than this", rate)
    .option("--dry-run", "only say how many it would be")
    .addHelpText(
      "after",
      "\nExamples:\n  mp dead replay --provider github --dry-run\n  mp dead replay --all --per-second 5",
    )
    .action((texts, options, command) =>
      inSession(command, async ({ out, sql }) => {
        const { provider, rule, error, since, until, all, limit, perSecond, dryRun = false } =
          options;
        const isChosen = all || provider || rule || error || since || until;
        if (texts.length === 0 && !isChosen) {
          throw new UsageError(
            "Name jobs, or say which ones: --provider, --rule, --error, --all, …",
          );
        }
        let jobs = 0;
        if (texts.length > 0) {
          const ids = await Promise.all(texts.map((text) => findId(sql, "job", text)));
          const dead = await sql<{ id: string }[]>`
            select id from marketplace.sync_jobs where id = any(${ids}) and status = 'dead'`;
          const other = ids.find((id) => !dead.some((row) => row.id === id));
          if (other) throw new UsageError(`Job ${other} is not dead: mp jobs show ${other}`);
          if (!dryRun) { for (const id of ids) await sql`select marketplace.replay_job(${id})`; }
          jobs = ids.length;
        } else {
          const ruleId = rule ? await findId(sql, "rule", rule) : null;
          const [row] = await sql<{ jobs: number }[]>`
            select marketplace.replay_dead_letters(
              ${provider ?? null}, ${ruleId}, ${error ?? null}, ${since ?? null}, ${until ?? null},
              ${limit}, ${perSecond ?? null}, ${dryRun}
            ) as jobs`;
          jobs = row!.jobs;
        }
        out.done(
          dryRun
            ? `It would make ${plural(jobs, "job")}.`
            : `${plural(jobs, "job")} made: mp jobs ls`,
          { jobs, dry_run: dryRun },
        );
      })
    );
}
