/** Messages: one task each, whatever its labels, with its attachments stored beside. */
import { z } from "zod";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { type Artifact, type JobContext, withCredentials } from "../_shared/jobs/context.ts";
import { destinationFor } from "../_shared/transfer/registry.ts";
import { throughGateway } from "../_shared/transfer/google_drive_source.ts";
import { disambiguate, extensionOf, renderPath } from "../_shared/transfer/template.ts";
import type { GatewayAccess, TransferRequest } from "../_shared/transfer/types.ts";
import {
  type ArtifactChanges,
  keepApart,
  momentPlaceholders,
  planArtifacts,
  requireDestination,
  updateArtifact,
} from "./artifacts.ts";
import { type ActionCall, isGoneAtSource, runAction } from "./gateway.ts";
import type { PlanItem } from "./plan.ts";
import { readConfig, TaskConfig } from "./rule_config.ts";
import { taskFields } from "./task_fields.ts";
import { type TaskOrigin, taskProvider } from "./task_providers.ts";

/** A message that got a label, as the feed stores it. */
const LabelPayload = z.object({
  message: z.object({ id: z.string().min(1), threadId: z.string().nullish() }),
  label: z.object({ name: z.string() }).nullish(),
});

const Address = z.object({ name: z.string(), email: z.string() });
const AttachmentPart = z.object({
  part_id: z.string().regex(/^[0-9.]+$/),
  filename: z.string(),
  content_type: z.string(),
  size_bytes: z.number().int().min(0),
});

/** What `messages.read` answers, and a workflow hands in for the task to be written. */
export const TaskMessage = z.object({
  id: z.string().min(1),
  thread_id: z.string(),
  subject: z.string(),
  from: Address,
  to: z.array(Address),
  received_at: z.string(),
  text: z.string(),
  snippet: z.string(),
  link: z.string(),
  attachments: z.array(AttachmentPart),
});
export type TaskMessage = z.infer<typeof TaskMessage>;

/**
 * Plans the task of a message, and the transfer of its attachments before it. A task that an earlier
 * attempt may have made is looked for first.
 */
export async function planTask(sql: Sql, context: JobContext): Promise<PlanItem[]> {
  const config = readConfig(TaskConfig, context.rule);
  const destination = requireDestination(context);
  const provider = taskProvider(destination.provider);
  const parsed = LabelPayload.safeParse(context.event?.payload ?? {});
  if (!parsed.success) return [];
  const { message, label } = parsed.data;
  const origin = originOf(context, message.id);
  const before = context.artifacts.find(({ kind }) => kind === "task");
  let [task] = await planArtifacts(sql, context, [{
    kind: "task",
    source_ref: message.id,
    source_path: context.event!.resource_path,
    name: label?.name ? `${label.name}: ${message.id}` : message.id,
    content_type: "message/rfc822",
  }]);
  if (task!.status === "skipped") return [{ artifact: task! }];

  if (task!.status === "planned" && before?.started_at) {
    const { action, parameters } = provider.find(config.task, origin);
    const result = await runAction(sql, context, {
      integration: destination.slug,
      action,
      parameters,
    });
    const id = provider.found(result, origin);
    if (id !== null) {
      const changes = await judgeTask(sql, context, id);
      task = await updateArtifact(sql, context, { id: task!.id, changes });
    }
  }
  const attachments = await planAttachments(sql, context, message.id, config);
  return [...attachments, {
    artifact: task!,
    read: {
      integration: context.source.slug,
      action: "messages.read",
      parameters: { id: message.id },
    },
  }];
}

async function planAttachments(
  sql: Sql,
  context: JobContext,
  messageId: string,
  { attachments_template: template }: z.infer<typeof TaskConfig>,
): Promise<PlanItem[]> {
  const storage = context.attachments;
  if (!storage) return [];
  const message = await readMessage(sql, context, messageId);
  if (!message || message.attachments.length === 0) return [];
  const { attachments } = message;
  const paths = disambiguate(attachments.map(({ part_id, filename }) => ({
    ref: part_id,
    path: renderPath(template, {
      ...momentPlaceholders(context.event?.occurred_at),
      name: filename,
      ext: extensionOf(filename),
      message_id: messageId,
      rule: context.rule.name,
    }),
  })));
  const planned = attachments.map(({ part_id, filename, content_type, size_bytes }) => ({
    source_ref: `${messageId}/${part_id}`,
    source_path: context.event!.resource_path,
    name: filename,
    content_type,
    size_bytes,
    destination_integration_id: storage.id,
    destination_path: paths.get(part_id)!,
  }));
  await keepApart(sql, context, planned);
  const rows = await planArtifacts(sql, context, planned);
  return rows.map((artifact) => ({ artifact }));
}

/** null: it is gone, as reading it for the task will tell. */
async function readMessage(
  sql: Sql,
  context: JobContext,
  messageId: string,
): Promise<TaskMessage | null> {
  const call = {
    integration: context.source.slug,
    action: "messages.read",
    parameters: { id: messageId },
  };
  try {
    return TaskMessage.parse(await runAction(sql, context, call));
  } catch (error) {
    const { code, message, details = {} } = error as Partial<AppError>;
    if (code && message && isGoneAtSource(context, { code, message, details })) return null;
    throw error;
  }
}

/** How a workflow gets an attachment's bytes. */
export function attachmentTicket(
  { source }: JobContext,
  artifact: Artifact,
  gateway: GatewayAccess,
): TransferRequest {
  const [messageId, partId] = artifact.source_ref.split("/") as [string, string];
  return throughGateway(gateway, {
    integration: source.slug,
    action: "messages.attachments.download",
    parameters: { messageId, partId },
  });
}

/**
 * The request that makes the task, complete. From here on it may exist, whatever becomes of the
 * answer.
 */
export async function issueTaskTicket(
  sql: Sql,
  context: JobContext,
  artifact: Artifact,
  message: TaskMessage | undefined,
): Promise<{ artifact_id: string; write: ActionCall }> {
  if (!message || message.id !== artifact.source_ref) {
    throw new AppError(
      "message_missing",
      422,
      `A task needs its message: send the result of messages.read for ${artifact.source_ref} along.`,
    );
  }
  const config = readConfig(TaskConfig, context.rule);
  const destination = requireDestination(context);
  const provider = taskProvider(destination.provider);
  const label = context.event?.resource_path.replace(/^labels\//, "") ?? "";
  const fields = taskFields(provider, config.task, {
    message,
    label,
    attachments: await Promise.all(
      message.attachments.map(async ({ part_id, filename }) => ({
        name: filename,
        location: await locationOf(sql, context, `${message.id}/${part_id}`),
      })),
    ),
  });
  const { action, parameters } = provider.create(fields, originOf(context, message.id));
  await updateArtifact(sql, context, { id: artifact.id, changes: { status: "transferring" } });
  return {
    artifact_id: artifact.id,
    write: {
      integration: destination.slug,
      action,
      parameters,
      // Repeated within an attempt it is one task; between attempts the task is looked for.
      idempotency_key: artifact.id,
    },
  };
}

/** Where an attachment of the message lies, if it does. */
async function locationOf(
  sql: Sql,
  context: JobContext,
  sourceRef: string,
): Promise<string | null> {
  const { artifacts, attachments } = context;
  const stored = artifacts.find(({ source_ref, status }) =>
    source_ref === sourceRef && status === "completed"
  );
  if (!attachments || !stored?.destination_ref) return null;
  const destination = await destinationFor(attachments.provider);
  const integration = await withCredentials(sql, context, attachments);
  return destination.location(integration, stored.destination_ref);
}

/**
 * What a task that was made means for its artifact: it is read once more.
 *
 * @param answer the id, or what the action that made it answered
 */
export async function judgeTask(
  sql: Sql,
  context: JobContext,
  answer: unknown,
): Promise<ArtifactChanges> {
  const destination = requireDestination(context);
  const provider = taskProvider(destination.provider);
  const id = typeof answer === "string" ? answer : provider.idOf(answer);
  if (id === null) {
    return {
      status: "failed",
      error_code: "destination_invalid_response",
      error_message: `${destination.slug} did not say which task it made.`,
    };
  }
  const { action, parameters } = provider.read(id, originOf(context, ""));
  const read = await runAction(sql, context, { integration: destination.slug, action, parameters });
  if (read === null || Array.isArray(read) && read.length === 0) {
    return {
      status: "failed",
      error_code: "destination_missing",
      error_message: `${destination.slug} has no task ${id} after it was made.`,
    };
  }
  return {
    status: "completed",
    destination_ref: id,
    result: { task: id, url: provider.linkOf(read) },
  };
}

function originOf({ rule }: JobContext, messageId: string): TaskOrigin {
  const { repository } = readConfig(TaskConfig, rule);
  return { messageId, repository, key: `${rule.id}:${messageId}` };
}
