/**
 * Webhooks of GitHub's repositories and organizations.
 * @see https://docs.github.com/en/rest/repos/webhooks
 */
import type { Call } from "../_shared/feeds/call.ts";
import { addressOf, unlessGone, type WebhookTask } from "./webhook_task.ts";

/** A webhook as GitHub describes it; its secret is never shown. */
interface GitHubHook {
  id: number;
  active: boolean;
  events: string[];
  config: { url?: string; content_type?: string; insecure_ssl?: string | number };
}

/** Makes, changes or deletes a webhook; its id, null when it is gone. */
export async function tendGitHub(task: WebhookTask, call: Call): Promise<string | null> {
  const [owner, repo] = task.target.split("/");
  const isRepository = task.kind === "github.repository";
  const group = isRepository ? "repos" : "orgs";
  const at = isRepository ? { owner, repo } : { org: owner };
  const find = async (): Promise<GitHubHook | undefined> => {
    const list = call<GitHubHook[]>(`${group}.listWebhooks`, { ...at, per_page: 100 });
    const hooks = task.is_wanted ? (await list).result : (await unlessGone(list))?.result ?? [];
    // One that was made and never noted, because the answer was lost, is known by its URL.
    return hooks.find(({ id }) => String(id) === task.hook_id) ??
      hooks.find(({ config }) => config.url !== undefined && config.url === task.address);
  };
  if (!task.is_wanted) {
    const hookId = task.hook_id ?? (await find())?.id;
    if (hookId !== undefined) {
      await unlessGone(call(`${group}.deleteWebhook`, { ...at, hook_id: Number(hookId) }));
    }
    return null;
  }
  const address = addressOf(task);
  const hook = await find();
  const wanted = {
    active: true,
    events: task.event_types,
    config: { url: address, content_type: "json", insecure_ssl: "0", secret: task.secret },
  };
  if (!hook) {
    const { result } = await call<GitHubHook>(`${group}.createWebhook`, { ...at, ...wanted });
    return String(result.id);
  }
  const isSame = hook.active && hook.config.url === address &&
    hook.config.content_type === "json" && String(hook.config.insecure_ssl ?? "0") === "0" &&
    task.sent_proof_id === task.proof_id && String(hook.id) === task.hook_id &&
    [...hook.events].sort().join() === [...task.event_types].sort().join();
  if (!isSame) {
    await call(`${group}.updateWebhook`, { ...at, hook_id: hook.id, ...wanted });
  }
  return String(hook.id);
}
