/** Sheets: a range read as rows, and a table brought up to date by its key column. */
import { z } from "zod";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Artifact, JobContext } from "../_shared/jobs/context.ts";
import {
  type ArtifactChanges,
  lastSynced,
  planArtifacts,
  requireDestination,
} from "./artifacts.ts";
import { changedFile } from "./drive_event.ts";
import type { ActionCall } from "./gateway.ts";
import type { PlanItem } from "./plan.ts";
import { readConfig, TableConfig } from "./rule_config.ts";

/** What the workflow read: the rows' fingerprint, and which of them cannot be used. */
export const TableRead = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  range: z.string().optional(),
  bad_rows: z.array(z.object({ row: z.number(), reason: z.string() })).default([]),
});

/** What the upserts answer. */
const UpsertResult = z.object({
  created: z.number().int().min(0),
  updated: z.number().int().min(0),
  unchanged: z.number().int().min(0),
  /** Rows that the table does not take, by their key. */
  refused: z.array(z.object({ key: z.string(), reason: z.string() })).optional(),
});

/** Bad rows that are named one by one. */
const MAX_NAMED = 100;

/** Plans the sync of one range. A scheduled rule names the spreadsheet itself. */
export async function planTable(sql: Sql, context: JobContext): Promise<PlanItem[]> {
  const config = readConfig(
    TableConfig.extend({ spreadsheet_id: z.string().min(1).optional() }),
    context.rule,
  );
  const file = changedFile(context);
  const id = file?.id ?? config.spreadsheet_id;
  if (id === undefined) return [];
  const ref = `${id}!${config.range}`;
  const version = file?.version ?? null;
  const write = writeCall(context, config);
  const latest = context.job.replay_of === null ? await lastSynced(sql, context, ref) : null;
  const last = latest?.destination_path === config.table ? latest : null;
  const skipReason = file?.isGone
    ? "the spreadsheet is gone; its rows stay"
    : last && version !== null && last.source_version === version
    ? `unchanged since it was synced at ${last.completed_at}`
    : undefined;
  const [artifact] = await planArtifacts(sql, context, [{
    kind: "table",
    source_ref: ref,
    source_version: version,
    source_path: context.event?.resource_path ?? `files/${id}`,
    name: file?.name ?? id,
    content_type: "application/json",
    destination_path: config.table,
    ...(skipReason === undefined ? {} : { skip_reason: skipReason }),
  }]);
  if (artifact!.status !== "planned") return [{ artifact: artifact! }];
  return [{
    artifact: artifact!,
    read: {
      integration: context.source.slug,
      action: "spreadsheets.rows.get",
      parameters: { spreadsheetId: id, range: config.range, key: config.key },
    },
    previous_sha256: shaOf(last),
    write,
  }];
}

/** What a workflow's report about a table means. */
export async function judgeTable(
  sql: Sql,
  context: JobContext,
  { artifact, result, read }: {
    artifact: Artifact;
    result: unknown;
    read: z.infer<typeof TableRead>;
  },
): Promise<ArtifactChanges> {
  const counts = UpsertResult.safeParse(result);
  if (counts.success) {
    const { sha256, range, bad_rows } = read;
    return {
      status: "completed",
      result: {
        ...counts.data,
        range: range ?? null,
        sha256,
        bad_row_count: bad_rows.length,
        bad_rows: bad_rows.slice(0, MAX_NAMED),
      },
    };
  }
  if (shaOf(await lastSynced(sql, context, artifact.source_ref)) === read.sha256) {
    return {
      status: "skipped",
      error_code: "unchanged",
      error_message: "its rows are what they were",
    };
  }
  throw new AppError(
    "invalid_report",
    422,
    "The report holds no answer of an upsert, and the rows have changed.",
    { cause: counts.error },
  );
}

function shaOf(artifact: Artifact | null): string | null {
  const sha256 = artifact?.result?.sha256;
  return typeof sha256 === "string" ? sha256 : null;
}

function writeCall(
  context: JobContext,
  { key, table, schema }: z.infer<typeof TableConfig>,
): ActionCall {
  const { slug, provider } = requireDestination(context);
  switch (provider) {
    case "nocodb":
      return {
        integration: slug,
        action: "records.upsert",
        parameters: { tableId: table, key },
      };
    case "supabase":
      return {
        integration: slug,
        action: "rows.upsert",
        parameters: { table, key, ...(schema === undefined ? {} : { schema }) },
      };
    default:
      throw new AppError(
        "destination_unsupported",
        422,
        `Rows go to nocodb or supabase, not to ${provider}.`,
      );
  }
}
