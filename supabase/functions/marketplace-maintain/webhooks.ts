/** Webhooks that are kept at their providers as they should be. */
import type { Sql } from "../_shared/db.ts";
import { toAppError } from "../_shared/errors.ts";
import { type Call, callerFor, CallError } from "../_shared/feeds/call.ts";
import type { Logger } from "../_shared/logger.ts";
import { tendBucket } from "./bucket_webhook.ts";
import { tendGitHub } from "./github_webhook.ts";
import type { Kept, WebhookTask } from "./webhook_task.ts";

/** What became of webhooks. */
export interface WebhookReport {
  webhooks: number;
  failed_webhooks: number;
}

/** Looks after each webhook whose time has come. */
export async function tendWebhooks(
  sql: Sql,
  log: Logger,
  deadline: number,
): Promise<WebhookReport> {
  const report: WebhookReport = { webhooks: 0, failed_webhooks: 0 };
  while (performance.now() < deadline) {
    const tasks = await sql<{ task: WebhookTask }[]>`
      select marketplace.claim_webhooks(4) as task
    `;
    if (tasks.length === 0) break;
    await Promise.all(tasks.map(async ({ task }) => {
      const subject = { integration: task.integration.slug, target: task.target };
      try {
        const { hook_id, is_pending = false } = await tend(sql, task);
        await sql`
          select marketplace.record_webhook(
            ${task.id}, ${task.lease_id}, ${hook_id}, ${task.event_types}::text[], ${task.address},
            ${task.proof_id}, ${task.filters}::text[], ${is_pending}
          )
        `;
        report.webhooks++;
        log.info("webhook.kept", { ...subject, hook_id, is_pending });
      } catch (thrown) {
        const error = thrown instanceof CallError ? thrown : toAppError(thrown);
        const retryAfterMs = error instanceof CallError ? error.retryAfterMs ?? null : null;
        report.failed_webhooks++;
        log.warn("webhook.failed", { ...subject, code: error.code, message: error.message });
        await sql`
          select marketplace.fail_webhook(
            ${task.id}, ${task.lease_id}, ${error.message}, ${retryAfterMs}::float8::numeric
          )
        `;
      }
    }));
  }
  return report;
}

async function tend(sql: Sql, task: WebhookTask): Promise<Kept> {
  const call: Call = callerFor(sql, task, { isClosing: !task.is_wanted });
  if (task.kind !== "s3.bucket") return { hook_id: await tendGitHub(task, call) };
  return await tendBucket(task, call, async (topic) => {
    await sql`select marketplace.note_webhook_topic(${task.id}, ${task.lease_id}, ${topic})`;
  });
}
