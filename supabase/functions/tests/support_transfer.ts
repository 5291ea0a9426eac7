/** For tests of transfers: integrations at the stack's sandbox, and a workflow's part played by hand. */
import { createHash } from "node:crypto";
import type postgres from "postgres";
import { SandboxClient } from "../../../scripts/sandbox/client.ts";
import {
  type DispatchedJob,
  ingest,
  type Lane,
  makeLane,
  type Sink,
  stackEnv,
} from "./support_queue.ts";

/** The control of the stack's sandbox. */
export const sandbox = new SandboxClient(stackEnv("SANDBOX_URL"));

/** Where a lane's artifacts go. */
export type DestinationKind = "google_drive" | "aws_s3";

/** A lane whose rule moves artifacts. */
export interface TransferLane extends Lane {
  destinationSlug: string;
  notifySlug: string;
  /** Bucket of the destination, if it is S3. */
  bucket: string;
}

/** Makes a lane from the sandbox's GitHub to one of its destinations. */
export async function makeTransferLane(
  sql: postgres.Sql,
  sink: Sink,
  { kind, config, rule }: {
    kind: DestinationKind;
    config?: Record<string, unknown>;
    rule?: Record<string, string | string[] | null>;
  },
): Promise<TransferLane> {
  const lane = await makeLane(sql, sink, { rule });
  const bucket = `b-${crypto.randomUUID()}`;
  const google = stackEnv("SANDBOX_GOOGLE_URL");
  await register(sql, lane.integrationSlug, "github", {
    config: { api_base: stackEnv("SANDBOX_GITHUB_URL"), allow_private_network: true },
    secrets: { api_token: "sandbox-github-token" },
  });
  const destinationSlug = `${lane.integrationSlug}-to`;
  if (kind === "aws_s3") {
    await sandbox.createBucket(bucket);
    await register(sql, destinationSlug, kind, {
      config: {
        bucket,
        endpoint: stackEnv("SANDBOX_S3_URL"),
        allow_private_network: true,
        region: stackEnv("SANDBOX_S3_REGION"),
        checksum: "sha256",
        ...config,
      },
      secrets: {
        access_key_id: stackEnv("SANDBOX_S3_ACCESS_KEY_ID"),
        secret_access_key: stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY"),
      },
    });
  } else {
    await register(sql, destinationSlug, kind, {
      config: {
        api_base: `${google}/drive/v3`,
        token_url: `${google}/oauth2/token`,
        allow_private_network: true,
        ...config,
      },
      secrets: {
        refresh_token: "sandbox-google-refresh",
        client_id: "sandbox-google-client",
        client_secret: "sandbox-google-secret",
      },
    });
  }
  const notifySlug = `${lane.integrationSlug}-tell`;
  await register(sql, notifySlug, "slack", {
    config: {
      api_base: stackEnv("SANDBOX_SLACK_URL"),
      allow_private_network: true,
      channel: "#ci-artifacts",
    },
    secrets: { api_token: "xoxb-sandbox" },
  });
  await sql`
    update marketplace.sync_rules as r
    set destination_integration_id = d.id, notify_integration_id = n.id
    from marketplace.integrations as d, marketplace.integrations as n
    where r.id = ${lane.ruleId} and d.slug = ${destinationSlug} and n.slug = ${notifySlug}
  `;
  return { ...lane, destinationSlug, notifySlug, bucket };
}

async function register(
  sql: postgres.Sql,
  slug: string,
  provider: string,
  { config, secrets }: { config: Record<string, unknown>; secrets: Record<string, string> },
): Promise<void> {
  await sql`
    select marketplace.register_integration(
      ${slug}, ${slug}, ${provider}, 'storage', ${JSON.stringify(config)}::text::jsonb
    )
  `;
  for (const [purpose, secret] of Object.entries(secrets)) {
    await sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
  }
}

/** A run with artifacts at the sandbox's GitHub, announced; resolves when a job is dispatched. */
export async function startJob(
  sql: postgres.Sql,
  sink: Sink,
  lane: Lane,
  artifacts: NonNullable<Parameters<SandboxClient["createGitHubRun"]>[0]["artifacts"]>,
): Promise<Workflow> {
  const run = await sandbox.createGitHubRun({ artifacts });
  const before = sink.at(lane.path).length;
  await ingest(sql, lane.integrationId, [{
    payload: {
      action: "completed",
      repository: {
        name: "octo-repo",
        full_name: run.repository.full_name,
        owner: { login: "octo-org" },
      },
      workflow_run: {
        id: run.run_id,
        name: "CI / build",
        head_branch: "main",
        head_sha: "009b8a3a9ccbb128af87f9b1c0f4c62e8a304f6d",
        run_number: 7,
        event: "push",
        conclusion: "success",
      },
    },
  }]);
  await sink.received(lane.path, before + 1);
  return new Workflow(sink.job(lane.path), run.artifacts.map(({ id }) => String(id)));
}

// deno-lint-ignore no-explicit-any
type Json = any;

/** A workflow's part: it knows its job's URL and token, and nothing else. */
export class Workflow {
  constructor(readonly job: DispatchedJob, readonly refs: string[] = []) {}

  /** Calls `<job url>/<action>`. */
  async call(
    action: string,
    body?: unknown,
    token: string = this.job.token,
  ): Promise<{ status: number; body: Json; headers: Headers }> {
    const response = await fetch(`${this.job.url}${action && `/${action}`}`, {
      method: action ? "POST" : "GET",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json(), headers: response.headers };
  }

  /** Calls marketplace-execute. */
  async execute(body: unknown): Promise<{ status: number; body: Json }> {
    const response = await fetch(`${stackEnv("SUPABASE_URL")}/functions/v1/marketplace-execute`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.job.token}` },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Downloads and uploads one artifact by its tickets; what the upload answered is its status. */
  async move(artifactId: string): Promise<{ status: number; report: Record<string, unknown> }> {
    const { status, body } = await this.call("tickets", { artifact_id: artifactId });
    if (status !== 200) throw new Error(`no ticket: ${status} ${JSON.stringify(body)}`);
    const { source, destination } = body;
    const download = await fetch(source.url, { method: source.method, headers: source.headers });
    const bytes = new Uint8Array(await download.arrayBuffer());
    if (!download.ok) throw new Error(`no download: ${download.status}`);
    const upload = await fetch(destination.url, {
      method: destination.method,
      headers: destination.headers,
      body: bytes,
    });
    await upload.body?.cancel();
    return {
      status: upload.status,
      report: {
        artifact_id: artifactId,
        status: "uploaded",
        size_bytes: bytes.length,
        sha256: createHash("sha256").update(bytes).digest("hex"),
        md5: createHash("md5").update(bytes).digest("hex"),
      },
    };
  }
}
