import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { closeDb } from "../_shared/db.ts";
import { app as dispatcher } from "../marketplace-dispatch/app.ts";
import {
  attemptsOf,
  FUNCTIONS_URL,
  ingest,
  jobsOf,
  makeLane,
  removeLanes,
  ring,
  stackEnv,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterAll(async () => {
  await removeLanes(sql);
  await closeDb();
});

const settled = (lane: Parameters<typeof jobsOf>[1], status: string) =>
  until(async () => {
    const [job] = await jobsOf(sql, lane);
    return job?.status === status && job;
  }, `the job to be ${status}`);

const attempted = (jobId: string, count = 1) =>
  until(async () => {
    const attempts = await attemptsOf(sql, jobId);
    return attempts.filter((a) => a.dispatch_outcome !== null).length >= count && attempts;
  }, `${count} recorded attempts`);

Deno.test("an event alone is enough: it rings, is routed, claimed, sent and recorded", async () => {
  const lane = await makeLane(sql, sink);
  const [event] = await ingest(sql, lane.integrationId, [{}]);
  const [request] = await sink.received(lane.path);
  const [job] = await jobsOf(sql, lane);
  const body = JSON.parse(request!.body);
  assert.equal(body.type, "job.dispatched");
  assert.ok(Math.abs(Date.parse(body.timestamp) - Date.now()) < 60_000);
  assert.deepEqual(Object.keys(body.data.job).sort(), [
    "attempt",
    "correlation_id",
    "id",
    "lease_expires_at",
    "max_attempts",
    "token",
    "url",
  ]);
  assert.equal(body.data.job.id, job!.id);
  assert.equal(body.data.job.attempt, 1);
  assert.equal(body.data.job.correlation_id, event!.correlation_id);
  assert.equal(body.data.job.url, `${FUNCTIONS_URL}/marketplace-jobs/${job!.id}`);
  assert.equal(body.data.execute_url, `${FUNCTIONS_URL}/marketplace-execute`);
  assert.equal(body.data.workflow, lane.workflowSlug);
  assert.equal(body.data.rule.id, lane.ruleId);
  assert.equal(body.data.event.id, event!.event_id);
  assert.equal(body.data.event.type, "workflow_run.completed");
  assert.deepEqual(body.data.source, { integration: lane.integrationSlug, provider: "github" });
  assert.equal(body.data.destination, null);
  const [attempt] = await attempted(job!.id);
  assert.equal(attempt!.dispatch_outcome, "delivered");
  assert.equal(attempt!.dispatch_status, 202);
  assert.equal((await jobsOf(sql, lane))[0]!.status, "running");
});

Deno.test("the reference library accepts the signature; id, trace and idempotency key agree", async () => {
  const lane = await makeLane(sql, sink);
  await ingest(sql, lane.integrationId, [{}]);
  const [request] = await sink.received(lane.path);
  const [row] = await sql`select marketplace.dispatch_settings() ->> 'signing_secret' as secret`;
  const headers = Object.fromEntries(request!.headers);
  assert.deepEqual(
    new Webhook(row!.secret).verify(request!.body, headers),
    JSON.parse(request!.body),
  );
  assert.throws(() => new Webhook(row!.secret).verify(`${request!.body} `, headers));
  const [job] = await jobsOf(sql, lane);
  assert.equal(headers["webhook-id"], job!.id);
  assert.equal(headers["idempotency-key"], job!.id);
  assert.ok(headers.traceparent!.startsWith(`00-${job!.correlation_id.replaceAll("-", "")}-`));
});

Deno.test("five deliveries of one event at once make one job per rule", async () => {
  const lane = await makeLane(sql, sink);
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
    values ('second', ${lane.integrationId}, ${lane.workflowId})
  `;
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () => ingest(sql, lane.integrationId, [{ key: "same" }])),
  );
  assert.deepEqual(outcomes.map(([o]) => o!.outcome).sort(), [
    "duplicate",
    "duplicate",
    "duplicate",
    "duplicate",
    "stored",
  ]);
  await sink.received(lane.path, 2);
  await (await ring("?wait=true")).body?.cancel();
  assert.equal(sink.at(lane.path).length, 2);
  assert.equal(new Set(sink.at(lane.path).map((r) => r.headers.get("webhook-id"))).size, 2);
});

Deno.test("a server's error is retried, not before the time it asks for", async () => {
  const lane = await makeLane(sql, sink);
  sink.on(
    lane.path,
    () => new Response("busy", { status: 503, headers: { "retry-after": "600" } }),
  );
  await ingest(sql, lane.integrationId, [{}]);
  const job = await until(async () => {
    const [job] = await jobsOf(sql, lane);
    return job?.status === "pending" && job.attempt_count === 1 && job;
  }, "the retry to be planned");
  const [attempt] = await attempted(job.id);
  assert.equal(attempt!.dispatch_outcome, "failed");
  assert.equal(attempt!.dispatch_status, 503);
  assert.equal(attempt!.error_code, "http_503");
  assert.equal(attempt!.response, "busy");
  const wait = job.run_at.getTime() - Date.now();
  assert.ok(wait > 590_000 && wait < 610_000, `waits ${wait} ms`);
});

Deno.test("a client error is final", async () => {
  const lane = await makeLane(sql, sink);
  sink.on(lane.path, () => new Response("no", { status: 400 }));
  await ingest(sql, lane.integrationId, [{}]);
  const job = await settled(lane, "dead");
  assert.equal(job.attempt_count, 1);
  assert.equal(job.error_code, "http_400");
});

Deno.test("a redirect is a failure and is not followed", async () => {
  const lane = await makeLane(sql, sink, { workflow: { max_attempts: 1 } });
  sink.on(lane.path, () => Response.redirect(`${sink.url}${lane.path}-elsewhere`, 307));
  await ingest(sql, lane.integrationId, [{}]);
  const job = await settled(lane, "dead");
  assert.equal(job.error_code, "redirect");
  assert.equal(sink.at(`${lane.path}-elsewhere`).length, 0);
});

Deno.test("a refused connection is a failure: the job was certainly not started", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const lane = await makeLane(sql, sink, {
    endpoint: `http://127.0.0.1:${port}/hook?key=s3cret`,
    workflow: { max_attempts: 1 },
  });
  await ingest(sql, lane.integrationId, [{}]);
  const job = await settled(lane, "dead");
  assert.equal(job.error_code, "connect");
  assert.ok(job.error_message!.includes(`127.0.0.1:${port}`));
  assert.ok(!job.error_message!.includes("s3cret"));
});

Deno.test("no answer in time is unknown: the job keeps its lease, it may be running", async () => {
  const lane = await makeLane(sql, sink, { workflow: { timeout_ms: 200 } });
  sink.on(
    lane.path,
    () => new Promise((resolve) => setTimeout(() => resolve(new Response()), 1_000)),
  );
  await ingest(sql, lane.integrationId, [{}]);
  await sink.received(lane.path);
  const [job] = await jobsOf(sql, lane);
  const [attempt] = await attempted(job!.id);
  assert.equal(attempt!.dispatch_outcome, "unknown");
  assert.equal(attempt!.error_code, "timeout");
  const [after] = await jobsOf(sql, lane);
  assert.equal(after!.status, "running");
  assert.equal(after!.lease_id, job!.lease_id);
});

Deno.test("a connection that breaks after sending is unknown too", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    const connection = await listener.accept();
    await connection.read(new Uint8Array(4096));
    connection.close();
  })();
  const lane = await makeLane(sql, sink, { endpoint: `http://127.0.0.1:${listener.addr.port}/` });
  await ingest(sql, lane.integrationId, [{}]);
  await served;
  const [job] = await jobsOf(sql, lane);
  const [attempt] = await attempted(job!.id);
  assert.equal(attempt!.dispatch_outcome, "unknown");
  assert.equal(attempt!.error_code, "connection_lost");
  assert.equal((await jobsOf(sql, lane))[0]!.status, "running");
  listener.close();
});

Deno.test("a lease that ends is tried again with another token, and dead after the last time", async () => {
  const lane = await makeLane(sql, sink, { workflow: { max_attempts: 2 } });
  await ingest(sql, lane.integrationId, [{}]);
  await sink.received(lane.path);
  const first = sink.job(lane.path);
  await attempted(first.id);
  const endLease = () =>
    sql`
    update marketplace.sync_jobs set lease_expires_at = now() - interval '1 second'
    where id = ${first.id}
  `;
  await endLease();
  await ring();
  await sink.received(lane.path, 2);
  const second = sink.job(lane.path);
  assert.equal(second.id, first.id);
  assert.equal(second.attempt, 2);
  assert.notEqual(second.token, first.token);
  await attempted(first.id, 2);
  await endLease();
  await ring();
  const job = await settled(lane, "dead");
  assert.equal(job.error_code, "lease_lost");
  assert.deepEqual((await attemptsOf(sql, first.id)).map((a) => a.result), [
    "lease_lost",
    "lease_lost",
  ]);
});

Deno.test("two dispatchers at once never run a job twice", async () => {
  const lane = await makeLane(sql, sink, {
    workflow: { max_concurrency: 500, is_active: false },
  });
  sink.on(lane.path, async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return new Response(null, { status: 202 });
  });
  await ingest(sql, lane.integrationId, Array.from({ length: 300 }, () => ({})));
  await until(async () => (await jobsOf(sql, lane)).length === 300, "all events to be routed");
  await sql`update marketplace.workflows set is_active = true where id = ${lane.workflowId}`;
  // This process is the second dispatcher.
  const inProcess = dispatcher.request("/marketplace-dispatch?wait=true", {
    method: "POST",
    headers: { authorization: `Bearer ${stackEnv("SUPABASE_SECRET_KEY")}` },
  });
  const drains = [inProcess, ring("?wait=true")];
  const reports = await Promise.all(drains.map(async (drain) => (await drain).json()));
  await sink.received(lane.path, 300);
  const ids = sink.at(lane.path).map((request) => request.headers.get("webhook-id"));
  assert.equal(ids.length, 300);
  assert.equal(new Set(ids).size, 300);
  assert.ok(reports.every((report) => report.claimed > 0), JSON.stringify(reports));
});

Deno.test("database connections that break in the middle lose no job", async () => {
  const lane = await makeLane(sql, sink, {
    workflow: { lease: "2 seconds", max_attempts: 20, max_concurrency: 20 },
  });
  sink.on(lane.path, async ({ body }) => {
    const { url, token } = JSON.parse(body).data.job;
    const report = await fetch(`${url}/complete`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    await report.body?.cancel();
    return new Response(null, { status: 200 });
  });
  for (let batch = 0; batch < 5; batch++) {
    await ingest(sql, lane.integrationId, Array.from({ length: 20 }, () => ({})));
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'marketplace' and pid <> pg_backend_pid()
    `;
  }
  await until(
    async () => {
      const jobs = await jobsOf(sql, lane);
      return jobs.length === 100 && jobs.every(({ status }) => status === "completed");
    },
    "all jobs to be completed",
    40_000,
  );
});

Deno.test("a workflow that hangs delays only itself", async () => {
  const slow = await makeLane(sql, sink, { workflow: { timeout_ms: 4_000 } });
  const quick = await makeLane(sql, sink);
  sink.on(
    slow.path,
    () => new Promise((resolve) => setTimeout(() => resolve(new Response()), 5_000)),
  );
  await ingest(sql, slow.integrationId, Array.from({ length: 10 }, () => ({})));
  await sink.received(slow.path, 10);
  for (let i = 1; i <= 3; i++) {
    const sent = performance.now();
    await ingest(sql, quick.integrationId, [{}]);
    const requests = await sink.received(quick.path, i);
    const latency = requests.at(-1)!.at - sent;
    assert.ok(latency < 1_000, `the neighbour waited ${Math.round(latency)} ms`);
  }
});

Deno.test("an answer without end is cut off, and the token in it is not kept", async () => {
  const lane = await makeLane(sql, sink);
  sink.on(lane.path, ({ body }) => {
    const { token } = JSON.parse(body).data.job;
    const piece = new TextEncoder().encode(`${token} \u0000 ${"x".repeat(500)}`);
    let timer: ReturnType<typeof setInterval>;
    return new Response(
      new ReadableStream({
        start(controller) {
          timer = setInterval(() => controller.enqueue(piece), 5);
        },
        cancel: () => clearInterval(timer),
      }),
    );
  });
  await ingest(sql, lane.integrationId, [{}]);
  await sink.received(lane.path);
  const { id, token } = sink.job(lane.path);
  const [attempt] = await attempted(id);
  assert.equal(attempt!.dispatch_outcome, "delivered");
  assert.ok(attempt!.response!.startsWith("[token]"));
  assert.ok(attempt!.response!.length <= 2_000);
  assert.ok(!attempt!.response!.includes(token));
});

Deno.test("a private address is refused unless the workflow allows it", async () => {
  const lane = await makeLane(sql, sink, { workflow: { allows_private_network: false } });
  await ingest(sql, lane.integrationId, [{}]);
  const job = await settled(lane, "dead");
  assert.equal(job.error_code, "private_address");
  assert.equal(job.attempt_count, 1);
  assert.equal(sink.at(lane.path).length, 0);
});

Deno.test("a workflow's own secret signs its dispatches, and its token goes along", async () => {
  const lane = await makeLane(sql, sink);
  const secret = `whsec_${btoa("a secret of this workflow")}`;
  await sql`select marketplace.set_workflow_secret(${lane.workflowSlug}, 'signing', ${secret})`;
  await sql`select marketplace.set_workflow_secret(${lane.workflowSlug}, 'token', 'bearer-1')`;
  await ingest(sql, lane.integrationId, [{}]);
  const [request] = await sink.received(lane.path);
  new Webhook(secret).verify(request!.body, Object.fromEntries(request!.headers));
  assert.equal(request!.headers.get("authorization"), "Bearer bearer-1");
});

Deno.test("whoever subscribes to our events gets the event itself, signed, without a token", async () => {
  const path = `/notified-${crypto.randomUUID()}`;
  const [endpoint] = await sql`
    select * from marketplace.add_notification_endpoint(
      ${sink.url + path}, array['job.dead'], p_allows_private_network => true
    )
  `;
  try {
    const lane = await makeLane(sql, sink);
    sink.on(lane.path, () => new Response(null, { status: 422 }));
    await ingest(sql, lane.integrationId, [{}]);
    const dead = await settled(lane, "dead");
    const request = await until(
      () => sink.at(path).find(({ body }) => body.includes(dead.id)),
      "the notification",
    );
    const body = new Webhook(endpoint!.signing_secret)
      .verify(request.body, Object.fromEntries(request.headers)) as Record<string, unknown>;
    assert.equal(body.type, "job.dead");
    assert.equal((body.data as { job_id: string }).job_id, dead.id);
    assert.ok(!request.body.includes("mpj_"));
  } finally {
    await sql`select marketplace.remove_notification_endpoint(${endpoint!.endpoint_id})`;
  }
});

Deno.test("only the ring key and the service key may ring", async () => {
  const post = async (token?: string) => {
    const response = await fetch(`${FUNCTIONS_URL}/marketplace-dispatch`, {
      method: "POST",
      headers: token ? { authorization: `Bearer ${token}` } : {},
    });
    return { status: response.status, body: await response.json() };
  };
  const [row] = await sql`select marketplace.dispatch_settings() ->> 'ring_key' as key`;
  assert.deepEqual(await post(row!.key), { status: 202, body: { status: "accepted" } });
  assert.equal((await post(stackEnv("SUPABASE_SECRET_KEY"))).status, 202);
  assert.equal((await post()).body.error.code, "missing_token");
  const refused = await post("mpr_wrong");
  assert.equal(refused.status, 401);
  assert.equal(refused.body.error.code, "invalid_token");
  assert.equal((await post(stackEnv("SUPABASE_PUBLISHABLE_KEY"))).status, 401);
});

Deno.test("health tells the queue's state; other paths and methods are refused", async () => {
  const health = await fetch(`${FUNCTIONS_URL}/marketplace-dispatch/health`);
  assert.equal(health.status, 200);
  const body = await health.json();
  assert.equal(body.database, "ok");
  assert.equal(typeof body.queue.jobs_waiting, "number");
  const wrong = await fetch(`${FUNCTIONS_URL}/marketplace-dispatch`);
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "POST");
  await wrong.body?.cancel();
});
