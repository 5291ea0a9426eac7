/** Moving one artifact: tickets before, verification after. */
import type { Sql } from "../_shared/db.ts";
import { functionsUrl } from "../_shared/env.ts";
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
import { noteWait, requireDestination, updateArtifact } from "./artifacts.ts";
import { attachmentTicket } from "./tasks.ts";

/** Both halves of a transfer. */
export interface TransferTicket {
  artifact_id: string;
  source: TransferRequest;
  destination: TransferRequest & { kind: string };
  content_type: string;
  size_bytes: number | null;
}

/** What a workflow says of bytes that it has uploaded. */
export interface UploadReport {
  size_bytes?: number | null | undefined;
  /** Hex. */
  sha256?: string | null | undefined;
  md5?: string | null | undefined;
}

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
 * @throws AppError what the source's or destination's refusal means; `destination_not_set` (422)
 */
export async function issueTransferTicket(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
): Promise<TransferTicket> {
  const destinationRow = destinationOf(context, artifact);
  try {
    const [destination, to] = await Promise.all([
      destinationFor(destinationRow.provider),
      withCredentials(sql, context, destinationRow),
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
    const download = await sourceTicket(sql, context, artifact);
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
 * Looks at an upload where it went: only a copy whose size and checksum are proven is completed.
 *
 * @throws AppError `destination_unavailable`, `destination_rate_limited` (503): report again
 */
export async function takeUpload(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
  report: UploadReport,
): Promise<ArtifactOutcome> {
  const destinationRow = destinationOf(context, artifact);
  const destination = await destinationFor(destinationRow.provider);
  const integration = await withCredentials(sql, context, destinationRow);
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
    await noteWait(sql, context, error);
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

/** An artifact as its workflow is told of it. */
export function outcome(
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
export async function noteFailure(
  sql: Sql,
  context: JobContext,
  artifactId: string,
  error: unknown,
): Promise<void> {
  if (!(error instanceof AppError)) return;
  await noteWait(sql, context, error);
  await updateArtifact(sql, context, {
    id: artifactId,
    changes: { status: "failed", error_code: error.code, error_message: error.message },
  });
}

/** Where an artifact goes: the rule's destination, or, for an attachment, where those are stored. */
function destinationOf(context: JobContext, artifact: Artifact): JobIntegration {
  const { attachments } = context;
  return attachments !== null && artifact.destination_integration_id === attachments.id
    ? attachments
    : requireDestination(context);
}

async function sourceTicket(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
): Promise<TransferRequest> {
  const gateway = { url: `${functionsUrl()}/marketplace-execute`, token: context.token };
  if (context.source.provider === "gmail") return attachmentTicket(context, artifact, gateway);
  const source = await sourceFor(context.source.provider);
  const { source_ref: ref, content_type, size_bytes } = artifact;
  return await source.ticket(
    await withCredentials(sql, context, context.source),
    context.event,
    { ref, content_type, size_bytes },
    gateway,
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
