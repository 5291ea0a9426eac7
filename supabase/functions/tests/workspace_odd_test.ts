// What people really have in their Workspace, through real n8n (N8N_URL): nothing is lost or stuck.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import {
  finished,
  ingest,
  makeFlow,
  register,
  removeFlows,
  sandbox,
  sync,
  syncsOf,
  uniqueName,
} from "./support_workspace.ts";
import type { MailFixture, MailInfo } from "../../../scripts/sandbox/client.ts";

const sql = useDatabase();
const tables: string[] = [];
Deno.test.afterAll(async () => {
  for (const table of tables) await sql`drop table if exists ${sql(table)}`;
  await removeFlows(sql);
});

Deno.test("documents: empty, oddly named, moved, trashed and restored, and two of one name", async () => {
  const repo = uniqueName("repo");
  const owner = "octo-org";
  await sandbox.createGitHubRepository({ owner, repo, files: { "README.md": "# x\n" } });
  const flow = await makeFlow(sql, {
    source: "google_docs",
    destination: "github",
    rule: { source_pattern: "files/**", event_types: ["docs.document.*"] },
    config: {
      repository: `${owner}/${repo}`,
      document_types: [
        { type: "prd", folder: "Product/**", path: "docs/prd/{slug}.md" },
        { type: "spec", folder: "Specs/**", path: "docs/specs/{title}.md" },
      ],
    },
  });
  const synced = async (
    document: Parameters<typeof sync>[3],
    options: Parameters<typeof sync>[4] = {},
  ) => {
    const { job, syncs } = await sync(sql, flow, "google_docs", document, options);
    const { status, destination_path, error_message } = syncs[0]!;
    return [job.status, status, destination_path, error_message] as const;
  };
  const create = (title: string, folder: string, ...content: string[]) =>
    sandbox.createDocument({ title, folder, content });
  const titled = 'Q1/Q2 🚀 "plan": a*b?';
  assert.deepEqual((await synced(await create("Empty", "Product"))).slice(0, 3), [
    "completed",
    "completed",
    "docs/prd/empty.md",
  ]);
  assert.equal(
    (await synced(await create(titled, "Product", "x")))[2],
    "docs/prd/q1-q2-plan-a-b.md",
  );
  assert.equal(
    (await synced(await create(titled, "Specs", "x")))[2],
    "docs/specs/Q1-Q2 🚀 -plan-- a-b-.md",
  );
  assert.match(
    (await synced(await create("🚀", "Product", "x")))[2],
    /^docs\/prd\/[\w-]{20,}\.md$/,
  );

  const mover = await create("Mover", "Product", "m");
  assert.equal((await synced(mover))[2], "docs/prd/mover.md");
  const moved = await sandbox.editDriveFile(mover.id, { folder: "Specs" });
  assert.equal((await synced(moved))[2], "docs/specs/Mover.md");
  const elsewhere = await sandbox.editDriveFile(mover.id, { folder: "Elsewhere" });
  assert.deepEqual(await synced(elsewhere), [
    "completed",
    "skipped",
    "",
    "no document type fits Elsewhere/Mover",
  ]);
  const trashed = await sandbox.editDriveFile(mover.id, { trashed: true });
  assert.match((await synced(trashed, { removed: true }))[3]!, /gone; its files stay/);
  const restored = await sandbox.editDriveFile(mover.id, { trashed: false, folder: "Specs" });
  assert.deepEqual((await synced(restored)).slice(1), [
    "skipped",
    "docs/specs/Mover.md",
    "the Markdown is what it was",
  ]);

  await synced(await create("Same", "Product/A", "one"));
  const [status, , path, reason] = await synced(await create("Same", "Product/B", "two"));
  assert.deepEqual([status, path], ["dead", "docs/prd/same.md"]);
  assert.match(reason!, /is the file of another document, "Same" .*\{document_id\}/);

  // Gone between its event and its job.
  const gone = await create("Gone", "Product", "x");
  const { correlation_id } = await ingest(sql, flow, {
    key: crypto.randomUUID(),
    type: "docs.document.changed",
    path: "files/Product/Gone",
    payload: {
      change: { fileId: `${gone.id}x`, removed: false },
      file: { id: `${gone.id}x`, name: "Gone", version: "1" },
      folder: "Product",
    },
  });
  assert.equal((await finished(sql, correlation_id)).status, "completed");
  assert.match(
    (await syncsOf(sql, correlation_id))[0]!.error_message!,
    /^it is gone at the source/,
  );
});

Deno.test("files: empty ones, slashes in names, and two of one name in one folder", async () => {
  const bucket = uniqueName("bucket");
  await sandbox.createBucket(bucket);
  const flow = await makeFlow(sql, {
    source: "google_drive",
    destination: "aws_s3",
    destinationConfig: { bucket },
    rule: { source_pattern: "files/**", destination_template: "Drive/{folder}/{name}" },
  });
  const copy = async (file: Parameters<typeof sync>[3]) => {
    const { job, syncs } = await sync(sql, flow, "google_drive", file);
    assert.deepEqual([job.status, syncs[0]!.status], ["completed", "completed"]);
    return syncs[0]!.destination_path;
  };
  assert.equal(
    await copy(await sandbox.createDriveFile({ name: "empty.txt", text: "" })),
    "Drive/empty.txt",
  );
  const same = (text: string) => sandbox.createDriveFile({ name: "same.txt", folder: "S", text });
  const [one, two] = [await same("one"), await same("two")];
  assert.equal(await copy(one), "Drive/S/same.txt");
  const beside = await copy(two);
  assert.equal(beside, `Drive/S/same-${two.id}.txt`);
  await sandbox.editDriveFile(two.id, { text: "two again" });
  assert.equal(await copy(two), beside, "it stays where it is");
  const text = async (path: string) =>
    new TextDecoder().decode(await sandbox.s3Content(bucket, path));
  assert.deepEqual([await text("Drive/S/same.txt"), await text(beside)], ["one", "two again"]);
  // What was in its way has another name now.
  await copy(await sandbox.editDriveFile(one.id, { name: "other.txt" }));
  await sandbox.editDriveFile(two.id, { text: "and again" });
  assert.equal(await copy(two), "Drive/S/same.txt");
});

Deno.test("mails: without text, subject or sender, with thirty attachments, and gone before they are read", async () => {
  const bucket = uniqueName("mail");
  await sandbox.createBucket(bucket);
  const storage = uniqueName("storage");
  await register(sql, storage, "aws_s3", { bucket });
  const flow = await makeFlow(sql, {
    source: "gmail",
    destination: "odoo",
    rule: { source_pattern: "labels/*", event_types: ["gmail.message.labeled"] },
    config: { attachments_integration: storage, attachments_template: "Mail/{name}" },
  });
  const taskOf = async (
    fixture: MailFixture,
    before: (mail: MailInfo) => Promise<unknown> = () => Promise.resolve(),
  ) => {
    const mail = await sandbox.deliverMail({ ...fixture, labels: ["INBOX", "T"] });
    await before(mail);
    const { correlation_id } = await ingest(sql, flow, {
      key: `gmail:${mail.id}:T`,
      type: "gmail.message.labeled",
      path: "labels/T",
      payload: { message: { id: mail.id, threadId: mail.thread_id }, label: { name: "T" } },
    });
    const job = await finished(sql, correlation_id, 120_000);
    const syncs = await syncsOf(sql, correlation_id);
    assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
    const [task] = (await sandbox.odooRecords("project.task")).filter(({ description }) =>
      String(description).includes(mail.id)
    );
    return { syncs, name: task?.name, description: String(task?.description ?? "") };
  };
  assert.equal((await taskOf({ subject: "Nobody" })).name, "Nobody");
  const bare = await taskOf({ subject: "", from: "", text: "x" });
  assert.equal(bare.name, "(no subject)");
  assert.match(bare.description, /From nobody named,/);

  const inline = await taskOf({
    subject: "Inline",
    html: '<p>see <img src="cid:logo"></p>',
    attachments: [{ name: "logo.png", content_type: "image/png", size: 500, content_id: "logo" }],
  });
  assert.ok(inline.description.startsWith("see<hr/>"), inline.description);
  assert.match(inline.description, /<li>logo\.png \(s3:/);

  const thirty = await taskOf({
    subject: "Thirty",
    text: "x",
    attachments: Array.from({ length: 30 }, (_, i) => ({
      name: i % 2 ? "same.txt" : `f${i}.txt`,
      text: `n ${i}`,
    })),
  });
  assert.equal(thirty.syncs.filter(({ status }) => status === "completed").length, 31);
  assert.equal(new Set(thirty.syncs.map(({ destination_path }) => destination_path)).size, 31);
  assert.equal((await sandbox.s3Objects(bucket)).length, 31);

  // Of another mail, with a template that does not tell mails apart: nothing is written over.
  const second = await taskOf({
    subject: "Again",
    text: "x",
    attachments: [{ name: "f0.txt", text: "other" }, { name: "../../etc/passwd", text: "a" }],
  });
  const paths = second.syncs.map(({ destination_path }) => destination_path).filter(Boolean).sort();
  assert.match(paths[1]!, /^Mail\/f0-[0-9a-f]+-\d+\.txt$/);
  assert.equal(paths[0], "Mail/..-..-etc-passwd");
  assert.equal(
    new TextDecoder().decode(await sandbox.s3Content(bucket, "Mail/f0.txt")),
    "n 0",
  );

  const gone = await taskOf({ subject: "Gone", text: "x" }, (mail) => sandbox.removeMail(mail.id));
  assert.deepEqual(gone.syncs.map(({ kind, status }) => [kind, status]), [["task", "skipped"]]);
  assert.match(gone.syncs[0]!.error_message!, /^it is gone at the source/);
});

Deno.test("sheets: failed formulas and values that do not fit are named, the other rows are written", async () => {
  const table = uniqueName("odd").replaceAll("-", "_");
  tables.push(table);
  await sql`create table ${sql(table)} (sku text primary key, price numeric, note text)`;
  await sql`grant all on ${sql(table)} to service_role`;
  await sql`notify pgrst, 'reload schema'`;
  const flow = await makeFlow(sql, {
    source: "google_sheets",
    destination: "supabase",
    rule: { source_pattern: "files/**", event_types: ["sheets.spreadsheet.changed"] },
    config: { range: "P!A1:Z", key: "sku", table },
  });
  const synced = async (...P: (string | number | boolean | null)[][]) => {
    const sheet = await sandbox.createSpreadsheet({ title: "Odd", folder: "Shop", sheets: { P } });
    const { job, syncs } = await sync(sql, flow, "google_sheets", sheet);
    const rows = await sql`select sku, price::float8 as price from ${sql(table)} order by sku`;
    return { job, syncs, rows: rows.map(({ sku, price }) => [sku, price]) };
  };
  const errors = await synced(
    ["sku", "", "price", "note"],
    ["a", "no column", 1, ""],
    ["b", "", "#DIV/0!", ""],
    ["#N/A", "", 2, ""],
    ["a", "", 3, "twice"],
    ["c", "", 4, "#REF!"],
    ["007", "", 5, ""],
  );
  assert.equal(errors.job.status, "completed", errors.job.error_message ?? "");
  assert.deepEqual(errors.rows, [["007", 5], ["a", 1]]);
  assert.deepEqual(errors.syncs[0]!.result.bad_rows, [
    { row: 3, reason: "price is #DIV/0!" },
    { row: 4, reason: "sku is #N/A" },
    { row: 5, reason: "sku a stands in row 2 already" },
    { row: 6, reason: "note is #REF!" },
  ]);

  const slips = await synced(
    ["sku", "price"],
    ["a", "abc"],
    ["d", "12,50"],
    ["e", 6],
    ["007", 7],
  );
  assert.equal(slips.job.status, "completed", slips.job.error_message ?? "");
  assert.deepEqual(slips.rows, [["007", 7], ["a", 1], ["e", 6]]);
  const { created, updated, refused } = slips.syncs[0]!.result;
  assert.deepEqual([created, updated], [1, 1]);
  assert.deepEqual(refused.map(({ key }: { key: string }) => key).sort(), ["a", "d"]);
  assert.match(refused[0].reason, /invalid input syntax for type numeric/);

  // What is wrong with the table is wrong with all of it.
  const strange = await synced(["sku", "colour"], ["a", "red"]);
  assert.deepEqual([strange.job.status, strange.job.attempt_count], ["dead", 1]);
  assert.match(strange.syncs[0]!.error_message!, /colour does not exist/);
});
