/**
 * What the functions answer, as far as several operations share it. Requests are described by the
 * schemas that parse them.
 * @module
 */
import { z } from "zod";
import type { JobContext } from "../../supabase/functions/_shared/jobs/context.ts";
import type { Connection } from "../../supabase/functions/_shared/oauth/context.ts";

/** Makes the compiler check that a schema says what the code answers. */
export function answering<Answer>() {
  return <Schema extends z.ZodType<Answer>>(schema: Schema): Schema => schema;
}

export const Id = z.uuid();
export const Time = z.iso.datetime({ offset: true });

export const ErrorAnswer = z.object({
  error: z.object({
    code: z.string().describe("Stable; branch on it."),
    message: z.string().describe("What happened, and what to do."),
    correlation_id: Id.describe("marketplace.trace(…) tells the story behind it."),
    execution_id: Id.optional().describe("Of marketplace-execute, when an execution had begun."),
    retry_after: z.number().optional().describe("Seconds, as in Retry-After."),
    details: z.unknown().optional().describe("Facts, such as each invalid value."),
  }),
}).meta({ id: "Error" });

export const Queue = z.object({
  events_waiting: z.int(),
  oldest_waiting_seconds: z.number(),
  jobs_waiting: z.int(),
  jobs_running: z.int(),
  jobs_dead: z.int(),
}).meta({ id: "Queue" });

export const Health = z.object({
  status: z.enum(["ok", "degraded"]),
  database: z.literal("ok"),
  reasons: z.array(z.string()).describe("Why it is degraded; empty when it is not."),
  queue: Queue,
}).meta({ id: "Health" });

export const Unavailable = z.object({
  status: z.literal("unavailable"),
  database: z.literal("unreachable"),
}).meta({ id: "Unavailable" });

export const Accepted = z.object({ status: z.literal("accepted") }).meta({ id: "Accepted" });

export const Job = answering<JobContext["job"]>()(z.object({
  id: Id,
  status: z.enum(["running", "completed"]),
  attempt: z.int(),
  max_attempts: z.int(),
  lease_id: Id.nullable().describe("null when the job is completed."),
  lease_expires_at: Time.nullable(),
  correlation_id: Id,
  organization_id: Id,
  created_at: Time,
  replay_of: Id.nullable(),
})).meta({ id: "Job" });

export const IntegrationRef = z.object({
  integration: z.string().describe("Slug."),
  provider: z.string(),
}).meta({ id: "IntegrationRef" });

export const ArtifactStatus = z.enum([
  "planned",
  "transferring",
  "uploaded",
  "completed",
  "failed",
  "skipped",
]).meta({ id: "ArtifactStatus" });

export const ConnectionRow = answering<Connection>()(z.object({
  id: Id,
  organization_id: Id,
  integration_id: Id,
  user_id: Id.nullable().describe("null: the organization's."),
  name: z.string(),
  account: z.string().nullable(),
  is_shared: z.boolean(),
  status: z.enum(["pending", "active", "reauthorization_required", "revoked", "error"]),
  error_message: z.string().nullable(),
  metadata: z.record(z.string(), z.union([z.string(), z.number()])),
  expires_at: Time.nullable().describe("When its access token ends; null: it does not."),
  is_renewable: z.boolean(),
  created_at: Time,
  updated_at: Time,
})).meta({ id: "Connection" });

export const TestResult = z.object({
  outcome: z.enum(["works", "refused", "untested"]),
  message: z.string().nullable(),
}).meta({ id: "TestResult" });

/** Which of the two is said by `Accept`. */
export const Page = { "text/html": z.string(), "application/xhtml+xml": z.string() };
