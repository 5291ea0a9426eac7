// The main job through real n8n (N8N_URL): a GitHub run's artifacts end, proven, in S3 and in Drive.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import postgres from "postgres";
import {
  type Announcement,
  announceRun,
  copiesOf,
  deliver,
  DESTINATIONS,
  jobsOf,
  openStage,
  prepareMirror,
} from "../../../scripts/demo/scenario.ts";

const env = Deno.env.toObject();
if (!env.SUPABASE_DB_URL || !env.N8N_URL) {
  throw new Error(
    "SUPABASE_DB_URL and N8N_URL are not set: run `deno task start` and load .local/env",
  );
}
const sql = postgres(env.SUPABASE_DB_URL, { max: 4, onnotice: () => {} });
const stage = openStage(sql, env);

/** How often the workflow tries an upload by itself before it reports the artifact as failed. */
const UPLOAD_TRIES = 3;

let lastRunId = Date.now();
function announce(names: string[]): Promise<Announcement> {
  return announceRun(stage, {
    runId: ++lastRunId,
    artifacts: names.map((name) => ({ name, size_bytes: 20_000 })),
  });
}

/** Looks again and again until it holds; a test that waits in vain says for what. */
async function until<T>(what: string, look: () => Promise<T | false>, seconds = 60): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${seconds} s in vain for ${what}`);
}

function finished(correlationId: string, seconds?: number) {
  return until("the jobs to finish", async () => {
    const jobs = await jobsOf(stage, correlationId);
    return jobs.length > 0 &&
      jobs.every(({ status }) => !["pending", "running"].includes(status)) && jobs;
  }, seconds);
}

async function accepted(response: Response): Promise<{ event_id: string; correlation_id: string }> {
  assert.equal(response.status, 200);
  return await response.json();
}

/** Every artifact of the run lies once at each destination, byte for byte. */
async function assertMirrored({ runId, artifacts }: Announcement): Promise<void> {
  const copies = await copiesOf(stage, runId);
  const fingerprint = (destination: string, sha256: string) => `${destination} ${sha256}`;
  assert.deepEqual(
    copies.map(({ destination, sha256 }) => fingerprint(destination, sha256)).sort(),
    DESTINATIONS.flatMap((destination) =>
      artifacts.map(({ digest }) => fingerprint(destination, digest.replace("sha256:", "")))
    ).sort(),
  );
}

describe("the GitHub artifacts mirror", () => {
  before(() => prepareMirror(stage));
  afterEach(() => stage.sandbox.clearFaults());
  after(() => sql.end());

  it("stores a delivery once, however often and however concurrently it comes", async () => {
    const run = await announce(["one", "two"]);
    const told = (await stage.sandbox.slackMessages()).length;
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => accepted(await deliver(stage, run))),
    );
    assert.equal(new Set(answers.map(({ event_id }) => event_id)).size, 1);

    const [{ correlation_id }] = answers as [typeof answers[0]];
    const jobs = await finished(correlation_id!);
    assert.deepEqual(jobs.map(({ status }) => status), ["completed", "completed"]);
    const [{ events }] = await sql<[{ events: number }]>`
      select count(*)::int as events from marketplace.webhook_events
      where dedupe_key = ${run.deliveryId}`;
    assert.equal(events, 1);
    await assertMirrored(run);
    const messages = (await stage.sandbox.slackMessages()).slice(told);
    assert.equal(messages.length, DESTINATIONS.length);
    for (const { text } of messages) assert.match(text, /2 mirrored/);
  });

  it("leaves no row of a delivery with a wrong signature", async () => {
    const run = await announce(["never"]);
    run.headers["x-hub-signature-256"] = `sha256=${"0".repeat(64)}`;
    const response = await deliver(stage, run);
    assert.equal(response.status, 401);
    const rows = await sql`
      select from marketplace.webhook_events where dedupe_key = ${run.deliveryId}
      union all
      select from marketplace.webhook_deliveries where dedupe_key = ${run.deliveryId}`;
    assert.equal(rows.length, 0);
  });

  it("fails one artifact with its reason, copies the others, and tries again", async () => {
    const run = await announce(["good", "cursed", "fine"]);
    await stage.sandbox.addFault({
      provider: "s3",
      method: "PUT",
      path: `**/${run.runId}/cursed**`,
      times: UPLOAD_TRIES,
      status: 403,
    });
    const { correlation_id } = await accepted(await deliver(stage, run));
    const failed = await until("the cursed artifact to fail", async () => {
      const [row] = await sql<{ error_message: string; others: number }[]>`
        select a.error_message, (
          select count(*)::int from marketplace.artifact_syncs as o
          where o.job_id = a.job_id and o.status = 'completed'
        ) as others
        from marketplace.artifact_syncs as a
        where a.correlation_id = ${correlation_id}::uuid and a.status = 'failed'`;
      return row?.others === 2 && row;
    });
    assert.match(failed.error_message, /403/);

    const jobs = await finished(correlation_id);
    assert.deepEqual(jobs.map(({ status }) => status), ["completed", "completed"]);
    const attempts = await sql<{ result: string; error_code: string | null }[]>`
      select a.result, a.error_code from marketplace.sync_job_attempts as a
      join marketplace.sync_jobs as j on j.id = a.job_id
      where j.correlation_id = ${correlation_id}::uuid and a.result = 'failed'`;
    assert.deepEqual(attempts.map(({ error_code }) => error_code), ["artifacts_incomplete"]);
    await assertMirrored(run);
  });

  it("does not believe a copy whose bytes differ", async () => {
    const run = await announce(["altered"]);
    await stage.sandbox.addFault({
      provider: "google",
      method: "PUT",
      path: "/upload/drive/v3/files**",
      times: 1,
      corrupt: true,
    });
    const { correlation_id } = await accepted(await deliver(stage, run));
    const jobs = await finished(correlation_id);
    assert.deepEqual(jobs.map(({ status }) => status), ["completed", "completed"]);
    const codes = await sql<{ error_message: string }[]>`
      select a.error_message from marketplace.sync_job_attempts as a
      join marketplace.sync_jobs as j on j.id = a.job_id
      where j.correlation_id = ${correlation_id}::uuid and a.result = 'failed'`;
    assert.equal(codes.length, 1);
    assert.match(codes[0]!.error_message, /sha-?256|checksum/i);
    await assertMirrored(run);
  });

  it("finishes a run without artifacts at once", async () => {
    const run = await announce([]);
    const { correlation_id } = await accepted(await deliver(stage, run));
    const jobs = await finished(correlation_id);
    assert.deepEqual(jobs.map(({ status }) => status), ["completed", "completed"]);
    assert.deepEqual(await copiesOf(stage, run.runId), []);
  });

  it("survives the end of n8n between dispatch and report", async () => {
    const run = await announce(["interrupted", "second"]);
    await sql`
      update marketplace.workflows set lease = '3 seconds'
      where slug = 'github-artifacts-mirror'`;
    try {
      await stage.sandbox.addFault({
        provider: "github",
        path: `/**/zip/**`,
        times: 2,
        delay_ms: 4000,
      });
      const { correlation_id } = await accepted(await deliver(stage, run));
      await until("a transfer to begin", async () => {
        const rows = await sql`
          select from marketplace.artifact_syncs
          where correlation_id = ${correlation_id}::uuid and status = 'transferring'`;
        return rows.length > 0;
      });
      Deno.kill(Number(await Deno.readTextFile(`${env.MARKETPLACE_HOME}/n8n/n8n.pid`)), "SIGKILL");

      const jobs = await finished(correlation_id, 120);
      assert.deepEqual(jobs.map(({ status }) => status), ["completed", "completed"]);
      const [{ lost }] = await sql<[{ lost: number }]>`
        select count(*)::int as lost from marketplace.sync_job_attempts as a
        join marketplace.sync_jobs as j on j.id = a.job_id
        where j.correlation_id = ${correlation_id}::uuid and a.result = 'lease_lost'`;
      assert.ok(lost > 0, "no attempt lost its lease");
      await assertMirrored(run);
    } finally {
      await sql`
        update marketplace.workflows set lease = '5 minutes'
        where slug = 'github-artifacts-mirror'`;
    }
  });
});
