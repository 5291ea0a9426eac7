/**
 * Webhooks that are kept at GitHub as they should be.
 * @see https://docs.github.com/en/rest/repos/webhooks
 */
import type { Sql } from "../_shared/db.ts";
import { toAppError } from "../_shared/errors.ts";
import { type Call, callerFor, CallError } from "../_shared/feeds/call.ts";
import type { FeedAccount } from "../_shared/feeds/types.ts";
import type { Logger } from "../_shared/logger.ts";

/** A row of `marketplace.claim_webhooks`. */
interface WebhookTask extends Pick<FeedAccount, "connection_id" | "integration"> {
  id: string;
  lease_id: string;
  kind: "github.repository" | "github.organization";
  target: string;
  is_wanted: boolean;
  hook_id: string | null;
  /** null: the platform does not know its own address. */
  address: string | null;
  sent_address: string | null;
  event_types: string[];
  secret: string;
  proof_id: string;
  sent_proof_id: string | null;
}

/** A webhook as GitHub describes it; its secret is never shown. */
interface GitHubHook {
  id: number;
  active: boolean;
  events: string[];
  config: { url?: string; content_type?: string; insecure_ssl?: string | number };
}

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
        const hook_id = await tend(task, callerFor(sql, task));
        await sql`
          select marketplace.record_webhook(
            ${task.id}, ${task.lease_id}, ${hook_id}, ${task.event_types}::text[], ${task.address},
            ${task.proof_id}
          )
        `;
        report.webhooks++;
        log.info("webhook.kept", { ...subject, hook_id });
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

/** Makes, changes or deletes a webhook; its id, null when it is gone. */
async function tend(task: WebhookTask, call: Call): Promise<string | null> {
  const [owner, repo] = task.target.split("/");
  const isRepository = task.kind === "github.repository";
  const group = isRepository ? "repos" : "orgs";
  const at = isRepository ? { owner, repo } : { org: owner };
  if (!task.is_wanted) {
    if (task.hook_id !== null) {
      await unlessGone(call(`${group}.deleteWebhook`, { ...at, hook_id: Number(task.hook_id) }));
    }
    return null;
  }
  if (task.address === null) {
    throw new Error("the database does not know where its functions are: configure_platform(url)");
  }
  const { result: hooks } = await call<GitHubHook[]>(`${group}.listWebhooks`, {
    ...at,
    per_page: 100,
  });
  // One that was made and never noted, because the answer was lost, is known by its URL.
  const hook = hooks.find(({ id }) => String(id) === task.hook_id) ??
    hooks.find(({ config }) => config.url === task.address);
  const wanted = {
    active: true,
    events: task.event_types,
    config: {
      url: task.address,
      content_type: "json",
      insecure_ssl: "0",
      secret: task.secret,
    },
  };
  if (!hook) {
    const { result } = await call<GitHubHook>(`${group}.createWebhook`, { ...at, ...wanted });
    return String(result.id);
  }
  const isSame = hook.active && hook.config.url === task.address &&
    hook.config.content_type === "json" && String(hook.config.insecure_ssl ?? "0") === "0" &&
    task.sent_proof_id === task.proof_id && String(hook.id) === task.hook_id &&
    [...hook.events].sort().join() === [...task.event_types].sort().join();
  if (!isSame) {
    await call(`${group}.updateWebhook`, { ...at, hook_id: hook.id, ...wanted });
  }
  return String(hook.id);
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof CallError) || error.status !== 404) throw error;
  }
}
