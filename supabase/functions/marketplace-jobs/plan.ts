/** Planning: what the event offers, what the rule wants of it, and where that goes. */
import type { Sql } from "../_shared/db.ts";
import {
  type Artifact,
  type ArtifactKind,
  type JobContext,
  withCredentials,
} from "../_shared/jobs/context.ts";
import { sourceFor } from "../_shared/transfer/registry.ts";
import { disambiguate, renderPath } from "../_shared/transfer/template.ts";
import type { Placeholders, SourceObject } from "../_shared/transfer/types.ts";
import {
  keepApart,
  lastSyncedAll,
  momentPlaceholders,
  planArtifacts,
  type PlannedArtifact,
  requireEvent,
} from "./artifacts.ts";
import { planDocument } from "./documents.ts";
import type { ActionCall } from "./gateway.ts";
import { planTable } from "./tables.ts";
import { planTask } from "./tasks.ts";

/** An artifact with what a workflow does about it, beyond tickets and reports. */
export interface PlanItem {
  artifact: Artifact;
  /** Read with this; transfers have tickets instead. */
  read?: ActionCall;
  /** Write with this, and with what was read; tasks have a ticket instead. */
  write?: ActionCall;
  /** What was read the last time: the same again is not written. */
  previous_sha256?: string | null;
}

const KINDS: Record<string, ArtifactKind> = {
  google_docs: "document",
  gmail: "task",
  google_sheets: "table",
};

/**
 * Decides what a job does and writes it down. Planning again keeps what is completed, and the paths
 * that were given before.
 *
 * @throws AppError `event_missing`, `source_unsupported`, `template_invalid`, `rule_misconfigured`
 *   (422), or what the source's refusal means
 */
export async function planJob(sql: Sql, context: JobContext): Promise<PlanItem[]> {
  switch (KINDS[context.source.provider]) {
    case "document":
      return await planDocument(sql, context);
    case "task":
      return await planTask(sql, context);
    case "table":
      return await planTable(sql, context);
    default:
      return await planTransfers(sql, context);
  }
}

async function planTransfers(sql: Sql, context: JobContext): Promise<PlanItem[]> {
  const source = await sourceFor(context.source.provider);
  const integration = await withCredentials(sql, context, context.source);
  const { event, rule } = context;
  const isScheduled = event === null && source.listAll !== undefined;
  const objects = isScheduled
    ? await source.listAll!(integration, rule.config)
    : await source.list(integration, requireEvent(context), rule.config);
  const placeholders = event ? source.placeholders(event) : {};
  const planned = selectArtifacts(context, objects, placeholders);
  const versioned = planned.filter(({ skip_reason, source_version }) =>
    skip_reason === undefined && source_version != null
  );
  await keepApart(sql, context, versioned);
  // A replay copies again what somebody asked to be copied again.
  const last = versioned.length === 0 || context.job.replay_of !== null
    ? new Map<string, Artifact>()
    : await lastSyncedAll(sql, context, versioned.map(({ source_ref }) => source_ref));
  for (const artifact of versioned) {
    const reason = unchanged(artifact, last.get(artifact.source_ref));
    if (reason) artifact.skip_reason = reason;
  }
  // Of all there is, only what is copied is written down.
  const written = isScheduled
    ? planned.filter(({ skip_reason }) => skip_reason === undefined)
    : planned;
  return (await planArtifacts(sql, context, written)).map((artifact) => ({ artifact }));
}

/** Why there is nothing to copy; undefined when there is. */
function unchanged(
  { source_version, sha256, destination_path }: PlannedArtifact,
  last: Artifact | undefined,
): string | undefined {
  if (!last || last.destination_path !== destination_path) return undefined;
  const isSame = last.source_version === source_version ||
    sha256 != null && sha256 === (last.sha256 ?? last.transferred_sha256);
  return isSame ? `unchanged since it was copied at ${last.completed_at}` : undefined;
}

/**
 * Applies a rule to what its source offers: pattern, types, expiry, and a path for each that stays.
 *
 * @param placeholders the source's own, see {@link renderPath}
 */
export function selectArtifacts(
  context: Pick<JobContext, "job" | "event" | "rule" | "source" | "destination">,
  objects: SourceObject[],
  placeholders: Placeholders,
): PlannedArtifact[] {
  const { job, rule, event, source, destination } = context;
  const pattern = new RegExp(rule.source_pattern_regex, "su");
  // A stable order, oldest first: paths must come out the same when planned again.
  const ordered = [...objects].sort((a, b) =>
    a.ref.length - b.ref.length || (a.ref < b.ref ? -1 : a.ref > b.ref ? 1 : 0)
  );
  const judged = ordered.map((object) => {
    const sourcePath = object.path ?? `${event?.resource_path ?? ""}${object.name}`;
    return { object, sourcePath, reason: refusal(rule, pattern, object, sourcePath) };
  });
  const rendered = judged.filter(({ reason }) => reason === undefined).map(({ object }) => ({
    ref: object.ref,
    path: destination === null ? "" : renderPath(rule.destination_template, {
      ...momentPlaceholders(event?.occurred_at ?? event?.created_at ?? job.created_at),
      ...placeholders,
      ...object.placeholders,
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
    source_version: object.version ?? null,
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
  if (object.refusal) return object.refusal;
  if (!pattern.test(sourcePath)) return `${sourcePath} does not match ${rule.source_pattern}`;
  const types = rule.artifact_types;
  // A rule that wants zip wants whatever arrives as a zip.
  if (types.length > 0 && !types.includes(object.type) && !types.includes(object.extension)) {
    return `type ${object.type || "unknown"} is not one of ${types.join(", ")}`;
  }
  if (object.is_expired) return "expired at the source";
  return undefined;
}
