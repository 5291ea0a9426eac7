/**
 * What a kill -9 costs: repeats, never an event. Each test delivers a thousand webhooks, as a
 * provider that repeats what was not acknowledged, kills a part in the middle, and counts against the
 * journal of the workflow at the end. The stack is this file's own: others are not killed along.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { findFreeBase, type Stack, startStack } from "../../../scripts/platform/mod.ts";
import { DispatcherProcess } from "./support/dispatchers.ts";
import { PlayedWorkflow } from "./support/played_workflow.ts";
import { type Delivery, pushes, sendAll, type SendReport } from "./support/sender.ts";
import { type Lane, makeLane, until, useSink } from "./support_queue.ts";

const EVENTS = 1_000;
const SENDERS = 16;
const SECRET = "It's a Secret to Everybody";

const sink = useSink();
let folder: string;
let stack: Stack;
let sql: postgres.Sql;

Deno.test.beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  await Deno.chmod(folder, 0o755); // the server may run as another user
  stack = await startStack({
    home: join(folder, "home"),
    port: findFreeBase(),
    n8n: false,
    sandbox: false,
  });
  sql = postgres(stack.env.SUPABASE_DB_URL!, { max: 3, onnotice: () => {} });
});
Deno.test.afterAll(async () => {
  await sql?.end({ timeout: 2 });
  await stack?.stop();
  await Deno.remove(folder, { recursive: true });
});

/** A lane for a test, with a lease short enough to see it end. */
async function laneForKills(): Promise<{ lane: Lane; workflow: PlayedWorkflow; url: string }> {
  const lane = await makeLane(sql, sink, {
    workflow: { lease: "3 seconds", max_attempts: 20, max_concurrency: 100 },
  });
  await sql`select marketplace.set_integration_secret(${lane.integrationSlug}, 'webhook', ${SECRET})`;
  const functionsUrl = stack.env.MARKETPLACE_FUNCTIONS_URL!;
  return {
    lane,
    // A little work, so that there is something to interrupt.
    workflow: new PlayedWorkflow(sink, lane.path, { functionsUrl, work: () => pause(20) }),
    url: `${functionsUrl}/marketplace-webhook/github/${lane.integrationSlug}`,
  };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Delivers, with something happening at each of some counts of acknowledgements. */
async function sendWith(
  deliveries: Delivery[],
  url: string,
  happenings: Map<number, () => Promise<void>>,
): Promise<SendReport> {
  const happening: Promise<void>[] = [];
  const report = await sendAll(deliveries, {
    url,
    secret: SECRET,
    senders: SENDERS,
    onAcknowledged: (count) => {
      const happen = happenings.get(count);
      if (happen) happening.push(happen());
    },
  });
  await Promise.all(happening);
  return report;
}

/** What became of the events of a lane. */
async function ledger({ integrationId }: Lane) {
  const [row] = await sql`
    select
      count(distinct e.id)::int as events,
      count(distinct e.dedupe_key)::int as deliveries,
      count(distinct e.id) filter (where e.processed)::int as processed,
      count(j.id)::int as jobs,
      count(j.id) filter (where j.status = 'completed')::int as completed,
      count(j.id) filter (where j.status = 'dead' and j.error_code is not null)::int as dead,
      coalesce(sum(j.attempt_count), 0)::int as attempts
    from marketplace.webhook_events as e
    left join marketplace.sync_jobs as j on j.event_id = e.id
    where e.integration_id = ${integrationId}
  `;
  return row as Record<
    "events" | "deliveries" | "processed" | "jobs" | "completed" | "dead" | "attempts",
    number
  >;
}

/** Waits until all is done, then checks that nothing is missing and nothing there twice. */
async function checkNothingLost(
  lane: Lane,
  workflow: PlayedWorkflow,
  { deliveries, report, what }: { deliveries: Delivery[]; report: SendReport; what: string },
): Promise<void> {
  const final = await until(
    async () => {
      const now = await ledger(lane).catch(() => undefined);
      return now && now.completed + now.dead >= EVENTS && now;
    },
    "every job to be completed or dead",
    60_000,
  );
  await workflow.idle();
  assert.deepEqual(new Set(report.acknowledged), new Set(deliveries.map(({ id }) => id)));
  const [kept] = await sql`
    select count(*)::int as count from marketplace.webhook_events
    where integration_id = ${lane.integrationId} and dedupe_key = any (${report.acknowledged})
  `;
  assert.equal(kept!.count, EVENTS, "every acknowledged delivery is stored");
  const { attempts, ...counts } = final;
  assert.deepEqual(counts, {
    events: EVENTS,
    deliveries: EVENTS,
    processed: EVENTS,
    jobs: EVENTS,
    completed: EVENTS, // the workflow is a good one: nothing has a reason to die
    dead: 0,
  });
  assert.equal(workflow.effects.size, EVENTS, "one effect for each");
  assert.equal(new Set(workflow.starts.map(({ eventId }) => eventId)).size, EVENTS);
  assert.deepEqual(workflow.doubleStarts, [], "no job is started while its lease holds");
  console.log(
    `${what}: ${EVENTS} events, ${report.retries} deliveries repeated ` +
      `(${report.duplicates} of them known), ${attempts} attempts, ` +
      `${workflow.repeats} repeats absorbed`,
  );
}

Deno.test("Postgres is killed twice while a thousand events come in", async () => {
  const { lane, workflow, url } = await laneForKills();
  const deliveries = pushes(EVENTS);
  const killPostgres = async () => {
    const pidFile = join(stack.layout.home, "pgdata", "postmaster.pid");
    Deno.kill(parseInt(await Deno.readTextFile(pidFile), 10), "SIGKILL");
  };
  const report = await sendWith(
    deliveries,
    url,
    new Map([[EVENTS * 0.3, killPostgres], [EVENTS * 0.7, killPostgres]]),
  );
  assert.ok(report.retries > 0, "the senders noticed");
  await checkNothingLost(lane, workflow, { deliveries, report, what: "Postgres killed twice" });
});

Deno.test("the functions are killed three times while a thousand events come in", async () => {
  const { lane, workflow, url } = await laneForKills();
  const deliveries = pushes(EVENTS);
  const killEdge = () => stack.killEdge();
  const report = await sendWith(
    deliveries,
    url,
    new Map([[EVENTS * 0.2, killEdge], [EVENTS * 0.5, killEdge], [EVENTS * 0.8, killEdge]]),
  );
  assert.ok(report.retries > 0, "the senders noticed");
  await checkNothingLost(lane, workflow, {
    deliveries,
    report,
    what: "functions killed three times",
  });
});

Deno.test("a dispatcher is killed in the middle of a batch", async () => {
  const { lane, workflow, url } = await laneForKills();
  const deliveries = pushes(EVENTS);
  const [killed, other] = ["killed", "other"].map((name) =>
    new DispatcherProcess(stack.env, `${name}.invalid`)
  ) as [DispatcherProcess, DispatcherProcess];
  try {
    await Promise.all([killed.ready, other.ready]);
    let interrupted = 0;
    const kill = async () => {
      const itsOpen = () => workflow.open.filter(({ dispatcher }) => dispatcher === killed.name);
      await until(() => itsOpen().length >= 5, "a batch of the dispatcher to be under way");
      interrupted = itsOpen().length;
      await killed.kill();
    };
    const report = await sendWith(deliveries, url, new Map([[EVENTS * 0.3, kill]]));
    assert.ok(interrupted >= 5);
    await checkNothingLost(lane, workflow, { deliveries, report, what: "a dispatcher killed" });
    const by = Map.groupBy(workflow.starts, ({ dispatcher }) => dispatcher);
    assert.ok(by.get(killed.name)!.length > 0);
    assert.ok(by.get(other.name)!.length > 0, "the other one went on");
  } finally {
    await killed.kill().catch(() => {}); // it is gone already when all went well
    await other.stop();
  }
});
