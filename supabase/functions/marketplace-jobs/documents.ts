/** Documents: exported as Markdown, committed to GitHub, and not over what others wrote there. */
import { z } from "zod";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Artifact, JobContext, JobIntegration } from "../_shared/jobs/context.ts";
import {
  type ArtifactChanges,
  lastSynced,
  momentPlaceholders,
  occupiedPaths,
  planArtifacts,
  requireDestination,
} from "./artifacts.ts";
import { documentPath, findType, globsOf } from "./document_types.ts";
import { type ChangedFile, changedFile } from "./drive_event.ts";
import { failureOf, type GatewayError, runAction } from "./gateway.ts";
import type { PlanItem } from "./plan.ts";
import { DocumentConfig, type DocumentType, readConfig } from "./rule_config.ts";

/** What a completed document's `result` remembers for the next time. */
const Memory = z.object({
  repository: z.string(),
  branch: z.string(),
  files: z.record(z.string(), z.string()),
  sha256: z.string(),
});

/** What `repos.syncFiles` answers. */
const SyncResult = z.object({
  outcome: z.enum(["committed", "unchanged"]),
  branch: z.string(),
  commit: z.object({ sha: z.string(), html_url: z.string() }).nullable(),
  files: z.array(z.object({ path: z.string(), sha: z.string(), size_bytes: z.number() })).min(1),
});

/** What the workflow read: the fingerprint of the export. */
export const DocumentRead = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** Plans the commit of one document. */
export async function planDocument(sql: Sql, context: JobContext): Promise<PlanItem[]> {
  const config = readConfig(DocumentConfig, context.rule);
  const destination = requireGitHub(context);
  const file = changedFile(context);
  if (!file) return [];
  const types = config.document_types ??
    [{ type: "document", path: context.rule.destination_template }];
  const type = await typeOf(sql, types, file);
  const last = context.job.replay_of === null ? await lastSynced(sql, context, file.id) : null;
  const moment = momentPlaceholders(context.event?.occurred_at);
  const path = type && documentPath(type, file, moment);
  const skipReason = file.isGone
    ? "the document is gone; its files stay"
    : !type
    ? `no document type fits ${file.folder ? `${file.folder}/` : ""}${file.name}`
    : last && file.version !== null && last.source_version === file.version &&
        last.destination_path === path
    ? `unchanged since it was synced at ${last.completed_at}`
    : undefined;
  const [artifact] = await planArtifacts(sql, context, [{
    kind: "document",
    source_ref: file.id,
    source_version: file.version,
    source_path: context.event?.resource_path ?? "",
    name: file.name,
    content_type: "text/markdown",
    ...(path ? { destination_path: path } : {}),
    ...(skipReason === undefined ? {} : { skip_reason: skipReason }),
  }]);
  if (!type || artifact!.status !== "planned") return [{ artifact: artifact! }];

  const [owner, repo] = config.repository.split("/") as [string, string];
  const memory = await memoryOf(sql, context, file.id);
  const isSamePlace = memory?.repository === config.repository &&
    (config.branch === undefined || memory.branch === config.branch);
  return [{
    artifact: artifact!,
    read: {
      integration: context.source.slug,
      action: "documents.exportFiles",
      parameters: { documentId: file.id, path: artifact!.destination_path },
    },
    // A replay asks GitHub, whatever we remember.
    previous_sha256: last && isSamePlace ? memory?.sha256 ?? null : null,
    write: {
      integration: destination.slug,
      action: "repos.syncFiles",
      parameters: {
        owner,
        repo,
        ...(config.branch === undefined ? {} : { branch: config.branch }),
        message: commitMessage(config.commit_message, type, file),
        expected: isSamePlace ? memory!.files : {},
      },
    },
  }];
}

/**
 * What a workflow's report about a document means: the files are looked at in the repository.
 *
 * @param result of `repos.syncFiles`, or of the export alone when it was not written
 */
export async function judgeDocument(
  sql: Sql,
  context: JobContext,
  { artifact, result, read }: {
    artifact: Artifact;
    result: unknown;
    read: z.infer<typeof DocumentRead>;
  },
): Promise<ArtifactChanges> {
  const { repository } = readConfig(DocumentConfig, context.rule);
  const memory = await memoryOf(sql, context, artifact.source_ref);
  const synced = SyncResult.safeParse(result);
  if (!synced.success) {
    if (memory?.sha256 === read.sha256) return unchanged("the Markdown is what it was");
    throw new AppError(
      "invalid_report",
      422,
      "The report holds no answer of repos.syncFiles, and the document has changed.",
      { cause: synced.error },
    );
  }
  const { outcome, branch, commit, files } = synced.data;
  const shas = Object.fromEntries(files.map(({ path, sha }) => [path, sha]));
  const isKnown = memory?.repository === repository && memory.branch === branch &&
    JSON.stringify(Object.entries(memory.files).sort()) ===
      JSON.stringify(Object.entries(shas).sort());
  if (outcome === "unchanged" && isKnown) return unchanged("the repository has it already");

  const ref = commit?.sha ?? branch;
  const [owner, repo] = repository.split("/") as [string, string];
  const { path } = files[0]!;
  const found = await runAction(sql, context, {
    integration: requireGitHub(context).slug,
    action: "repos.getContent",
    parameters: { owner, repo, path, ref },
  }) as { sha?: string; size?: number; html_url?: string };
  if (found.sha !== shas[path]) {
    return {
      status: "failed",
      error_code: "checksum_mismatch",
      error_message: `${path} is ${found.sha} at ${ref}; ${shas[path]} was committed.`,
    };
  }
  return {
    status: "completed",
    destination_ref: `${repository}/blob/${ref}/${path}`,
    destination_size_bytes: found.size ?? files[0]!.size_bytes,
    destination_checksum: `git-sha1:${found.sha}`,
    result: {
      repository,
      branch,
      commit: commit?.sha ?? null,
      url: commit?.html_url ?? found.html_url ?? null,
      files: shas,
      sha256: read.sha256,
    },
  };
}

/**
 * What a failed commit means. What looks like somebody else's change may be that of another job of
 * the same rule that was faster: then the next attempt knows of it.
 */
export async function failedDocument(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
  error: GatewayError,
): Promise<ArtifactChanges> {
  const failure = failureOf(context, error);
  if (error.code !== "conflict") return { status: "failed", ...failure };
  const conflicts = (error.details?.conflicts ?? []) as { path: string; found: string }[];
  const [other] = await occupiedPaths(sql, context, [
    { source_ref: artifact.source_ref, path: artifact.destination_path },
  ]);
  if (other) {
    return {
      status: "failed",
      ...failure,
      error_message: `${artifact.destination_path} is the file of another document, ` +
        `${JSON.stringify(other.occupant_name)} (${other.occupant_ref}): nothing was written. ` +
        "Rename one of them, or add {document_id} to the path of its document type, then replay the job.",
    };
  }
  const memory = await memoryOf(sql, context, artifact.source_ref);
  const isOurs = conflicts.length > 0 &&
    conflicts.every(({ path, found }) => memory?.files[path] === found);
  return { status: "failed", ...failure, is_final: !isOurs };
}

function unchanged(reason: string): ArtifactChanges {
  return { status: "skipped", error_code: "unchanged", error_message: reason };
}

async function memoryOf(sql: Sql, context: JobContext, documentId: string) {
  const last = await lastSynced(sql, context, documentId);
  const memory = Memory.safeParse(last?.result);
  return memory.success ? memory.data : null;
}

async function typeOf(
  sql: Sql,
  types: DocumentType[],
  file: ChangedFile,
): Promise<DocumentType | undefined> {
  const globs = globsOf(types);
  const rows = await sql<{ glob: string; regex: string }[]>`
    select g as glob, marketplace._glob_to_regex(g) as regex from unnest(${globs}::text[]) as g
  `;
  const regexes = new Map(rows.map(({ glob, regex }) => [glob, new RegExp(regex, "su")]));
  return findType(types, file, (glob) => regexes.get(glob)!);
}

/** Placeholders: {title} {type} {link} {document_id}. */
function commitMessage(
  template = "docs: {title}\n\nSynced from {link}",
  { type }: DocumentType,
  { id, name, link }: ChangedFile,
): string {
  const values: Record<string, string> = {
    title: name.replace(/\s+/g, " ").trim(),
    type,
    link: link ?? `https://docs.google.com/document/d/${id}`,
    document_id: id,
  };
  return template.replace(/\{(title|type|link|document_id)\}/g, (_, key: string) => values[key]!);
}

function requireGitHub(context: JobContext): JobIntegration {
  const destination = requireDestination(context);
  if (destination.provider === "github") return destination;
  throw new AppError(
    "destination_unsupported",
    422,
    `Documents go to a repository at GitHub, not to ${destination.provider}; as files they can be ` +
      "copied by a rule whose source is the Drive.",
  );
}
