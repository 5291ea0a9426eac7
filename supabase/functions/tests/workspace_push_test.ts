// The Workspace's usage patterns from Google's push, or a schedule, to the verified result (N8N_URL).
import assert from "node:assert/strict";
import { FUNCTIONS_URL, until, useDatabase } from "./support_queue.ts";
import {
  type Flow,
  makeFlow,
  removeFlows,
  sandbox,
  type SyncRow,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterAll(() => removeFlows(sql));

/** Follows the flow's account, and waits until its feed is begun and its channel open. */
async function watch({ source }: Flow): Promise<void> {
  const [row] = await sql<[{ id: string }]>`select marketplace.watch(${source}) as id`;
  await until(
    async () => {
      const [open] = await sql`
        select from marketplace.sync_cursors as c
        join marketplace.watch_channels as w on w.cursor_id = c.id and w.status = 'active'
        where c.id = ${row.id} and c.status = 'active' and c.due_at > now()
      `;
      return open;
    },
    `the feed of ${source}`,
    30_000,
  );
}

/** The rule's artifact syncs once so many of its jobs have been completed. */
async function completed({ ruleId }: Flow, jobs: number): Promise<SyncRow[]> {
  await until(
    async () => {
      const [{ done }] = await sql<[{ done: number }]>`
        select count(*) filter (where status = 'completed')::int as done
        from marketplace.sync_jobs where rule_id = ${ruleId}`;
      return done >= jobs;
    },
    `${jobs} jobs`,
    90_000,
  );
  return await sql<SyncRow[]>`
    select * from marketplace.artifact_syncs where rule_id = ${ruleId} order by created_at, id`;
}

Deno.test("a document is edited in Google Docs, and GitHub has it as Markdown", async () => {
  const repo = uniqueName("repo");
  const folder = uniqueName("Specs");
  await sandbox.createGitHubRepository({ owner: "octo-org", repo });
  const flow = await makeFlow(sql, {
    source: "google_docs",
    destination: "github",
    rule: { source_pattern: `files/${folder}/*`, concurrency_key: "{/file/id}" },
    config: {
      repository: `octo-org/${repo}`,
      document_types: [{ type: "spec", title: "Spec*", path: "docs/{type}/{slug}.md" }],
    },
  });
  await watch(flow);
  const document = await sandbox.createDocument({
    title: "Spec Search",
    folder,
    content: ["One."],
  });
  await completed(flow, 1);
  await sandbox.editDocument(document.id, {
    content: ["Two."],
    author: { name: "Grace Hopper", email: "grace@example.com" },
  });
  await completed(flow, 2);
  const [last, first] = await sandbox.gitHubCommits({ owner: "octo-org", repo });
  assert.deepEqual(first!.files, { "docs/spec/spec-search.md": "One.\n" });
  assert.deepEqual(last!.files, { "docs/spec/spec-search.md": "Two.\n" });
  assert.equal(last!.author.name, "Grace Hopper");
});

Deno.test("a file is put into a folder of Drive, and S3 has it, byte for byte", async () => {
  const bucket = uniqueName("bucket");
  const folder = uniqueName("Reports");
  await sandbox.createBucket(bucket);
  const flow = await makeFlow(sql, {
    source: "google_drive",
    destination: "aws_s3",
    destinationConfig: { bucket },
    rule: {
      source_pattern: `files/${folder}/**`,
      event_types: ["drive.file.changed"],
      destination_template: "{name}",
    },
  });
  await watch(flow);
  const file = await sandbox.createDriveFile({
    name: "q1.bin",
    folder,
    size: 1_000_000,
    seed: bucket,
  });
  await completed(flow, 1);
  const [object] = await sandbox.s3Objects(bucket);
  assert.deepEqual([object!.key, object!.size], ["q1.bin", 1_000_000]);
  assert.deepEqual(
    await sandbox.s3Content(bucket, "q1.bin"),
    await sandbox.driveContent(file.id),
  );
});

Deno.test("a mail gets a label, and Odoo has one task", async () => {
  const label = uniqueName("Todo");
  const topic = `projects/sandbox/topics/${label}`;
  const subscription = `projects/sandbox/subscriptions/${label}`;
  const flow = await makeFlow(sql, {
    source: "gmail",
    destination: "odoo",
    sourceConfig: {
      pubsub_topic: topic,
      webhook: {
        verify: {
          family: "jwt",
          jwks_url: `${sandbox.url}/google/oauth2/v3/certs`,
          issuers: ["https://accounts.google.com"],
          algorithms: ["RS256"],
          audience: "{setting:audience}",
          claims: { "/email": "{setting:push_service_account}", "/email_verified": "true" },
        },
        audience: "marketplace",
        push_service_account: "push@sandbox.iam.gserviceaccount.com",
        subscription,
      },
    },
    rule: { source_pattern: `labels/${label}*` },
    config: { task: { name: "{subject}" } },
  });
  await sandbox.createSubscription({
    topic,
    subscription,
    endpoint: `${FUNCTIONS_URL}/marketplace-webhook/gmail/${flow.source}`,
    audience: "marketplace",
  });
  await watch(flow);
  const mail = await sandbox.deliverMail({
    subject: "From push to task",
    text: "Please.",
    labels: ["INBOX", label, `${label}-too`],
  });
  const syncs = await completed(flow, 2);
  assert.deepEqual(syncs.map(({ status }) => status).sort(), ["completed", "skipped"]);
  const tasks = (await sandbox.odooRecords("project.task")).filter(({ description }) =>
    String(description).includes(mail.id)
  );
  assert.deepEqual(tasks.map(({ name }) => name), ["From push to task"]);
});

Deno.test("a sheet is edited, and its table follows", async () => {
  const folder = uniqueName("Shop");
  const { id: table } = await sandbox.createNocoTable({
    title: uniqueName("Prices"),
    columns: [{ title: "sku" }, { title: "price", type: "Number" }],
  });
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "nocodb",
    rule: { source_pattern: `files/${folder}/*` },
    config: { range: "Sheet1!A1:B", key: "sku", table },
  });
  await watch(flow);
  const sheet = await sandbox.createSpreadsheet({
    title: "Prices",
    folder,
    sheets: { Sheet1: [["sku", "price"], ["a", 1]] },
  });
  await completed(flow, 1);
  await sandbox.editSpreadsheet(sheet.id, { cells: { "Sheet1!A3": "b", "Sheet1!B3": 2 } });
  await completed(flow, 2);
  assert.deepEqual(
    (await sandbox.nocoRecords(table)).map(({ sku, price }) => [sku, price]),
    [["a", 1], ["b", 2]],
  );
});

/** Lets a scheduled rule's time come. */
async function fire({ ruleId }: Flow): Promise<void> {
  await sql`update marketplace.sync_rules set next_run_at = now() where id = ${ruleId}`;
  await sql`select marketplace.make_scheduled_jobs()`;
}

Deno.test("a schedule mirrors a Drive's folder whole, and the next night only what differs", async () => {
  const bucket = uniqueName("bucket");
  const folder = uniqueName("Nightly");
  await sandbox.createBucket(bucket);
  const flow = await makeFlow(sql, {
    source: "google_drive",
    destination: "aws_s3",
    destinationConfig: { bucket },
    rule: {
      source_pattern: `files/${folder}/**`,
      destination_template: "{folder}/{name}",
      schedule: "0 3 * * *",
    },
  });
  const first = await sandbox.createDriveFile({
    name: "a.txt",
    folder: `${folder}/Deep/Er`,
    text: "a",
  });
  await sandbox.createDriveFile({ name: "b.txt", folder, text: "b" });
  await sandbox.createDriveFile({ name: "elsewhere.txt", text: "c" });
  await fire(flow);
  await completed(flow, 1);
  const keys = async () => (await sandbox.s3Objects(bucket)).map(({ key }) => key).sort();
  assert.deepEqual(await keys(), [`${folder}/Deep/Er/a.txt`, `${folder}/b.txt`]);

  await sandbox.editDriveFile(first.id, { text: "a, edited" });
  await fire(flow);
  const syncs = await completed(flow, 2);
  assert.deepEqual(syncs.map(({ name, status }) => `${name} ${status}`).sort(), [
    "a.txt completed",
    "a.txt completed",
    "b.txt completed",
  ]);
  const copy = await sandbox.s3Content(bucket, `${folder}/Deep/Er/a.txt`);
  assert.equal(new TextDecoder().decode(copy), "a, edited");
});

Deno.test("a schedule pulls a sheet that its rule names", async () => {
  const { id: table } = await sandbox.createNocoTable({
    title: uniqueName("Pulled"),
    columns: [{ title: "sku" }, { title: "price", type: "Number" }],
  });
  const sheet = await sandbox.createSpreadsheet({
    title: "Pulled",
    sheets: { Sheet1: [["sku", "price"], ["a", 1]] },
  });
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "nocodb",
    rule: { schedule: "0 * * * *" },
    config: { range: "Sheet1!A1:B", key: "sku", table, spreadsheet_id: sheet.id },
  });
  await fire(flow);
  await completed(flow, 1);
  await fire(flow);
  const syncs = await completed(flow, 2);
  assert.deepEqual(syncs.map(({ status }) => status), ["completed", "skipped"]);
  assert.equal((await sandbox.nocoRecords(table)).length, 1);
});
