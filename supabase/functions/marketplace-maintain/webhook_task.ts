/** A webhook that is to be looked after, and what looking after one takes. */
import { AppError } from "../_shared/errors.ts";
import { CallError } from "../_shared/feeds/call.ts";
import type { FeedAccount, WebhookKind } from "../_shared/feeds/types.ts";

/** A row of `marketplace.claim_webhooks`. */
export interface WebhookTask extends Pick<FeedAccount, "connection_id" | "integration"> {
  id: string;
  lease_id: string;
  kind: WebhookKind;
  /** A repository, an organization, or a bucket. */
  target: string;
  is_wanted: boolean;
  status: "pending" | "active" | "failing";
  /** GitHub's hook, or the subscription of SNS. */
  hook_id: string | null;
  /** Through which a bucket tells; null: not known yet. */
  topic_arn: string | null;
  /** Another bucket of the integration tells through the same topic. */
  is_topic_shared: boolean;
  /** null: the platform does not know its own address. */
  address: string | null;
  sent_address: string | null;
  event_types: string[];
  /** Which keys a bucket is to tell of, as `prefix*suffix`; null of what is no bucket. */
  filters: string[] | null;
  /** null: the provider signs with its own. */
  secret: string | null;
  proof_id: string | null;
  sent_proof_id: string | null;
}

/** A webhook as it is at the provider now. */
export interface Kept {
  /** null: it is gone. */
  hook_id: string | null;
  /** It waits for a confirmation. */
  is_pending?: boolean;
}

/**
 * Where the provider is to post.
 *
 * @throws AppError `functions_url_missing` (503)
 */
export function addressOf({ address }: WebhookTask): string {
  if (address !== null) return address;
  throw new AppError(
    "functions_url_missing",
    503,
    "The database does not know where its functions are: call marketplace.configure_platform(url).",
  );
}

/** Waits for the end of work on something that need not be there. */
export async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof CallError) || error.status !== 404) throw error;
    return undefined;
  }
}
