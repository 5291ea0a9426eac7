/** Who is looked at, and who has been refused too often. */
import { type BucketSize, TokenBucket } from "../_shared/webhooks/token_bucket.ts";

/** Who sends, and as whom. */
export interface Sender {
  /** See {@link sourceOf}. */
  source: string;
  /** The provider's name in the path. */
  provider: string;
}

/** What an {@link AbuseLimiter} is made with. */
export interface AbuseLimiterOptions {
  /** Refusals a sender is granted. */
  size?: BucketSize;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Senders remembered; the least recently seen goes first. */
  maxSenders?: number;
}

/** How long a proven sender is not slowed down. */
const TRUST_MS = 3_600_000;

interface Account {
  refusals: TokenBucket;
  trustedUntil: number;
}

/**
 * Slows down senders whose deliveries are refused again and again.
 *
 * Only refusals cost tokens, and a sender whose delivery was verified lately is never slowed down:
 * an attacker who shares (or forges) a provider's address cannot shut the provider out.
 */
export class AbuseLimiter {
  readonly #accounts = new Map<string, Account>();
  readonly #options: Required<AbuseLimiterOptions>;

  constructor(options: AbuseLimiterOptions = {}) {
    const size = { burst: 200, perSecond: 20 };
    this.#options = { size, now: Date.now, maxSenders: 5_000, ...options };
  }

  /** Whether a sender's next delivery is looked at. */
  allows(sender: Sender): boolean {
    const account = this.#accounts.get(keyOf(sender));
    if (account && account.trustedUntil > this.#options.now()) return true;
    return [account, this.#accounts.get(sender.source)]
      .every((known) => !known || known.refusals.level() >= 1);
  }

  /**
   * Counts a refusal against its sender.
   *
   * @param isInvented the path names nothing: counted for all names together, since each would
   *   otherwise come with an account of its own
   */
  refused(sender: Sender, isInvented: boolean): void {
    this.#account(isInvented ? sender.source : keyOf(sender)).refusals.take();
  }

  /** Remembers that a sender can prove its deliveries. */
  verified(sender: Sender): void {
    this.#account(keyOf(sender)).trustedUntil = this.#options.now() + TRUST_MS;
  }

  #account(key: string): Account {
    const { size, now, maxSenders } = this.#options;
    const account = this.#accounts.get(key) ??
      { refusals: new TokenBucket(size, now), trustedUntil: 0 };
    this.#accounts.delete(key);
    this.#accounts.set(key, account);
    if (this.#accounts.size > maxSenders) {
      this.#accounts.delete(this.#accounts.keys().next().value!);
    }
    return account;
  }
}

function keyOf({ source, provider }: Sender): string {
  return `${source} ${provider}`;
}

/**
 * Where a request comes from, as the proxy in front of us says.
 *
 * Of `x-forwarded-for` only the last entry counts: it is the one our own proxy added, the others are
 * the sender's word.
 */
export function sourceOf(headers: Headers): string {
  const address = headers.get("cf-connecting-ip") ??
    headers.get("x-forwarded-for")?.split(",").at(-1);
  return address?.trim().slice(0, 64) || "direct";
}
