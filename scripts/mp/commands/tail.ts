/** `mp tail`: events, jobs and copies as they come. */
import type { Command } from "@commander-js/extra-typings";
import { moment } from "../arguments.ts";
import { Follower, type Source, type TailRow } from "../follow.ts";
import { cell, type Output, paint, stateColour } from "../output.ts";
import { inSession, type Sql } from "../session.ts";

const POLL_MS = 1_000;

/** Adds the command. */
export function addTail(program: Command): void {
  program.command("tail")
    .description("events, jobs and copies as they come, until Ctrl-C")
    .option("--provider <slug>", "only from this provider")
    .option("--type <type>", "only of this event type; a trailing * matches the rest")
    .option("--since <time>", "begin 15m, 2h ago, or at a time (default: now)", moment)
    .option("--no-follow", "end when everything so far has been shown")
    .addHelpText(
      "after",
      "\nExamples:\n  mp tail --since 10m\n  mp tail --provider github --type 'workflow_run.*'\n" +
        "  mp tail --json | jq -c 'select(.state == \"dead\")'",
    )
    .action(({ provider, type, since, follow }, command) =>
      inSession(command, async ({ out, sql }) => {
        const end = interruption();
        const filter = { provider: provider?.replaceAll("-", "_"), type };
        const [{ now } = { now: new Date() }] = await sql<{ now: Date }[]>`select now() as now`;
        const followers = SOURCES.map((source) => new Follower(source(sql, filter), since ?? now));
        while (!end.signal.aborted) {
          const rows = (await Promise.all(followers.map((each) => each.poll()))).flat();
          rows.sort((a, b) => a.at.getTime() - b.at.getTime());
          for (const row of rows) print(out, row);
          if (followers.some(({ isBehind }) => isBehind)) continue;
          if (!follow) break;
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, POLL_MS);
            end.signal.addEventListener("abort", () => {
              clearTimeout(timer);
              resolve();
            }, { once: true });
          });
        }
        end.forget();
      })
    );
}

function print(out: Output, row: TailRow): void {
  if (out.json) return out.line(JSON.stringify(row));
  const { at, kind, state, subject, detail, correlation_id } = row;
  const line = `${paint.dim(at.toISOString().slice(11, 19))}  ${kind.padEnd(8)} ` +
    `${stateColour(state.padEnd(9))} ${paint.dim(correlation_id.slice(0, 8))}  ${cell(subject)}`;
  // 41 characters stand before the subject.
  const room = out.width - 43 - cell(subject).length;
  const rest = cell(detail);
  out.line(
    detail && room > 10
      ? `${line}  ${paint.dim(rest.length > room ? `${rest.slice(0, room - 1)}…` : rest)}`
      : line,
  );
}

/** What `--provider` and `--type` leave. */
interface Filter {
  provider: string | undefined;
  type: string | undefined;
}

/** A condition on an event's type. */
function typeIs(sql: Sql, column: string, type: string | undefined) {
  if (!type) return sql``;
  return type.endsWith("*")
    ? sql`and starts_with(${sql(column)}, ${type.slice(0, -1)})`
    : sql`and ${sql(column)} = ${type}`;
}

const events: (sql: Sql, filter: Filter) => Source = (sql, { provider, type }) => ({
  async page(after, from, limit) {
    return await sql<TailRow[]>`
      select e.id, e.created_at as at, 'event' as kind, 'stored' as state, e.event_type as subject,
        concat_ws('  ', i.slug, nullif(e.resource_path, '')) as detail, e.correlation_id
      from marketplace.webhook_events as e
      left join marketplace.integrations as i on i.id = e.integration_id
      where e.id > ${after} and e.created_at >= ${from}
        ${provider ? sql`and e.provider = ${provider}` : sql``} ${typeIs(sql, "e.event_type", type)}
      order by e.id limit ${limit}`;
  },
});

const jobs: (sql: Sql, filter: Filter) => Source = (sql, { provider, type }) => {
  const select = sql`
    select j.id, 'job' as kind, j.correlation_id,
      coalesce(j.finished_at, j.claimed_at, j.created_at) as at,
      case when j.status = 'pending' and j.attempt_count > 0 then 'retrying'
        when j.status = 'pending' and w.paused_at is not null then 'paused'
        when j.run_at = 'infinity' and j.status = 'pending' then 'held'
        else j.status end as state,
      r.name as subject,
      concat_ws('  ', case when j.attempt_count > 0 then format('attempt %s', j.attempt_count) end,
        j.error_code, j.error_message) as detail,
      j.finished_at is null as is_open
    from marketplace.sync_jobs as j
    join marketplace.sync_rules as r on r.id = j.rule_id
    join marketplace.workflows as w on w.id = j.workflow_id
    join marketplace.integrations as i on i.id = r.source_integration_id
    left join marketplace.webhook_events as e
      on e.id = j.event_id and e.created_at = j.event_created_at`;
  const filter = sql`${provider ? sql`and i.provider = ${provider}` : sql``}
    ${typeIs(sql, "e.event_type", type)}`;
  return {
    page: async (after, _from, limit) =>
      await sql<TailRow[]>`${select} where j.id > ${after} ${filter} order by j.id limit ${limit}`,
    again: async (ids) => await sql<TailRow[]>`${select} where j.id = any(${ids}::uuid[])`,
  };
};

const artifacts: (sql: Sql, filter: Filter) => Source = (sql, { provider, type }) => {
  const select = sql`
    select a.id, 'artifact' as kind, a.correlation_id, a.updated_at as at, a.status as state,
      a.name as subject, concat_ws('  ', d.slug, a.error_code, a.error_message) as detail,
      a.status not in ('completed', 'failed', 'skipped') as is_open
    from marketplace.artifact_syncs as a
    join marketplace.integrations as i on i.id = a.source_integration_id
    left join marketplace.integrations as d on d.id = a.destination_integration_id
    join marketplace.sync_jobs as j on j.id = a.job_id
    left join marketplace.webhook_events as e
      on e.id = j.event_id and e.created_at = j.event_created_at`;
  const filter = sql`${provider ? sql`and i.provider = ${provider}` : sql``}
    ${typeIs(sql, "e.event_type", type)}`;
  return {
    page: async (after, _from, limit) =>
      await sql<TailRow[]>`${select} where a.id > ${after} ${filter} order by a.id limit ${limit}`,
    again: async (ids) => await sql<TailRow[]>`${select} where a.id = any(${ids}::uuid[])`,
  };
};

const SOURCES = [events, jobs, artifacts];

/** Ctrl-C as a signal: following ends with it in good order. */
function interruption() {
  const controller = new AbortController();
  const onSignal = () => controller.abort();
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  return {
    signal: controller.signal,
    forget: () => {
      for (const name of signals) Deno.removeSignalListener(name, onSignal);
    },
  };
}
