/** Who is looked at, and who has been refused too often. */
import { type BucketSize, TokenBucket } from "../_shared/webhooks/token_bucket.ts";

/**
 * Slows down senders whose deliveries are refused again and again.
 *
 * Only refusals cost tokens, and a sender whose delivery was verified lately is never slowed down:
 * an attacker who shares (or forges) a provider's address cannot shut the provider out.
 */
export class AbuseLimiter {
  readonly #sources = new Map<
    string,
    { bucket: TokenBucket; trustedUntil: number }
  >();
  readonly #now: () => number;

  constructor(
    readonly size: BucketSize = { burst: 200, perSecond: 20 },
    { now = Date.now, maxSources = 5_000 }: {
      now?: () => number;
      maxSources?: number;
    } = {},
  ) {
    this.#now = now;
    this.maxSources = maxSources;
  }

  readonly maxSources: number;

  /** Whether a source's next delivery is looked at. */
  allows(source: string): boolean {
    const known = this.#sources.get(source);
    return !known || known.trustedUntil > this.#now() ||
      known.bucket.level() >= 1;
  }

  /** Counts a refusal against its source. */
  refused(source: string): void {
    this.#touch(source).bucket.take();
  }

  /** Remembers that a source can prove its deliveries. */
  verified(source: string): void {
    this.#touch(source).trustedUntil = this.#now() + TRUST_MS;
  }

  #touch(source: string) {
    const known = this.#sources.get(source) ??
      { bucket: new TokenBucket(this.size, this.#now), trustedUntil: 0 };
    this.#sources.delete(source);
    this.#sources.set(source, known);
    if (this.#sources.size > this.maxSources) {
      this.#sources.delete(this.#sources.keys().next().value!);
    }
    return known;
  }
}

const TRUST_MS = 3_600_000;

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
