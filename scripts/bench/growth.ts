/**
 * Figure 5: the same with millions of rows behind it.
 * @module
 */
import postgres from "postgres";
import { claimJobs } from "../../supabase/functions/marketplace-dispatch/queue.ts";
import { compare, quantile, type Row, summarize, type Variant } from "./harness/compare.ts";
import { type Bench, type Figure, type Table, target } from "./harness/figure.ts";
import { drainQueue, registerQueue, routeAll, storeEvents } from "./harness/jobs.ts";
import { usageOf } from "./harness/processes.ts";
import { fillMonth, type MonthSize, READERS, registerReaders } from "./harness/month.ts";
import { type Place, silence, withPlace } from "./harness/stack.ts";

const BATCH = 500;

export const figure: Figure = {
  number: 5,
  title: "growth: with 5,000,000 events and 1,000,000 finished jobs stored",
  stack: {},
  async run(bench) {
    const { place, quick } = bench;
    const size: MonthSize = quick
      ? { events: 48_000, jobs: 9_600, hourEvents: 2_000, waiting: 1_000 }
      : { events: 4_800_000, jobs: 960_000, hourEvents: 200_000, waiting: 100_000 };
    const stored = {
      events: size.events + size.hourEvents,
      jobs: size.jobs + size.hourEvents / 2,
    };
    await silence(place);
    // Whatever rings, nobody is to hear it: a look at sweep() does, once something waits.
    await place.admin`delete from vault.secrets where name = 'marketplace_functions_url'`;
    await registerQueue(place.sql);
    await registerReaders(place);
    bench.note(`storing ${stored.events} events, ${stored.jobs} finished jobs`);
    await fillMonth(place, size);
    // Another stack beside it stays empty: so both are measured in the same minutes.
    return await withPlace({ note: bench.note, signal: bench.signal }, async (empty) => {
      await silence(empty);
      await registerQueue(empty.sql);
      return [
        // Before the flow, which stores far more in an hour than the month before it.
        ...await views(bench, size),
        await flow(bench, empty, stored),
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

/** What looks at all of it: as the service does, as a member who sees nearly all, as one who sees little. */
async function views(bench: Bench, size: MonthSize): Promise<Table[]> {
  const { place, quick, signal } = bench;
  const names = (await place.sql<{ name: string }[]>`
    select table_name as name from information_schema.views
    where table_schema = 'marketplace' and table_name like 'v\\_%' order by 1`)
    .map(({ name }) => name);
  const correlations = (await place.sql<{ id: string }[]>`
    select correlation_id as id from marketplace.sync_jobs
    where status = 'completed' order by position desc limit 200`).map(({ id }) => id);
  const functions = ["health()", "metrics()", "sweep()", "next_due_at()", "reap_leases()"];
  const looks = [
    ...names.map((name) => ({ name, text: `select * from marketplace.${name} limit 100` })),
    { name: "trace(…)", text: "select * from marketplace.trace($1)", ids: correlations },
    ...[...functions, "count_minutes()", "apply_retention()"].map((name) => ({
      name,
      text: `select * from marketplace.${name}`,
    })),
  ];
  const times = quick ? 5 : 100;
  const tables: Table[] = [];
  await countMinutes(place);
  const perSecond = Math.ceil(size.hourEvents / 3600);
  await using events = keepComing(place, perSecond);
  for (const { who, userId } of READERS) {
    bench.note(`looking as ${who}`);
    const open = () => connect(place, userId);
    const probe = open();
    const rows: Row[] = [];
    for (const look of looks) {
      // Some are not for members.
      const isAllowed = await ask(probe, look).then(() => true, () => false);
      if (userId === undefined || isAllowed) {
        {
          const row = await measureLook(open, look, times, signal);
          rows.push(row);
          const shown = Object.entries(row.values).map(([value, { median }]) =>
            `${value} ${median.toFixed(1)}`
          );
          bench.note(`${row.name}: ${shown.join(", ")}`);
        }
      }
    }
    await probe.end();
    if (userId === undefined) {
      // As while pg_cron is silent: everything is counted by who asks.
      await place.sql`delete from marketplace.minute_marks`;
      for (const look of looks.filter(({ name }) => /event_rates|integration_health/.test(name))) {
        const row = await measureLook(open, look, Math.min(times, 10), signal);
        rows.push({ ...row, name: `${row.name}, nothing counted` });
      }
      await countMinutes(place);
    }
    tables.push({
      title: `5. Growth: what looks at all of it, as ${who}`,
      rowsAre: "100 rows of a view, or a function",
      rows,
      checks: [],
      targets: rows.filter(({ name }) => !name.includes("nothing counted")).map((
        { name, values },
      ) => target(`${name} p99 ≤ 50 ms`, values.p99_ms!.median, { atMost: 50 })),
      notes: [
        "first: the first look of a new connection, which opens every partition.",
        "cpu: what a look costs the server, on a busy machine as on a calm one.",
      ],
    });
  }
  const [stored] = await place.sql<{ jobs: number }[]>`
    select count(*)::int as jobs from marketplace.sync_jobs where finished_at is not null`;
  tables[0]!.checks.push({
    what: "finished jobs stored",
    expected: size.jobs + size.hourEvents / 2,
    found: stored!.jobs,
  });
  await events[Symbol.asyncDispose]();
  // What follows is measured without them.
  await place.admin`delete from marketplace.sync_jobs where status = 'pending'`;
  await place.admin`vacuum (analyze) marketplace.sync_jobs`;
  return tables;
}

/** Goes on storing and routing events, and counting minutes as pg_cron does, until it is disposed of. */
function keepComing({ sql }: Place, perSecond: number): AsyncDisposable {
  const stop = new AbortController();
  const coming = (async () => {
    for (let second = 0; !stop.signal.aborted; second++) {
      const began = performance.now();
      await storeEvents(sql, perSecond);
      await routeAll(sql, BATCH);
      if (second % 10 === 0) await sql`select marketplace.count_minutes()`;
      await new Promise((done) => setTimeout(done, 1_000 - (performance.now() - began)));
    }
  })();
  return {
    [Symbol.asyncDispose]() {
      stop.abort();
      return coming;
    },
  };
}

/** Counts the minutes that are over: the first call only notes which are. */
async function countMinutes({ sql }: Place): Promise<void> {
  await sql`select marketplace.count_minutes()`;
  await sql`select marketplace.count_minutes()`;
}

/** A connection of its own, as a user when one is named. */
function connect({ env }: Place, userId: string | undefined): postgres.Sql {
  const claims = JSON.stringify({ role: "authenticated", sub: userId });
  return postgres(env.SUPABASE_DB_URL!, {
    max: 1,
    onnotice: () => {},
    connection: userId === undefined ? {} : { "request.jwt.claims": claims, role: "authenticated" },
  });
}

interface Look {
  name: string;
  text: string;
  /** What it asks about, one after another. */
  ids?: string[];
}

function ask(sql: postgres.Sql, { text, ids }: Look, n = 0) {
  return sql.unsafe(text, ids ? [ids[n % ids.length]!] : []);
}

/** How long a look takes, while events come as they did in the last hour. */
async function measureLook(
  open: () => postgres.Sql,
  look: Look,
  count: number,
  signal: AbortSignal,
): Promise<Row> {
  const sql = open();
  try {
    const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const times: number[] = [];
    let cpuBefore = NaN;
    for (let i = 0; i <= count; i++) {
      signal.throwIfAborted();
      if (i === 1) cpuBefore = (await usageOf(backend!.pid)).cpuMs;
      const began = performance.now();
      await ask(sql, look, i);
      times.push(performance.now() - began);
    }
    const cpuMs = (await usageOf(backend!.pid)).cpuMs - cpuBefore;
    const [first, ...others] = times;
    others.sort((a, b) => a - b);
    const one = (value: number) => summarize([value]);
    return {
      name: look.name,
      values: {
        p50_ms: one(quantile(others, 0.5)),
        p99_ms: one(quantile(others, 0.99)),
        first_ms: one(first!),
        cpu_ms: one(cpuMs / count),
      },
    };
  } finally {
    await sql.end();
  }
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
