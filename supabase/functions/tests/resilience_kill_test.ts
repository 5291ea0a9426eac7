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
import { makeLane, until, useSink } from "./support_queue.ts";

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

/** A source of events, of which half go to a workflow that reports and half to one that answers. */
interface Site {
  integrationId: string;
  url: string;
  deliveries: Delivery[];
  workflows: PlayedWorkflow[];
}

async function makeSite(): Promise<Site> {
  const functionsUrl = stack.env.MARKETPLACE_FUNCTIONS_URL!;
  // A lease short enough to see it end.
  const workflow = { lease: "3 seconds", max_attempts: 20, max_concurrency: 100 };
  const lane = await makeLane(sql, sink, {
    workflow,
    rule: { source_pattern: "refs/heads/reports" },
  });
  const answers = await makeLane(sql, sink, { workflow: { ...workflow, completion: "response" } });
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id)
    values ('answers', ${lane.integrationId}, 'refs/heads/answers', ${answers.workflowId})
  `;
  await sql`select marketplace.set_integration_secret(${lane.integrationSlug}, 'webhook', ${SECRET})`;
  // Work that takes its time, so that there is something to interrupt.
  const work = () => pause(200);
  return {
    integrationId: lane.integrationId,
    url: `${functionsUrl}/marketplace-webhook/github/${lane.integrationSlug}`,
    deliveries: pushes(EVENTS, (index) => ({
      ref: `refs/heads/${index % 2 === 0 ? "reports" : "answers"}`,
    })),
    workflows: [
      new PlayedWorkflow(sink, lane.path, { functionsUrl, work }),
      new PlayedWorkflow(sink, answers.path, { functionsUrl, work, completion: "response" }),
    ],
  };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Delivers everything, and calls `kill` after each of some shares of the acknowledgements. */
async function deliverAndKill(
  { url, deliveries }: Site,
  shares: number[],
  kill: () => Promise<void>,
): Promise<SendReport> {
  const kills: Promise<void>[] = [];
  const counts = new Set(shares.map((share) => share * EVENTS));
  const report = await sendAll(deliveries, {
    url,
    secret: SECRET,
    senders: SENDERS,
    onAcknowledged: (count) => {
      if (counts.has(count)) kills.push(kill());
    },
  });
  await Promise.all(kills);
  assert.equal(kills.length, shares.length);
  return report;
}

/** Dispatches that have not been answered yet, of one dispatcher or of all. */
function unanswered({ workflows }: Site, dispatcher?: string): number {
  return workflows[1]!.open.filter((start) => !dispatcher || start.dispatcher === dispatcher)
    .length;
}

/** What became of the events of a site. */
async function ledger({ integrationId }: Site) {
  const [row] = await sql`
    select
      count(distinct e.id)::int as events,
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
    "events" | "processed" | "jobs" | "completed" | "dead" | "attempts",
    number
  >;
}

/**
 * Waits until all is done, then checks that nothing is missing and nothing there twice.
 *
 * @returns how many starts repeated what had been done already
 */
async function checkNothingLost(site: Site, report: SendReport, what: string): Promise<number> {
  const { deliveries, workflows, integrationId } = site;
  const { attempts, ...counts } = await until(
    async () => {
      const now = await ledger(site).catch(() => undefined);
      return now && now.completed + now.dead >= EVENTS && now;
    },
    "every job to be completed or dead",
    60_000,
  );
  await Promise.all(workflows.map((workflow) => workflow.idle()));

  assert.deepEqual(new Set(report.acknowledged), new Set(deliveries.map(({ id }) => id)));
  const [kept] = await sql`
    select count(*)::int as count from marketplace.webhook_events
    where integration_id = ${integrationId} and dedupe_key = any (${report.acknowledged})
  `;
  assert.equal(kept!.count, EVENTS, "every acknowledged delivery is stored");
  assert.deepEqual(counts, {
    events: EVENTS,
    processed: EVENTS,
    jobs: EVENTS,
    completed: EVENTS, // the workflows are good ones: nothing has a reason to die
    dead: 0,
  });

  const starts = workflows.flatMap((workflow) => workflow.starts);
  const effects = workflows.flatMap((workflow) => [...workflow.effects]);
  assert.equal(effects.length, EVENTS, "one effect for each event");
  assert.equal(new Set(starts.map(({ eventId }) => eventId)).size, EVENTS);
  assert.deepEqual(workflows.flatMap(({ doubleStarts }) => doubleStarts), []);
  const repeats = starts.filter(({ isRepeat }) => isRepeat).length;
  console.log(
    `${what}: ${EVENTS} events, ${report.retries} deliveries repeated ` +
      `(${report.duplicates} of them known), ${attempts} attempts, ${repeats} repeats absorbed`,
  );
  return repeats;
}

Deno.test("Postgres is killed, then one of its sessions, while a thousand events come in", async () => {
  const site = await makeSite();
  const pidOf = {
    server: async () =>
      parseInt(
        await Deno.readTextFile(join(stack.layout.home, "pgdata", "postmaster.pid")),
        10,
      ),
    // Whose death makes the server throw all others out, and forget its unlogged tables.
    session: async () => {
      const [row] = await sql`
        select pid from pg_stat_activity where application_name = 'marketplace' limit 1
      `;
      return row!.pid as number;
    },
  };
  const victims = [pidOf.server, pidOf.session];
  const report = await deliverAndKill(site, [0.3, 0.7], async () => {
    Deno.kill(await victims.shift()!(), "SIGKILL");
  });
  assert.ok(report.retries > 0, "the senders noticed");
  await checkNothingLost(site, report, "Postgres killed twice");
});

Deno.test("the functions are killed three times while a thousand events come in", async () => {
  const site = await makeSite();
  const report = await deliverAndKill(site, [0.2, 0.5, 0.8], async () => {
    await until(() => unanswered(site) >= 5, "dispatches to be under way");
    await stack.killEdge();
  });
  assert.ok(report.retries > 0, "the senders noticed");
  const repeats = await checkNothingLost(site, report, "functions killed three times");
  assert.ok(repeats > 0, "what was done, but not written down, was done again");
});

Deno.test("two dispatchers are killed in the middle of a batch, others go on", async () => {
  const site = await makeSite();
  const all = ["first", "second", "third"].map((name) =>
    new DispatcherProcess(stack.env, `${name}.invalid`)
  );
  const alive = new Set(all);
  try {
    await Promise.all(all.map(({ ready }) => ready));
    const report = await deliverAndKill(site, [0.25, 0.6], async () => {
      // Whichever is in the middle of one: who gets how much is decided anew by each claim.
      const victim = await until(
        () => [...alive].find(({ name }) => unanswered(site, name) >= 3),
        "a batch to be under way",
      );
      alive.delete(victim);
      await victim.kill();
    });
    assert.equal(alive.size, 1);
    const repeats = await checkNothingLost(site, report, "two dispatchers killed");
    assert.ok(repeats > 0, "what was done, but not written down, was done again");
  } finally {
    await Promise.all(all.map((dispatcher) => dispatcher.stop()));
  }
});
