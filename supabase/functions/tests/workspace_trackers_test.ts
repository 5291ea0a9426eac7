// Mails become issues of Linear and Jira, through real n8n (N8N_URL).
import assert from "node:assert/strict";
import { JIRA_CREDENTIALS, LINEAR_CREDENTIALS } from "../../../scripts/sandbox/mod.ts";
import type { MailFixture, MailInfo } from "../../../scripts/sandbox/client.ts";
import { until, useDatabase } from "./support_queue.ts";
import {
  finished,
  type Flow,
  ingest,
  makeFlow,
  removeFlows,
  sandbox,
  syncsOf,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterEach(() => sandbox.clearFaults());
Deno.test.afterAll(() => removeFlows(sql));

/** An issue, whoever keeps it. */
interface Issue {
  id: string;
  title: string;
  text: string;
}

/** What the tests know of a tracker. */
interface Tracker {
  provider: "linear" | "jira";
  /** The rule's `task`, complete. */
  task: Record<string, unknown>;
  issues(): Promise<Issue[]>;
  /** Where issues are written. */
  writesAt: string;
  /** Makes the tracker refuse it, and what it then says. */
  refused: { task: Record<string, unknown>; reason: RegExp };
  link: RegExp;
}

const TRACKERS: Tracker[] = [
  {
    provider: "linear",
    task: { teamId: LINEAR_CREDENTIALS.teamId, title: "{subject} ({from_name})", priority: 2 },
    issues: async () =>
      (await sandbox.linearIssues()).map(({ id, title, description }) => ({
        id,
        title,
        text: description ?? "",
      })),
    writesAt: "/graphql",
    refused: {
      task: { teamId: "00000000-0000-4000-8000-000000000000" },
      reason: /Could not find referenced Team/,
    },
    link: /^https:\/\/linear\.app\/sandbox\/issue\/ENG-\d+\//,
  },
  {
    provider: "jira",
    task: {
      project: JIRA_CREDENTIALS.project,
      issuetype: "Task",
      summary: "{subject} ({from_name})",
      labels: ["mail"],
    },
    issues: async () =>
      (await sandbox.jiraIssues()).map(({ key, summary, text }) => ({
        id: key,
        title: summary,
        text,
      })),
    writesAt: "/rest/api/3/issue",
    refused: {
      task: { project: "NONE", issuetype: "Wish" },
      reason: /project: Specify a valid project ID or key; issuetype: Specify a valid issue type/,
    },
    link: /\/jira\/browse\/OPS-\d+$/,
  },
];

function labeled(flow: Flow, mail: MailInfo, label: string) {
  return ingest(sql, flow, {
    key: `gmail:${mail.id}:${label}`,
    type: "gmail.message.labeled",
    path: `labels/${label}`,
    payload: {
      message: { id: mail.id, threadId: mail.thread_id, historyId: mail.history_id },
      label: { id: label, name: label },
      mailbox: "ada@example.com",
    },
  });
}

for (const { provider, task, issues, writesAt, refused, link } of TRACKERS) {
  const toTracker = (config: Record<string, unknown> = task) =>
    makeFlow(sql, {
      source: "gmail",
      destination: provider,
      rule: { source_pattern: "labels/*", event_types: ["gmail.message.labeled"] },
      config: { task: config },
    });
  const issueOf = async (flow: Flow, fixture: MailFixture) => {
    const mail = await sandbox.deliverMail({ ...fixture, labels: ["INBOX", "Tasks"] });
    const { correlation_id } = await labeled(flow, mail, "Tasks");
    const job = await finished(sql, correlation_id);
    return { mail, job, syncs: await syncsOf(sql, correlation_id) };
  };
  const about = async (mail: MailInfo) =>
    (await issues()).filter(({ text }) => text.includes(`Gmail message ${mail.id}`));

  Deno.test(`${provider}: a labeled mail is one issue with text, sender and thread; the same mail again is none`, async () => {
    const flow = await toTracker();
    const { mail, job, syncs } = await issueOf(flow, {
      from: "Grace Hopper <grace@example.com>",
      subject: "Invoice 42\tis wrong",
      text: "Dear all,\n\nplease look at *it* & fix it.\n",
    });
    assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
    const [issue, ...others] = await about(mail);
    assert.equal(others.length, 0);
    assert.equal(issue!.title, "Invoice 42 is wrong (Grace Hopper)");
    assert.match(issue!.text, /please look at \\?\*it\\?\* & fix it\./);
    assert.match(issue!.text, /From Grace Hopper \\?<grace@/);
    assert.ok(issue!.text.includes(`#all/${mail.thread_id}`));
    assert.deepEqual(syncs.map(({ kind, status }) => [kind, status]), [["task", "completed"]]);
    assert.match(syncs[0]!.result.url, link);

    const again = await labeled(flow, mail, "Urgent");
    assert.equal(again.outcome, "stored");
    assert.equal((await finished(sql, again.correlation_id)).status, "completed");
    const [skipped] = await syncsOf(sql, again.correlation_id);
    assert.match(skipped!.error_message!, /^it is task \S+ already$/);
    assert.equal((await labeled(flow, mail, "Tasks")).outcome, "duplicate");
    assert.equal((await about(mail)).length, 1);
  });

  Deno.test(`${provider}: an issue whose answer was lost is found again`, async () => {
    const flow = await toTracker();
    await sandbox.addFault({ provider, method: "POST", path: writesAt, cut: "before_body" });
    const { mail, job, syncs } = await issueOf(flow, { subject: "Lost answer", text: "x" });
    assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
    assert.equal(job.attempt_count, 2);
    assert.equal((await about(mail)).length, 1);
  });

  Deno.test(`${provider}: its refusal is the reason, and a wrong credential is named`, async () => {
    const flow = await toTracker({ ...task, ...refused.task });
    const { mail, job, syncs } = await issueOf(flow, { subject: "Refused", text: "x" });
    assert.equal(job.status, "dead");
    assert.deepEqual([syncs[0]!.status, syncs[0]!.error_code], ["failed", "destination_rejected"]);
    assert.match(syncs[0]!.error_message!, refused.reason);
    assert.equal((await about(mail)).length, 0);

    const stranger = await toTracker();
    await sql`select marketplace.set_integration_secret(${stranger.destination}, 'api_token', 'no')`;
    await sql`update marketplace.sync_rules set max_attempts = 1 where id = ${stranger.ruleId}`;
    const unknown = await issueOf(stranger, { subject: "Unknown", text: "x" });
    assert.equal(unknown.syncs[0]!.error_code, "destination_unauthorized");
  });

  Deno.test(`${provider}: its rate limit is waited out as told`, async () => {
    const flow = await toTracker();
    await sandbox.addFault({ provider, rate_limit: { retry_after: 1200 }, times: 20 });
    const mail = await sandbox.deliverMail({ subject: "Later", text: "x", labels: ["Tasks"] });
    const { correlation_id } = await labeled(flow, mail, "Tasks");
    const job = await waiting(correlation_id);
    assert.ok(job.wait > 1100 && job.wait <= 1200, `waits ${job.wait} s`);
    assert.equal((await syncsOf(sql, correlation_id))[0]!.error_code, "destination_rate_limited");
    await sandbox.clearFaults();
    await sql`delete from marketplace.api_quotas where integration_id in (
      select id from marketplace.integrations where slug = ${flow.destination})`;
    await sql`update marketplace.sync_jobs set run_at = now() where id = ${job.id}`;
    await sql`select marketplace.ring_dispatch()`;
    assert.equal((await finished(sql, correlation_id)).status, "completed");
    assert.equal((await about(mail)).length, 1);
  });
}

/** The job once its first attempt has failed, and for how many seconds its retry waits. */
async function waiting(correlationId: string): Promise<{ id: string; wait: number }> {
  return await until(
    async () => {
      const [job] = await sql<{ id: string; wait: number }[]>`
      select id, extract(epoch from run_at - now())::float8 as wait from marketplace.sync_jobs
      where correlation_id = ${correlationId}::uuid and status = 'pending' and attempt_count = 1
    `;
      return job;
    },
    "the first attempt to fail",
    30_000,
  );
}
