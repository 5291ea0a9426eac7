/**
 * Events, rules and jobs without HTTP: what the dispatcher asks of the database, and a workflow that
 * is done as soon as it is asked.
 * @module
 */
import type postgres from "postgres";
import {
  claimJobs,
  type DispatchResult,
  recordDispatches,
  routeEvents,
  runJobs,
} from "../../../supabase/functions/marketplace-dispatch/queue.ts";

/** The bench's integration. */
export const INTEGRATION = "bench-files";

/**
 * Registers an integration, a workflow whose 2xx answer completes its jobs, with a rule for all events
 * below `files/`, and one that is a function of the database, for those below `rows/`.
 */
export async function registerQueue(sql: postgres.Sql): Promise<void> {
  await sql`
    insert into marketplace.providers (slug, name, category, base_url)
    values ('bench', 'Bench', 'storage', 'https://bench.example')`;
  await sql`
    select marketplace.register_integration(${INTEGRATION}, 'Bench files', 'bench', 'storage')`;
  await sql`
    insert into marketplace.workflows (slug, name, kind, endpoint, completion, max_concurrency)
    values ('bench-run', 'Bench', 'http', 'https://bench.example/run', 'response', 1000)`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id)
    select 'Bench', i.id, 'files/**', w.id
    from marketplace.integrations as i, marketplace.workflows as w
    where i.slug = ${INTEGRATION} and w.slug = 'bench-run'`;
  await sql`
    create or replace function public.bench_nothing(
      event marketplace.webhook_events, rule marketplace.sync_rules
    ) returns jsonb language plpgsql as $$ begin return null; end $$`;
  await sql`
    insert into marketplace.workflows (slug, name, kind, endpoint, max_concurrency)
    values ('bench-function', 'Bench', 'postgres', 'public.bench_nothing', 1000)`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id)
    select 'Bench functions', i.id, 'rows/**', w.id
    from marketplace.integrations as i, marketplace.workflows as w
    where i.slug = ${INTEGRATION} and w.slug = 'bench-function'`;
}

/**
 * Stores events by the function that deliveries are stored with.
 *
 * @param options.path what the path of each begins with; a number follows
 */
export async function storeEvents(
  sql: postgres.Sql,
  count: number,
  options: { path?: string; type?: string; batch?: number } = {},
): Promise<void> {
  const { path = "files/", type = "file.added", batch = 500 } = options;
  for (let stored = 0; stored < count; stored += batch) {
    await sql`
      with made as (
        select
          array_agg(i.id) as ids, array_agg(i.config_version) as versions,
          array_agg(gen_random_uuid()::text) as keys, array_agg(${type}::text) as types,
          array_agg(${path}::text || n) as paths, array_agg(null::text) as accounts,
          array_agg(now()) as times, array_agg('{}'::text) as headers,
          array_agg('{"file": {"id": "0B8aXo2n", "size": 4096}}'::text) as payloads
        from marketplace.integrations as i, generate_series(1, ${
      Math.min(batch, count - stored)
    }::int) as n
        where i.slug = ${INTEGRATION}
      )
      select count(*)
      from made as m
      cross join lateral marketplace.ingest_events(
        m.ids, m.versions, m.keys, m.types, m.paths, m.accounts, m.times, m.headers, m.payloads
      )`;
  }
}

/** Routes until nothing waits. */
export async function routeAll(
  sql: postgres.Sql,
  batch: number,
): Promise<{ events: number; jobs: number; ms: number }> {
  const began = performance.now();
  const total = { events: 0, jobs: 0 };
  for (;;) {
    const { events, jobs } = await routeEvents(sql, batch);
    if (events === 0) return { ...total, ms: performance.now() - began };
    total.events += events;
    total.jobs += jobs;
  }
}

/**
 * Claims jobs and records each as answered with 200, until nothing is left.
 *
 * @param options.workers how many do so at once, on a connection each
 * @returns milliseconds spent in each call, summed over the workers, and in all
 */
export async function drainQueue(
  sql: postgres.Sql,
  options: { batch: number; workers: number },
): Promise<{ jobs: number; claimMs: number; recordMs: number; ms: number }> {
  const done = { jobs: 0, claimMs: 0, recordMs: 0 };
  const began = performance.now();
  // How many claim or record just now.
  let busy = 0;
  const worker = async () => {
    for (;;) {
      busy++;
      const asked = performance.now();
      const jobs = await claimJobs(sql, options.batch);
      const claimed = performance.now();
      done.claimMs += claimed - asked;
      if (jobs.length === 0) {
        busy--;
        // Nothing for us while another claims: there may be more when it has committed.
        if (busy === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 1));
        continue;
      }
      await recordDispatches(
        sql,
        jobs.map(({ job_id, lease_id }): DispatchResult => ({
          job_id,
          lease_id,
          outcome: "delivered",
          status_code: 200,
          duration_ms: 1,
          error_code: null,
          error: null,
          response: null,
          retry_after_ms: null,
        })),
      );
      busy--;
      done.recordMs += performance.now() - claimed;
      done.jobs += jobs.length;
    }
  };
  await Promise.all(Array.from({ length: options.workers }, worker));
  return { ...done, ms: performance.now() - began };
}

/**
 * Runs jobs whose workflow is a function of the database until nothing is left.
 *
 * @param options.workers how many do so at once, on a connection each
 */
export async function runQueue(
  sql: postgres.Sql,
  options: { batch: number; workers: number },
): Promise<{ jobs: number; ms: number }> {
  let done = 0;
  const began = performance.now();
  const worker = async () => {
    for (;;) {
      const ran = await runJobs(sql, options.batch, 10_000);
      if (ran.length === 0) return;
      done += ran.reduce((sum, { jobs }) => sum + jobs, 0);
    }
  };
  await Promise.all(Array.from({ length: options.workers }, worker));
  return { jobs: done, ms: performance.now() - began };
}

/** Counts what has been completed, and empties log and queue. */
export async function emptyQueue(admin: postgres.Sql): Promise<number> {
  const [row] = await admin<{ completed: number }[]>`
    select count(*)::int as completed from marketplace.sync_jobs where status = 'completed'`;
  await admin`
    truncate marketplace.sync_jobs, marketplace.sync_job_attempts, marketplace.artifact_syncs,
      marketplace.webhook_events, marketplace.webhook_deliveries`;
  return row!.completed;
}
