/** Moving one artifact: tickets before, verification after. */
import { z } from "zod";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import {
  type Artifact,
  type JobContext,
  type JobIntegration,
  requireLease,
  withCredentials,
} from "../_shared/jobs/context.ts";
import { destinationFor, sourceFor } from "../_shared/transfer/registry.ts";
import type { DestinationStore, TransferRequest } from "../_shared/transfer/types.ts";
import { verifyTransfer } from "../_shared/transfer/verify.ts";
import { findArtifact, updateArtifact } from "./artifacts.ts";
import { requireEvent } from "./plan.ts";

/** Body of `POST /<job>/tickets`. */
export const TicketRequest = z.object({ artifact_id: z.uuid() });

/** Both halves of a transfer. */
export interface TransferTicket {
  artifact_id: string;
  source: TransferRequest;
  destination: TransferRequest & { kind: string };
  content_type: string;
  size_bytes: number | null;
}

const hex = (length: number) =>
  z.string().trim().toLowerCase().regex(
    new RegExp(`^[0-9a-f]{${length}}$`),
    `must be ${length} hexadecimal digits`,
  );

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
    status: z.literal("failed"),
    error_code: z.string().trim().min(1).max(100).default("transfer_failed"),
    error_message: z.string().max(2000).nullish(),
  }),
]);
export type ArtifactReport = z.infer<typeof ArtifactReport>;

/** What became of a report. */
export interface ArtifactOutcome {
  id: string;
  status: Artifact["status"];
  /** Where the copy is, for people. */
  destination?: string;
  error_code?: string | null;
  error_message?: string | null;
}

/**
 * Tickets for one transfer, to be used at once: a source URL may live only a minute.
 *
 * An artifact for which there can be no ticket is failed with the reason, so that the others go on.
 *
 * @throws AppError what the source's or destination's refusal means; `artifact_not_found` (404),
 *   `artifact_finished` (409), `destination_not_set` (422)
 */
export async function issueTicket(
  sql: Sql,
  context: JobContext,
  artifactId: string,
): Promise<TransferTicket> {
  const artifact = findArtifact(context, artifactId);
  const event = requireEvent(context);
  const destinationRow = requireDestination(context);
  if (artifact.status === "completed" || artifact.status === "skipped") {
    throw new AppError(
      "artifact_finished",
      409,
      `Artifact ${artifact.id} is ${artifact.status}: there is nothing to transfer.`,
    );
  }
  try {
    const [source, destination, from, to] = await Promise.all([
      sourceFor(context.source.provider),
      destinationFor(destinationRow.provider),
      withCredentials(sql, context.source),
      withCredentials(sql, destinationRow),
    ]);
    const upload = await destination.ticket(to, {
      path: artifact.destination_path,
      content_type: artifact.content_type,
      size_bytes: artifact.size_bytes,
      sha256: artifact.sha256,
      destination_ref: artifact.destination_ref,
    }, destinationStore(sql, context, artifact, destinationRow));
    await updateArtifact(sql, context, { id: artifact.id, changes: { status: "transferring" } });
    // Last, because it is the one that ends soonest.
    const download = await source.ticket(from, event, artifact.source_ref);
    return {
      artifact_id: artifact.id,
      source: download,
      destination: { kind: destination.kind, ...upload },
      content_type: artifact.content_type,
      size_bytes: artifact.size_bytes,
    };
  } catch (error) {
    await noteFailure(sql, context, artifact.id, error);
    throw error;
  }
}

/**
 * Takes a workflow's report about one artifact. An upload is looked at where it went: only a copy
 * whose size and checksum are proven is completed.
 *
 * @throws AppError `destination_unavailable`, `destination_rate_limited` (503): report again
 */
export async function takeReport(
  sql: Sql,
  context: JobContext,
  report: ArtifactReport,
): Promise<ArtifactOutcome> {
  const artifact = findArtifact(context, report.artifact_id);
  if (report.status === "failed") {
    // Failed already: a ticket was refused, and what we wrote then is the better reason.
    if (artifact.status === "failed") return outcome(artifact);
    const failed = await updateArtifact(sql, context, {
      id: artifact.id,
      changes: {
        status: "failed",
        error_code: report.error_code,
        ...(report.error_message ? { error_message: report.error_message } : {}),
      },
    });
    return outcome(failed);
  }

  const destinationRow = requireDestination(context);
  const destination = await destinationFor(destinationRow.provider);
  const integration = await withCredentials(sql, destinationRow);
  const ref = artifact.destination_ref;
  const location = ref === null ? undefined : destination.location(integration, ref);
  // The answer to the first report was lost.
  if (artifact.status === "completed") return outcome(artifact, location);
  const uploaded = await updateArtifact(sql, context, {
    id: artifact.id,
    changes: {
      status: "uploaded",
      ...(report.size_bytes == null ? {} : { transferred_bytes: report.size_bytes }),
      ...(report.sha256 ? { transferred_sha256: report.sha256 } : {}),
      ...(report.md5 ? { transferred_md5: report.md5 } : {}),
    },
  });
  try {
    const verdict = verifyTransfer({
      source: { size_bytes: uploaded.size_bytes, sha256: uploaded.sha256 },
      transferred: {
        size_bytes: uploaded.transferred_bytes,
        sha256: uploaded.transferred_sha256,
        md5: uploaded.transferred_md5,
      },
      stored: ref === null ? null : await destination.stat(integration, ref),
    });
    const verified = await updateArtifact(sql, context, {
      id: artifact.id,
      changes: verdict.ok
        ? {
          status: "completed",
          destination_size_bytes: verdict.size_bytes,
          destination_checksum: verdict.checksum,
        }
        : { status: "failed", error_code: verdict.code, error_message: verdict.message },
    });
    return outcome(verified, location);
  } catch (error) {
    // The destination could not be asked: the copy may be fine, so that the report can be repeated.
    if (!(error instanceof AppError) || error.retryable) throw error;
    await noteFailure(sql, context, artifact.id, error);
    return outcome({
      ...artifact,
      status: "failed",
      error_code: error.code,
      error_message: error.message,
    });
  }
}

function outcome(
  { id, status, error_code, error_message }: Artifact,
  location?: string,
): ArtifactOutcome {
  return {
    id,
    status,
    ...(location === undefined ? {} : { destination: location }),
    ...(error_code === null ? {} : { error_code, error_message }),
  };
}

/** Writes the reason to the artifact; errors of our own (a lost lease, the database) are not its. */
async function noteFailure(
  sql: Sql,
  context: JobContext,
  artifactId: string,
  error: unknown,
): Promise<void> {
  if (!(error instanceof AppError)) return;
  await updateArtifact(sql, context, {
    id: artifactId,
    changes: { status: "failed", error_code: error.code, error_message: error.message },
  });
}

/** @throws AppError `destination_not_set` (422) */
function requireDestination({ rule, destination }: JobContext): JobIntegration {
  if (destination) return destination;
  throw new AppError(
    "destination_not_set",
    422,
    `Rule ${rule.name} has no destination: set its destination_integration_id.`,
  );
}

function destinationStore(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
  destination: JobIntegration,
): DestinationStore {
  return {
    async keepRef(destinationRef) {
      requireLease(context);
      await updateArtifact(sql, context, {
        id: artifact.id,
        changes: { destination_ref: destinationRef },
      });
    },
    async agreeOnFolder(path, proposedId) {
      const [row] = await sql<{ id: string }[]>`
        select marketplace.destination_folder(${destination.id}, ${path}, ${proposedId}) as id
      `;
      return row!.id;
    },
    async forgetFolder(path) {
      await sql`select marketplace.forget_destination_folder(${destination.id}, ${path})`;
    },
  };
}
