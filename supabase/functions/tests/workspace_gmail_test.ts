// Gmail's part of the Workspace events handler through real n8n (N8N_URL): mails become tasks.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import {
  finished,
  type Flow,
  type FlowOptions,
  ingest,
  makeFlow,
  register,
  removeFlows,
  sandbox,
  syncsOf,
  uniqueName,
} from "./support_workspace.ts";
import type { MailFixture, MailInfo } from "../../../scripts/sandbox/client.ts";

const sql = useDatabase();
Deno.test.afterEach(() => sandbox.clearFaults());
Deno.test.afterAll(() => removeFlows(sql));

function toTasks(options: Partial<FlowOptions> = {}): Promise<Flow> {
  return makeFlow(sql, {
    source: "gmail",
    destination: "odoo",
    ...options,
    rule: { source_pattern: "labels/*", event_types: ["gmail.message.labeled"], ...options.rule },
    config: { task: { name: "{subject} ({from_name})", priority: "1" }, ...options.config },
  });
}

/** Stores that a mail got a label, as the history feed tells it. */
function labeled(flow: Flow, mail: MailInfo, label: string) {
  return ingest(sql, flow, {
    key: `gmail:${mail.id}:${label}`,
    type: "gmail.message.labeled",
    path: `labels/${label}`,
    payload: {
      message: {
        id: mail.id,
        threadId: mail.thread_id,
        historyId: mail.history_id,
        labelIds: [label],
      },
      label: { id: label, name: label },
      mailbox: "ada@example.com",
    },
  });
}

async function taskOf(flow: Flow, fixture: MailFixture, label = "Tasks") {
  const mail = await sandbox.deliverMail({ ...fixture, labels: ["INBOX", label] });
  const { correlation_id } = await labeled(flow, mail, label);
  const job = await finished(sql, correlation_id);
  return { mail, job, syncs: await syncsOf(sql, correlation_id) };
}

const tasksAbout = async (mail: MailInfo) =>
  (await sandbox.odooRecords("project.task")).filter(({ description }) =>
    String(description).includes(mail.id)
  );

Deno.test("a labeled mail is a task in Odoo, with its text, its sender and its thread", async () => {
  const flow = await toTasks();
  const { mail, job, syncs } = await taskOf(flow, {
    from: "Grace Hopper <grace@example.com>",
    subject: "Invoice <42> is wrong",
    text: 'Dear all,\n\nplease look at "it" & fix it.\n',
  });
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  const [task, ...others] = await tasksAbout(mail);
  assert.equal(others.length, 0);
  assert.equal(task!.name, "Invoice <42> is wrong (Grace Hopper)");
  assert.equal(task!.priority, "1");
  const description = String(task!.description);
  assert.match(description, /please look at &quot;it&quot; &amp; fix it\./);
  assert.match(description, /From Grace Hopper &lt;grace@example\.com&gt;/);
  assert.ok(description.includes(`https://mail.google.com/mail/u/0/#all/${mail.thread_id}`));
  assert.deepEqual(
    syncs.map(({ kind, status, destination_ref }) => [kind, status, destination_ref]),
    [["task", "completed", String(task!.id)]],
  );
});

Deno.test("HTML becomes text: no script, no markup of the sender's", async () => {
  const flow = await toTasks({ destination: "github", config: await issues() });
  const { mail, job, syncs } = await taskOf(flow, {
    subject: "News",
    html: "<style>p{color:red}</style><h1>Hello</h1><p>One<br>two</p><ul><li>a</li></ul>" +
      '<script>alert(1)</script><p>ping @octocat <a href="https://example.com/x">here</a></p>',
  });
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  const issue = (await sandbox.gitHubIssues({ owner: "octo-org", repo: lastRepo })).at(-1)!;
  assert.equal(issue.title, "News (Ada Lovelace)");
  assert.match(issue.body!, /HELLO\s+One\ntwo\s+\\\* a\s/);
  assert.ok(!/alert|color:red|<script/.test(issue.body!), issue.body!);
  assert.ok(!/@octocat/.test(issue.body!), "the issue calls somebody");
  assert.ok(issue.body!.includes(`#all/${mail.thread_id}`));
});

let lastRepo = "";
/** Config of a rule whose tasks are issues in a repository of its own. */
async function issues(): Promise<Record<string, unknown>> {
  lastRepo = uniqueName("repo");
  await sandbox.createGitHubRepository({ owner: "octo-org", repo: lastRepo });
  return {
    repository: `octo-org/${lastRepo}`,
    task: { title: "{subject} ({from_name})", labels: ["mail"] },
  };
}

Deno.test("the same mail is one task: told twice, under two labels, at the same time", async () => {
  const flow = await toTasks();
  const mail = await sandbox.deliverMail({
    subject: "Once",
    text: "only",
    labels: ["INBOX", "Tasks", "Urgent"],
  });
  const stories = await Promise.all(
    ["Tasks", "Urgent", "INBOX", "Tasks"].map((label) => labeled(flow, mail, label)),
  );
  assert.equal(stories.filter(({ outcome }) => outcome === "duplicate").length, 1);
  const syncs = [];
  for (const correlation of new Set(stories.map(({ correlation_id }) => correlation_id))) {
    const job = await finished(sql, correlation);
    assert.equal(job.status, "completed", job.error_message ?? "");
    syncs.push(...await syncsOf(sql, correlation));
  }
  assert.equal((await tasksAbout(mail)).length, 1);
  assert.deepEqual(syncs.map(({ status }) => status).sort(), ["completed", "skipped", "skipped"]);
  for (const { error_message } of syncs.filter(({ status }) => status === "skipped")) {
    assert.match(error_message!, /task/);
  }

  // And much later, in a job of its own.
  await sandbox.labelMail(mail.id, { add: ["Late"] });
  const { correlation_id } = await labeled(flow, mail, "Late");
  await finished(sql, correlation_id);
  assert.match((await syncsOf(sql, correlation_id))[0]!.error_message!, /^it is task \d+ already$/);
  assert.equal((await tasksAbout(mail)).length, 1);
});

Deno.test("a task whose answer was lost is found again, not made again", async () => {
  const flow = await toTasks();
  await sandbox.addFault({ provider: "odoo", path: "/jsonrpc", cut: "before_body", times: 1 });
  const { mail, job, syncs } = await taskOf(flow, { subject: "Lost answer", text: "x" });
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  assert.equal(job.attempt_count, 2);
  assert.equal((await tasksAbout(mail)).length, 1);
});

Deno.test("attachments are stored, and the task names them with their place", async () => {
  const bucket = uniqueName("mail");
  await sandbox.createBucket(bucket);
  const storage = uniqueName("storage");
  await register(sql, storage, "aws_s3", { bucket });
  const flow = await toTasks({
    config: { attachments_integration: storage, attachments_template: "Mail/{message_id}/{name}" },
  });
  const { mail, job, syncs } = await taskOf(flow, {
    subject: "Two files",
    text: "see attached",
    attachments: [
      { name: "report.pdf", content_type: "application/pdf", size: 3_000_000, seed: "report" },
      { name: "notes.txt", content_type: "text/plain", text: "hello" },
    ],
  });
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  assert.deepEqual(
    syncs.map(({ kind, status, destination }) => [kind, status, destination]).sort(),
    [["task", "completed", flow.destination], ["transfer", "completed", storage], [
      "transfer",
      "completed",
      storage,
    ]],
  );
  const objects = await sandbox.s3Objects(bucket);
  assert.deepEqual(objects.map(({ key, size }) => [key, size]).sort(), [
    [`Mail/${mail.id}/notes.txt`, 5],
    [`Mail/${mail.id}/report.pdf`, 3_000_000],
  ]);
  assert.equal(
    new TextDecoder().decode(await sandbox.s3Content(bucket, `Mail/${mail.id}/notes.txt`)),
    "hello",
  );
  const [task] = await tasksAbout(mail);
  const description = String(task!.description);
  assert.ok(description.includes(`${bucket}/Mail/${mail.id}/report.pdf`), description);
  assert.match(description, /notes\.txt/);
});

Deno.test("a rule cannot store attachments with somebody else's integration", async () => {
  await assert.rejects(
    toTasks({ config: { attachments_integration: "nobody-has-this" } }),
    /nobody-has-this/,
  );
});

Deno.test("Odoo's refusal is the reason, Gmail's limit is waited out", async () => {
  const flow = await toTasks({ config: { task: { name: "{subject}", project_id: 999_999 } } });
  const refused = await taskOf(flow, { subject: "No such project", text: "x" });
  assert.equal(refused.syncs[0]!.status, "failed");
  assert.match(refused.syncs[0]!.error_message!, /project|record|exist/i);

  const patient = await toTasks();
  await sandbox.addFault({
    provider: "google",
    path: "/gmail/v1/**",
    error: "rateLimitExceeded",
    times: 2,
  });
  const { mail, job } = await taskOf(patient, { subject: "Later", text: "x" });
  assert.equal(job.status, "completed", job.error_message ?? "");
  assert.equal((await tasksAbout(mail)).length, 1);
});
