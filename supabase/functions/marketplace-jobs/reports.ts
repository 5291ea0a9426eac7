/** What a workflow asks for and reports about one artifact, whatever its kind. */
import { z } from "zod";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Artifact, JobContext } from "../_shared/jobs/context.ts";
import { type ArtifactChanges, findArtifact, updateArtifact } from "./artifacts.ts";
import { DocumentRead, failedDocument, judgeDocument } from "./documents.ts";
import { type ActionCall, failureOf, type GatewayError, isGoneAtSource } from "./gateway.ts";
import { judgeTable, TableRead } from "./tables.ts";
import { issueTaskTicket, judgeTask, TaskMessage } from "./tasks.ts";
import {
  type ArtifactOutcome,
  issueTransferTicket,
  noteFailure,
  outcome,
  takeUpload,
  type TransferTicket,
} from "./transfer.ts";

/** Body of `POST /<job>/tickets`; a task is written from its message. */
export const TicketRequest = z.object({
  artifact_id: z.uuid(),
  message: TaskMessage.optional(),
});
export type TicketRequest = z.infer<typeof TicketRequest>;

const hex = (length: number) =>
  z.string().trim().toLowerCase().regex(
    new RegExp(`^[0-9a-f]{${length}}$`),
    `must be ${length} hexadecimal digits`,
  );

/** Statuses that would be the same again. */
const REFUSALS = new Set([400, 405, 406, 413, 415, 422]);

/** What `marketplace-execute` answered to the workflow, as it is. */
const Answer = z.union([
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      details: z.record(z.string(), z.unknown()).optional().catch(undefined),
    }),
  }),
]);

/** Body of `POST /<job>/artifacts`. */
export const ArtifactReport = z.discriminatedUnion("status", [
  z.object({
    artifact_id: z.uuid(),
    status: z.literal("uploaded"),
    size_bytes: z.coerce.number().int().min(0).nullish(),
    sha256: hex(64).nullish(),
    md5: hex(32).nullish(),
  }),
  z.object({
    artifact_id: z.uuid(),
    /** An action has run, or has not: its answer tells. */
    status: z.literal("answered"),
    answer: Answer,
    /** What was read before, as far as the plan's kind wants it. */
    read: z.record(z.string(), z.unknown()).nullish(),
  }),
  z.object({
    artifact_id: z.uuid(),
    status: z.literal("failed"),
    error_code: z.string().trim().min(1).max(100).default("transfer_failed"),
    error_message: z.string().max(2000).nullish(),
  }),
]);
export type ArtifactReport = z.infer<typeof ArtifactReport>;

/**
 * A ticket for one artifact, to be used at once: a source URL may live only a minute.
 *
 * @throws AppError `artifact_not_found` (404), `artifact_finished` (409), and what the source's or
 *   destination's refusal means
 */
export async function issueTicket(
  sql: Sql,
  context: JobContext,
  { artifact_id, message }: TicketRequest,
): Promise<TransferTicket | { artifact_id: string; write: ActionCall }> {
  const artifact = findArtifact(context, artifact_id);
  if (artifact.status === "completed" || artifact.status === "skipped") {
    throw new AppError(
      "artifact_finished",
      409,
      `Artifact ${artifact.id} is ${artifact.status}: there is nothing to transfer.`,
    );
  }
  if (artifact.kind === "transfer") return await issueTransferTicket(sql, context, artifact);
  if (artifact.kind === "task") return await issueTaskTicket(sql, context, artifact, message);
  throw new AppError(
    "ticket_unsupported",
    422,
    `A ${artifact.kind} has no ticket: its plan says what to read and write.`,
  );
}

/**
 * Takes a workflow's report about one artifact.
 *
 * @throws AppError `destination_unavailable`, `destination_rate_limited` (503): report again
 */
export async function takeReport(
  sql: Sql,
  context: JobContext,
  report: ArtifactReport,
): Promise<ArtifactOutcome> {
  const artifact = findArtifact(context, report.artifact_id);
  switch (report.status) {
    case "uploaded":
      return await takeUpload(sql, context, artifact, report);
    case "answered":
      return await takeAnswer(sql, context, artifact, report);
    case "failed": {
      // Failed already: a ticket was refused, and what we wrote then is the better reason.
      if (artifact.status === "failed") return outcome(artifact);
      const known = report.error_code === "download_failed"
        ? await loggedFailure(sql, context, artifact)
        : null;
      return await change(sql, context, artifact, {
        status: "failed",
        ...known ?? {
          error_code: report.error_code,
          ...(report.error_message ? { error_message: report.error_message } : {}),
        },
      });
    }
  }
}

/** Documents, tasks and tables: judges what the gateway answered. */
async function takeAnswer(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
  { answer, read }: Extract<ArtifactReport, { status: "answered" }>,
): Promise<ArtifactOutcome> {
  // The answer to the first report was lost.
  if (artifact.status === "completed" || artifact.status === "skipped") return outcome(artifact);
  if ("error" in answer) {
    // A rule with a schedule names what it reads: then it is the rule that is wrong.
    if (context.event && artifact.status === "planned" && isGoneAtSource(context, answer.error)) {
      return await change(sql, context, artifact, {
        status: "skipped",
        error_code: "gone",
        error_message: `it is gone at the source: ${answer.error.message}`,
      });
    }
    const changes = artifact.kind === "document"
      ? await failedDocument(sql, context, artifact, answer.error)
      : { status: "failed" as const, ...failureOf(context, answer.error) };
    return await change(sql, context, artifact, changes);
  }
  try {
    const changes = await judge(sql, context, artifact, answer.result, read ?? {});
    return await change(sql, context, artifact, changes);
  } catch (error) {
    // It could not be looked at: the report can be repeated.
    if (!(error instanceof AppError) || error.retryable) throw error;
    await noteFailure(sql, context, artifact.id, error);
    const { code: error_code, message: error_message } = error;
    return outcome({ ...artifact, status: "failed", error_code, error_message });
  }
}

async function judge(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
  result: unknown,
  read: Record<string, unknown>,
): Promise<ArtifactChanges> {
  switch (artifact.kind) {
    case "document":
      return await judgeDocument(sql, context, {
        artifact,
        result,
        read: DocumentRead.parse(read),
      });
    case "table":
      return await judgeTable(sql, context, { artifact, result, read: TableRead.parse(read) });
    case "task":
      return await judgeTask(sql, context, result);
    case "transfer":
      throw new AppError(
        "report_unsupported",
        422,
        "A transfer is reported as uploaded, with the size and the hashes of its bytes.",
      );
  }
}

async function change(
  sql: Sql,
  context: JobContext,
  { id }: Artifact,
  changes: ArtifactChanges,
): Promise<ArtifactOutcome> {
  const changed = await updateArtifact(sql, context, { id, changes });
  const url = changed.result?.url;
  return outcome(changed, typeof url === "string" ? url : undefined);
}

/**
 * Why a download through the gateway failed: the workflow has only seen that it did. Downloads that
 * did not come through the gateway have left nothing.
 */
async function loggedFailure(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
) {
  const [row] = await sql<{ code: string; message: string; response: unknown; status: number }[]>`
    select x.error_code as code, x.error_message as message, x.response, x.status_code as status
    from marketplace.execution_logs as x
    where x.correlation_id = ${context.job.correlation_id} and x.job_id = ${context.job.id}
      and x.outcome = 'failed' and x.integration_id = ${context.source.id}
      and x.created_at >= ${artifact.started_at}::timestamptz
      and x.action in ('files.getContent', 'files.export', 'messages.attachments.download')
    order by x.created_at desc
    limit 1
  `;
  if (!row) return null;
  const { code, message, response: body, status } = row;
  const error: GatewayError = {
    code,
    message,
    details: {
      integration: context.source.slug,
      ...(body === null ? {} : { body }),
      ...(status === 404
        ? { reason: "provider_not_found" }
        : code === "provider_error" && status !== null && REFUSALS.has(status)
        ? { reason: "provider_rejected" }
        : {}),
      retryable: code === "rate_limited" || status === null || status >= 500,
    },
  };
  return failureOf(context, error);
}
