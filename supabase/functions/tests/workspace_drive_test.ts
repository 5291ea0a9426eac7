// Drive's part of the Workspace events handler through real n8n (N8N_URL): files to S3, proven.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { useDatabase } from "./support_queue.ts";
import {
  changed,
  finished,
  makeFlow,
  register,
  removeFlows,
  sandbox,
  sync,
  syncsOf,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterEach(() => sandbox.clearFaults());
Deno.test.afterAll(() => removeFlows(sql));

/** From the sandbox's Drive to a bucket of its own. */
async function toBucket(config: Record<string, unknown> = {}, rule: Record<string, string> = {}) {
  const bucket = uniqueName("bucket");
  await sandbox.createBucket(bucket);
  const flow = await makeFlow(sql, {
    source: "google_drive",
    destination: "aws_s3",
    destinationConfig: { bucket },
    config,
    rule: { source_pattern: "files/**", destination_template: "Drive/{folder}/{name}", ...rule },
  });
  return { ...flow, bucket };
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("a changed file is copied below its folder, byte for byte", async () => {
  const flow = await toBucket();
  const file = await sandbox.createDriveFile({
    name: "Quarter 1.pdf",
    folder: "Reports/2026",
    mime_type: "application/pdf",
    size: 3_000_000,
    seed: flow.bucket,
  });
  const { job, syncs } = await sync(sql, flow, "google_drive", file);
  assert.equal(job.status, "completed", job.error_message ?? "");
  assert.deepEqual(
    syncs.map(({ kind, status, destination_path }) => [kind, status, destination_path]),
    [["transfer", "completed", "Drive/Reports/2026/Quarter 1.pdf"]],
  );
  const copy = await sandbox.s3Content(flow.bucket, "Drive/Reports/2026/Quarter 1.pdf");
  assert.equal(sha256(copy), file.sha256);
});

Deno.test("a file that did not change is not copied again; one that did is, over the copy", async () => {
  const flow = await toBucket();
  const file = await sandbox.createDriveFile({ name: "notes.txt", folder: "N", text: "one" });
  await sync(sql, flow, "google_drive", file);
  // The same version under another key, as a replayed feed would bring it.
  const again = await sync(sql, flow, "google_drive", file, { key: crypto.randomUUID() });
  assert.deepEqual([again.job.status, again.syncs[0]!.status], ["completed", "skipped"]);
  assert.match(again.syncs[0]!.error_message!, /^unchanged since/);

  await sandbox.editDriveFile(file.id, { text: "two" });
  const edited = await sync(sql, flow, "google_drive", file);
  assert.equal(edited.syncs[0]!.status, "completed");
  const objects = await sandbox.s3Objects(flow.bucket);
  assert.deepEqual(objects.map(({ key }) => key), ["Drive/N/notes.txt"]);
  const copy = await sandbox.s3Content(flow.bucket, "Drive/N/notes.txt");
  assert.equal(new TextDecoder().decode(copy), "two");
});

Deno.test("Google's own documents are exported to the rule's format, folders are not", async () => {
  const flow = await toBucket({ export: { document: "md", spreadsheet: "csv" } });
  const document = await sandbox.createDocument({
    title: "Plan",
    folder: "P",
    content: [{ heading: "Plan" }, "Soon."],
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "Prices",
    folder: "P",
    sheets: { Sheet1: [["sku", "price"], ["a", 1]] },
  });
  const folder = (await sandbox.driveFiles()).find(({ path }) => path === "P")!;
  for (const file of [document, sheet]) {
    const { job, syncs } = await sync(sql, flow, "google_drive", file);
    assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  }
  const { syncs } = await sync(sql, flow, "google_drive", folder);
  assert.deepEqual(syncs.map(({ status, error_message }) => [status, error_message]), [
    ["skipped", "a folder has no content"],
  ]);
  const read = async (key: string) =>
    new TextDecoder().decode(await sandbox.s3Content(flow.bucket, key));
  assert.match(await read("Drive/P/Plan.md"), /^# Plan/);
  assert.match(await read("Drive/P/Prices.csv"), /^sku,price/);
});

Deno.test("a file that is gone leaves its copy alone", async () => {
  const flow = await toBucket();
  const file = await sandbox.createDriveFile({ name: "old.txt", text: "kept" });
  await sync(sql, flow, "google_drive", file);
  await sandbox.editDriveFile(file.id, { trashed: true });
  const { job, syncs } = await sync(sql, flow, "google_drive", file);
  assert.equal(job.status, "completed");
  assert.match(syncs[0]!.error_message!, /gone at the source/);
  assert.equal((await sandbox.s3Objects(flow.bucket)).length, 1);
});

Deno.test("Google's rate limit and outages are waited out", async () => {
  const flow = await toBucket();
  const file = await sandbox.createDriveFile({ name: "patience.txt", text: "here" });
  await sandbox.addFault({
    provider: "google",
    path: `/drive/v3/files/${file.id}`,
    error: "rateLimitExceeded",
    skip: 1, // the test's own look
    times: 5,
  });
  await sandbox.addFault({
    provider: "google",
    path: `/drive/v3/files/${file.id}`,
    status: 500,
    skip: 1,
    times: 4,
  });
  const { correlation_id } = await changed(sql, flow, "google_drive", file);
  const job = await finished(sql, correlation_id, 120_000);
  assert.equal(job.status, "completed", job.error_message ?? "");
  assert.ok(job.attempt_count > 1, "no attempt was spent");
  assert.equal((await syncsOf(sql, correlation_id))[0]!.status, "completed");
});

Deno.test("a document that is too large to export fails once, and says so", async () => {
  const flow = await toBucket({ export: "md" });
  const file = await sandbox.createDocument({
    title: "Huge",
    content: ["x".repeat(11 * 1024 * 1024)],
  });
  const { job, syncs } = await sync(sql, flow, "google_drive", file);
  assert.equal(job.status, "dead");
  assert.equal(job.attempt_count, 1);
  assert.deepEqual([syncs[0]!.status, syncs[0]!.error_code, syncs[0]!.is_final], [
    "failed",
    "export_too_large",
    true,
  ]);
});

Deno.test("who asked to be told is told what was synced, and where it is", async () => {
  const slack = uniqueName("slack");
  const notify_integration_id = await register(sql, slack, "slack");
  const flow = await toBucket({}, { notify_integration_id });
  const name = `${flow.bucket} <one> & two.txt`;
  const file = await sandbox.createDriveFile({ name, text: "told" });
  const { job } = await sync(sql, flow, "google_drive", file);
  assert.equal(job.status, "completed", job.error_message ?? "");
  const [message, ...others] = (await sandbox.slackMessages()).filter(({ text }) =>
    text.includes(flow.bucket)
  );
  assert.equal(others.length, 0);
  assert.match(message!.text, /1 synced, 0 skipped/);
  assert.match(message!.text, /&lt;one&gt; &amp; two\.txt/);

  // Nothing new is nothing to tell.
  await sync(sql, flow, "google_drive", file, { key: crypto.randomUUID() });
  const told = (await sandbox.slackMessages()).filter(({ text }) => text.includes(flow.bucket));
  assert.equal(told.length, 1);
});
