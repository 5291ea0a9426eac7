/**
 * Pushes that say only that something has changed, of accounts that `marketplace.watch` follows: they
 * make a cursor due, and are no events themselves.
 */
import { AppError } from "../_shared/errors.ts";
import type { Lookup } from "../_shared/webhooks/template.ts";
import type { Endpoint } from "./config_cache.ts";
import type { PushOutcome, Store } from "./ingest.ts";

/**
 * Notes a push. Undefined when it is to be taken as any other delivery: nobody follows the
 * integration's changes, or not through this channel's way.
 *
 * @throws AppError `unknown_channel` (503): Google sends again, and a channel that stays unknown is
 *   somebody else's
 */
export async function notePush(
  store: Pick<Store, "notePush" | "noteAccountPush">,
  { integrationId, isWatched, webhook }: Endpoint,
  { headers, lookup }: { headers: Headers; lookup: Lookup },
): Promise<PushOutcome | undefined> {
  if (!isWatched) return undefined;
  if (webhook.watch_account !== undefined) {
    const account = lookup(webhook.watch_account);
    if (account === undefined) return undefined;
    const outcome = await store.noteAccountPush(integrationId, account);
    return outcome === "unchecked" ? undefined : outcome;
  }
  if (!webhook.watch_channel) return undefined;
  const state = headers.get("x-goog-resource-state") ?? "";
  const number = headers.get("x-goog-message-number") ?? "";
  const outcome = await store.notePush(integrationId, {
    channelId: headers.get("x-goog-channel-id") ?? "",
    resourceId: headers.get("x-goog-resource-id") ?? "",
    messageNumber: /^\d{1,18}$/.test(number) ? number : null,
    state,
  });
  // The first word of a channel announces nothing that could be lost.
  if (outcome === "unchecked" || outcome === "unknown" && state === "sync") {
    return undefined;
  }
  if (outcome === "unknown") {
    throw new AppError(
      "unknown_channel",
      503,
      "No watch channel of this id and resource is open.",
      { retryAfterSeconds: 30 },
    );
  }
  return outcome;
}
