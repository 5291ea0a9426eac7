/** Changes to artifact rows, under a lease. */
import { type Sql, toJsonText } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Artifact, JobContext } from "../_shared/jobs/context.ts";
import { requireLease } from "../_shared/jobs/context.ts";

/** What may be changed; `status` only along its way. */
export interface ArtifactChanges {
  status?: Artifact["status"];
  destination_ref?: string;
  transferred_bytes?: number;
  transferred_sha256?: string;
  transferred_md5?: string;
  destination_size_bytes?: number;
  destination_checksum?: string;
  error_code?: string;
  error_message?: string;
}

/**
 * Moves an artifact along.
 *
 * @throws MK409 lease lost, or a step backwards
 */
export async function updateArtifact(
  sql: Sql,
  context: JobContext,
  { id, changes }: { id: string; changes: ArtifactChanges },
): Promise<Artifact> {
  const [row] = await sql<{ artifact: Artifact }[]>`
    select to_jsonb(a) as artifact
    from marketplace.update_artifact(
      ${context.job.id}, ${requireLease(context)}, ${id}, ${toJsonText(changes)}::text::jsonb
    ) as a
  `;
  return row!.artifact;
}

/**
 * An artifact of the job.
 *
 * @throws AppError `artifact_not_found` (404)
 */
export function findArtifact({ job, artifacts }: JobContext, id: string): Artifact {
  const artifact = artifacts.find((candidate) => candidate.id === id);
  if (artifact) return artifact;
  throw new AppError(
    "artifact_not_found",
    404,
    `Artifact ${id} is not part of job ${job.id}: use an id from this job's plan.`,
  );
}
