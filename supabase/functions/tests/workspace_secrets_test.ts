// What n8n (N8N_URL) keeps of a run that failed: the job's token, and no other credential.
import assert from "node:assert/strict";
import postgres from "postgres";
import { stackEnv, until, useDatabase } from "./support_queue.ts";
import {
  changed,
  ingest,
  makeFlow,
  register,
  removeFlows,
  sandbox,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterEach(async () => {
  await sandbox.clearFaults();
  await sql`update marketplace.workflows set lease = '5 minutes' where slug = 'workspace-events-handler'`;
});
Deno.test.afterAll(() => removeFlows(sql));

/** n8n's own database, in the same server. */
function n8nDatabase(): postgres.Sql {
  const url = new URL(stackEnv("SUPABASE_DB_URL"));
  url.pathname = "/n8n";
  return postgres(url.href, { max: 1, onnotice: () => {} });
}

/** What n8n keeps of the runs of a job that failed. */
async function executionsOf(jobId: string): Promise<string[]> {
  const n8n = n8nDatabase();
  try {
    await n8n`set role n8n`;
    const rows = await n8n<{ data: string }[]>`
      select d.data from execution_data as d
      join execution_entity as e on e.id = d."executionId"
      where e.status = 'error' and position(${jobId} in d.data) > 0
    `;
    return rows.map(({ data }) => data);
  } finally {
    await n8n.end();
  }
}

const SECRETS: [string, RegExp][] = [
  ["Google's access token", /ya29\.sandbox-/],
  ["Google's refresh token", /sandbox-google-(refresh|secret|token)/],
  ["GitHub's token", /sandbox-github-token/],
  ["Odoo's key", /sandbox-odoo-key/],
  ["S3's secret key", new RegExp(stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY"))],
  ["the platform's secret key", new RegExp(stackEnv("SUPABASE_SECRET_KEY").replace(/\W/g, "\\$&"))],
  ["a signing secret", /whsec_/],
];

/** Lets the lease run out under the run, so that n8n keeps all it has seen. */
async function loseTheLease(correlationId: string): Promise<string[]> {
  const { id } = await until(async () => {
    const [job] = await sql<{ id: string }[]>`
      select id from marketplace.sync_jobs where correlation_id = ${correlationId}::uuid`;
    return job;
  }, "the job");
  return await until(
    async () => {
      const kept = await executionsOf(id);
      return kept.length > 0 && kept;
    },
    "n8n to keep the failed run",
    60_000,
  );
}

function assertNoSecrets(kept: string[]): void {
  for (const data of kept) {
    for (const [what, pattern] of SECRETS) assert.ok(!pattern.test(data), `n8n keeps ${what}`);
  }
}

Deno.test("of a document's run n8n keeps no credential of Google or GitHub", async () => {
  const repo = uniqueName("repo");
  await sandbox.createGitHubRepository({ owner: "octo-org", repo });
  const flow = await makeFlow(sql, {
    source: "google_docs",
    destination: "github",
    config: {
      repository: `octo-org/${repo}`,
      document_types: [{ type: "doc", path: "{slug}.md" }],
    },
  });
  const document = await sandbox.createDocument({
    title: "Kept",
    content: ["A text to be found."],
  });
  await sandbox.addFault({
    provider: "github",
    path: `/repos/octo-org/${repo}/git/commits`,
    delay_ms: 5000,
  });
  await sql`update marketplace.workflows set lease = '2 seconds' where slug = 'workspace-events-handler'`;
  const { correlation_id } = await changed(sql, flow, "google_docs", document);
  const kept = await loseTheLease(correlation_id);
  assert.ok(kept.some((data) => data.includes("A text to be found.")), "the run was cut too soon");
  assertNoSecrets(kept);
});

Deno.test("of a mail's run with attachments n8n keeps no credential of Odoo or S3", async () => {
  const bucket = uniqueName("mail");
  await sandbox.createBucket(bucket);
  const storage = uniqueName("storage");
  await register(sql, storage, "aws_s3", { bucket });
  const flow = await makeFlow(sql, {
    source: "gmail",
    destination: "odoo",
    config: { attachments_integration: storage },
  });
  const mail = await sandbox.deliverMail({
    subject: "To be kept",
    text: "x",
    attachments: [{ name: "a.txt", content_type: "text/plain", text: "hello" }],
  });
  await sandbox.addFault({ provider: "odoo", path: "/jsonrpc", delay_ms: 5000 });
  await sql`update marketplace.workflows set lease = '2 seconds' where slug = 'workspace-events-handler'`;
  const { correlation_id } = await ingest(sql, flow, {
    key: `gmail:${mail.id}:INBOX`,
    type: "gmail.message.labeled",
    path: "labels/INBOX",
    payload: {
      message: { id: mail.id, threadId: mail.thread_id },
      label: { id: "INBOX", name: "INBOX" },
    },
  });
  const kept = await loseTheLease(correlation_id);
  assert.ok(kept.some((data) => data.includes("To be kept")), "the run was cut too soon");
  assertNoSecrets(kept);
});
