// Whose account a job works with, through real n8n (N8N_URL): the sandbox's journal tells tokens apart.
import assert from "node:assert/strict";
import { fingerprint } from "../../../scripts/sandbox/core/journal.ts";
import { stackEnv, until, useDatabase } from "./support_queue.ts";
import {
  finished,
  type Flow,
  makeFlow,
  removeFlows,
  sandbox,
  sync,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterAll(() => removeFlows(sql));

async function toBucket() {
  const bucket = uniqueName("bucket");
  await sandbox.createBucket(bucket);
  const flow = await makeFlow(sql, {
    source: "google_drive",
    destination: "aws_s3",
    destinationConfig: { bucket },
    rule: {
      source_pattern: "files/**",
      event_types: ["drive.file.changed"],
      destination_template: "{name}",
    },
  });
  return { ...flow, bucket };
}

/** A token that only one test knows. */
async function freshToken(): Promise<string> {
  const response = await fetch(`${stackEnv("SANDBOX_GOOGLE_URL")}/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: "sandbox-google-refresh",
      client_id: "sandbox-google-client",
      client_secret: "sandbox-google-secret",
    }),
  });
  return (await response.json()).access_token;
}

async function connect({ source }: Flow, { isShared }: { isShared: boolean }) {
  const token = await freshToken();
  const [{ id }] = await sql<[{ id: string }]>`
    select marketplace.create_connection(
      ${source}, 'An account', p_is_shared => true, p_is_organizations => true
    ) as id
  `;
  if (!isShared) {
    await sql`
      update marketplace.connections set user_id = gen_random_uuid(), is_shared = false where id = ${id}
    `;
  }
  await sql`
    select marketplace.open_grant(
      ${id}, 'oauth2', p_access_token => ${token}, p_refresh_token => 'unused', p_expires_in_s => 3600
    )
  `;
  return { id, token };
}

/** Fingerprints of the credentials with which the sandbox's Drive was asked for a file. */
async function readersOf(fileId: string): Promise<(string | null)[]> {
  const entries = await sandbox.journal({ provider: "google", path: `/drive/v3/files/${fileId}*` });
  const reads = entries.filter(({ query }) => query.alt === "media" || query.supportsAllDrives);
  assert.ok(reads.some(({ query }) => query.alt === "media"), "nobody downloaded it");
  return [...new Set(reads.map(({ credential }) => credential))];
}

Deno.test("what a connected account's feed tells is downloaded with that account's token", async () => {
  const flow = await toBucket();
  const { id, token } = await connect(flow, { isShared: false });
  const [{ cursor_id }] = await sql<[{ cursor_id: string }]>`
    select marketplace.watch(${flow.source}, null, '', ${id}) as cursor_id
  `;
  await until(
    async () =>
      (await sql`
        select from marketplace.sync_cursors
        where id = ${cursor_id} and status = 'active' and lease_id is null
      `)[0],
    "the feed to begin",
  );
  const file = await sandbox.createDriveFile({
    name: uniqueName("told.txt"),
    text: "by its owner",
  });
  const event = await until(
    async () =>
      (await sql<{ correlation_id: string; connection_id: string }[]>`
        select correlation_id, connection_id from marketplace.webhook_events
        where integration_id = ${flow.sourceId} and resource_path = ${`files/${file.name}`}
      `)[0],
    "the event",
    30_000,
  );
  assert.equal(event.connection_id, id);
  const job = await finished(sql, event.correlation_id);
  assert.equal(job.status, "completed", job.error_message ?? "");
  assert.equal((await sandbox.s3Objects(flow.bucket)).length, 1);
  assert.deepEqual(await readersOf(file.id), [fingerprint(`Bearer ${token}`)]);
  await sql`select marketplace.unwatch(${flow.source}, null, '', ${id})`;
});

Deno.test("without a credential of its own an integration is used with what is shared under it", async () => {
  const flow = await toBucket();
  const own = await sandbox.createDriveFile({ name: uniqueName("own.txt"), text: "own" });
  const { token } = await connect(flow, { isShared: true });
  const before = await sync(sql, flow, "google_drive", own);
  assert.equal(before.job.status, "completed", before.job.error_message ?? "");
  assert.equal((await readersOf(own.id)).includes(fingerprint(`Bearer ${token}`)), false);

  await sql`
    delete from marketplace.integration_secrets
    where integration_id = ${flow.sourceId} and purpose = 'refresh_token'
  `;
  const shared = await sandbox.createDriveFile({ name: uniqueName("shared.txt"), text: "shared" });
  const after = await sync(sql, flow, "google_drive", shared);
  assert.equal(after.job.status, "completed", after.job.error_message ?? "");
  assert.ok((await readersOf(shared.id)).includes(fingerprint(`Bearer ${token}`)));

  // Two of them leave a question, which another attempt would not answer.
  await connect(flow, { isShared: true });
  const asked = await sandbox.createDriveFile({ name: uniqueName("asked.txt"), text: "?" });
  const { job, syncs } = await sync(sql, flow, "google_drive", asked);
  assert.deepEqual([job.status, job.attempt_count], ["dead", 1]);
  assert.equal(syncs[0]?.error_code ?? job.error_code, "connection_ambiguous");
});
