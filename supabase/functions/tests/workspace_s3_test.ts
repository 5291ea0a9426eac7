// A bucket as a source through real n8n (N8N_URL): its objects in Drive, by event and by schedule.
import assert from "node:assert/strict";
import { AwsClient } from "aws4fetch";
import { stackEnv, until, useDatabase } from "./support_queue.ts";
import {
  finished,
  ingest,
  makeFlow,
  removeFlows,
  sandbox,
  syncsOf,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
const s3 = new AwsClient({
  accessKeyId: stackEnv("SANDBOX_S3_ACCESS_KEY_ID"),
  secretAccessKey: stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY"),
  region: stackEnv("SANDBOX_S3_REGION"),
  service: "s3",
  retries: 0,
});
Deno.test.afterAll(() => removeFlows(sql));

async function toDrive(rule: Record<string, string> = {}) {
  const bucket = uniqueName("source");
  const folder = uniqueName("From S3");
  await sandbox.createBucket(bucket);
  const flow = await makeFlow(sql, {
    source: "aws_s3",
    destination: "google_drive",
    sourceConfig: { bucket },
    rule: {
      source_pattern: "objects/**",
      destination_template: `${folder}/{folder}/{name}`,
      ...rule,
    },
  });
  const put = async (key: string, text: string) => {
    const path = key.split("/").map(encodeURIComponent).join("/");
    const answer = await s3.fetch(`${stackEnv("SANDBOX_S3_URL")}/${bucket}/${path}`, {
      method: "PUT",
      body: text,
    });
    assert.equal(answer.status, 200, await answer.text());
  };
  return { ...flow, bucket, folder, put };
}

/** Files below a folder of Drive, with their texts. */
async function filesIn(folder: string): Promise<[string, string][]> {
  const files = (await sandbox.driveFiles()).filter(({ path, size }) =>
    path.startsWith(`${folder}/`) && size !== null
  );
  const read = async ({ id, path }: (typeof files)[0]): Promise<[string, string]> => [
    path.slice(folder.length + 1),
    new TextDecoder().decode(await sandbox.driveContent(id)),
  ];
  return (await Promise.all(files.map(read))).sort();
}

Deno.test("an object that was created is a file in Drive", async () => {
  const flow = await toDrive();
  await flow.put("exports/2026/a b.csv", "x,y\n");
  const { correlation_id } = await ingest(sql, flow, {
    key: crypto.randomUUID(),
    type: "s3.ObjectCreated:Put",
    path: "objects/exports/2026/a b.csv",
    payload: { s3: { object: { key: "exports/2026/a+b.csv" } } },
  });
  const job = await finished(sql, correlation_id);
  assert.equal(job.status, "completed", job.error_message ?? "");
  assert.deepEqual(await filesIn(flow.folder), [["exports/2026/a b.csv", "x,y\n"]]);
  assert.deepEqual((await syncsOf(sql, correlation_id)).map(({ status }) => status), ["completed"]);
});

Deno.test("a schedule brings a bucket to Drive, and the next time only what differs", async () => {
  const flow = await toDrive({ schedule: "0 4 * * *" });
  await Promise.all([flow.put("one.txt", "1"), flow.put("deep/er/two.txt", "2")]);
  const fire = async (jobs: number) => {
    await sql`update marketplace.sync_rules set next_run_at = now() where id = ${flow.ruleId}`;
    await sql`select marketplace.make_scheduled_jobs()`;
    await until(
      async () => {
        const [{ done }] = await sql<[{ done: number }]>`
        select count(*)::int as done from marketplace.sync_jobs
        where rule_id = ${flow.ruleId} and status = 'completed'`;
        return done >= jobs;
      },
      `${jobs} jobs`,
      60_000,
    );
  };
  await fire(1);
  assert.deepEqual(await filesIn(flow.folder), [["deep/er/two.txt", "2"], ["one.txt", "1"]]);
  await flow.put("one.txt", "1, again");
  await fire(2);
  assert.deepEqual(await filesIn(flow.folder), [["deep/er/two.txt", "2"], ["one.txt", "1, again"]]);
  const [{ copies }] = await sql<[{ copies: number }]>`
    select count(*)::int as copies from marketplace.artifact_syncs where rule_id = ${flow.ruleId}`;
  assert.equal(copies, 3);
});
