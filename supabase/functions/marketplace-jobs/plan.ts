/** Planning: what the source offers, what the rule wants of it, and where that goes. */
import { type Sql, toJsonText } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import {
  type Artifact,
  type JobContext,
  requireLease,
  withCredentials,
} from "../_shared/jobs/context.ts";
import { sourceFor } from "../_shared/transfer/registry.ts";
import { disambiguate, renderPath } from "../_shared/transfer/template.ts";
import type { SourceObject } from "../_shared/transfer/types.ts";

/** What `plan_artifacts` writes down. */
interface PlannedArtifact {
  source_ref: string;
  source_path: string;
  name: string;
  content_type: string;
  size_bytes: number | null;
  sha256: string | null;
  destination_path?: string;
  skip_reason?: string;
}

/**
 * Lists the job's artifacts at their source and writes down which are moved, and where to. Planning
 * again keeps what is completed, and the paths that were given before.
 *
 * @returns all artifacts of the job
 * @throws AppError `event_missing`, `source_unsupported`, `template_invalid` (422), or what the
 *   source's refusal means
 */
export async function planJob(sql: Sql, context: JobContext): Promise<Artifact[]> {
  const leaseId = requireLease(context);
  const event = requireEvent(context);
  const source = await sourceFor(context.source.provider);
  const objects = await source.list(await withCredentials(sql, context.source), event);
  const planned = selectArtifacts(context, objects, source.placeholders(event));
  const rows = await sql<{ artifact: Artifact }[]>`
    select to_jsonb(a) as artifact
    from marketplace.plan_artifacts(
      ${context.job.id}, ${leaseId}, ${toJsonText(planned)}::text::jsonb
    ) as a
  `;
  return rows.map(({ artifact }) => artifact);
}

/** @throws AppError `event_missing` (422) */
export function requireEvent({ job, event }: JobContext): NonNullable<JobContext["event"]> {
  if (event) return event;
  throw new AppError(
    "event_missing",
    422,
    `Job ${job.id} has no event, or it has outlived its retention: there is no run to take ` +
      "artifacts from.",
  );
}

/**
 * Applies a rule to what its source offers: pattern, types, expiry, and a path for each that stays.
 *
 * @param placeholders the source's own, see {@link renderPath}
 */
export function selectArtifacts(
  context: Pick<JobContext, "event" | "rule" | "source" | "destination">,
  objects: SourceObject[],
  placeholders: Record<string, string | null>,
): PlannedArtifact[] {
  const { rule, event, source, destination } = context;
  const pattern = new RegExp(rule.source_pattern_regex, "su");
  // A stable order, oldest first: paths must come out the same when planned again.
  const ordered = [...objects].sort((a, b) =>
    a.ref.length - b.ref.length || (a.ref < b.ref ? -1 : a.ref > b.ref ? 1 : 0)
  );
  const judged = ordered.map((object) => {
    const sourcePath = `${event?.resource_path ?? ""}${object.name}`;
    return { object, sourcePath, reason: refusal(rule, pattern, object, sourcePath) };
  });
  const rendered = judged.filter(({ reason }) => reason === undefined).map(({ object }) => ({
    ref: object.ref,
    path: destination === null ? "" : renderPath(rule.destination_template, {
      ...momentPlaceholders(event?.occurred_at ?? event?.created_at),
      ...placeholders,
      name: object.name,
      ext: object.extension,
      event: event?.event_type ?? null,
      provider: source.provider,
      integration: source.slug,
      rule: rule.name,
    }, object.extension || undefined),
  }));
  const paths = destination === null
    ? new Map(rendered.map(({ ref, path }) => [ref, path]))
    : disambiguate(rendered);
  return judged.map(({ object, sourcePath, reason }) => ({
    source_ref: object.ref,
    source_path: sourcePath,
    name: object.name,
    content_type: object.content_type,
    size_bytes: object.size_bytes,
    sha256: object.sha256,
    ...(reason === undefined
      ? { destination_path: paths.get(object.ref)! }
      : { skip_reason: reason }),
  }));
}

/** Why a rule does not want an object; undefined when it does. */
function refusal(
  rule: JobContext["rule"],
  pattern: RegExp,
  object: SourceObject,
  sourcePath: string,
): string | undefined {
  if (!pattern.test(sourcePath)) return `${sourcePath} does not match ${rule.source_pattern}`;
  const types = rule.artifact_types;
  // A rule that wants zip wants whatever arrives as a zip.
  if (types.length > 0 && !types.includes(object.type) && !types.includes(object.extension)) {
    return `type ${object.type || "unknown"} is not one of ${types.join(", ")}`;
  }
  if (object.is_expired) return "expired at the source";
  return undefined;
}

/** The event's moment in UTC: a retry after midnight renders the same path. */
function momentPlaceholders(moment: string | undefined): Record<string, string | null> {
  const names = ["date", "time", "year", "month", "day"] as const;
  const at = moment === undefined ? NaN : Date.parse(moment);
  if (Number.isNaN(at)) return Object.fromEntries(names.map((name) => [name, null]));
  const iso = new Date(at).toISOString();
  const date = iso.slice(0, 10);
  const [year, month, day] = date.split("-") as [string, string, string];
  return { date, time: iso.slice(11, 19).replaceAll(":", "-"), year, month, day };
}
