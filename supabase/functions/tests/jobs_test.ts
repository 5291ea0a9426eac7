import assert from "node:assert/strict";
import {
  attemptsOf,
  jobsOf,
  removeLanes,
  ring,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";
import {
  type DestinationKind,
  makeTransferLane,
  sandbox,
  startJob,
  type TransferLane,
  Workflow,
} from "./support_transfer.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterEach(() => sandbox.clearFaults());
Deno.test.afterAll(() => removeLanes(sql));

/** The SHA-256 of every copy that a lane made, by path. */
async function copies(lane: TransferLane, kind: DestinationKind): Promise<Map<string, string>> {
  if (kind === "aws_s3") {
    const objects = await sandbox.s3Objects(lane.bucket);
    return new Map(objects.map(({ key, sha256 }) => [key, sha256]));
  }
  const files = await sandbox.driveFiles();
  const own = `${lane.workflowSlug}/`;
  return new Map(
    files.filter(({ path, sha256 }) => path.startsWith(own) && sha256)
      .map(({ path, sha256 }) => [path.slice(own.length), sha256!]),
  );
}

/** A template whose copies are told apart by lane, in Drive's one big tree. */
const template = (kind: DestinationKind, lane: TransferLane, rest: string) =>
  sql`
    update marketplace.sync_rules
    set destination_template = ${kind === "aws_s3" ? rest : `${lane.workflowSlug}/${rest}`}
    where id = ${lane.ruleId}
  `;

const artifactRows = (jobId: string) =>
  sql`select * from marketplace.artifact_syncs where job_id = ${jobId} order by name`;

for (const kind of ["google_drive", "aws_s3"] as const) {
  Deno.test(`${kind}: plan, ticket, upload, report ends in verified copies and a completed job`, async () => {
    const lane = await makeTransferLane(sql, sink, { kind });
    await template(kind, lane, "CI/{date}/{workflow}/{name}");
    const workflow = await startJob(sql, sink, lane, [
      { name: "coverage", size: 30_000 },
      { name: "Prüfbericht", size: 700_000 },
    ]);
    const plan = await workflow.call("plan");
    assert.equal(plan.status, 200, JSON.stringify(plan.body));
    assert.equal(plan.headers.get("x-correlation-id"), workflow.job.correlation_id);
    assert.equal(plan.body.job.id, workflow.job.id);
    assert.equal(plan.body.completed, 0);
    assert.deepEqual(plan.body.skipped, []);
    assert.equal(plan.body.artifacts.length, 2);
    for (const artifact of plan.body.artifacts) {
      assert.ok(artifact.destination_path.endsWith(
        `CI/2026-03-01/CI - build/${artifact.name}.zip`,
      ));
      const { status, report } = await workflow.move(artifact.id);
      assert.equal(status, 200);
      const verified = await workflow.call("artifacts", report);
      assert.equal(verified.status, 200, JSON.stringify(verified.body));
      assert.equal(verified.body.status, "completed");
      assert.match(verified.body.destination, kind === "aws_s3" ? /^s3:\/\// : /^https:\/\/drive/);
      // The same report again, because its answer was lost
      assert.equal((await workflow.call("artifacts", report)).body.status, "completed");
    }
    const done = await workflow.call("complete", { summary: { copied: 2 } });
    assert.deepEqual(done.body, { status: "completed", failed: 0 });
    assert.deepEqual((await workflow.call("complete")).body, { status: "completed", failed: 0 });

    const [job] = await jobsOf(sql, lane);
    assert.equal(job!.status, "completed");
    const rows = await artifactRows(job!.id);
    assert.deepEqual(rows.map((row) => row.status), ["completed", "completed"]);
    const stored = await copies(lane, kind);
    assert.deepEqual(
      [...stored].sort(),
      rows.map((row) => [
        row.destination_path.replace(`${lane.workflowSlug}/`, ""),
        row.sha256,
      ]).sort(),
    );
    for (const row of rows) assert.equal(row.destination_checksum, `sha256:${row.sha256}`);
  });

  Deno.test(`${kind}: a copy that was altered on its way fails, the other one completes`, async () => {
    const lane = await makeTransferLane(sql, sink, { kind, config: { checksum: "none" } });
    await template(kind, lane, "{name}");
    const workflow = await startJob(sql, sink, lane, [{ name: "good" }, { name: "bad" }]);
    const { body: { artifacts } } = await workflow.call("plan");
    const outcomes: Record<string, { status: string; error_code?: string }> = {};
    for (const { id, name } of artifacts) {
      if (name === "bad") {
        await sandbox.addFault({
          provider: kind === "aws_s3" ? "s3" : "google",
          method: "PUT",
          corrupt: true,
        });
      }
      const { report } = await workflow.move(id);
      outcomes[name] = (await workflow.call("artifacts", report)).body;
    }
    assert.equal(outcomes.good!.status, "completed");
    assert.equal(outcomes.bad!.status, "failed");
    assert.equal(outcomes.bad!.error_code, "checksum_mismatch");
    const done = await workflow.call("complete");
    assert.equal(done.body.status, "pending");
    assert.equal(done.body.failed, 1);

    // The next attempt moves only what is missing, onto the same object.
    await sink.received(lane.path, 2);
    const retry = new Workflow(sink.job(lane.path));
    const again = await retry.call("plan");
    assert.equal(again.body.completed, 1);
    assert.deepEqual(again.body.artifacts.map(({ name }: { name: string }) => name), ["bad"]);
    const { report } = await retry.move(again.body.artifacts[0].id);
    assert.equal((await retry.call("artifacts", report)).body.status, "completed");
    assert.equal((await retry.call("complete")).body.status, "completed");
    assert.equal((await copies(lane, kind)).size, 2);
    assert.deepEqual((await attemptsOf(sql, workflow.job.id)).map((a) => a.result), [
      "failed",
      "completed",
    ]);
  });
}

Deno.test("an S3 that checks the signed digest refuses altered bytes itself", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { body: { artifacts: [artifact] } } = await workflow.call("plan");
  await sandbox.addFault({ provider: "s3", method: "PUT", corrupt: true });
  const { status, report } = await workflow.move(artifact.id);
  assert.equal(status, 400);
  const outcome = await workflow.call("artifacts", report);
  assert.equal(outcome.body.status, "failed");
  assert.equal(outcome.body.error_code, "destination_missing");
});

Deno.test("a download that was altered is not passed off as the original", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "google_drive" });
  await template("google_drive", lane, "{name}");
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { body: { artifacts: [artifact] } } = await workflow.call("plan");
  await sandbox.addFault({
    provider: "github",
    method: "GET",
    path: "/**/artifact.zip",
    corrupt: true,
  });
  const { status, report } = await workflow.move(artifact.id);
  assert.equal(status, 200);
  const outcome = await workflow.call("artifacts", report);
  assert.equal(outcome.body.error_code, "checksum_mismatch");
});

Deno.test("pattern, type and expiry decide what is planned; what is not says why", async () => {
  const lane = await makeTransferLane(sql, sink, {
    kind: "aws_s3",
    rule: {
      source_pattern: "artifacts/{build,report}*",
      artifact_types: ["pdf", "json"],
    },
  });
  const workflow = await startJob(sql, sink, lane, [
    { name: "build-linux" },
    { name: "report.pdf" },
    { name: "report-old.json", expired: true },
    { name: "logs.json" },
  ]);
  const { body } = await workflow.call("plan");
  assert.deepEqual(body.artifacts.map(({ name }: { name: string }) => name), ["report.pdf"]);
  const reasons = Object.fromEntries(
    body.skipped.map(({ name, reason }: { name: string; reason: string }) => [name, reason]),
  );
  assert.match(reasons["build-linux"], /type zip is not one of pdf, json/);
  assert.match(reasons["report-old.json"], /expired/);
  assert.match(reasons["logs.json"], /artifacts\/logs.json does not match/);
  // All there was is dealt with, but the one.
  assert.equal((await workflow.call("complete")).body.status, "pending");
});

Deno.test("a rule that wants zip wants all that GitHub zips", async () => {
  const lane = await makeTransferLane(sql, sink, {
    kind: "aws_s3",
    rule: { artifact_types: ["zip"] },
  });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }, { name: "b.pdf" }]);
  const { body } = await workflow.call("plan");
  assert.deepEqual(
    body.artifacts.map((a: { destination_path: string }) => a.destination_path).sort(),
    ["a.zip", "b.pdf.zip"],
  );
});

Deno.test("artifacts that would be one path are two copies", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  await template("aws_s3", lane, "{workflow}/{date}");
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }, { name: "b" }]);
  const { body } = await workflow.call("plan");
  const paths = body.artifacts.map((a: { destination_path: string }) => a.destination_path);
  assert.deepEqual(paths.sort(), [
    `CI - build/2026-03-01-${workflow.refs[1]}.zip`,
    "CI - build/2026-03-01.zip",
  ]);
  const replanned = await workflow.call("plan");
  assert.deepEqual(
    replanned.body.artifacts.map((a: { destination_path: string }) => a.destination_path).sort(),
    paths,
  );
});

Deno.test("a template that cannot be used is refused with the reason", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  await template("aws_s3", lane, "{wrokflow}/{name}");
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { status, body } = await workflow.call("plan");
  assert.equal(status, 422);
  assert.equal(body.error.code, "template_invalid");
  assert.ok(body.error.message.includes("{wrokflow}") && body.error.message.includes("{workflow}"));
  assert.equal(body.error.correlation_id, workflow.job.correlation_id);
});

Deno.test("a token is good for its own attempt only", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const wrong = await workflow.call("plan", undefined, "mpj_wrong");
  assert.equal(wrong.status, 401);
  assert.equal(wrong.body.error.code, "invalid_token");
  const other = await startJob(sql, sink, lane, [{ name: "b" }]);
  assert.equal((await workflow.call("plan", undefined, other.job.token)).status, 401);

  await sql`
    update marketplace.sync_jobs set lease_expires_at = now() - interval '1 second'
    where id = ${workflow.job.id}
  `;
  // The lease is over although nobody has noticed it yet.
  const late = await workflow.call("heartbeat");
  assert.equal(late.status, 409);
  await ring();
  await until(() => sink.at(lane.path).length >= 3, "the second attempt");
  const retry = new Workflow(sink.job(lane.path));
  assert.equal(retry.job.id, workflow.job.id);
  for (const action of ["heartbeat", "plan", "complete", "fail", "artifacts", "tickets"]) {
    assert.equal((await workflow.call(action)).status, 401, action);
  }
  assert.equal((await retry.call("heartbeat")).status, 200);
  assert.equal((await jobsOf(sql, lane)).find(({ id }) => id === retry.job.id)!.status, "running");
});

Deno.test("a heartbeat renews the lease; after the end nothing changes the job", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, []);
  await sql`
    update marketplace.sync_jobs set lease_expires_at = now() + interval '10 seconds'
    where id = ${workflow.job.id}
  `;
  const beat = await workflow.call("heartbeat");
  assert.equal(beat.status, 200);
  assert.ok(Date.parse(beat.body.lease_expires_at) > Date.now() + 60_000);
  assert.equal((await workflow.call("complete")).body.status, "completed");
  for (const action of ["heartbeat", "plan"]) {
    const refused = await workflow.call(action);
    assert.equal(refused.status, 409, action);
    assert.equal(refused.body.error.code, "job_finished");
  }
  assert.equal((await workflow.call("")).body.job.status, "completed");
});

Deno.test("a workflow reads its job, and no URL or secret with it", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "google_drive" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { status, body } = await workflow.call("");
  assert.equal(status, 200);
  assert.equal(body.event.payload.workflow_run.name, "CI / build");
  assert.deepEqual(body.destination, {
    integration: lane.destinationSlug,
    provider: "google_drive",
  });
  assert.equal(body.notify.channel, "#ci-artifacts");
  const text = JSON.stringify({ ...body, event: null });
  assert.ok(!text.includes("sandbox-"));
  assert.ok(!text.includes("http"));
});

Deno.test("a job that reports failure is retried, or dead if that cannot help", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const first = await startJob(sql, sink, lane, []);
  const retried = await first.call("fail", { code: "download_failed", message: "no\u0000 route" });
  assert.deepEqual(retried.body, { status: "pending" });
  await sink.received(lane.path, 2);
  const second = new Workflow(sink.job(lane.path));
  assert.equal(second.job.attempt, 2);
  const dead = await second.call("fail", { code: "broken", message: "for good", retryable: false });
  assert.deepEqual(dead.body, { status: "dead" });
  const [job] = await jobsOf(sql, lane);
  assert.deepEqual([job!.status, job!.error_code, job!.error_message], [
    "dead",
    "broken",
    "for good",
  ]);
});

Deno.test("an artifact that the workflow gives up is failed with its reason", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { body: { artifacts: [{ id }] } } = await workflow.call("plan");
  const { body } = await workflow.call("artifacts", {
    artifact_id: id,
    status: "failed",
    error_code: "upload_failed",
    error_message: "the connection was cut\u0000",
  });
  assert.deepEqual(body, {
    id,
    status: "failed",
    error_code: "upload_failed",
    error_message: "the connection was cut",
  });
});

Deno.test("no ticket for what cannot be transferred: the artifact says why", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { body: { artifacts: [{ id }] } } = await workflow.call("plan");
  await sql`select marketplace.set_integration_secret(${lane.integrationSlug}, 'api_token', 'old')`;
  const refused = await workflow.call("tickets", { artifact_id: id });
  assert.equal(refused.status, 502);
  assert.equal(refused.body.error.code, "source_unauthorized");
  assert.equal(refused.body.error.details.retryable, false);
  const [row] = await artifactRows(workflow.job.id);
  assert.deepEqual([row!.status, row!.error_code], ["failed", "source_unauthorized"]);
  // The workflow knows less about it than we do.
  const given = await workflow.call("artifacts", {
    artifact_id: id,
    status: "failed",
    error_code: "ticket_refused",
  });
  assert.equal(given.body.error_code, "source_unauthorized");
  // With the right token the same artifact goes on.
  await sql`
    select marketplace.set_integration_secret(${lane.integrationSlug}, 'api_token', 'sandbox-github-token')
  `;
  const { report } = await workflow.move(id);
  assert.equal((await workflow.call("artifacts", report)).body.status, "completed");
});

Deno.test("a destination that cannot be asked leaves the upload to be reported again", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const { body: { artifacts: [{ id }] } } = await workflow.call("plan");
  const { report } = await workflow.move(id);
  await sandbox.addFault({ provider: "s3", method: "HEAD", status: 503, times: 3 });
  const unsure = await workflow.call("artifacts", report);
  assert.equal(unsure.status, 503);
  assert.equal(unsure.body.error.code, "destination_unavailable");
  assert.equal((await artifactRows(workflow.job.id))[0]!.status, "uploaded");
  assert.equal((await workflow.call("artifacts", report)).body.status, "completed");
});

Deno.test("unknown jobs and artifacts are 404, bodies that do not fit 400 and 422", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  const nowhere = new Workflow({
    ...workflow.job,
    url: workflow.job.url.replace(workflow.job.id, crypto.randomUUID()),
  });
  assert.equal((await nowhere.call("plan")).status, 404);
  const missing = await workflow.call("tickets", { artifact_id: crypto.randomUUID() });
  assert.equal(missing.body.error.code, "artifact_not_found");
  assert.equal((await workflow.call("tickets", { artifact_id: "x" })).status, 422);
  const short = await workflow.call("artifacts", {
    artifact_id: crypto.randomUUID(),
    status: "uploaded",
    sha256: "abc",
  });
  assert.equal(short.status, 422);
  assert.match(short.body.error.message, /sha256/);
  const broken = await fetch(`${workflow.job.url}/fail`, {
    method: "POST",
    headers: { authorization: `Bearer ${workflow.job.token}` },
    body: "{",
  });
  assert.equal(broken.status, 400);
  await broken.body?.cancel();
  const wrong = await fetch(`${workflow.job.url}/plan`, {
    headers: { authorization: `Bearer ${workflow.job.token}` },
  });
  assert.equal(wrong.status, 405);
  await wrong.body?.cancel();
});

Deno.test("what GitHub says about its rate limit is kept", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  await workflow.call("plan");
  const quota = await until(async () => {
    const [row] = await sql`
      select limit_count, used_count from marketplace.api_quotas
      where integration_id = ${lane.integrationId}
    `;
    return row;
  }, "the quota");
  assert.equal(Number(quota.limit_count), 5000);
  assert.ok(Number(quota.used_count) >= 1);
});

Deno.test("a rate limit that a transfer meets is waited out by the next attempt, as told or longer each time", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, [{ name: "a" }]);
  /** Seconds from now that a retry waits for, once an attempt has met the answer. */
  const waits = async (
    fault: { status: number; headers?: Record<string, string>; body: Record<string, unknown> },
  ) => {
    await sandbox.addFault({
      provider: "github",
      path: "/repos/*/*/actions/**",
      times: 3,
      ...fault,
    });
    const { status, body } = await workflow.call("plan");
    assert.deepEqual([status, body.error.code], [503, "source_rate_limited"]);
    await sandbox.clearFaults();
    const [row] = await sql`
      update marketplace.sync_jobs as j
      set not_before = null
      from (select id, not_before - now() as wait from marketplace.sync_jobs) as before
      where j.id = ${workflow.job.id} and before.id = j.id
      returning extract(epoch from before.wait)::float8 as wait
    `;
    return row!.wait as number;
  };
  const reset = Math.floor(Date.now() / 1000) + 1800;
  const told = await waits({
    status: 403,
    headers: {
      "x-ratelimit-limit": "5000",
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(reset),
    },
    body: { message: "API rate limit exceeded for installation." },
  });
  assert.ok(told > 1700 && told <= 1800, `told until ${reset}, waits ${told} s`);
  const silent = await waits({
    status: 403,
    headers: { "x-ratelimit-remaining": "4000" },
    body: { message: "You have exceeded a secondary rate limit." },
  });
  assert.ok(silent > 25 && silent <= 36, `told nothing, waits ${silent} s`);
});

Deno.test("patterns mean the same in the database and here", async () => {
  const cases: [pattern: string, path: string, matches: boolean][] = [
    ["artifacts/*", "artifacts/a.zip", true],
    ["artifacts/*", "artifacts/a/b.zip", false],
    ["artifacts/**", "artifacts/a/b.zip", true],
    ["**/b.zip", "a/x/b.zip", true],
    ["**/b.zip", "b.zip", true],
    ["artifacts/?.zip", "artifacts/a.zip", true],
    ["artifacts/?.zip", "artifacts/ab.zip", false],
    ["artifacts/?", "artifacts/ü", true],
    ["artifacts/?", "artifacts/🎉", true],
    ["artifacts/{a,b}*", "artifacts/b-1", true],
    ["artifacts/{a,b}*", "artifacts/c-1", false],
    ["artifacts/[a-c]1", "artifacts/b1", true],
    ["artifacts/[!a-c]1", "artifacts/b1", false],
    ["artifacts/[!a-c]1", "artifacts/d1", true],
    ["artifacts/a.zip", "artifacts/axzip", false],
    ["artifacts/(a)+$", "artifacts/(a)+$", true],
    ["artifacts/*", "artifacts/line\nbreak", true],
    ["**", "anything/at all", true],
    ["artifacts/[", "artifacts/[", true],
    ["artifacts/}", "artifacts/}", true],
  ];
  for (const [pattern, path, matches] of cases) {
    const [row] = await sql`
      select marketplace._glob_to_regex(${pattern}) as regex,
        ${path} ~ marketplace._glob_to_regex(${pattern}) as matches
    `;
    assert.equal(row!.matches, matches, `${pattern} on ${path} in Postgres`);
    assert.equal(new RegExp(row!.regex, "su").test(path), matches, `${pattern} on ${path}`);
  }
});

Deno.test("execute runs an action of the job's own integrations, with a credential it never sees", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, []);
  const text = `mirrored ${crypto.randomUUID()}`;
  const posted = await workflow.execute({
    integration: lane.notifySlug,
    action: "chat.postMessage",
    parameters: { channel: "#ci-artifacts", text },
  });
  assert.equal(posted.status, 200, JSON.stringify(posted.body));
  assert.equal(posted.body.ok, true);
  assert.equal(posted.body.result.message.text, text);
  assert.equal(posted.body.correlation_id, workflow.job.correlation_id);
  assert.equal((await sandbox.slackMessages()).filter((m) => m.text === text).length, 1);
  const listed = await workflow.execute({
    integration: lane.integrationSlug,
    action: "actions.listWorkflowRunArtifacts",
    parameters: {
      owner: "octo-org",
      repo: "octo-repo",
      run_id: (await sandbox.createGitHubRun({ artifacts: [{ name: "x" }] })).run_id,
    },
  });
  assert.equal(listed.body.result.total_count, 1);
  const log = await until(async () => {
    const rows = await sql`
      select action, outcome, status_code from marketplace.execution_logs
      where job_id = ${workflow.job.id} order by created_at
    `;
    return rows.length === 2 && rows;
  }, "the log");
  assert.deepEqual(log.map((row) => [row.action, row.outcome, row.status_code]), [
    ["chat.postMessage", "succeeded", 200],
    ["actions.listWorkflowRunArtifacts", "succeeded", 200],
  ]);
});

Deno.test("execute refuses what is not the job's, not in the catalogue, or not in the schema", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const other = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, []);
  const code = async (body: unknown) => {
    const answer = await workflow.execute(body);
    return [answer.status, answer.body.error.code];
  };
  const say = { action: "chat.postMessage", parameters: { channel: "#ci-artifacts", text: "x" } };
  assert.deepEqual(await code({ ...say, integration: other.notifySlug }), [
    403,
    "integration_not_allowed",
  ]);
  assert.deepEqual(await code({ ...say, integration: lane.notifySlug, action: "chat.unheardOf" }), [
    404,
    "action_not_found",
  ]);
  assert.deepEqual(
    await code({ ...say, integration: lane.notifySlug, parameters: { text: "x" } }),
    [
      422,
      "validation_failed",
    ],
  );
  assert.deepEqual(await code({}), [422, "invalid_request"]);
  await workflow.call("complete");
  assert.deepEqual(await code({ ...say, integration: lane.notifySlug }), [401, "invalid_token"]);
});

Deno.test("what a provider refuses is a provider error, Slack's friendly 200 included", async () => {
  const lane = await makeTransferLane(sql, sink, { kind: "aws_s3" });
  const workflow = await startJob(sql, sink, lane, []);
  const say = (channel: string) =>
    workflow.execute({
      integration: lane.notifySlug,
      action: "chat.postMessage",
      parameters: { channel, text: "x" },
    });
  const refused = await say("#nowhere");
  assert.equal(refused.status, 502);
  assert.equal(refused.body.error.code, "provider_error");
  assert.equal(refused.body.error.details.provider_status, 200);
  assert.equal(refused.body.error.details.provider_error, "channel_not_found");
  assert.equal(refused.body.error.details.retryable, false);
  const before = (await sandbox.journal({ provider: "slack" })).length;
  await sandbox.addFault({ provider: "slack", status: 503, times: 5 });
  const failed = await say("#ci-artifacts");
  assert.equal(failed.status, 502);
  assert.equal(failed.body.error.details.provider_status, 503);
  assert.equal(failed.body.error.details.retryable, true);
  // A message is not repeated by itself: it may have been sent.
  assert.equal((await sandbox.journal({ provider: "slack" })).length, before + 1);
});
