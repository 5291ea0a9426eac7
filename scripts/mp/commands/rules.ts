/** `mp rules`: what should happen when, and why it does or does not. */
import type { Command } from "@commander-js/extra-typings";
import { basename } from "node:path";
import { count, findId, isIdPrefix, several } from "../arguments.ts";
import { UsageError } from "../errors.ts";
import { cell, paint, plural, stateColour } from "../output.ts";
import { inSession, type Sql } from "../session.ts";

interface RuleRow {
  id: string;
  name: string;
  state: string;
  source: string;
  event_types: string[];
  source_pattern: string;
  destination: string | null;
  workflow: string;
  priority: number;
}

/** An event as rules see it. */
interface Subject {
  integration_id: string;
  integration: string;
  event_type: string;
  resource_path: string;
  /** JSON text. */
  payload: string;
}

/** One rule held against one event. */
interface Verdict {
  id: string;
  name: string;
  matches: boolean;
  /** Why it does not match, or matches and makes its jobs wait. */
  reasons: string[];
}

/** Adds the commands. */
export function addRules(program: Command): void {
  const group = program.command("rules").description(
    "what should happen when: list, add, test, hold",
  );

  group.command("ls")
    .description("the rules")
    .option("--source <slug>", "only of this integration")
    .addHelpText("after", "\nExamples:\n  mp rules ls --source github-actions")
    .action(({ source }, command) =>
      inSession(command, async ({ out, sql }) => {
        const rows = await sql<RuleRow[]>`
          select r.id, r.name, s.slug as source, r.event_types, r.source_pattern,
            d.slug as destination, w.slug as workflow, r.priority,
            case when not r.is_active then 'inactive' when r.paused_at is not null then 'paused'
              else 'active' end as state
          from marketplace.sync_rules as r
          join marketplace.integrations as s on s.id = r.source_integration_id
          left join marketplace.integrations as d on d.id = r.destination_integration_id
          join marketplace.workflows as w on w.id = r.workflow_id
          where ${source ?? null}::text is null or s.slug = ${source ?? null}
          order by s.slug, r.name`;
        out.table(rows, [
          { title: "id", value: (row) => row.id, kind: "id" },
          { title: "state", value: (row) => row.state, colour: stateColour },
          { title: "name", value: (row) => row.name, isFlexible: true },
          { title: "source", value: (row) => row.source, isFlexible: true },
          { title: "pattern", value: (row) => row.source_pattern, isFlexible: true },
          { title: "to", value: (row) => row.destination ?? row.workflow, isFlexible: true },
        ], "There are no rules: mp rules add --help");
      })
    );

  group.command("show")
    .description("one rule, whole")
    .argument("<id>", "rule, as ls prints it")
    .addHelpText("after", "\nExamples:\n  mp rules show 019aa4b0-77aa-7c01")
    .action((text, _options, command) =>
      inSession(command, async ({ out, sql }) => {
        const id = await findId(sql, "rule", text);
        const [rule] = await sql`
          select r.id, r.name, r.description, r.is_active, r.paused_at, s.slug as source,
            r.event_types, r.source_pattern, r.filter::text as filter, r.artifact_types,
            d.slug as destination, r.destination_template, w.slug as workflow,
            n.slug as notify, r.notify_channel, r.priority, r.max_attempts,
            r.concurrency_key, r.absorbs, r.schedule, r.next_run_at, r.config, r.created_at, r.updated_at
          from marketplace.sync_rules as r
          join marketplace.integrations as s on s.id = r.source_integration_id
          left join marketplace.integrations as d on d.id = r.destination_integration_id
          left join marketplace.integrations as n on n.id = r.notify_integration_id
          join marketplace.workflows as w on w.id = r.workflow_id
          where r.id = ${id}`;
        if (!rule) throw new UsageError(`Rule ${id} does not exist: mp rules ls lists them.`);
        out.record(rule);
      })
    );

  group.command("add")
    .description("make a rule; it is in force at once")
    .argument("<name>", "for people")
    .requiredOption("--source <slug>", "integration whose events it is about")
    .option("--event <types>", "event types; a trailing * matches the rest (repeatable)", several)
    .option("--pattern <glob>", "over the resource path, such as artifacts/*", "**")
    .option("--filter <jsonpath>", "SQL/JSON path over the payload")
    .option("--types <extensions>", "file types to take, such as zip,pdf", several)
    .option("--destination <slug>", "integration that gets the copies")
    .option("--template <path>", "path at the destination, such as CI/{date}/{name}", "{name}")
    .option("--workflow <slug>", "who carries it out (default: the source's provider's)")
    .option("--notify <slug>", "integration that is told")
    .option("--channel <channel>", "where it is told (default: the integration's own)")
    .option("--priority <number>", "each point is a head start of ten seconds", Number, 0)
    .option("--max-attempts <count>", "default: the workflow's", count)
    .option("--concurrency-key <template>", "jobs of one key run in order, such as {account}")
    .option("--absorbs", "a waiting job takes newer events of its key in")
    .option("--schedule <cron>", 'makes jobs by itself, in UTC, such as "0 3 * * *"')
    .option("--description <text>", "why it is there", "")
    .addHelpText(
      "after",
      '\nExamples:\n  mp rules add "Artifacts to Drive" --source github-actions --pattern "artifacts/*" \\\n' +
        '    --destination google-drive --template "CI/{date}/{workflow}/{name}" --notify slack',
    )
    .action((name, options, command) =>
      inSession(command, async ({ out, sql }) => {
        const integration = (slug: string | undefined) =>
          slug === undefined ? sql`null` : sql`marketplace._integration_id(${slug})`;
        const { workflow } = options;
        const [known] = workflow
          ? await sql`select from marketplace.workflows where slug = ${workflow}`
          : [true];
        if (!known) {
          throw new UsageError(`Workflow ${workflow} does not exist: mp workflows ls lists them.`);
        }
        const [rule] = await sql<{ id: string }[]>`
          insert into marketplace.sync_rules (
            name, description, source_integration_id, event_types, source_pattern, filter,
            artifact_types, destination_integration_id, destination_template, workflow_id,
            notify_integration_id, notify_channel, priority, max_attempts, concurrency_key, absorbs,
            schedule
          )
          values (
            ${name}, ${options.description}, ${integration(options.source)},
            ${options.event ?? []}, ${options.pattern}, ${options.filter ?? null}::text::jsonpath,
            ${options.types ?? []}, ${integration(options.destination)}, ${options.template},
            (select id from marketplace.workflows where slug = ${workflow ?? null}),
            ${integration(options.notify)}, ${options.channel ?? null}, ${options.priority},
            ${options.maxAttempts ?? null}, ${options.concurrencyKey ?? null},
            ${options.absorbs ?? false}, ${options.schedule ?? null}
          )
          returning id`;
        out.done(`Rule ${rule!.id} is in force.`, { id: rule!.id, name });
      })
    );

  for (
    const [verb, done] of [["pause", "held back"], ["resume", "freed"]] as const
  ) {
    group.command(verb)
      .description(verb === "pause" ? "its jobs are made, but wait" : "its jobs go on")
      .argument("<id>", "rule, as ls prints it")
      .addHelpText("after", `\nExamples:\n  mp rules ${verb} 019aa4b0-77aa-7c01`)
      .action((text, _options, command) =>
        inSession(command, async ({ out, sql }) => {
          const id = await findId(sql, "rule", text);
          const [row] = verb === "pause"
            ? await sql<{ jobs: number }[]>`select marketplace.pause_rule(${id}) as jobs`
            : await sql<{ jobs: number }[]>`select marketplace.resume_rule(${id}) as jobs`;
          out.done(`Rule ${id}: ${plural(row!.jobs, "job")} ${done}.`, { id, jobs: row!.jobs });
        })
      );
  }

  group.command("test")
    .description("which rules an event would match, and why the others not")
    .argument("<event>", "event id, or a file with a payload as the provider sends it")
    .option("--integration <slug>", "with a file: which integration would receive it")
    .option("--event <name>", "with a file: the event's name at the provider, such as push")
    .option("--type <type>", "with a file: the event type, instead of working it out")
    .option("--path <path>", "with a file: the resource path, instead of working it out")
    .addHelpText(
      "after",
      "\nExit code 1: no rule would make a job.\n" +
        "\nExamples:\n  mp rules test 019aa4c2-1f3e-7abc\n" +
        "  mp rules test payload.json --integration github-actions --event workflow_run",
    )
    .action((what, { integration, event, type, path }, command) =>
      inSession(command, async ({ out, sql }) => {
        const subjects = isIdPrefix(what)
          ? [await storedSubject(sql, await findId(sql, "event", what))]
          : await subjectsOfFile(sql, what, { integration, event, type, path });
        const results = [];
        for (const subject of subjects) {
          results.push({ subject, verdicts: await judge(sql, subject) });
        }
        if (out.json) {
          out.document(results.map(({ subject: { payload: _, ...event }, verdicts }) => ({
            ...event,
            rules: verdicts,
          })));
        }
        for (const { subject, verdicts } of results) {
          out.say(
            `${paint.bold(cell(subject.event_type))}  ${cell(subject.resource_path)}  ` +
              paint.dim(subject.integration),
          );
          for (const { name, matches, reasons } of verdicts) {
            const mark = matches ? paint.green("yes") : paint.dim("no ");
            out.say(`  ${mark}  ${cell(name)}`);
            for (const reason of reasons) out.say(`       ${paint.dim(cell(reason))}`);
          }
          if (verdicts.length === 0) out.say("  No rule starts from this integration.");
        }
        return results.some(({ verdicts }) => verdicts.some(({ matches }) => matches)) ? 0 : 1;
      })
    );
}

async function storedSubject(sql: Sql, id: string): Promise<Subject> {
  const [event] = await sql<Subject[]>`
    select e.integration_id, i.slug as integration, e.event_type, e.resource_path,
      e.payload::text as payload
    from marketplace.webhook_events as e
    join marketplace.integrations as i on i.id = e.integration_id
    where e.id = ${id}`;
  if (event) return event;
  throw new UsageError(`Event ${id} is gone, or its integration is.`);
}

/** What a payload in a file would be stored as; several when it is a batch. */
async function subjectsOfFile(
  sql: Sql,
  file: string,
  options: { integration?: string; event?: string; type?: string; path?: string },
): Promise<Subject[]> {
  const { integration, event, type, path } = options;
  const body = await Deno.readTextFile(file).catch((error: Error) => {
    throw new UsageError(`"${file}" is neither an event id nor a file: ${error.message}`);
  });
  if (!integration) throw new UsageError("Say which integration would receive it: --integration.");
  const [found] = await sql<
    { id: string; provider: string; webhook_config: Record<string, unknown> }[]
  >`
    select i.id, i.provider, p.webhook_config || coalesce(i.config -> 'webhook', '{}') as webhook_config
    from marketplace.integrations as i
    join marketplace.providers as p on p.slug = i.provider
    where i.slug = ${integration}`;
  if (!found) throw new UsageError(`Integration ${integration} is not registered.`);
  const { namedEvents } = await import("../samples/delivery.ts");
  const name = event ?? basename(file).split(".")[0]!;
  const events = await namedEvents(found.provider, found.webhook_config, { body, event: name });
  return events.map(({ eventType, resourcePath, payload }) => ({
    integration_id: found.id,
    integration,
    event_type: type ?? eventType,
    resource_path: path ?? resourcePath,
    payload,
  }));
}

/**
 * Holds every rule of an event's source against it. Whether it matches is what routing itself would
 * say; why not is found by asking about one condition with the others lifted.
 */
async function judge(sql: Sql, subject: Subject): Promise<Verdict[]> {
  const { integration_id, event_type, resource_path, payload } = subject;
  const rows = await sql<
    {
      id: string;
      name: string;
      matches: boolean;
      is_active: boolean;
      is_paused: boolean;
      event_types: string[];
      source_pattern: string;
      filter: string | null;
      type_fits: boolean;
      path_fits: boolean;
      filter_fits: boolean;
      workflow_state: string | null;
    }[]
  >`
    with event as (
      select ${integration_id}::uuid as integration_id, ${event_type}::text as type,
        ${resource_path}::text as path, ${payload}::text::jsonb as payload
    ),
    matching as (
      select r.id from event as e
      cross join lateral marketplace._matching_rules(e.integration_id, e.type, e.path, e.payload) as r
    )
    select r.id, r.name, r.is_active, r.paused_at is not null as is_paused, r.event_types,
      r.source_pattern, r.filter::text as filter,
      r.id in (select m.id from matching as m) as matches,
      marketplace._rule_matches(
        jsonb_populate_record(r, '{"source_pattern": "**", "pattern_regex": "^.*$", "filter": null}'),
        e.type, e.path, e.payload) as type_fits,
      marketplace._rule_matches(
        jsonb_populate_record(r, '{"event_types": [], "schedule": null, "filter": null}'),
        e.type, e.path, e.payload) as path_fits,
      marketplace._rule_matches(
        jsonb_populate_record(r, '{"event_types": [], "schedule": null, "source_pattern": "**",
          "pattern_regex": "^.*$"}'),
        e.type, e.path, e.payload) as filter_fits,
      case when not w.is_active then 'disabled' when w.paused_at is not null then 'paused' end as workflow_state
    from event as e
    join marketplace.sync_rules as r on r.source_integration_id = e.integration_id
    join marketplace.workflows as w on w.id = r.workflow_id
    order by r.name, r.id`;
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    matches: row.matches,
    reasons: [
      !row.is_active && "the rule is inactive",
      !row.type_fits &&
      (row.event_types.length > 0
        ? `event type: ${row.event_types.join(", ")} is wanted`
        : "event type: none is named, so that the schedule alone makes its jobs"),
      !row.path_fits &&
      `pattern: ${row.source_pattern} does not match ${resource_path || "no path"}`,
      !row.filter_fits && `filter: ${row.filter} finds nothing in the payload`,
      row.matches && row.is_paused && "the rule is paused: its jobs wait",
      row.matches && row.workflow_state && `its workflow is ${row.workflow_state}: its jobs wait`,
    ].filter((reason) => typeof reason === "string"),
  }));
}
