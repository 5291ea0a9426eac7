/** `mp workflows`: who carries jobs out, and whether they are let. */
import { type Command, Option } from "@commander-js/extra-typings";
import { count } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { age, duration, stateColour } from "../output.ts";
import { inSession } from "../session.ts";

interface WorkflowRow {
  slug: string;
  kind: string;
  endpoint: string;
  state: string;
  reason: string | null;
  pending: number;
  held: number;
  running: number;
  max_concurrency: number;
  oldest_due_seconds: number | null;
  breaker_until: Date | null;
}

/** Adds the commands. */
export function addWorkflows(program: Command): void {
  const group = program.command("workflows").description(
    "who carries jobs out; hold and free them",
  );

  group.command("ls")
    .description("the workflows, their state and their queues")
    .addHelpText("after", "\nExamples:\n  mp workflows ls")
    .action((_options, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<WorkflowRow[]>`
          select w.slug, w.kind, w.endpoint,
            case
              when not w.is_active then 'disabled'
              when w.paused_at is not null then 'paused'
              when w.breaker_state <> 'closed' then w.breaker_state
              else 'active'
            end as state,
            w.disabled_reason as reason, w.max_concurrency, w.breaker_until,
            q.pending, q.held, q.running, q.oldest_due_seconds
          from marketplace.workflows as w
          join marketplace.v_job_queue as q on q.workflow = w.slug
          order by w.slug`;
        out.table(rows, [
          { title: "workflow", value: (row) => row.slug, isFlexible: true },
          { title: "kind", value: (row) => row.kind },
          { title: "state", value: (row) => row.state, colour: stateColour },
          { title: "waiting", value: (row) => row.pending, align: "right" },
          { title: "held", value: (row) => row.held, align: "right" },
          {
            title: "running",
            value: (row) => `${row.running}/${row.max_concurrency}`,
            align: "right",
          },
          { title: "oldest", value: (row) => duration(row.oldest_due_seconds), align: "right" },
          {
            title: "why",
            value: (row) =>
              row.reason ?? (row.breaker_until ? `probe in ${age(row.breaker_until)}` : null),
            isFlexible: true,
          },
        ], "There are no workflows.");
      })
    );

  group.command("add")
    .description("make a workflow known, so that rules can name it")
    .argument("<slug>", "workflow; n8n's webhook has the same path")
    .addOption(
      new Option("--kind <kind>", "what runs it")
        .choices(["n8n", "windmill", "http", "postgres"])
        .default("n8n"),
    )
    .option(
      "--endpoint <endpoint>",
      "a path there, a URL, or <schema>.<function> (default: the slug)",
    )
    .option("--name <name>", "for people (default: the slug)")
    .option("--max-concurrency <count>", "runs at a time (default: 5)", count)
    .option("--allow-private-network", "it runs on this machine, or in your own network")
    .addHelpText(
      "after",
      "\nExamples:\n  mp workflows add announce-pushes\n" +
        "  mp workflows add convert --kind http --endpoint https://tasks.example.com/convert\n" +
        "  mp workflows add keep-orders --kind postgres --endpoint public.keep_order",
    )
    .action((slug, options, command) =>
      inSession(command, async ({ out, sql }) => {
        if (options.kind === "postgres" && !options.endpoint) {
          throw new UsageError("Which function? Name it: --endpoint <schema>.<function>");
        }
        const [row] = await sql`
          insert into marketplace.workflows (
            slug, name, kind, endpoint, max_concurrency, allows_private_network
          )
          values (
            ${slug}, ${options.name ?? slug}, ${options.kind}, ${options.endpoint ?? slug},
            ${options.maxConcurrency ?? 5}, ${options.allowPrivateNetwork ?? false}
          )
          on conflict do nothing
          returning id`;
        if (!row) throw new UsageError(`Workflow ${slug} exists: mp workflows ls shows it.`);
        out.done(`${slug} takes jobs: mp rules add … --workflow ${slug}`, { workflow: slug });
      })
    );

  group.command("pause")
    .description("start no further jobs of a workflow; running ones go on")
    .argument("<slug>", "workflow")
    .addHelpText("after", "\nExamples:\n  mp workflows pause github-artifacts-mirror")
    .action((slug, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        await sql`select marketplace.pause_workflow(${slug})`;
        out.done(`${slug} is paused; its jobs wait.`, { workflow: slug, state: "paused" });
      })
    );

  group.command("resume")
    .description("let a workflow run again: paused, disabled, or its circuit open")
    .argument("<slug>", "workflow")
    .addHelpText("after", "\nExamples:\n  mp workflows resume github-artifacts-mirror")
    .action((slug, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        await sql.begin(async (tx) => {
          // An open circuit is not closed by hand: the next job is its probe, at once.
          await tx`
            update marketplace.workflows
            set is_active = true, disabled_reason = null,
              breaker_until = case when breaker_until is not null then now() end
            where slug = ${slug}`;
          await tx`select marketplace.resume_workflow(${slug})`;
        });
        out.done(`${slug} takes jobs again.`, { workflow: slug, state: "active" });
      })
    );
}
