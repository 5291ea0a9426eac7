/**
 * Figure 5: the same with millions of rows behind it.
 * @module
 */
import postgres from "postgres";
import { claimJobs } from "../../supabase/functions/marketplace-dispatch/queue.ts";
import { compare, quantile, type Row, summarize, type Variant } from "./harness/compare.ts";
import { type Bench, type Figure, type Table, target } from "./harness/figure.ts";
import { drainQueue, INTEGRATION, registerQueue, routeAll, storeEvents } from "./harness/jobs.ts";
import { type Place, silence, withPlace } from "./harness/stack.ts";

const BATCH = 500;
const DAYS = 30;

export const figure: Figure = {
  number: 5,
  title: "growth: with 5,000,000 events and 1,000,000 finished jobs stored",
  stack: {},
  async run(bench) {
    const { place, quick } = bench;
    const size = quick ? { events: 50_000, jobs: 10_000 } : { events: 5_000_000, jobs: 1_000_000 };
    await silence(place);
    await registerQueue(place.sql);
    bench.note(`storing ${size.events} events, ${size.jobs} finished jobs`);
    await fill(place, size);
    // Another stack beside it stays empty: so both are measured in the same minutes.
    return await withPlace({ note: bench.note, signal: bench.signal }, async (empty) => {
      await silence(empty);
      await registerQueue(empty.sql);
      return [
        // Before the flow, which stores far more in an hour than the month before it.
        await views(bench, size),
        await flow(bench, empty, size),
        await crowds(bench),
      ];
    });
  },
};

/** What an event and its job cost on their way, with and without all that. */
async function flow(
  { place, quick, note, signal }: Bench,
  empty: Place,
  size: { events: number; jobs: number },
): Promise<Table> {
  const count = quick ? 1_000 : 10_000;
  const done = { expected: 0, found: 0 };
  const run = async ({ sql }: Place) => {
    const began = performance.now();
    await storeEvents(sql, count);
    const storeMs = performance.now() - began;
    const routed = await routeAll(sql, BATCH);
    const drained = await drainQueue(sql, { batch: BATCH, workers: 1 });
    done.expected += count;
    done.found += drained.jobs;
    return {
      per_second: count / (performance.now() - began) * 1000,
      "store_µs": storeMs / count * 1000,
      "route_µs": routed.ms / count * 1000,
      "claim_µs": drained.claimMs / count * 1000,
      "record_µs": drained.recordMs / count * 1000,
    };
  };
  const variants: Variant[] = [
    { name: "empty", run: () => run(empty) },
    { name: "full", run: () => run(place) },
    {
      name: "full, a snapshot held",
      run: async () => {
        const held = postgres(place.env.SUPABASE_DB_URL!, { max: 1 });
        try {
          return await held.begin("isolation level repeatable read", async (tx) => {
            await tx`select count(*) from marketplace.workflows`;
            return await run(place);
          });
        } finally {
          await held.end();
        }
      },
    },
    {
      name: "full, during a vacuum",
      run: async () => {
        // As autovacuum goes about it: gently.
        const sql = postgres(place.adminUrl, { max: 1, connection: { vacuum_cost_delay: 2 } });
        const vacuuming = sql`vacuum (analyze) marketplace.sync_jobs`.finally(() => sql.end());
        const sample = await run(place);
        await vacuuming;
        return sample;
      },
    },
  ];
  const rows = await compare({ note, signal }, variants, {
    rounds: quick ? 1 : 5,
    baseline: "empty",
  });
  return {
    title: `5. Growth: ${size.events.toLocaleString("en")} events and ${
      size.jobs.toLocaleString("en")
    } finished jobs stored`,
    rowsAre: `${count} events, in batches of ${BATCH}`,
    rows,
    checks: [{ what: "jobs done", ...done }],
    targets: rows.slice(1).map(({ name, ratio }) =>
      target(`${name}: times the cost of empty ≤ 1.2`, 1 / (ratio?.median ?? NaN), { atMost: 1.2 })
    ),
  };
}

/** What looks at all of it. */
async function views(
  { place, quick, signal }: Bench,
  size: { events: number; jobs: number },
): Promise<Table> {
  const names = await place.sql<{ name: string }[]>`
    select table_name as name from information_schema.views
    where table_schema = 'marketplace' and table_name like 'v\\_%' order by 1`;
  const correlations = await place.sql<{ id: string }[]>`
    select correlation_id as id from marketplace.sync_jobs order by position desc limit 200`;
  let asked = 0;
  const looks: [string, () => Promise<unknown>][] = [
    ...names.map(({ name }): [string, () => Promise<unknown>] => [
      name,
      () => place.sql.unsafe(`select * from marketplace.${name} limit 100`),
    ]),
    [
      "trace(…)",
      () =>
        place.sql`select * from marketplace.trace(${
          correlations[asked++ % correlations.length]!.id
        })`,
    ],
    ["health()", () => place.sql`select marketplace.health()`],
    ["metrics()", () => place.sql`select * from marketplace.metrics()`],
    ["sweep()", () => place.sql`select marketplace.sweep()`],
    ["next_due_at()", () => place.sql`select marketplace.next_due_at()`],
    ["reap_leases()", () => place.sql`select marketplace.reap_leases()`],
    ["apply_retention()", () => place.sql`select marketplace.apply_retention()`],
  ];
  const rows: Row[] = [];
  for (const [name, look] of looks) {
    const times: number[] = [];
    for (let i = 0; i < (quick ? 3 : 50); i++) {
      signal.throwIfAborted();
      const began = performance.now();
      await look();
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    const one = (value: number) => summarize([value]);
    rows.push({
      name,
      values: { p50_ms: one(quantile(times, 0.5)), p99_ms: one(quantile(times, 0.99)) },
    });
  }
  const [stored] = await place.sql<{ jobs: number }[]>`
    select count(*)::int as jobs from marketplace.sync_jobs where position <= ${size.jobs}`;
  return {
    title: "5. Growth: what looks at all of it",
    rowsAre: "100 rows of a view, or a function",
    rows,
    checks: [{ what: "finished jobs stored", expected: size.jobs, found: stored!.jobs }],
    targets: rows.map(({ name, values }) =>
      target(`${name} p99 ≤ 50 ms`, values.p99_ms!.median, { atMost: 50 })
    ),
  };
}

/** What a claim costs beside very many jobs that cannot start. */
async function crowds({ place, quick, note, signal }: Bench): Promise<Table> {
  const { sql, admin } = place;
  const many = quick ? 2_000 : 100_000;
  const scenarios: { name: string; count: number; key: string; runAt: string; full?: boolean }[] = [
    { name: "none", count: 0, key: "null", runAt: "now()" },
    { name: `${many} of one key`, count: many, key: "'one'", runAt: "now()" },
    { name: `${many} of 1,000 keys`, count: many, key: "'key ' || n % 1000", runAt: "now()" },
    {
      name: `${many}, the workflow is at its limit`,
      count: many,
      key: "null",
      runAt: "now()",
      full: true,
    },
    {
      name: `${many * 10} of a paused rule`,
      count: many * 10,
      key: "null",
      runAt: "'infinity'",
    },
    {
      name: `${many} waiting for a retry`,
      count: many,
      key: "null",
      runAt: "now() + interval '20 minutes'",
    },
  ];
  const rows: Row[] = [];
  const done = { expected: 0, found: 0 };
  const waiting = (count: number, key: string, runAt: string) =>
    admin.unsafe(
      `insert into marketplace.sync_jobs (
        organization_id, rule_id, workflow_id, concurrency_key, run_at
      )
      select r.organization_id, r.id, r.workflow_id, ${key}, ${runAt}
      from marketplace.sync_rules as r, generate_series(1, ${count}) as n
      where r.name = 'Bench'`,
    );
  for (const { name, count, key, runAt, full = false } of scenarios) {
    signal.throwIfAborted();
    note(`crowd: ${name}`);
    await waiting(count, key, runAt);
    await admin`analyze marketplace.sync_jobs`;
    // Those of the crowd that can start do; from here on the rest is only in the way.
    const first: number[] = [];
    for (let running = 0, parked = -1; full || running < 900;) {
      const began = performance.now();
      const jobs = await claimJobs(sql, 50);
      first.push(performance.now() - began);
      running += jobs.length;
      const [aside] = await admin<{ count: number }[]>`
        select count(*)::int as count from marketplace.sync_jobs where is_parked and status = 'pending'`;
      if (jobs.length === 0 && aside!.count === parked) break;
      parked = aside!.count;
    }
    const times: number[] = [];
    for (let i = 0; i < (quick ? 3 : 20); i++) {
      await waiting(20, "null", "now()");
      const began = performance.now();
      const jobs = await claimJobs(sql, 20);
      times.push(performance.now() - began);
      done.expected += full ? 0 : 20;
      done.found += jobs.length;
      await admin`
        delete from marketplace.sync_jobs where id = any (${
        jobs.map((job) => job.job_id)
      }::uuid[])`;
    }
    times.sort((a, b) => a - b);
    rows.push({
      name,
      values: {
        claim_ms: summarize(times),
        p99_ms: summarize([quantile(times, 0.99)]),
        slowest_before_ms: summarize([Math.max(...first)]),
      },
    });
    await admin`
      delete from marketplace.sync_jobs as j using marketplace.workflows as w
      where w.id = j.workflow_id and w.slug = 'bench-run' and j.status in ('pending', 'running')`;
    await admin`vacuum marketplace.sync_jobs`;
  }
  return {
    title: "5. Growth: claiming 20 jobs behind a crowd",
    rowsAre: "waiting jobs before them",
    rows,
    checks: [{ what: "jobs claimed", ...done }],
    targets: rows.slice(1).map(({ name, values }) =>
      target(`${name}: p50 ≤ 20 ms`, values.claim_ms!.median, { atMost: 20 })
    ),
    notes: [
      "slowest before: the dearest of the claims that set the crowd aside, or started what could start.",
    ],
  };
}

/** Stores what a month leaves behind, set-based, each day in its partition. */
async function fill({ sql, admin }: Place, size: { events: number; jobs: number }): Promise<void> {
  for (const table of ["webhook_events", "sync_job_attempts", "execution_logs"]) {
    await sql`
      select marketplace._make_partition(${table}, (now() at time zone 'UTC')::date - n)
      from generate_series(1, ${DAYS - 1}) as n`;
  }
  await admin.begin(async (tx) => {
    // Neither bells nor foreign keys: what is inserted here has been through them.
    await tx`set local session_replication_role = replica`;
    await tx`set local synchronous_commit = off`;
    await tx`
      create temp table event on commit drop as
      select n, marketplace.uuid_v7() as id, gen_random_uuid() as correlation_id,
        now() - interval '1 second' * (${
      DAYS - 1
    } * 86400.0 * (1 - n / ${size.events}::float8)) as at
      from generate_series(1, ${size.events}::int) as n`;
    await tx`
      insert into marketplace.webhook_events (
        id, created_at, organization_id, integration_id, provider, event_type, resource_path,
        dedupe_key, payload, correlation_id, processed, processed_at, job_count
      )
      select e.id, e.at, i.organization_id, i.id, i.provider, 'file.added', 'files/' || e.n,
        e.n::text, jsonb_build_object('file', jsonb_build_object('id', e.id, 'size', e.n)),
        e.correlation_id, true, e.at, 1
      from event as e, marketplace.integrations as i where i.slug = ${INTEGRATION}`;
    await tx`
      insert into marketplace.webhook_deliveries (
        integration_id, dedupe_key, event_id, correlation_id, received_at, last_received_at
      )
      select i.id, md5(e.n::text)::uuid::text, e.id, e.correlation_id, e.at, e.at
      from event as e, marketplace.integrations as i where i.slug = ${INTEGRATION}`;
    // Of every fifth event; one in a hundred of them is dead, and of those one in ten not replayed.
    await tx`
      insert into marketplace.sync_jobs (
        organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, status,
        run_at, attempt_count, token_hash, finished_at, created_at, error_code, replayed_at, result
      )
      select r.organization_id, r.id, r.workflow_id, e.id, e.at, e.correlation_id,
        case when e.n % 500 = 0 then 'dead' else 'completed' end, e.at, 1,
        sha256(e.id::text::bytea), e.at + interval '1 second', e.at,
        case when e.n % 500 = 0 then 'http_500' end,
        case when e.n % 500 = 0 and e.n % 5000 > 0 then e.at end, '{"status_code": 200}'
      from event as e, marketplace.sync_rules as r
      where r.name = 'Bench' and e.n % (${size.events}::int / ${size.jobs}::int) = 0
      order by e.n`;
    await tx`
      insert into marketplace.sync_job_attempts (
        id, started_at, organization_id, job_id, attempt, dispatch_outcome, dispatch_status,
        dispatch_ms, result, ended_at
      )
      select gen_random_uuid(), j.run_at, j.organization_id, j.id, 1, 'delivered', 200, 5,
        case j.status when 'dead' then 'failed' else 'completed' end, j.finished_at
      from marketplace.sync_jobs as j`;
    await tx`
      insert into marketplace.artifact_syncs (
        organization_id, job_id, rule_id, source_integration_id, destination_integration_id,
        correlation_id, source_ref, source_path, name, size_bytes, destination_path,
        destination_size_bytes, destination_checksum, status, created_at, started_at, completed_at
      )
      select j.organization_id, j.id, j.rule_id, i.id, i.id, j.correlation_id, j.position::text,
        'files/' || j.position, 'file ' || j.position, 4096, 'copies/' || j.position, 4096,
        'md5:' || md5(j.position::text), 'completed', j.created_at, j.created_at, j.finished_at
      from marketplace.sync_jobs as j, marketplace.integrations as i
      where i.slug = ${INTEGRATION} and j.status = 'completed'`;
    await tx`
      insert into marketplace.execution_logs (
        created_at, organization_id, integration_id, caller, job_id, correlation_id, action, outcome,
        status_code, attempt_count, duration_ms
      )
      select j.created_at, j.organization_id, i.id, 'job', j.id, j.correlation_id, 'files.get',
        'succeeded', 200, 1, 12
      from marketplace.sync_jobs as j, marketplace.integrations as i
      where i.slug = ${INTEGRATION}`;
  });
  await admin`vacuum (analyze, freeze)`;
}
