/** The queue as the dispatcher sees it: the database's functions, typed. */
import { z } from "zod";
import { type Sql, toJsonText } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Metric } from "./metrics.ts";

/** What the dispatcher needs to know that only the database keeps (in Vault). */
export const DispatchSettings = z.object({
  /** Proves that a ring comes from the database. */
  ring_key: z.string().min(16),
  /** Standard Webhooks secret that dispatches are signed with. */
  signing_secret: z.string().startsWith("whsec_"),
  /** Base URL of the functions as configured in the database. */
  functions_url: z.string().nullish(),
});
export type DispatchSettings = z.infer<typeof DispatchSettings>;

/** `query_canceled`, the SQLSTATE of a statement that ran out of its time. */
export const QUERY_CANCELED = "57014";

/** A leased job, ready to be sent. */
export interface ClaimedJob {
  job_id: string;
  lease_id: string;
  attempt: number;
  max_attempts: number;
  lease_expires_at: Date;
  /** Valid for this attempt only; never logged. */
  token: string;
  workflow_slug: string;
  workflow_kind: string;
  endpoint: string;
  timeout_ms: number;
  correlation_id: string;
  /** The dispatch's `data`, without what only the dispatcher knows. */
  body: {
    job: Record<string, unknown>;
    event?: { type: string; occurred_at: string; payload?: unknown } | null;
    source?: { integration: string; provider: string };
    notify?: { channel: string | null; is_default: boolean; [field: string]: unknown } | null;
    [field: string]: unknown;
  };
  /** Whether the endpoint may be at a private address. */
  allows_private_network: boolean;
  /** The workflow's own Standard Webhooks secret; null = the platform's. */
  signing_secret: string | null;
  /** Sent as bearer token; null = none. */
  auth_token: string | null;
}

/** How one dispatch went. */
export interface DispatchResult {
  job_id: string;
  lease_id: string;
  /** `delivered` = started; `failed` = certainly not started; `unknown` = possibly started. */
  outcome: "delivered" | "failed" | "unknown";
  status_code: number | null;
  duration_ms: number;
  error_code: string | null;
  error: string | null;
  /** Beginning of the answer's body, at most 2,000 characters. */
  response: string | null;
  retry_after_ms: number | null;
  /** Whether another attempt can help; absent = as the status says. */
  retryable?: boolean;
}

/**
 * Reads the dispatcher's settings.
 *
 * @throws AppError `configuration_missing` (503) when Vault no longer holds them
 */
export async function readSettings(sql: Sql): Promise<DispatchSettings> {
  const [row] = await sql`select marketplace.dispatch_settings() as settings`;
  const settings = DispatchSettings.safeParse(row?.settings);
  if (settings.success) return settings.data;
  // Ours to repair: whoever rings has sent nothing wrong.
  throw new AppError("configuration_missing", 503, "The dispatcher's keys are not in Vault.", {
    cause: settings.error,
  });
}

/** Applies rules to waiting events; at most `limit` of them. */
export async function routeEvents(
  sql: Sql,
  limit: number,
): Promise<{ events: number; jobs: number }> {
  const [row] = await sql<{ events: number; jobs: number }[]>`
    select events, jobs from marketplace.route_events(${limit})
  `;
  return row ?? { events: 0, jobs: 0 };
}

/** Takes back jobs whose lease ended; returns how many. */
export async function reapLeases(sql: Sql): Promise<number> {
  const [row] = await sql<
    { reaped: number }[]
  >`select marketplace.reap_leases() as reaped`;
  return row?.reaped ?? 0;
}

/** Leases up to `limit` due jobs, none of the workflows named in `except` (slugs). */
export async function claimJobs(
  sql: Sql,
  limit: number,
  except: string[] = [],
): Promise<ClaimedJob[]> {
  return await sql<ClaimedJob[]>`
    select job_id, lease_id, attempt, max_attempts, lease_expires_at, token, workflow_slug,
      workflow_kind, endpoint, timeout_ms, correlation_id, body, allows_private_network,
      signing_secret, auth_token
    from marketplace.claim_jobs(${limit}, ${except}::text[])
  `;
}

/**
 * Runs up to `limit` due jobs whose workflow is a function of the database, many in a statement.
 *
 * @param timeoutMs after which the database gives up, and all of it is undone
 * @returns how many of which workflow (slug); those of a workflow whose function raised are left
 */
export async function runJobs(
  sql: Sql,
  limit: number,
  timeoutMs: number,
): Promise<{ workflow: string; jobs: number }[]> {
  return await within(
    sql,
    timeoutMs,
    `select workflow, jobs from marketplace.run_jobs(${limit})`,
  );
}

/**
 * Calls the function of a claimed job and completes the job, in one transaction.
 *
 * @returns false when its lease is not held any more
 * @throws what the function raises, and 57014 (query_canceled) after the workflow's `timeout_ms`
 */
export async function runJob(
  sql: Sql,
  job: Pick<ClaimedJob, "job_id" | "lease_id" | "timeout_ms">,
): Promise<boolean> {
  const [row] = await within<{ is_done: boolean }>(
    sql,
    job.timeout_ms,
    `select marketplace.run_job('${job.job_id}', '${job.lease_id}') as is_done`,
  );
  return row!.is_done;
}

/**
 * Sends one statement with a timeout of its own, both in one transaction and one round trip.
 *
 * Not by the client's transactions: where a session ends within one, it writes to a socket that is
 * no more, which ends the process (https://github.com/porsager/postgres/issues/1208).
 *
 * @param statement whole: it takes no parameters
 */
async function within<Row>(
  sql: Sql,
  timeoutMs: number,
  statement: string,
): Promise<Row[]> {
  // The timeout counts from the next statement on.
  const [, rows] = await sql.unsafe(
    `select set_config('statement_timeout', '${timeoutMs}', true); ${statement}`,
  ) as unknown as [unknown, Row[]];
  return rows;
}

/** Writes down a batch of outcomes; writing one twice changes nothing. */
export async function recordDispatches(
  sql: Sql,
  results: DispatchResult[],
): Promise<void> {
  await sql`select marketplace.record_dispatches(${toJsonText(results)}::text::jsonb)`;
}

/** Says that this dispatcher looks by itself for so many milliseconds; 0 = not any more. */
export async function markPolling(sql: Sql, forMs: number): Promise<void> {
  await sql`select marketplace.mark_polling(${forMs})`;
}

/** In how many milliseconds something will be due that nobody rings for; null when nothing is. */
export async function nextDueIn(sql: Sql): Promise<number | null> {
  const [row] = await sql<{ ms: number | null }[]>`
    select (1000 * extract(epoch from marketplace.next_due_at() - clock_timestamp()))::float8 as ms
  `;
  return row?.ms ?? null;
}

/** Rings the dispatcher once more if anything is due. */
export async function ringIfDue(sql: Sql): Promise<boolean> {
  const [row] = await sql<
    { rung: boolean }[]
  >`select marketplace.sweep() is not null as rung`;
  return row?.rung ?? false;
}

/** The queue's figures. */
export async function readMetrics(sql: Sql): Promise<Metric[]> {
  return await sql<Metric[]>`select name, kind, help, labels, value from marketplace.metrics()`;
}
