/**
 * The main job as a scenario: a GitHub Actions run whose artifacts are mirrored to S3 and to Drive,
 * with a note in Slack. The demo plays it once for people, the stack tests play it with faults.
 * @module
 */
import examples from "@octokit/webhooks-examples" with { type: "json" };
import { sign } from "@octokit/webhooks-methods";
import type postgres from "postgres";
import { type GitHubRun, SandboxClient } from "../sandbox/client.ts";

/** What a scenario talks to: the database, the stack's env file, and the sandbox behind it. */
export interface Stage {
  sql: postgres.Sql;
  env: Record<string, string>;
  sandbox: SandboxClient;
}

/** Opens a stage on a running stack. */
export function openStage(sql: postgres.Sql, env: Record<string, string>): Stage {
  return { sql, env, sandbox: new SandboxClient(need(env, "SANDBOX_URL")) };
}

/** One artifact of the run; its bytes follow from its name and size. */
export interface ArtifactFixture {
  name: string;
  size_bytes: number;
}

/** Where the mirror's rules deliver. */
export const DESTINATIONS = ["artifact-archive", "google-drive"] as const;
/** The bucket behind `artifact-archive`. */
const BUCKET = "marketplace-artifacts";
/** The channel that is told. */
export const CHANNEL = "#ci-artifacts";

const WEBHOOK_SECRET = "demo-webhook-secret";

/**
 * Registers GitHub, S3, Drive and Slack at the sandbox's URLs, stores their secrets in Vault, and
 * makes a rule for each destination. May be repeated.
 */
export async function prepareMirror({ sql, env, sandbox }: Stage): Promise<void> {
  await sandbox.createBucket(BUCKET).catch(() => {}); // there already
  const integrations = [
    ["github-actions", "GitHub Actions", "github", "automation", {
      api_base: need(env, "SANDBOX_GITHUB_URL"),
      allow_private_network: true,
    }],
    ["google-drive", "Google Drive", "google_drive", "storage", {
      api_base: `${need(env, "SANDBOX_GOOGLE_URL")}/drive/v3`,
      token_url: `${need(env, "SANDBOX_GOOGLE_URL")}/oauth2/token`,
      allow_private_network: true,
    }],
    ["artifact-archive", "Artifact archive", "aws_s3", "storage", {
      api_base: need(env, "SANDBOX_S3_URL"),
      endpoint: need(env, "SANDBOX_S3_URL"),
      allow_private_network: true,
      region: need(env, "SANDBOX_S3_REGION"),
      bucket: BUCKET,
      force_path_style: true,
      checksum: "sha256",
    }],
    ["slack", "Slack", "slack", "communication", {
      api_base: need(env, "SANDBOX_SLACK_URL"),
      allow_private_network: true,
      channel: CHANNEL,
    }],
  ] as const;
  for (const [slug, name, provider, category, config] of integrations) {
    await sql`select marketplace.register_integration(
      ${slug}, ${name}, ${provider}, ${category}, ${JSON.stringify(config)}::text::jsonb
    )`;
  }
  const secrets = [
    ["github-actions", "webhook", WEBHOOK_SECRET],
    ["github-actions", "api_token", "sandbox-github-token"],
    ["google-drive", "client_id", "sandbox-google-client"],
    ["google-drive", "client_secret", "sandbox-google-secret"],
    ["google-drive", "refresh_token", "sandbox-google-refresh"],
    ["artifact-archive", "access_key_id", need(env, "SANDBOX_S3_ACCESS_KEY_ID")],
    ["artifact-archive", "secret_access_key", need(env, "SANDBOX_S3_SECRET_ACCESS_KEY")],
    ["slack", "api_token", "xoxb-sandbox"],
  ] as const;
  for (const [slug, purpose, secret] of secrets) {
    await sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
  }
  for (const destination of DESTINATIONS) {
    await sql`
      insert into marketplace.sync_rules (
        name, source_integration_id, source_pattern, destination_integration_id,
        destination_template, notify_integration_id
      )
      select ${`Mirror to ${destination}`}, source.id, 'artifacts/*', destination.id,
        'CI-Artifacts/{date}/{repo}/{run_id}/{name}', slack.id
      from marketplace.integrations as source, marketplace.integrations as destination,
        marketplace.integrations as slack
      where source.slug = 'github-actions' and destination.slug = ${destination}
        and slack.slug = 'slack'
        and not exists (
          select from marketplace.sync_rules as r where r.name = ${`Mirror to ${destination}`}
        )`;
  }
}

/** A GitHub run at the sandbox, and the delivery that announces it. */
export interface Announcement {
  repository: string;
  runId: number;
  artifacts: GitHubRun["artifacts"];
  deliveryId: string;
  body: string;
  headers: Record<string, string>;
}

/**
 * Makes a run with artifacts at GitHub's stand-in, and signs the `workflow_run` that GitHub would
 * send of it: GitHub's published example with this run's id.
 *
 * @param runId tells runs apart; also the seed of the artifacts' bytes
 */
export async function announceRun(
  { sandbox }: Stage,
  { runId, artifacts }: { runId: number; artifacts: ArtifactFixture[] },
): Promise<Announcement> {
  const payload = structuredClone(
    examples.find(({ name }) => name === "workflow_run")!.examples.find((example) =>
      "action" in example && example.action === "completed" && "workflow_run" in example &&
      (example.workflow_run as { conclusion?: string }).conclusion === "success"
    ),
  ) as unknown as {
    workflow_run: { id: number; updated_at: string };
    repository: { full_name: string; name: string; owner: { login: string } };
  };
  payload.workflow_run.id = runId;
  const { owner, name: repo, full_name: repository } = payload.repository;
  const run = await sandbox.createGitHubRun({
    owner: owner.login,
    repo,
    run_id: runId,
    artifacts: artifacts.map(({ name, size_bytes }) => ({ name, size: size_bytes })),
  });
  const body = JSON.stringify(payload);
  const deliveryId = crypto.randomUUID();
  return {
    repository,
    runId,
    artifacts: run.artifacts,
    deliveryId,
    body,
    headers: {
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/demo",
      "x-github-event": "workflow_run",
      "x-github-delivery": deliveryId,
      "x-hub-signature-256": await sign(WEBHOOK_SECRET, body),
    },
  };
}

/** Posts the delivery to `marketplace-webhook/github`, as GitHub would. */
export function deliver({ env }: Stage, announcement: Announcement): Promise<Response> {
  const { headers, body } = announcement;
  return fetch(`${need(env, "MARKETPLACE_FUNCTIONS_URL")}/marketplace-webhook/github`, {
    method: "POST",
    headers,
    body,
  });
}

/** One step of `marketplace.trace`. */
export interface Step {
  at: Date;
  stage: string;
  subject: string;
  detail: Record<string, string | number | null>;
  duration_ms: number | null;
}

/** What happened under a correlation id so far, in order. */
export async function trace({ sql }: Stage, correlationId: string): Promise<Step[]> {
  const rows = await sql<(Omit<Step, "duration_ms"> & { duration_ms: string | null })[]>`
    select * from marketplace.trace(${correlationId}::uuid)`;
  return rows.map((row) => ({
    ...row,
    duration_ms: row.duration_ms === null ? null : Number(row.duration_ms),
  }));
}

/** How a run's jobs stand: each of them, finished or not. */
export async function jobsOf(
  { sql }: Stage,
  correlationId: string,
): Promise<{ id: string; status: string; error_message: string | null }[]> {
  return await sql`
    select id, status, error_message from marketplace.sync_jobs
    where correlation_id = ${correlationId}::uuid order by position`;
}

/** A copy that lies at a destination, as the destination itself describes it. */
export interface Copy {
  destination: typeof DESTINATIONS[number];
  path: string;
  size: number;
  sha256: string;
}

/** The copies at both destinations whose path belongs to the run. */
export async function copiesOf({ sandbox }: Stage, runId: number): Promise<Copy[]> {
  const [objects, files] = await Promise.all([
    sandbox.s3Objects(BUCKET),
    sandbox.driveFiles(),
  ]);
  const ofRun = (path: string) => path.includes(`/${runId}/`);
  return [
    ...objects.filter(({ key }) => ofRun(key)).map(({ key, size, sha256 }) => ({
      destination: "artifact-archive" as const,
      path: key,
      size,
      sha256,
    })),
    ...files.flatMap(({ path, size, sha256 }) =>
      sha256 !== null && size !== null && ofRun(path)
        ? [{ destination: "google-drive" as const, path, size, sha256 }]
        : []
    ),
  ];
}

function need(env: Record<string, string>, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`${name} is missing from the stack's environment.`);
  return value;
}
