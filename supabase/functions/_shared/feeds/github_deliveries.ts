/**
 * GitHub's log of a webhook's deliveries: those that failed and never arrived are taken from there.
 * @see https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
 */
import { WebhookConfig } from "../webhooks/config.ts";
import { storedHeaders } from "../webhooks/headers.ts";
import { openDelivery, toEvents } from "../webhooks/normalise.ts";
import { proofHeaders } from "../webhooks/verify.ts";
import { type Call, CallError } from "./call.ts";
import type { Feed, FeedEvent, PullContext } from "./types.ts";

/** A delivery as the log lists it. */
interface Delivery {
  id: number;
  guid: string;
  /** ISO 8601. */
  delivered_at: string;
  /** 0 when nobody answered. */
  status_code: number;
  event: string;
}

interface DeliveryDetail extends Delivery {
  request: { headers: Record<string, string> | null; payload: unknown };
}

/** The log holds three days; a pull reads this far into it at most. */
const MAX_PAGES = 20;
/** Deliveries get their ids when they begin, and are listed when they have ended. */
const SETTLED_MS = 60_000;

/** GitHub's deliveries. */
export const githubDeliveries: Feed = {
  async start(context) {
    const hook = await context.webhook();
    // It is begun when marketplace-maintain has made the webhook.
    if (!hook) return { events: [], cursor: null, hasMore: false };
    const { list } = actions(hook);
    const { result } = await context.call<Delivery[]>(list.action, {
      ...list.parameters,
      per_page: 1,
    });
    return { events: [], cursor: String(result[0]?.id ?? 0), hasMore: false };
  },

  async pull(context) {
    const { call, cursor } = context;
    const hook = await context.webhook();
    if (!hook) return { events: [], cursor: cursor.cursor, hasMore: false };
    const { list, get } = actions(hook);
    const deliveries = await readLog(call, list, Number(cursor.cursor));
    const failed = deliveries.filter(({ status_code, event }) =>
      (status_code < 200 || status_code >= 300) && event !== "ping"
    );
    const missing = await context.unknownDeliveries([...new Set(failed.map(({ guid }) => guid))]);
    const events: FeedEvent[] = [];
    for (const { id, guid } of failed) {
      if (!missing.delete(guid)) continue;
      events.push(...await recover(context, { id, ...get }));
    }
    const settled = deliveries.filter(({ delivered_at }) =>
      Date.parse(delivered_at) < Date.parse(cursor.claimed_at) - SETTLED_MS
    );
    const next = Math.max(Number(cursor.cursor), ...settled.map(({ id }) => id));
    return { events, cursor: String(next), hasMore: false };
  },

  // Numbers do not expire.
  restart: (context) => githubDeliveries.start(context),
};

interface Action {
  action: string;
  parameters: Record<string, unknown>;
}

/** The actions of a repository's webhook, or of an organization's. */
function actions(
  { kind, target, hook_id }: { kind: string; target: string; hook_id: string },
): { list: Action; get: Action } {
  const [owner, repo] = target.split("/");
  const isRepository = kind === "github.repository";
  const at = isRepository ? { owner, repo } : { org: owner };
  const parameters = { ...at, hook_id: Number(hook_id) };
  const group = isRepository ? "repos" : "orgs";
  return {
    list: { action: `${group}.listWebhookDeliveries`, parameters },
    get: { action: `${group}.getWebhookDelivery`, parameters },
  };
}

/** The deliveries after one, oldest first. */
async function readLog(call: Call, list: Action, after: number): Promise<Delivery[]> {
  const deliveries: Delivery[] = [];
  let parameters: Record<string, unknown> | null = { ...list.parameters, per_page: 100 };
  for (let page = 0; parameters && page < MAX_PAGES; page++) {
    const answer: { result: Delivery[]; next: Record<string, unknown> | null } = await call<
      Delivery[]
    >(list.action, parameters, { isPage: true });
    const fresh = answer.result.filter(({ id }) => id > after);
    deliveries.push(...fresh);
    parameters = fresh.length < answer.result.length ? null : answer.next;
  }
  return deliveries.sort((a, b) => a.id - b.id);
}

/** A delivery as if it had arrived: the same keys, names and payload. */
async function recover(
  { call, webhookConfig }: PullContext,
  { id, action, parameters }: Action & { id: number },
): Promise<FeedEvent[]> {
  let delivery: DeliveryDetail;
  try {
    delivery = (await call<DeliveryDetail>(action, { ...parameters, delivery_id: id })).result;
  } catch (error) {
    // Too old, or deleted with its webhook.
    if (error instanceof CallError && error.status === 404) return [];
    throw error;
  }
  const { headers: sent, payload } = delivery.request;
  if (payload === null || payload === undefined) return [];
  const webhook = WebhookConfig.parse(await webhookConfig());
  const headers = new Headers({ "content-type": "application/json" });
  for (const [name, value] of Object.entries(sent ?? {})) {
    if (!/^content-type$/i.test(name)) headers.set(name, String(value));
  }
  headers.set("x-github-delivery", delivery.guid);
  headers.set("x-github-event", delivery.event);
  const raw = new TextEncoder().encode(JSON.stringify(payload));
  const opened = openDelivery({ raw, headers, query: new URLSearchParams() }, webhook.body);
  if (!opened.ok) return [];
  return toEvents(opened, webhook).map((event) => ({
    dedupe_key: event.dedupeKey,
    event_type: event.eventType,
    resource_path: event.resourcePath,
    account: event.account,
    occurred_at: event.occurredAt,
    headers: JSON.parse(storedHeaders(headers, proofHeaders(webhook.verify))),
    payload: JSON.parse(event.payload),
  }));
}
