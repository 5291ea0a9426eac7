/** What a rule's `config` says about documents, tasks and tables. */
import { z } from "zod";
import { AppError } from "../_shared/errors.ts";
import type { JobContext } from "../_shared/jobs/context.ts";

const Repository = z.string().regex(/^[\w.-]+\/[\w.-]+$/, "must be <owner>/<repository>");

/** How documents of a kind are known, and where they go; what is left out fits all. */
export const DocumentType = z.strictObject({
  type: z.string().min(1),
  /** Glob over the folder's path. */
  folder: z.string().min(1).optional(),
  /** Glob over the title, or a regular expression between slashes. */
  title: z.string().min(1).max(500).optional(),
  /** Drive properties that it must have. */
  property: z.record(z.string(), z.string()).optional(),
  /** Template of the Markdown's path. */
  path: z.string().min(1),
});
export type DocumentType = z.infer<typeof DocumentType>;

/** `config` of a rule that commits documents. */
export const DocumentConfig = z.object({
  repository: Repository,
  /** The default branch when absent. */
  branch: z.string().min(1).optional(),
  document_types: z.array(DocumentType).min(1).optional(),
  /** Template of the commit's message. */
  commit_message: z.string().min(1).optional(),
});

/** `config` of a rule that makes tasks of messages. */
export const TaskConfig = z.object({
  /** Fields of the destination's action; texts are templates. */
  task: z.record(z.string(), z.unknown()).default({}),
  /** For GitHub. */
  repository: Repository.optional(),
  attachments_template: z.string().min(1).default("Mail/{date}/{message_id}/{name}"),
});

/** `config` of a rule that brings a table up to date. */
export const TableConfig = z.object({
  /** A1 notation; its first row is the header. */
  range: z.string().min(1),
  key: z.string().min(1),
  /** Id of the table at NocoDB, its name in Postgres. */
  table: z.string().min(1),
  schema: z.string().min(1).optional(),
});

/**
 * Reads a rule's config.
 *
 * @throws AppError `rule_misconfigured` (422) naming what is missing
 */
export function readConfig<S extends z.ZodType>(
  schema: S,
  { name, config }: JobContext["rule"],
): z.infer<S> {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    `config.${path.join(".")}: ${message}`
  );
  throw new AppError("rule_misconfigured", 422, `Rule ${name}: ${problems.join("; ")}.`);
}
