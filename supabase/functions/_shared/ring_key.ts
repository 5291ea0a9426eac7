/** Who may ring: the database with its ring key, and the platform's own service keys. */
import { db } from "./db.ts";
import { AppError } from "./errors.ts";
import { constantTimeEqual, isServiceKey } from "./http.ts";

const KEEP_MS = 60_000;
const REREAD_MS = 1_000;

let cache: { key: string; readAt: number } | undefined;

/**
 * Checks that a token is the ring key or a service key. A key that was changed is noticed at once,
 * but a stranger cannot make us read it more than once a second.
 *
 * @throws AppError `invalid_token` (401)
 */
export async function requireRingKey(token: string): Promise<void> {
  if (isServiceKey(token)) return;
  for (const maxAge of [KEEP_MS, REREAD_MS]) {
    if (!cache || Date.now() - cache.readAt > maxAge) {
      const [row] = await db()<{ key: string }[]>`
        select marketplace.dispatch_settings() ->> 'ring_key' as key
      `;
      cache = { key: row!.key, readAt: Date.now() };
    }
    if (constantTimeEqual(token, cache.key)) return;
  }
  throw new AppError(
    "invalid_token",
    401,
    "The token is neither the ring key nor a service key.",
  );
}
