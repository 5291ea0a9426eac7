/** Who subscribed is told, with a signature; and one who cannot be told is not told of that. */
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
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
const endpointIds: string[] = [];
Deno.test.afterAll(async () => {
  for (const id of endpointIds) await sql`select marketplace.remove_notification_endpoint(${id})`;
  await removeLanes(sql);
});

/** Subscribes a path of the sink; returns its secret and the workflow that serves it. */
async function subscribe(path: string, types: string[]) {
  const [added] = await sql`
    select * from marketplace.add_notification_endpoint(
      ${sink.url + path}, ${types}, p_allows_private_network => true
    )
  `;
  endpointIds.push(added!.endpoint_id);
  const [workflow] = await sql`
    select w.id, w.slug from marketplace.workflows as w
    join marketplace.notification_endpoints as n on n.workflow_id = w.id
    where n.id = ${added!.endpoint_id}
  `;
  return { workflowId: workflow!.id, slug: workflow!.slug, secret: added!.signing_secret };
}

const settled = (lane: Lane, status: string) =>
  until(async () => {
    const [job] = await jobsOf(sql, lane);
    return job?.status === status && job;
  }, `the job to be ${status}`);

Deno.test("an endpoint is told of a dead and of a completed job, signed with its own secret", async () => {
  const path = `/told-${crypto.randomUUID()}`;
  const { secret } = await subscribe(path, ["job.dead", "sync.completed"]);
  const good = await makeLane(sql, sink);
  new PlayedWorkflow(sink, good.path, { functionsUrl: FUNCTIONS_URL });
  const bad = await makeLane(sql, sink, { workflow: { breaker_threshold: 1 } });
  sink.on(bad.path, () => new Response("cannot", { status: 422 }));
  await ingest(sql, good.integrationId, [{}]);
  await ingest(sql, bad.integrationId, [{}]);
  const [completed, dead] = [await settled(good, "completed"), await settled(bad, "dead")];

  const told = new Map<string, Record<string, unknown>>();
  for (const { body, headers } of await sink.received(path, 2)) {
    const message = new Webhook(secret).verify(body, Object.fromEntries(headers)) as {
      type: string;
      timestamp: string;
      data: Record<string, unknown>;
    };
    assert.ok(Math.abs(Date.parse(message.timestamp) - Date.now()) < 60_000);
    told.set(message.type, message.data);
    assert.throws(() =>
      new Webhook(secret).verify(body.replace("job", "jab"), Object.fromEntries(headers))
    );
  }
  const about = ({ job_id, status, workflow, correlation_id }: Record<string, unknown>) => ({
    job_id,
    status,
    workflow,
    correlation_id,
  });
  assert.deepEqual(about(told.get("sync.completed")!), {
    job_id: completed.id,
    status: "completed",
    workflow: good.workflowSlug,
    correlation_id: completed.correlation_id,
  });
  assert.deepEqual(about(told.get("job.dead")!), {
    job_id: dead.id,
    status: "dead",
    workflow: bad.workflowSlug,
    correlation_id: dead.correlation_id,
  });
  assert.equal(told.get("job.dead")!.error_code, "http_422");
  assert.equal(sink.at(path).length, 2, "and of nothing else");
});

Deno.test("an endpoint that fails is retried, given up, and told nothing about that", async () => {
  const [failing, witness] = [`/deaf-${crypto.randomUUID()}`, `/hears-${crypto.randomUUID()}`];
  const { workflowId, slug } = await subscribe(failing, ["*"]);
  sink.on(failing, () => new Response(null, { status: 500 }));
  await subscribe(witness, ["*"]);
  const good = await makeLane(sql, sink);
  new PlayedWorkflow(sink, good.path, { functionsUrl: FUNCTIONS_URL });
  await ingest(sql, good.integrationId, [{}]);
  await settled(good, "completed");

  const job = await until(async () => {
    // Its circuit opens on the way: the time of that, and of each retry, is over.
    await sql`
      update marketplace.workflows set breaker_until = now()
      where id = ${workflowId} and breaker_until is not null
    `;
    await sql`
      update marketplace.sync_jobs set run_at = now()
      where workflow_id = ${workflowId} and status = 'pending'
    `;
    await (await ring()).body?.cancel();
    const jobs = await sql`
      select status, attempt_count, error_code from marketplace.sync_jobs
      where workflow_id = ${workflowId}
    `;
    return jobs.length > 0 && jobs.every(({ status }) => status === "dead") && jobs;
  }, "the notification to be given up");
  assert.deepEqual(job.map((row) => ({ ...row })), [
    { status: "dead", attempt_count: 8, error_code: "http_500" },
  ]);
  const [circuit] = await sql`
    select breaker_openings::int as openings from marketplace.workflows where id = ${workflowId}
  `;
  assert.ok(circuit!.openings > 0, "its circuit opened, again and again");

  // One of each, to see that both are told in general, and that they were told all there was.
  await ingest(sql, good.integrationId, [{}]);
  await sink.received(witness, 2);
  assert.deepEqual(
    sink.at(witness).map(({ body }) => JSON.parse(body).type),
    ["sync.completed", "sync.completed"],
  );
  const [about] = await sql`
    select count(*)::int as count from marketplace.webhook_events
    where provider = 'marketplace' and payload ->> 'workflow' = ${slug}
  `;
  assert.equal(about!.count, 0);
});
