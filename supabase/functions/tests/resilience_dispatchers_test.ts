/** What holds when several dispatchers work at once, and against reports that come too late. */
import assert from "node:assert/strict";
import { DispatcherProcess } from "./support/dispatchers.ts";
import { PlayedWorkflow } from "./support/played_workflow.ts";
import {
  attemptsOf,
  FUNCTIONS_URL,
  ingest,
  jobsOf,
  type Lane,
  makeLane,
  removeLanes,
  ring,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
const dispatchers: DispatcherProcess[] = [];
let deadlocksBefore: number;
Deno.test.beforeAll(async () => {
  deadlocksBefore = await deadlocks();
});
Deno.test.afterAll(async () => {
  await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()));
  await removeLanes(sql);
});

/** How often the database has had to end a deadlock. */
async function deadlocks(): Promise<number> {
  const [row] = await sql`
    select deadlocks::int as count from pg_stat_database where datname = current_database()
  `;
  return row!.count;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Has so many dispatchers run beside the stack's own. */
async function beDispatchers(count: number): Promise<void> {
  while (dispatchers.length < count) {
    const name = `dispatcher-${dispatchers.length + 1}.invalid`;
    dispatchers.push(new DispatcherProcess(Deno.env.toObject(), name));
  }
  await Promise.all(dispatchers.map(({ ready }) => ready));
}

/** Routes so many events to a workflow that is held back meanwhile, then lets it go. */
async function fill(lane: Lane, count: number): Promise<void> {
  await sql`select marketplace.pause_workflow(${lane.workflowSlug})`;
  await ingest(sql, lane.integrationId, Array.from({ length: count }, () => ({})));
  await until(async () => (await jobsOf(sql, lane)).length === count, "all events to be routed");
  await sql`select marketplace.resume_workflow(${lane.workflowSlug})`;
}

const allCompleted = (lane: Lane, count: number) =>
  until(
    async () => {
      const jobs = await jobsOf(sql, lane);
      return jobs.length === count && jobs.every(({ status }) => status === "completed") && jobs;
    },
    `${count} completed jobs`,
    30_000,
  );

for (const count of [2, 4]) {
  Deno.test(`${count} dispatchers and the stack's start each job once, never more at a time than the workflow takes`, async () => {
    await beDispatchers(count);
    const lane = await makeLane(sql, sink, { workflow: { max_concurrency: 7 } });
    const workflow = new PlayedWorkflow(sink, lane.path, {
      functionsUrl: FUNCTIONS_URL,
      work: () => pause(10),
    });
    await fill(lane, 200);
    const jobs = await allCompleted(lane, 200);
    await workflow.idle();

    assert.deepEqual(workflow.doubleStarts, []);
    assert.equal(workflow.starts.length, 200);
    assert.equal(workflow.effects.size, 200);
    assert.deepEqual([...new Set(jobs.map(({ attempt_count }) => attempt_count))], [1]);
    assert.ok(workflow.maxOpen <= 7, `${workflow.maxOpen} at once`);
    assert.ok(workflow.maxOpen > 1, "they ran side by side");
    const took = new Set(workflow.starts.map(({ dispatcher }) => dispatcher));
    assert.ok(took.size > 1, `only ${[...took]} took part`);
  });
}

Deno.test("four dispatchers together keep to a workflow's rate", async () => {
  await beDispatchers(4);
  const [rate, count] = [40, 80];
  const lane = await makeLane(sql, sink, {
    workflow: { max_concurrency: 1_000, rate_per_second: rate, completion: "response" },
  });
  new PlayedWorkflow(sink, lane.path, { functionsUrl: FUNCTIONS_URL, completion: "response" });
  await fill(lane, count);
  await allCompleted(lane, count);
  const starts = await sql<{ at: number }[]>`
    select extract(epoch from a.started_at)::float8 as at
    from marketplace.sync_job_attempts as a
    join marketplace.sync_jobs as j on j.id = a.job_id
    where j.rule_id = ${lane.ruleId} order by a.started_at
  `;
  assert.equal(starts.length, count);
  // In any window: what the bucket held at most (a second's worth) and what ran into it meanwhile.
  for (const [first, { at: from }] of starts.entries()) {
    for (const [last, { at: until }] of starts.entries()) {
      if (last < first) continue;
      const allowed = rate + rate * (until - from) + 1;
      assert.ok(last - first + 1 <= allowed, `${last - first + 1} starts in ${until - from} s`);
    }
  }
});

/** Records the dispatch of a job, which waits while `meanwhile` changes the job under it. */
async function recordWhile(
  lane: Lane,
  meanwhile: (tx: typeof sql, job: { id: string; lease: string }) => Promise<unknown>,
) {
  await ingest(sql, lane.integrationId, [{}]);
  const [routed] = await until(async () => {
    const jobs = await jobsOf(sql, lane);
    return jobs.length > 0 && jobs;
  }, "the event to be routed");
  const { id } = routed!;
  const lease = crypto.randomUUID();
  await sql`
    update marketplace.sync_jobs
    set status = 'running', lease_id = ${lease}, claimed_at = now(), attempt_count = 1,
      lease_expires_at = now() + interval '1 minute', token_hash = sha256('x')
    where id = ${id}
  `;
  const result = JSON.stringify([{ job_id: id, lease_id: lease, outcome: "delivered" }]);
  // In the middle of the change: the job is locked, its attempt not yet.
  const { recorded } = await sql.begin(async (tx) => {
    await tx`set local lock_timeout = '5s'`;
    await tx`select from marketplace.sync_jobs where id = ${id} for update`;
    const recording = sql`select marketplace.record_dispatches(${result}::text::jsonb) as count`;
    const recorded = recording.then(([row]) => row!.count);
    await until(async () => {
      const [waiting] = await sql`
        select from pg_locks as l join pg_stat_activity as a using (pid)
        where not l.granted and a.query like '%record_dispatches%' and a.pid <> pg_backend_pid()
      `;
      return waiting;
    }, "the record to wait");
    await meanwhile(tx as unknown as typeof sql, { id, lease });
    return { recorded };
  });
  const count = await recorded;
  const [job] = await jobsOf(sql, lane);
  return { recorded: count, status: job!.status, attempts: await attemptsOf(sql, id) };
}

Deno.test("a report and the record of its dispatch do not lock each other up", async () => {
  // Not active: nobody else records for it.
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  const { recorded, status, attempts } = await recordWhile(
    lane,
    (tx, { id, lease }) => tx`select marketplace.complete_job(${id}, ${lease})`,
  );
  assert.equal(recorded, 1);
  assert.equal(status, "completed");
  assert.deepEqual(
    attempts.map(({ result, dispatch_outcome }) => [result, dispatch_outcome]),
    [["completed", "delivered"]],
  );
});

Deno.test("a heartbeat does not come between a dispatch and its record", async () => {
  const lane = await makeLane(sql, sink, {
    workflow: { is_active: false, completion: "response" },
  });
  const { recorded, status, attempts } = await recordWhile(
    lane,
    (tx, { id }) => tx`select marketplace.authorize_job(${id}, 'x')`,
  );
  assert.equal(recorded, 1);
  assert.equal(
    status,
    "completed",
    "the answer is the proof, however the job was touched meanwhile",
  );
  assert.deepEqual(
    attempts.map(({ result, dispatch_outcome }) => [result, dispatch_outcome]),
    [["completed", "delivered"]],
  );
});

/** Everything the database keeps about a lane's jobs. */
async function look(lane: Lane): Promise<string> {
  const [row] = await sql`
    select
      (select jsonb_agg(to_jsonb(j)) from marketplace.sync_jobs as j where j.rule_id = ${lane.ruleId}) as jobs,
      (select jsonb_agg(to_jsonb(a)) from marketplace.artifact_syncs as a where a.rule_id = ${lane.ruleId}) as artifacts,
      (
        select jsonb_agg(to_jsonb(a) order by a.attempt) from marketplace.sync_job_attempts as a
        where a.job_id in (select j.id from marketplace.sync_jobs as j where j.rule_id = ${lane.ruleId})
      ) as attempts
  `;
  return JSON.stringify(row);
}

/** Makes every report there is with a token; returns the answers' statuses. */
async function reportAll(jobId: string, token: string): Promise<number[]> {
  const statuses: number[] = [];
  for (const what of ["heartbeat", "plan", "tickets", "artifacts", "fail", "complete"]) {
    const artifact = { artifact_id: crypto.randomUUID(), status: "uploaded" };
    const response = await fetch(`${FUNCTIONS_URL}/marketplace-jobs/${jobId}/${what}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: what === "tickets" || what === "artifacts" ? JSON.stringify(artifact) : null,
    });
    await response.body?.cancel();
    statuses.push(response.status);
  }
  return statuses;
}

Deno.test("reports of an attempt that lost its lease change nothing", async () => {
  const lane = await makeLane(sql, sink, { workflow: { max_attempts: 2 } });
  await ingest(sql, lane.integrationId, [{}]);
  await sink.received(lane.path);
  const first = sink.job(lane.path);
  await recorded(lane, 1);

  // Its time is over, but nobody has noticed yet.
  await sql`
    update marketplace.sync_jobs set lease_expires_at = now() - interval '1 second'
    where id = ${first.id}
  `;
  await sql`select marketplace.pause_workflow(${lane.workflowSlug})`;
  const statuses = await reportAll(first.id, first.token);
  assert.deepEqual(statuses, [409, 409, 409, 409, 409, 409]);

  // It is another attempt's turn.
  await sql`select marketplace.resume_workflow(${lane.workflowSlug})`;
  await (await ring()).body?.cancel();
  await sink.received(lane.path, 2);
  const second = sink.job(lane.path);
  assert.notEqual(second.token, first.token);
  await recorded(lane, 2);
  const before = await look(lane);
  assert.deepEqual(await reportAll(first.id, first.token), [401, 401, 401, 401, 401, 401]);
  assert.equal(await look(lane), before);

  // It has ended.
  await sql`select marketplace.cancel_job(${first.id})`;
  const ended = await look(lane);
  assert.deepEqual(await reportAll(first.id, first.token), [401, 401, 401, 401, 401, 401]);
  assert.deepEqual(await reportAll(first.id, second.token), [409, 409, 409, 409, 409, 409]);
  assert.equal(await look(lane), ended);
});

/** Waits until so many attempts of a lane's job were sent and written down. */
async function recorded(lane: Lane, count: number): Promise<void> {
  await until(async () => {
    const [row] = await sql`
      select count(*)::int as count from marketplace.sync_job_attempts as a
      join marketplace.sync_jobs as j on j.id = a.job_id
      where j.rule_id = ${lane.ruleId} and a.dispatch_outcome is not null
    `;
    return row!.count >= count;
  }, `${count} recorded attempts`);
}

Deno.test("no transaction of this file had to be given up for a deadlock", async () => {
  assert.equal(await deadlocks(), deadlocksBefore);
});
