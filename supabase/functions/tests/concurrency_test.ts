/**
 * What holds when many do the same at once. The stack's dispatcher runs beside these tests and may
 * route and claim as well: it is one more of the many.
 */
import assert from "node:assert/strict";
import type postgres from "postgres";
import {
  ingest,
  jobsOf,
  type Lane,
  makeLane,
  removeLanes,
  stackEnv,
  until,
  useSink,
} from "./support_queue.ts";
import connect from "postgres";

const CONNECTIONS = 8;

const sql = connect(stackEnv("SUPABASE_DB_URL"), { max: CONNECTIONS + 1, onnotice: () => {} });
const sink = useSink();
Deno.test.afterAll(async () => {
  await removeLanes(sql);
  await sql.end({ timeout: 2 });
});

/** Does the same so many times at once, each on a connection of its own. */
async function atOnce<T>(
  count: number,
  work: (connection: postgres.ReservedSql, index: number) => Promise<T>,
): Promise<T[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => sql.reserve()));
  try {
    return await Promise.all(connections.map(work));
  } finally {
    for (const connection of connections) connection.release();
  }
}

/** Puts jobs into a lane's queue without events, so that nothing rings. */
async function addJobs(lane: Lane, count: number, key: string | null = null): Promise<void> {
  await sql`
    insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, concurrency_key)
    select r.organization_id, r.id, r.workflow_id, ${key}
    from marketplace.sync_rules as r, generate_series(1, ${count}) where r.id = ${lane.ruleId}
  `;
}

const sqlState = (state: string) => (error: unknown) =>
  (error as postgres.PostgresError).code === state;

Deno.test("one delivery that arrives eight times at once is one event", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  for (let round = 1; round <= 10; round++) {
    const outcomes = await atOnce(
      CONNECTIONS,
      async (connection) =>
        (await ingest(connection, lane.integrationId, [{ key: `round-${round}` }]))[0]!,
    );
    assert.equal(outcomes.filter(({ outcome }) => outcome === "stored").length, 1);
    assert.equal(outcomes.filter(({ outcome }) => outcome === "duplicate").length, CONNECTIONS - 1);
    assert.equal(new Set(outcomes.map(({ event_id }) => event_id)).size, 1);
  }
  const [stored] = await sql`
    select
      (select count(*)::int from marketplace.webhook_events where integration_id = ${lane.integrationId}) as events,
      (select sum(duplicate_count)::int from marketplace.webhook_deliveries where integration_id = ${lane.integrationId}) as duplicates
  `;
  assert.deepEqual({ ...stored }, { events: 10, duplicates: 10 * (CONNECTIONS - 1) });
});

Deno.test("batches that hold the same deliveries in different order do not lock each other up", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  const keys = Array.from({ length: 40 }, (_, index) => ({ key: `delivery-${index}` }));
  const batches = await atOnce(4, (connection, index) => {
    const turned = index % 2 === 0 ? keys : keys.toReversed();
    return ingest(connection, lane.integrationId, turned);
  });
  const stored = batches.flat().filter(({ outcome }) => outcome === "stored");
  assert.equal(stored.length, keys.length);
  assert.equal(new Set(batches.flat().map(({ event_id }) => event_id)).size, keys.length);
});

Deno.test("four routers at once make one job for each event and rule", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
    values ('second rule', ${lane.integrationId}, ${lane.workflowId})
  `;
  const events = await ingest(sql, lane.integrationId, Array.from({ length: 100 }, () => ({})));
  await until(async () => {
    await atOnce(4, (connection) => connection`select * from marketplace.route_events(20)`);
    const [{ waiting }] = await sql<[{ waiting: number }]>`
      select count(*)::int as waiting from marketplace.webhook_events
      where integration_id = ${lane.integrationId} and not processed
    `;
    return waiting === 0;
  }, "all events to be routed");

  const jobs = await sql`
    select e.id, e.job_count, count(j.id)::int as jobs, count(distinct j.rule_id)::int as rules
    from marketplace.webhook_events as e
    left join marketplace.sync_jobs as j on j.event_id = e.id
    where e.integration_id = ${lane.integrationId}
    group by e.id, e.job_count
  `;
  assert.equal(jobs.length, events.length);
  for (const { job_count, jobs: made, rules } of jobs) {
    assert.deepEqual({ job_count, made, rules }, { job_count: 2, made: 2, rules: 2 });
  }
});

Deno.test("four claimers never start a job twice, nor more at once than the workflow runs", async () => {
  const limit = 7;
  const lane = await makeLane(sql, sink, { workflow: { max_concurrency: limit } });
  await addJobs(lane, 160);
  await addJobs(lane, 40, "one at a time");

  const leased: string[] = [];
  const overruns: unknown[] = [];
  const check = async (connection: postgres.ReservedSql) => {
    const [running] = await connection`
      select count(*)::int as jobs, count(concurrency_key)::int as keyed
      from marketplace.sync_jobs where rule_id = ${lane.ruleId} and status = 'running'
    `;
    if (running!.jobs > limit || running!.keyed > 1) overruns.push(running);
  };

  await atOnce(4, async (connection) => {
    const deadline = performance.now() + 20_000;
    while (performance.now() < deadline) {
      const claimed = await connection`select * from marketplace.claim_jobs(50)`;
      await check(connection);
      for (const { job_id, lease_id, workflow_slug } of claimed) {
        if (workflow_slug === lane.workflowSlug) {
          leased.push(job_id);
          await connection`select marketplace.complete_job(${job_id}, ${lease_id})`;
        } else { // another test's: given back
          await connection`select marketplace.fail_job(${job_id}, ${lease_id}, 'given_back')`;
        }
      }
      // what the stack's dispatcher has claimed and sent to the sink
      await connection`
        select marketplace.complete_job(id, lease_id) from marketplace.sync_jobs
        where rule_id = ${lane.ruleId} and dispatched_at is not null and status = 'running'
      `.catch((error) => {
        if (!sqlState("MK409")(error)) throw error; // another claimer was faster
      });
      const [{ open }] = await connection<[{ open: number }]>`
        select count(*)::int as open from marketplace.sync_jobs
        where rule_id = ${lane.ruleId} and finished_at is null
      `;
      if (open === 0) return;
    }
  });

  assert.deepEqual(overruns, []);
  assert.equal(new Set(leased).size, leased.length, "no job was leased twice");
  const jobs = await jobsOf(sql, lane);
  assert.equal(jobs.length, 200);
  assert.deepEqual([...new Set(jobs.map(({ status }) => status))], ["completed"]);
  assert.deepEqual([...new Set(jobs.map(({ attempt_count }) => attempt_count))], [1]);
  const [{ attempts }] = await sql<[{ attempts: number }]>`
    select count(*)::int as attempts from marketplace.sync_job_attempts
    where job_id in (select id from marketplace.sync_jobs where rule_id = ${lane.ruleId})
  `;
  assert.equal(attempts, 200);
});

Deno.test("a stale lease changes nothing, whatever its holder reports at once", async () => {
  // Not active: the stack's dispatcher leaves it alone, and the leases are made by hand.
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  await addJobs(lane, 1);
  const [job] = await jobsOf(sql, lane);
  const [stale, current] = [crypto.randomUUID(), crypto.randomUUID()];
  for (const [lease, token] of [[stale, "mpj_stale"], [current, "mpj_current"]]) {
    await sql`
      update marketplace.sync_jobs
      set status = 'running', lease_id = ${lease!}, claimed_at = now(), attempt_count = attempt_count + 1,
        lease_expires_at = now() + interval '1 minute', token_hash = sha256(convert_to(${token!}, 'UTF8'))
      where id = ${job!.id}
    `;
  }
  const look = async () =>
    [
      await sql`select * from marketplace.sync_jobs where rule_id = ${lane.ruleId}`,
      await sql`select * from marketplace.artifact_syncs where job_id = ${job!.id}`,
    ].map((rows) => JSON.stringify(rows));
  const before = await look();

  const result = JSON.stringify([{ job_id: job!.id, lease_id: stale, outcome: "failed" }]);
  const reports = await atOnce(6, (connection, index) =>
    [
      () => connection`select marketplace.authorize_job(${job!.id}, 'mpj_stale')`,
      () => connection`select marketplace.plan_artifacts(${job!.id}, ${stale}, '[]')`,
      () => connection`select marketplace.complete_job(${job!.id}, ${stale})`,
      () => connection`select marketplace.fail_job(${job!.id}, ${stale}, 'x')`,
      () => connection`select marketplace.update_artifact(${job!.id}, ${stale}, ${stale}, '{}')`,
      () => connection`select marketplace.record_dispatches(${result}::text::jsonb) as recorded`,
    ][index]!().then(
      ([row]) => row,
      (error: postgres.PostgresError) => error.code,
    ));

  assert.deepEqual(reports.slice(0, 5), ["MK401", "MK409", "MK409", "MK409", "MK409"]);
  assert.deepEqual({ ...reports[5] as object }, { recorded: 0 });
  assert.deepEqual(await look(), before);
});

Deno.test("a heartbeat and the end of a lease never both win", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  await addJobs(lane, 1);
  const [job] = await jobsOf(sql, lane);
  for (let round = 1; round <= 30; round++) {
    await sql`
      update marketplace.sync_jobs
      set status = 'running', lease_id = gen_random_uuid(), claimed_at = now(), attempt_count = 1,
        lease_expires_at = clock_timestamp() + make_interval(secs => ${0.001 * (round % 5)}),
        token_hash = sha256(convert_to('mpj_x', 'UTF8'))
      where id = ${job!.id}
    `;
    const [renewed] = await atOnce(3, async (connection, index) => {
      if (index > 0) return void await connection`select marketplace.reap_leases()`;
      return await connection`select marketplace.authorize_job(${job!.id}, 'mpj_x')`.then(
        () => true,
        (error) => {
          if (sqlState("MK409")(error)) return false;
          throw error;
        },
      );
    });
    const [after] = await jobsOf(sql, lane);
    if (renewed) assert.equal(after!.status, "running", "a renewed lease is not taken back");
    // refused: it was taken back, or is about to be
  }
});

Deno.test("a folder that eight transfers need at once gets one id", async () => {
  const lane = await makeLane(sql, sink);
  const ids = await atOnce(CONNECTIONS, async (connection, index) => {
    const [row] = await connection`
      select marketplace.destination_folder(${lane.integrationId}, 'a/b', ${`proposal-${index}`}) as id
    `;
    return row!.id;
  });
  assert.equal(new Set(ids).size, 1);
});

Deno.test("a job that is replayed eight times at once has one replay", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  await addJobs(lane, 1);
  const [job] = await jobsOf(sql, lane);
  await sql`select marketplace.cancel_job(${job!.id})`;
  const replays = await atOnce(CONNECTIONS, async (connection) => {
    const [row] = await connection`select marketplace.replay_job(${job!.id}) as id`;
    return row!.id;
  });
  assert.equal(new Set(replays).size, 1);
  assert.equal((await jobsOf(sql, lane)).length, 2);
});

Deno.test("a secret that is rotated while deliveries come in leaves none of them unanswered", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  const outcomes = await atOnce(4, async (connection, index) => {
    const seen: string[] = [];
    for (let n = 0; n < 15; n++) {
      if (index === 0) {
        await connection`
          select marketplace.rotate_integration_secret(${lane.integrationSlug}, 'webhook', ${`secret-${n}`})
        `;
      } else {
        const [row] = await ingest(connection, lane.integrationId, [{ key: `${index}-${n}` }]);
        seen.push(row!.outcome);
      }
    }
    return seen;
  });
  // stale_config is an answer: the delivery is verified anew and tried again
  assert.equal(outcomes.flat().length, 45);
  assert.ok(outcomes.flat().every((outcome) => ["stored", "stale_config"].includes(outcome)));
});

Deno.test("a partition that is made while rows of its day come in loses none of them", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  for (let round = 1; round <= 5; round++) {
    const day = `2099-01-0${round}`;
    let made = false;
    const stored = await atOnce(4, async (connection, index) => {
      if (index === 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await connection`select marketplace._make_partition('webhook_events', ${day})`;
        made = true;
        return 0;
      }
      let count = 0;
      for (let n = 0; !made && n < 2000; n++) {
        await connection`
          insert into marketplace.webhook_events
            (organization_id, integration_id, provider, event_type, dedupe_key, created_at, processed, processed_at)
          select organization_id, id, provider, 'stray', '', ${day}::timestamptz + interval '1 hour', true, now()
          from marketplace.integrations where id = ${lane.integrationId}
        `.then(() => count++, (error) => {
          // Postgres refuses whoever has waited for the default partition meanwhile: not stored, and told so.
          if (!sqlState("23514")(error)) throw error;
        });
      }
      return count;
    });
    const partition = `webhook_events_${day.replaceAll("-", "")}`;
    const [{ count }] = await sql<[{ count: number }]>`
      select count(*)::int from marketplace.${sql(partition)}
      where integration_id = ${lane.integrationId}
    `;
    assert.equal(count, stored.reduce((sum, some) => sum + some));
    await sql`drop table marketplace.${sql(partition)}`;
  }
});

Deno.test("housekeeping lets deliveries through while somebody reads the event log for long", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  await sql`select marketplace._make_partition('webhook_events', '2020-01-01')`;
  const reader = await sql.reserve();
  try {
    await reader`begin`;
    await reader`select from marketplace.webhook_events where false`;
    const began = performance.now();
    const keeping = (async () => {
      await sql`select marketplace.apply_retention()`;
      await sql`select marketplace._make_partition('webhook_events', '2098-01-01')`
        .catch((error) => assert.ok(sqlState("55P03")(error), error));
      await sql`select marketplace.ensure_partitions()`;
    })();
    for (let n = 0; n < 20; n++) {
      const [row] = await ingest(sql, lane.integrationId, [{ key: `meanwhile-${n}` }]);
      assert.equal(row!.outcome, "stored");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await keeping;
    assert.ok(performance.now() - began < 10_000);
  } finally {
    await reader`rollback`;
    reader.release();
  }
  await sql`select marketplace.apply_retention()`;
  const [{ left }] = await sql<[{ left: string | null }]>`
    select to_regclass('marketplace.webhook_events_20200101')::text as left
  `;
  assert.equal(left, null);
});

Deno.test("workflows that report while their dispatches are written down wait for nobody in a circle", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  await addJobs(lane, 60);
  const jobs = await sql<{ id: string; lease_id: string }[]>`
    update marketplace.sync_jobs
    set status = 'running', lease_id = gen_random_uuid(), claimed_at = now(), attempt_count = 1,
      lease_expires_at = now() + interval '1 minute', token_hash = sha256(convert_to('x', 'UTF8'))
    where rule_id = ${lane.ruleId}
    returning id, lease_id
  `;
  const results = JSON.stringify(
    jobs.map(({ id, lease_id }) => ({
      job_id: id,
      lease_id,
      outcome: "delivered",
      status_code: 202,
      duration_ms: 1,
    })),
  );
  await atOnce(4, async (connection, index) => {
    if (index === 0) {
      await connection`select marketplace.record_dispatches(${results}::text::jsonb)`;
    } else {
      for (const { id, lease_id } of jobs.filter((_, n) => n % 3 === index - 1).toReversed()) {
        await connection`select marketplace.complete_job(${id}, ${lease_id})`;
      }
    }
  });
  const [{ done }] = await sql<[{ done: number }]>`
    select count(*)::int as done from marketplace.sync_job_attempts as a
    join marketplace.sync_jobs as j on j.id = a.job_id
    where j.rule_id = ${lane.ruleId} and j.status = 'completed'
      and a.result = 'completed' and a.dispatch_outcome = 'delivered'
  `;
  assert.equal(done, jobs.length);
});
