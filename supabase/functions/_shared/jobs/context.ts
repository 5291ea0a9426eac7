/** A job as its workflow may see and change it; shared by what takes a job token. */
import { waitUntil } from "../background.ts";
import { type Sql, toJsonText } from "../db.ts";
import { AppError } from "../errors.ts";
import { type Credential, getAccessToken, getCredential } from "../oauth/tokens.ts";
import type { RateLimit } from "../provider_http.ts";
import type { Integration, SourceEvent } from "../transfer/types.ts";
import { environmentCredentials } from "./environment.ts";

/** An integration of the job's rule, without its secrets. */
export interface JobIntegration {
  id: string;
  slug: string;
  provider: string;
  base_url: string | null;
  is_default: boolean;
  config: Record<string, unknown>;
}

/** What is done with an object of the source. */
export type ArtifactKind = "transfer" | "document" | "task" | "table";

/** A row of `marketplace.artifact_syncs`, as far as it is needed here. */
export interface Artifact {
  id: string;
  kind: ArtifactKind;
  destination_integration_id: string | null;
  source_ref: string;
  source_version: string | null;
  source_path: string;
  name: string;
  content_type: string;
  size_bytes: number | null;
  sha256: string | null;
  destination_path: string;
  destination_ref: string | null;
  transferred_bytes: number | null;
  transferred_sha256: string | null;
  transferred_md5: string | null;
  status: "planned" | "transferring" | "uploaded" | "completed" | "failed" | "skipped";
  /** What it became at the destination. */
  result: Record<string, unknown> | null;
  error_code: string | null;
  error_message: string | null;
  /** It failed, and would fail in the same way again. */
  is_final: boolean;
  /** null: nothing has been sent to the destination yet. */
  started_at: string | null;
  completed_at: string | null;
}

/** What `marketplace.authorize_job` answers. */
export interface JobContext {
  job: {
    id: string;
    status: "running" | "completed";
    attempt: number;
    max_attempts: number;
    /** null when the job is completed. */
    lease_id: string | null;
    lease_expires_at: string | null;
    correlation_id: string;
    organization_id: string;
    created_at: string;
    /** null: it is no replay. */
    replay_of: string | null;
  };
  /** null when the job was made by a schedule. */
  event: (SourceEvent & { id: string; created_at: string; account: string | null }) | null;
  rule: {
    id: string;
    name: string;
    source_pattern: string;
    /** The pattern as a regular expression that JavaScript and Postgres read alike. */
    source_pattern_regex: string;
    artifact_types: string[];
    destination_template: string;
    config: Record<string, unknown>;
  };
  source: JobIntegration;
  destination: JobIntegration | null;
  notify: (JobIntegration & { channel: string | null }) | null;
  /** Where the attachments of messages go; null: they are not stored. */
  attachments: JobIntegration | null;
  artifacts: Artifact[];
  /** The job's token, which the gateway takes too; never logged. */
  token: string;
}

/**
 * Checks a job's token and renews its lease.
 *
 * @throws MK401 dead or wrong token, MK404 unknown job, MK409 lease lost
 */
export async function authorizeJob(sql: Sql, jobId: string, token: string): Promise<JobContext> {
  const [row] = await sql<{ context: Omit<JobContext, "token"> }[]>`
    select marketplace.authorize_job(${jobId}, ${token}) as context
  `;
  return { ...row!.context, token };
}

/**
 * The lease under which changes are made.
 *
 * @throws AppError `job_finished` (409)
 */
export function requireLease({ job }: JobContext): string {
  if (job.lease_id) return job.lease_id;
  throw new AppError(
    "job_finished",
    409,
    `Job ${job.id} is ${job.status}: nothing changes it now.`,
  );
}

/**
 * An integration with the credentials that the job uses it with: those of the connection that told
 * its event, the integration's own, or those of the connection that its organization shares.
 *
 * @throws AppError `connection_not_found` (422), `connection_ambiguous` (422)
 */
export async function withCredentials(
  sql: Sql,
  { job }: Pick<JobContext, "job">,
  integration: JobIntegration,
): Promise<Integration> {
  const [row] = await sql<{ answer: JobCredentials }[]>`
    select marketplace.job_credentials(
      ${job.id}, ${integration.id}, ${toJsonText(environmentCredentials())}::text::jsonb
    ) as answer
  `;
  const { connection_id: connectionId, credentials = {}, refusal } = row!.answer;
  if (refusal) {
    throw new AppError(refusal.code, 422, refusal.message, {
      retryable: false,
      ...(refusal.details ? { details: refusal.details } : {}),
    });
  }
  if (!connectionId) {
    return {
      ...integration,
      credentials,
      tokens: (refused) => getAccessToken({ integration }, { sql, refused }),
      onRateLimit: latestOnly((limit) => noteRateLimit(sql, integration.id, limit)),
    };
  }
  const { secrets, settings } = await getCredential({ connectionId }, { sql }).catch(laterTold);
  const { access_token: _, ...fixed } = secrets;
  return {
    ...integration,
    // The environment's credentials, bucket and folder are the platform's.
    is_default: false,
    config: { ...integration.config, ...settings },
    credentials: fixed,
    // Its account's rate limit is not the integration's, and goes unnoted.
    tokens: (refused) => getAccessToken({ connectionId }, { sql, refused }),
  };
}

interface JobCredentials {
  connection_id?: string;
  credentials?: Record<string, string>;
  refusal?: { code: string; message: string; details?: Record<string, unknown> };
}

/** Why a connection has no token is told where one is asked for, as the fault of whom it is for. */
function laterTold(error: unknown): Pick<Credential, "secrets" | "settings"> {
  if (error instanceof AppError) return { secrets: {}, settings: {} };
  throw error;
}

/** Runs for the latest of several calls in one turn: only the last word about a limit counts. */
function latestOnly(note: (limit: RateLimit) => Promise<void>): (limit: RateLimit) => void {
  const waiting = new Map<string, RateLimit>();
  return (limit) => {
    const isFirst = !waiting.has(limit.name);
    waiting.set(limit.name, limit);
    if (!isFirst) return;
    waitUntil((async () => {
      await new Promise((resolve) => setTimeout(resolve, 250));
      const latest = waiting.get(limit.name)!;
      waiting.delete(limit.name);
      await note(latest);
    })());
  };
}

async function noteRateLimit(sql: Sql, integrationId: string, limit: RateLimit): Promise<void> {
  await sql`
    select marketplace.observe_quota(
      ${integrationId}, ${limit.name}, ${limit.limit}, ${limit.remaining}, ${limit.resets_at}
    )
  `;
}
