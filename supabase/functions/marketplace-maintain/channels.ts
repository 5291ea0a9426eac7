/** Push channels: opened for cursors that want one, stopped when nobody needs them. */
import type { Sql } from "../_shared/db.ts";
import { toAppError } from "../_shared/errors.ts";
import { callerFor, CallError } from "../_shared/feeds/call.ts";
import { feedOf } from "../_shared/feeds/registry.ts";
import type { ChannelTask } from "../_shared/feeds/types.ts";
import type { Logger } from "../_shared/logger.ts";

/** What became of channels. */
export interface ChannelReport {
  channels_opened: number;
  channels_stopped: number;
  failed_channels: number;
}

/** Does what is to be done about channels now. */
export async function tendChannels(
  sql: Sql,
  log: Logger,
  deadline: number,
): Promise<ChannelReport> {
  const report: ChannelReport = { channels_opened: 0, channels_stopped: 0, failed_channels: 0 };
  while (performance.now() < deadline) {
    const tasks = await sql<{ task: ChannelTask }[]>`
      select marketplace.claim_channel_tasks(4) as task
    `;
    if (tasks.length === 0) break;
    await Promise.all(tasks.map(({ task }) => tend(sql, log, task, report)));
  }
  return report;
}

async function tend(
  sql: Sql,
  log: Logger,
  task: ChannelTask,
  report: ChannelReport,
): Promise<void> {
  const { id, lease_id, feed, scope, integration } = task;
  const adapter = await feedOf(feed);
  const call = callerFor(sql, task, { isClosing: task.task === "stop" });
  const subject = { integration: integration.slug, feed, scope, channel_id: task.channel_id };
  try {
    if (task.task === "open") {
      const { resource_id, expires_at } = await adapter.open!(task, call);
      await sql`
        select marketplace.channel_opened(${id}, ${lease_id}, ${resource_id}, ${expires_at})
      `;
      report.channels_opened++;
      log.info("channel.opened", { ...subject, expires_at });
    } else {
      await adapter.stop!(task, call);
      await sql`select marketplace.channel_stopped(${id}, ${lease_id})`;
      report.channels_stopped++;
      log.info("channel.stopped", subject);
    }
  } catch (thrown) {
    const error = thrown instanceof CallError ? thrown : toAppError(thrown);
    const isPossible = !(error instanceof CallError) || error.isPossible;
    const retryAfterMs = error instanceof CallError ? error.retryAfterMs ?? null : null;
    report.failed_channels++;
    log.warn("channel.failed", {
      ...subject,
      task: task.task,
      code: error.code,
      message: error.message,
    });
    await sql`
      select marketplace.channel_failed(
        ${id}, ${lease_id}, ${error.message}, ${isPossible}, ${retryAfterMs}::float8::numeric
      )
    `;
  }
}
