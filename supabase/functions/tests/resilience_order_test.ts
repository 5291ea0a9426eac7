/** Jobs of one key run in order, and a storm of events of one key becomes few jobs. */
import assert from "node:assert/strict";
import { PlayedWorkflow, type Start } from "./support/played_workflow.ts";
import { pushes, sendAll } from "./support/sender.ts";
import {
  FUNCTIONS_URL,
  jobsOf,
  type Lane,
  type LaneOptions,
  makeLane,
  removeLanes,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterAll(() => removeLanes(sql));

const SECRET = "It's a Secret to Everybody";

/** A lane whose jobs have the event's `key` as their concurrency key. */
async function keyedLane({ workflow, rule }: LaneOptions): Promise<Lane> {
  const lane = await makeLane(sql, sink, {
    workflow: { sends_payload: true, ...workflow },
    rule: { concurrency_key: "{/key}", ...rule },
  });
  await sql`select marketplace.set_integration_secret(${lane.integrationSlug}, 'webhook', ${SECRET})`;
  return lane;
}

/** Sends events of so many keys at the same time, those of one key one after the other. */
async function sendKeys(lane: Lane, keys: number, events: number): Promise<void> {
  const url = `${FUNCTIONS_URL}/marketplace-webhook/github/${lane.integrationSlug}`;
  const reports = await Promise.all(
    Array.from({ length: keys }, (_, key) => {
      const deliveries = pushes(events, (sequence) => ({ key, sequence }));
      return sendAll(deliveries, { url, secret: SECRET, senders: 1 });
    }),
  );
  assert.equal(reports.flatMap(({ acknowledged }) => acknowledged).length, keys * events);
}

const finished = (lane: Lane, count?: number) =>
  until(
    async () => {
      const jobs = await jobsOf(sql, lane);
      const isDone = jobs.length > 0 && jobs.every(({ status }) => status === "completed");
      return isDone && (count === undefined || jobs.length === count) && jobs;
    },
    "all jobs to be completed",
    30_000,
  );

const byKey = (starts: readonly Start[]) => Map.groupBy(starts, ({ payload }) => payload.key);
const sequenceOf = ({ payload }: Start) => payload.sequence as number;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

Deno.test("32 parallel senders: the jobs of each key run one at a time, in order, retries included", async () => {
  const [keys, events] = [32, 12];
  const lane = await keyedLane({ workflow: { max_concurrency: 40 } });
  const workflow = new PlayedWorkflow(sink, lane.path, {
    functionsUrl: FUNCTIONS_URL,
    work: async (start) => {
      await pause(5);
      if (sequenceOf(start) % 5 === 0 && start.attempt === 1) throw new Error("the first time");
    },
  });
  await sendKeys(lane, keys, events);
  await finished(lane, keys * events);

  // Each that failed the first time comes again before its successor does.
  const expected = Array.from(
    { length: events },
    (_, sequence) => sequence % 5 === 0 ? [sequence, sequence] : [sequence],
  ).flat();
  const started = byKey(workflow.starts);
  assert.equal(started.size, keys);
  for (const [key, starts] of started) {
    assert.deepEqual(starts.map(sequenceOf), expected, `key ${key}`);
    for (const [index, { at }] of starts.entries()) {
      const before = starts[index - 1];
      assert.ok(!before || before.endedAt! <= at, `key ${key} ran two at once`);
    }
  }
});

Deno.test("a workflow that takes three of a key starts them in order, never a fourth", async () => {
  const [keys, events, perKey] = [8, 24, 3];
  const lane = await keyedLane({ workflow: { max_concurrency: 100, max_per_key: perKey } });
  const workflow = new PlayedWorkflow(sink, lane.path, {
    functionsUrl: FUNCTIONS_URL,
    work: () => pause(Math.random() * 30),
  });
  // All at once, so that there is always a fourth that waits.
  await sql`select marketplace.pause_workflow(${lane.workflowSlug})`;
  await sendKeys(lane, keys, events);
  await until(async () => (await jobsOf(sql, lane)).length === keys * events, "the jobs");
  await sql`select marketplace.resume_workflow(${lane.workflowSlug})`;
  await finished(lane, keys * events);

  let together = 0;
  for (const [key, starts] of byKey(workflow.starts)) {
    for (const start of starts) {
      const earlier = starts.filter((other) => sequenceOf(other) < sequenceOf(start));
      const unfinished = earlier.filter(({ endedAt }) => endedAt! > start.at).length;
      assert.ok(unfinished < perKey, `key ${key}: ${unfinished} earlier ones were not finished`);
      together = Math.max(together, unfinished + 1);
    }
  }
  assert.equal(together, perKey, "they ran side by side");
});

Deno.test("a storm of 500 events of 20 keys is absorbed by two jobs a key, the last sees the last", async () => {
  const [keys, events] = [20, 25];
  const lane = await keyedLane({ workflow: { max_concurrency: 100 }, rule: { absorbs: true } });
  const over = Promise.withResolvers<void>();
  const workflow = new PlayedWorkflow(sink, lane.path, {
    functionsUrl: FUNCTIONS_URL,
    work: () => over.promise,
  });
  try {
    await sendKeys(lane, keys, events);
    await until(async () => {
      const [row] = await sql`
        select count(*)::int as waiting from marketplace.webhook_events
        where integration_id = ${lane.integrationId} and not processed
      `;
      return row!.waiting === 0;
    }, "all events to be routed");
  } finally {
    over.resolve();
  }
  const jobs = await finished(lane);
  // One that ran while the storm came, and one that waited.
  assert.ok(jobs.length >= keys && jobs.length <= 2 * keys, `${jobs.length} jobs`);
  const [row] = await sql`
    select sum(absorbed_count)::int as absorbed from marketplace.sync_jobs
    where rule_id = ${lane.ruleId}
  `;
  assert.equal(jobs.length + row!.absorbed, keys * events, "every event is in one job");
  for (const [key, starts] of byKey(workflow.starts)) {
    assert.equal(sequenceOf(starts.at(-1)!), events - 1, `key ${key} ends with its last event`);
  }
  console.log(`${keys * events} events of ${keys} keys: ${jobs.length} jobs`);
});
