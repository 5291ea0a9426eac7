// Google Workspace from its own push to the verified result: followed accounts, real n8n (N8N_URL).
import assert from "node:assert/strict";
import { until, useDatabase } from "./support_queue.ts";
import {
  finished,
  type Flow,
  makeFlow,
  removeFlows,
  sandbox,
  syncsOf,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterAll(async () => {
  await sandbox.setPushes({ delivery: "now" });
  await removeFlows(sql);
});

/** Follows the flow's source, and waits until it is begun, and pushed to where it can be. */
async function follow({ source }: Flow, hasChannel = true): Promise<string> {
  const [row] = await sql`select marketplace.watch(${source}) as id`;
  await until(async () => {
    const [cursor] = await sql`
      select from marketplace.sync_cursors as c
      where c.id = ${row!.id} and c.status = 'active' and c.lease_id is null and (
        not ${hasChannel} or exists (
          select from marketplace.watch_channels as w where w.cursor_id = c.id and w.status = 'active'
        )
      )
    `;
    return cursor;
  }, `the feed of ${source}`);
  return row!.id;
}

/** Events of the flow's source, oldest first, once there are so many. */
async function told({ sourceId }: Flow, count: number) {
  return await until(
    async () => {
      const events = await sql<{ correlation_id: string; event_type: string }[]>`
      select correlation_id, event_type from marketplace.webhook_events
      where integration_id = ${sourceId} order by created_at, id
    `;
      return events.length >= count && events;
    },
    `${count} events of ${sourceId}`,
    30_000,
  );
}

Deno.test("a document edited twice commits twice, and a third push about nothing commits not at all", async () => {
  const repo = uniqueName("repo");
  await sandbox.createGitHubRepository({
    owner: "octo-org",
    repo,
    files: { "README.md": "# x\n" },
  });
  const folder = uniqueName("Product");
  const flow = await makeFlow(sql, {
    source: "google_docs",
    destination: "github",
    rule: { source_pattern: `files/${folder}/**`, event_types: ["docs.document.*"] },
    config: {
      repository: `octo-org/${repo}`,
      document_types: [{ type: "prd", folder: `${folder}/**`, path: "docs/{slug}.md" }],
    },
  });
  const cursorId = await follow(flow);
  const commits = async () => (await sandbox.gitHubCommits({ owner: "octo-org", repo })).length;
  const before = await commits();
  const document = await sandbox.createDocument({ title: "Login", folder, content: ["one"] });
  for (const [index, text] of ["one", "two"].entries()) {
    if (index > 0) await sandbox.editDocument(document.id, { content: [text] });
    const event = (await told(flow, index + 1))[index]!;
    const job = await finished(sql, event.correlation_id);
    assert.equal(job.status, "completed", `${job.error_message}`);
    assert.equal(await commits(), before + index + 1);
  }
  // A title is no text: Google pushes, Drive has another version, the Markdown is the same.
  await sandbox.editDriveFile(document.id, { properties: { seen: "yes" } });
  const event = (await told(flow, 3))[2]!;
  assert.equal((await finished(sql, event.correlation_id)).status, "completed");
  assert.equal(await commits(), before + 2);
  await sql`select marketplace.unwatch(${flow.source})`;
  await until(async () => {
    const open = await sql`
      select from marketplace.watch_channels where cursor_id = ${cursorId} and stopped_at is null
    `;
    return open.length === 0;
  }, "the channel to be stopped");
});

Deno.test("a file is copied and proven although its push was lost, and one mail is one task", async () => {
  const folder = uniqueName("Reports");
  const bucket = uniqueName("bucket");
  await sandbox.createBucket(bucket);
  const drive = await makeFlow(sql, {
    source: "google_drive",
    destination: "aws_s3",
    destinationConfig: { bucket },
    rule: {
      source_pattern: `files/${folder}/**`,
      event_types: ["drive.file.changed"],
      destination_template: "Drive/{name}",
    },
  });
  const label = uniqueName("Tasks");
  const mail = await makeFlow(sql, {
    source: "gmail",
    destination: "odoo",
    rule: { source_pattern: `labels/${label}`, event_types: ["gmail.message.labeled"] },
    config: { task: { name: "{subject}" } },
  });
  const cursors = [await follow(drive), await follow(mail, false)];
  await sandbox.setPushes({ delivery: "drop" });
  const file = await sandbox.createDriveFile({ name: "q1.txt", folder, text: "figures" });
  const delivered = await sandbox.deliverMail({ subject: "Order", labels: ["INBOX", label] });
  // The quarter of an hour is over.
  await sql`
    update marketplace.sync_cursors set due_at = now(), not_before = '-infinity'
    where id = any (${cursors}::uuid[])
  `;
  await sql`select marketplace.sweep_feeds()`;

  const [changed] = await told(drive, 1);
  assert.equal((await finished(sql, changed!.correlation_id)).status, "completed");
  const [copy] = await syncsOf(sql, changed!.correlation_id);
  assert.deepEqual([copy!.status, copy!.destination_path], ["completed", "Drive/q1.txt"]);
  const [object] = await sandbox.s3Objects(bucket);
  assert.equal(new TextDecoder().decode(await sandbox.s3Content(bucket, object!.key)), "figures");
  assert.equal(file.name, "q1.txt");

  const tasks = async () =>
    (await sandbox.odooRecords("project.task")).filter(({ description }) =>
      String(description).includes(delivered.id)
    );
  const job = await until(
    async () => {
      const [row] = await sql`
      select j.status, j.error_message from marketplace.sync_jobs as j
      where j.rule_id = ${mail.ruleId} and j.finished_at is not null
    `;
      return row;
    },
    "the mail's job",
    60_000,
  );
  assert.equal(job.status, "completed", job.error_message);
  assert.equal((await tasks()).length, 1);
  // The same mail once more: read again from where the mailbox was before.
  await sql`
    update marketplace.sync_cursors set due_at = now(), not_before = '-infinity'
    where id = ${cursors[1]!}
  `;
  await sandbox.labelMail(delivered.id, { add: ["STARRED"] });
  await sandbox.labelMail(delivered.id, { remove: [label] });
  await sandbox.labelMail(delivered.id, { add: [label] });
  await sql`
    update marketplace.sync_cursors set due_at = now(), not_before = '-infinity'
    where id = ${cursors[1]!}
  `;
  await sql`select marketplace.sweep_feeds()`;
  await until(async () => {
    const [row] = await sql`
      select from marketplace.webhook_events
      where integration_id = ${mail.sourceId} and resource_path = 'labels/STARRED'
    `;
    return row;
  }, "the star");
  assert.equal((await tasks()).length, 1);
});
