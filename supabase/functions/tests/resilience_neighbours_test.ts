/** Workflows that misbehave, in all the ways there are, and the one beside them that does not. */
import assert from "node:assert/strict";
import { PlayedWorkflow } from "./support/played_workflow.ts";
import {
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
Deno.test.afterAll(() => removeLanes(sql));

const GOOD_JOBS = 60;

/** Sends events one after the other to a good workflow; returns the median until they were started. */
async function medianLatency(lane: Lane, workflow: PlayedWorkflow): Promise<number> {
  const latencies: number[] = [];
  for (let sent = 0; sent < GOOD_JOBS; sent++) {
    const began = performance.now();
    const before = workflow.starts.length;
    await ingest(sql, lane.integrationId, [{}]);
    await until(() => workflow.starts.length > before, "the good workflow to be started");
    latencies.push(workflow.starts.at(-1)!.at - began);
  }
  return latencies.sort((a, b) => a - b)[GOOD_JOBS / 2]!;
}

const states = async (lane: Lane) =>
  Object.fromEntries(
    Map.groupBy(await jobsOf(sql, lane), ({ status }) => status).entries()
      .map(([status, jobs]) => [status, jobs.length]),
  );

const attempts = async (lane: Lane) =>
  (await jobsOf(sql, lane)).reduce((sum, { attempt_count }) => sum + attempt_count, 0);

async function circuit({ workflowId }: Lane) {
  const [row] = await sql`
    select breaker_state as state, is_active, disabled_reason from marketplace.workflows
    where id = ${workflowId}
  `;
  return row!;
}

/** Has the time of an open circuit be over. */
async function endCooldown({ workflowId }: Lane): Promise<void> {
  await sql`
    update marketplace.workflows set breaker_until = now()
    where id = ${workflowId} and breaker_until is not null
  `;
  await (await ring("?wait=true")).body?.cancel();
}

const events = (count: number) => Array.from({ length: count }, () => ({}));

Deno.test("a good workflow does not notice those that hang, fail, stream and redirect", async () => {
  const good = await makeLane(sql, sink);
  const workflow = new PlayedWorkflow(sink, good.path, { functionsUrl: FUNCTIONS_URL });
  const alone = await medianLatency(good, workflow);

  // More of them at once than a dispatcher sends at a time.
  const hanging = await makeLane(sql, sink, {
    workflow: { timeout_ms: 20_000, max_concurrency: 500 },
  });
  const released = Promise.withResolvers<void>();
  sink.on(hanging.path, () => released.promise.then(() => new Response()));
  const failing = await makeLane(sql, sink, { workflow: { max_concurrency: 500 } });
  sink.on(failing.path, () => new Response(null, { status: 500 }));
  const streaming = await makeLane(sql, sink, {
    workflow: { completion: "response", max_concurrency: 500 },
  });
  sink.on(streaming.path, () => endlessAnswer());
  const redirecting = await makeLane(sql, sink, { workflow: { max_attempts: 2 } });
  sink.on(redirecting.path, () => Response.redirect(`${sink.url}${good.path}`, 308));
  const bad = [hanging, failing, streaming, redirecting];
  try {
    await Promise.all(bad.map(({ integrationId }) => ingest(sql, integrationId, events(150))));
    await Promise.all(bad.map(({ path }) => sink.received(path)));
    await sink.received(hanging.path, 10);

    const beside = await medianLatency(good, workflow);
    console.log(
      `median until started: ${alone.toFixed(0)} ms alone, ${beside.toFixed(0)} ms beside`,
    );
    await workflow.idle();
    assert.equal(workflow.starts.length, 2 * GOOD_JOBS, "no redirected dispatch is among them");
    assert.deepEqual(await states(good), { completed: 2 * GOOD_JOBS });
    const [hung] = await sql`
      select count(*) filter (where j.status = 'running')::int as sent, count(a.id)::int as answered
      from marketplace.sync_jobs as j
      left join marketplace.sync_job_attempts as a on a.job_id = j.id
      where j.rule_id = ${hanging.ruleId}
    `;
    assert.equal(hung!.answered, 0, "all that, before the first one that hangs was given up");
    assert.ok(hung!.sent >= 10);
  } finally {
    await sql`
      update marketplace.workflows set is_active = false
      where id = any (${bad.map(({ workflowId }) => workflowId)})
    `;
    released.resolve();
  }
});

/** An answer that never ends. */
function endlessAnswer(): Response {
  let timer: ReturnType<typeof setInterval>;
  const body = new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array(100)), 50);
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(body);
}

Deno.test("jobs of a workflow that fails wait behind its circuit and keep their attempts", async () => {
  const lane = await makeLane(sql, sink, {
    workflow: { max_concurrency: 5, breaker_threshold: 5, completion: "response" },
  });
  let isWell = false;
  sink.on(lane.path, () => new Response(null, { status: isWell ? 200 : 500 }));
  await ingest(sql, lane.integrationId, events(40));
  await until(async () => (await circuit(lane)).state === "open", "the circuit to open");
  await (await ring("?wait=true")).body?.cancel();
  assert.deepEqual(await states(lane), { pending: 40 });
  assert.equal(await attempts(lane), 5, "one batch of five was enough to see it");
  assert.equal(sink.at(lane.path).length, 5);

  await endCooldown(lane);
  assert.equal((await circuit(lane)).state, "open");
  assert.equal(sink.at(lane.path).length, 6, "one probe, and it failed");

  isWell = true;
  await endCooldown(lane);
  await until(async () => (await states(lane)).completed === 40, "all jobs to be completed");
  assert.equal((await circuit(lane)).state, "closed");
  assert.equal(await attempts(lane), 6 + 40, "each once more, and none in vain");
});

Deno.test("a workflow whose endpoint is gone is switched off, and its jobs wait", async () => {
  const lane = await makeLane(sql, sink, {
    workflow: { max_concurrency: 1, completion: "response" },
  });
  let isGone = true;
  sink.on(lane.path, () => new Response(null, { status: isGone ? 410 : 200 }));
  await ingest(sql, lane.integrationId, events(5));
  await until(async () => !(await circuit(lane)).is_active, "the workflow to be switched off");
  await (await ring("?wait=true")).body?.cancel();
  assert.match((await circuit(lane)).disabled_reason, /410/);
  assert.deepEqual(await states(lane), { dead: 1, pending: 4 });
  assert.equal(sink.at(lane.path).length, 1);
  const [alert] = await sql`
    select message from marketplace.v_alerts
    where alert = 'workflow_disabled' and subject = ${lane.workflowSlug}
  `;
  assert.match(alert!.message, /410/);

  isGone = false;
  await sql`
    update marketplace.workflows set is_active = true, disabled_reason = null
    where id = ${lane.workflowId}
  `;
  await (await ring()).body?.cancel();
  await until(async () => (await states(lane)).completed === 4, "those that waited to be done");
});
