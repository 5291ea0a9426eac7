/** Changes to artifact rows, under a lease. */
import { type Sql, toJsonText } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Artifact, ArtifactKind, JobContext } from "../_shared/jobs/context.ts";
import { requireLease } from "../_shared/jobs/context.ts";
import { besides } from "../_shared/transfer/template.ts";

/** What `plan_artifacts` writes down. */
export interface PlannedArtifact {
  kind?: ArtifactKind;
  source_ref: string;
  source_version?: string | null;
  source_path: string;
  name: string;
  content_type?: string;
  size_bytes?: number | null;
  sha256?: string | null;
  /** The rule's own destination when absent. */
  destination_integration_id?: string;
  destination_path?: string;
  skip_reason?: string;
}

/** Writes down what a job will do; returns the rows of these artifacts. */
export async function planArtifacts(
  sql: Sql,
  context: JobContext,
  planned: PlannedArtifact[],
): Promise<Artifact[]> {
  const rows = await sql<{ artifact: Artifact }[]>`
    select to_jsonb(a) as artifact
    from marketplace.plan_artifacts(
      ${context.job.id}, ${requireLease(context)}, ${toJsonText(planned)}::text::jsonb
    ) as a
  `;
  return rows.map(({ artifact }) => artifact);
}

/** The same for many objects, by their `source_ref`. */
export async function lastSyncedAll(
  sql: Sql,
  { rule }: JobContext,
  sourceRefs: string[],
): Promise<Map<string, Artifact>> {
  const rows = await sql<{ artifact: Artifact }[]>`
    select to_jsonb(a) as artifact
    from unnest(${sourceRefs}::text[]) as s (ref)
    cross join lateral marketplace.last_synced(${rule.id}, s.ref) as a
    where a.id is not null
  `;
  return new Map(rows.map(({ artifact }) => [artifact.source_ref, artifact]));
}

/** What lies where an object of the rule's source is to go, if that was made of another one. */
export interface Occupant {
  source_ref: string;
  occupant_ref: string;
  occupant_name: string;
}

/** Of these places, those that hold what the rule made of another object. */
export async function occupiedPaths(
  sql: Sql,
  { rule }: JobContext,
  places: { source_ref: string; path: string }[],
): Promise<Occupant[]> {
  if (places.length === 0) return [];
  return [
    ...await sql<Occupant[]>`
      select * from marketplace.occupied_paths(${rule.id}, ${toJsonText(places)}::text::jsonb)
    `,
  ];
}

/**
 * Gives what would be written over the copy of another object a path of its own: Drive has several
 * files of one name in a folder, and mails have attachments of one name.
 */
export async function keepApart(
  sql: Sql,
  context: JobContext,
  planned: PlannedArtifact[],
): Promise<void> {
  const places = planned.flatMap(({ source_ref, destination_path }) =>
    destination_path ? [{ source_ref, path: destination_path }] : []
  );
  const occupied = new Set(
    (await occupiedPaths(sql, context, places)).map(({ source_ref }) => source_ref),
  );
  for (const artifact of planned.filter(({ source_ref }) => occupied.has(source_ref))) {
    artifact.destination_path = besides(artifact.destination_path!, artifact.source_ref);
  }
}

/** How the rule left an object of its source when it last synced it; null when it never has. */
export async function lastSynced(
  sql: Sql,
  { rule }: JobContext,
  sourceRef: string,
): Promise<Artifact | null> {
  const [row] = await sql<{ artifact: Artifact | null }[]>`
    select to_jsonb(a) as artifact
    from marketplace.last_synced(${rule.id}, ${sourceRef}) as a
    where a.id is not null
  `;
  return row?.artifact ?? null;
}

/** What may be changed; `status` only along its way. */
export interface ArtifactChanges {
  status?: Artifact["status"];
  destination_ref?: string;
  transferred_bytes?: number;
  transferred_sha256?: string;
  transferred_md5?: string;
  destination_size_bytes?: number;
  destination_checksum?: string;
  result?: Record<string, unknown>;
  error_code?: string;
  error_message?: string;
  is_final?: boolean;
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

/** A retry waits for the end of a rate limit that a call of the job has met. */
export async function noteWait(sql: Sql, { job }: JobContext, error: unknown): Promise<void> {
  if (!(error instanceof AppError) || !error.code.endsWith("_rate_limited")) return;
  const told = error.details?.wait_ms;
  await sql`
    select marketplace.note_wait(${job.id}, ${
    typeof told === "number" ? told : null
  }::float8::numeric)
  `;
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

/** @throws AppError `destination_not_set` (422) */
export function requireDestination(
  { rule, destination }: JobContext,
): NonNullable<JobContext["destination"]> {
  if (destination) return destination;
  throw new AppError(
    "destination_not_set",
    422,
    `Rule ${rule.name} has no destination: set its destination_integration_id.`,
  );
}

/** @throws AppError `event_missing` (422) */
export function requireEvent({ job, event }: JobContext): NonNullable<JobContext["event"]> {
  if (event) return event;
  throw new AppError(
    "event_missing",
    422,
    `Job ${job.id} has no event, or it has outlived its retention: nothing says what to sync.`,
  );
}

/** The event's moment in UTC: a retry after midnight renders the same path. */
export function momentPlaceholders(moment: string | undefined): Record<string, string | null> {
  const names = ["date", "time", "year", "month", "day"] as const;
  const at = moment === undefined ? NaN : Date.parse(moment);
  if (Number.isNaN(at)) return Object.fromEntries(names.map((name) => [name, null]));
  const iso = new Date(at).toISOString();
  const date = iso.slice(0, 10);
  const [year, month, day] = date.split("-") as [string, string, string];
  return { date, time: iso.slice(11, 19).replaceAll(":", "-"), year, month, day };
}
