/** What a feed of changes is to marketplace-maintain: one adapter a feed. */
import type { JobIntegration } from "../jobs/context.ts";
import type { Call } from "./call.ts";

/** The account that a feed belongs to. */
export interface FeedAccount {
  feed: string;
  /** Which part of the account; empty: the feed's own default. */
  scope: string;
  /** The account as pushes name it; null: not known yet, or the feed has none. */
  account: string | null;
  /** The provider's word for where the next pull begins; null: not begun. */
  cursor: string | null;
  /** null: with the integration's own credential. */
  connection_id: string | null;
  integration: JobIntegration;
}

/** A leased row of `marketplace.sync_cursors`. */
export interface LeasedCursor extends FeedAccount {
  cursor_id: string;
  lease_id: string;
  /** What the adapter has left for itself; null: not in the middle of several pages. */
  progress: Progress | null;
  created_at: string;
  claimed_at: string;
  /** All that had changed by then is stored; null: no pull has reached the end. */
  caught_up_at: string | null;
}

/** Where a pull of several pages stands. */
export interface Progress {
  /**
   * `starting`: on the way to the first cursor. `pages`: within a pull. `listing`: everything is
   * looked at, because the provider no longer knew the cursor. `sweep`: what the listing did not meet.
   * `labels`: older things, label by label.
   */
  mode: "starting" | "pages" | "listing" | "sweep" | "labels";
  page?: string | undefined;
  /** Of what a listing meets for the first time, only what changed after this is told; ISO 8601. */
  since?: string;
  /** When the listing began; ISO 8601. */
  begun?: string;
  /** The cursor that the provider no longer knew. */
  expired?: string;
  /** Ids of labels that are still to be looked at, this one first. */
  labels?: string[];
}

/** A change as an event to be. */
export interface FeedEvent {
  /** The same change has the same key, however it is found. */
  dedupe_key: string;
  event_type: string;
  resource_path: string;
  account: string | null;
  /** ISO 8601; null: the provider does not say. */
  occurred_at: string | null;
  headers?: Record<string, string>;
  payload: unknown;
  /** What the feed is to remember of the thing; without a version it is gone. */
  item?: { id: string; version?: string };
}

/** What one step of a pull brought. */
export interface Page {
  events: FeedEvent[];
  /** Where the next step, or the next pull, begins; null: not begun yet. */
  cursor: string | null;
  hasMore: boolean;
  /** What the next step goes on with; of a listing's last page, that it was one. */
  progress?: Progress;
  /** The account, once it is known. */
  account?: string;
  /** Ids of things that a listing has met. */
  seen?: string[];
}

/** What a feed has told of a thing last. */
export interface KnownItem {
  item_id: string;
  event_type: string;
  path: string;
  version: string;
}

/** What an adapter works with. */
export interface PullContext {
  cursor: LeasedCursor;
  /** Runs an action of the integration's provider with the account's credential. */
  call: Call;
  /** Of these things, those that the feed has told of, by id. */
  known(ids: string[]): Promise<Map<string, KnownItem>>;
  /** Things that were told of and not met since. */
  unseen(since: string): Promise<KnownItem[]>;
  /** Of these deliveries, those that were never stored. */
  unknownDeliveries(keys: string[]): Promise<Set<string>>;
  /** The webhook that `marketplace.ensure_webhook` made for the scope; null: none is there. */
  webhook(): Promise<ProviderHook | null>;
  /** The integration's webhook settings, as marketplace-webhook has them. */
  webhookConfig(): Promise<unknown>;
}

/** What a webhook is of. */
export type WebhookKind = "github.repository" | "github.organization" | "s3.bucket";

/** A webhook at the provider. */
export interface ProviderHook {
  kind: WebhookKind;
  target: string;
  hook_id: string;
}

/** A channel to be opened or stopped, as `marketplace.claim_channel_tasks` hands it out. */
export interface ChannelTask extends FeedAccount {
  task: "open" | "stop";
  id: string;
  lease_id: string;
  channel_id: string;
  /** null: the provider has not named it. */
  resource_id: string | null;
  /** Where it is to push; null: elsewhere. */
  address: string | null;
  token: string | null;
  lifetime_seconds: number;
}

/** An open channel. */
export interface OpenedChannel {
  resource_id: string;
  /** null: the provider does not say. */
  expires_at: Date | null;
}

/** The provider no longer knows the cursor, or the page: everything must be listed. */
export class CursorExpired extends Error {}

/** How one feed is followed. */
export interface Feed {
  /** The cursor of now, in one step or several. */
  start(context: PullContext): Promise<Page>;
  /**
   * The next page of what changed.
   *
   * @throws CursorExpired
   */
  pull(context: PullContext): Promise<Page>;
  /** The first step of a full listing. */
  restart(context: PullContext): Promise<Page>;
  /** Opens a push channel. */
  open?(task: ChannelTask, call: Call): Promise<OpenedChannel>;
  /** Stops one; one that is gone is stopped. */
  stop?(task: ChannelTask, call: Call): Promise<void>;
}
