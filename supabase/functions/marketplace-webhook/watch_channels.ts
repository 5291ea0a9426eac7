/** Whether a Google push comes from a channel that we opened. */
import { AppError } from "../_shared/errors.ts";
import type { Endpoint } from "./config_cache.ts";
import type { Store } from "./ingest.ts";

/** What was held against a push. The token always is, by the verifier, before this. */
export type ChannelCheck = "token" | "token_and_channel";

const KEPT_MS = 30_000;
const MAX_ENTRIES = 1_000;

/** Looks channels up in the database and remembers, for half a minute, those that are ours. */
export class WatchChannels {
  readonly #known = new Map<string, { check: ChannelCheck; until: number }>();

  constructor(
    readonly store: Pick<Store, "checkWatchChannel">,
    readonly now: () => number,
  ) {}

  /**
   * Says what a push was checked against: as long as the database keeps no channels, the token alone.
   *
   * @throws AppError `unknown_channel` (503): Google sends again, and by then the channel that was
   *   opened a moment ago is known
   */
  async check({ integrationId }: Endpoint, headers: Headers): Promise<ChannelCheck> {
    const channel = headers.get("x-goog-channel-id") ?? "";
    const resource = headers.get("x-goog-resource-id") ?? "";
    const key = JSON.stringify([integrationId, channel, resource]);
    const known = this.#known.get(key);
    if (known && known.until > this.now()) return known.check;
    const found = await this.store.checkWatchChannel(integrationId, channel, resource);
    if (found === "unknown") {
      throw new AppError(
        "unknown_channel",
        503,
        "No watch channel of this id and resource is open.",
        {
          retryAfterSeconds: 30,
        },
      );
    }
    const check = found === "match" ? "token_and_channel" : "token";
    this.#known.delete(key);
    this.#known.set(key, { check, until: this.now() + KEPT_MS });
    if (this.#known.size > MAX_ENTRIES) this.#known.delete(this.#known.keys().next().value!);
    return check;
  }
}
