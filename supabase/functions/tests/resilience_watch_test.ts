/** What an operator sees of the queue, and what happens when the doorbell is not heard. */
import assert from "node:assert/strict";
import {
  FUNCTIONS_URL,
  ingest,
  jobsOf,
  type Lane,
  makeLane,
  removeLanes,
  stackEnv,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterAll(() => removeLanes(sql));

/** A sample's name and labels with its value. */
type Samples = Map<string, number>;

/**
 * Reads an OpenMetrics exposition of gauges, as strictly as the specification asks.
 *
 * @throws Error at the first line that breaks it
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/#abnf
 */
function parseOpenMetrics(text: string): Samples {
  const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
  const escaped = '(?:[^"\\\\\\n]|\\\\[n"\\\\])*';
  const label = `[a-zA-Z_][a-zA-Z0-9_]*="${escaped}"`;
  const grammar = {
    metadata: new RegExp(`^# (TYPE|HELP) (${name}) (.+)$`),
    help: new RegExp(`^${escaped}$`),
    sample: new RegExp(`^(${name})(\\{${label}(?:,${label})*\\})? (-?\\d+(?:\\.\\d+)?)$`),
  };
  assert.ok(text.endsWith("\n# EOF\n"), "it ends with # EOF and a line feed");
  const samples: Samples = new Map();
  const families = new Set<string>();
  let family = "";
  let described = new Set<string>();
  for (const line of text.slice(0, -"# EOF\n".length).trimEnd().split("\n")) {
    const [, what, of, rest] = grammar.metadata.exec(line) ?? [];
    if (what) {
      if (of !== family) {
        assert.ok(!families.has(of!), `${of} stands in one place: ${line}`);
        families.add(family = of!);
        described = new Set();
      }
      assert.ok(!described.has(what), `one ${what} a family: ${line}`);
      described.add(what);
      if (what === "TYPE") assert.equal(rest, "gauge");
      else assert.match(rest!, grammar.help);
      continue;
    }
    const [, sample, labels = "", value] = grammar.sample.exec(line) ?? [];
    assert.ok(sample, `neither metadata nor a sample: ${line}`);
    assert.equal(sample, family, `a sample stands below its family's metadata: ${line}`);
    const names = [...labels.matchAll(/([a-zA-Z0-9_]+)="/g)].map(([, label]) => label);
    assert.equal(new Set(names).size, names.length, `a label once: ${line}`);
    const key = sample + labels.replace(/[{}]/g, "").split(",").sort().join();
    assert.ok(!samples.has(key), `the same sample twice: ${line}`);
    samples.set(key, Number(value));
  }
  return samples;
}

async function scrape(token?: string): Promise<Response> {
  return await fetch(`${FUNCTIONS_URL}/marketplace-dispatch/metrics`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
  });
}

Deno.test("metrics are OpenMetrics text with the queue's figures", async () => {
  const lane = await makeLane(sql, sink);
  await sql`select marketplace.pause_workflow(${lane.workflowSlug})`;
  await ingest(sql, lane.integrationId, [{}, {}, {}, {}]);
  const [first, second] = await until(async () => {
    const jobs = await jobsOf(sql, lane);
    return jobs.length === 4 && jobs;
  }, "the jobs");
  await sql`update marketplace.sync_jobs set run_at = now() - interval '7 minutes' where id = ${
    first!.id
  }`;
  await sql`
    update marketplace.sync_jobs set status = 'dead', finished_at = now(), error_code = 'x'
    where id = ${second!.id}
  `;
  await sql`
    update marketplace.workflows
    set breaker_state = 'open', breaker_until = now() + interval '1 hour' where id = ${lane.workflowId}
  `;

  const response = await scrape(stackEnv("SUPABASE_SECRET_KEY"));
  assert.equal(
    response.headers.get("content-type"),
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  const samples = parseOpenMetrics(await response.text());
  const workflow = `workflow="${lane.workflowSlug}"`;
  assert.equal(samples.get(`marketplace_jobsstate="waiting",${workflow}`), 3);
  assert.equal(samples.get(`marketplace_jobsstate="running",${workflow}`), 0);
  assert.equal(samples.get(`marketplace_circuit_open${workflow}`), 1);
  const oldest = samples.get(`marketplace_oldest_due_seconds${workflow}`)!;
  assert.ok(oldest >= 420 && oldest < 480, `${oldest} s`);
  assert.ok(samples.get("marketplace_dead_letters")! >= 1);
  assert.ok(samples.get('marketplace_alertsalert="circuit_open",severity="critical"')! >= 1);
});

Deno.test("metrics name workflows: only the ring key and a service key may see them", async () => {
  const [row] = await sql`select marketplace.dispatch_settings() ->> 'ring_key' as key`;
  const status = async (token?: string) => {
    const response = await scrape(token);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status(row!.key), 200);
  assert.equal(await status(stackEnv("SUPABASE_SECRET_KEY")), 200);
  assert.equal(await status(), 401);
  assert.equal(await status("mpr_wrong"), 401);
  assert.equal(await status(stackEnv("SUPABASE_PUBLISHABLE_KEY")), 401);
});

const isRouted = async (eventId: string) => {
  const [row] = await sql`select processed from marketplace.webhook_events where id = ${eventId}`;
  return row!.processed as boolean;
};

Deno.test("health is degraded, and says why, while an event waits for more than a minute", async () => {
  const lane = await makeLane(sql, sink, { workflow: { is_active: false } });
  const reasons = async (): Promise<string[]> => {
    const response = await fetch(`${FUNCTIONS_URL}/marketplace-webhook/health`);
    assert.equal(response.status, 200);
    const { status, reasons } = await response.json();
    assert.equal(status, reasons.length > 0 ? "degraded" : "ok");
    return reasons;
  };
  const waited = (list: string[]) => list.find((reason) => /waited \d+ s for routing/.test(reason));
  assert.equal(waited(await reasons()), undefined);

  const router = await sql.reserve();
  try {
    // Whoever holds this is routing: nobody else does.
    await router`select pg_advisory_lock(hashtext('marketplace.route_events'))`;
    const [event] = await ingest(sql, lane.integrationId, [{}]);
    await sql`
      update marketplace.webhook_events set created_at = created_at - interval '90 seconds'
      where id = ${event!.event_id}
    `;
    const reason = await until(async () => waited(await reasons()), "health to notice");
    assert.ok(Number(/\d+/.exec(reason)![0]) >= 90, reason);
    assert.equal(await isRouted(event!.event_id), false);
    await router`select pg_advisory_unlock(hashtext('marketplace.route_events'))`;
    await until(() => isRouted(event!.event_id), "the event to be routed");
    await until(async () => waited(await reasons()) === undefined, "health to notice that");
  } finally {
    await router`select pg_advisory_unlock_all()`;
    router.release();
  }
});

/** Waits until no dispatcher is looking by itself: then an event depends on its ring. */
async function silence(): Promise<void> {
  await until(async () => {
    const [state] = await sql`
      select polling_until < clock_timestamp() as is_silent from marketplace.dispatcher_state
    `;
    const response = await fetch(`${FUNCTIONS_URL}/marketplace-dispatch/health`);
    return state!.is_silent && !(await response.json()).draining;
  }, "the dispatcher to be silent");
}

/** How many sweeps have begun in a span of time. */
async function sweepsBetween(from: Date, until: Date): Promise<number> {
  const [row] = await sql`
    select count(*)::int as count from cron.job_run_details as d join cron.job as c using (jobid)
    where c.jobname = 'marketplace_sweep' and d.start_time between ${from} and ${until}
  `;
  return row!.count;
}

/** How many sweeps have run since a time until an event was routed. */
async function sweepsFor(eventId: string, since: Date): Promise<number> {
  await until(() => isRouted(eventId), "the event to be routed");
  const [event] = await sql`
    select processed_at from marketplace.webhook_events where id = ${eventId}
  `;
  return await sweepsBetween(since, event!.processed_at);
}

const now = async () => (await sql`select clock_timestamp() as now`)[0]!.now as Date;

Deno.test("a ring that is lost on its way costs one sweep", async () => {
  const lane: Lane = await makeLane(sql, sink);
  await silence();
  const event = await sql.begin(async (tx) => {
    const [event] = await ingest(tx, lane.integrationId, [{}]);
    const lost = await tx`delete from net.http_request_queue returning id`;
    assert.ok(lost.length > 0, "it had rung");
    return event!;
  });
  assert.equal(await sweepsFor(event.event_id, await now()), 1);
  await sink.received(lane.path);
});

Deno.test("rings into the void are an alert, and cost one sweep once there is somebody again", async () => {
  const lane: Lane = await makeLane(sql, sink);
  const [settings] = await sql`select marketplace.dispatch_settings() ->> 'functions_url' as url`;
  await silence();
  let event;
  try {
    // Nothing listens at port 9.
    await sql`select marketplace.configure_platform('http://127.0.0.1:9')`;
    [event] = await ingest(sql, lane.integrationId, [{}]);
    await until(async () => {
      const [alert] = await sql`
        select message from marketplace.v_alerts where alert = 'ring_unanswered'
      `;
      return alert;
    }, "the alert");
    assert.equal(await isRouted(event!.event_id), false);
  } finally {
    await sql`select marketplace.configure_platform(${settings!.url})`;
  }
  assert.equal(await sweepsFor(event!.event_id, await now()), 1);
  await sink.received(lane.path);
  await until(async () => {
    const alerts = await sql`select from marketplace.v_alerts where alert = 'ring_unanswered'`;
    return alerts.length === 0;
  }, "the alert to end");
});

Deno.test("what is due before long waits for no sweep: one job a second is one a second", async () => {
  const lane: Lane = await makeLane(sql, sink, {
    workflow: { rate_per_second: 1, completion: "response" },
  });
  await ingest(sql, lane.integrationId, [{}, {}, {}, {}]);
  await until(
    async () => (await jobsOf(sql, lane)).filter((job) => job.status === "completed").length === 4,
    "all jobs to be completed",
    30_000,
  );
  const [span] = await sql`
    select min(a.started_at) as first, max(a.started_at) as last
    from marketplace.sync_job_attempts as a join marketplace.sync_jobs as j on j.id = a.job_id
    where j.rule_id = ${lane.ruleId}
  `;
  // Three seconds hold one sweep at most. If each job had waited for one, there would be three.
  assert.ok(await sweepsBetween(span!.first, span!.last) < 3);
});
