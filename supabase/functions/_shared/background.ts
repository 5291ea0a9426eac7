/** Work that goes on after the response was sent. */
import { describeError } from "./errors.ts";
import { createLogger } from "./logger.ts";

/** What the hosted runtime offers. @see https://supabase.com/docs/guides/functions/background-tasks */
declare const EdgeRuntime: { waitUntil(promise: Promise<unknown>): void } | undefined;

const pending = new Set<Promise<unknown>>();

/**
 * Keeps the isolate alive until the work is done. A failure is logged: nobody awaits the promise.
 * Nothing that correctness needs may depend on it finishing; the host may cut it off.
 */
export function waitUntil(work: Promise<unknown>): void {
  const guarded: Promise<unknown> = work
    .catch((error) => {
      createLogger("background").error("background.failed", { error: describeError(error) });
    })
    .finally(() => pending.delete(guarded));
  pending.add(guarded);
  if (typeof EdgeRuntime !== "undefined") EdgeRuntime.waitUntil(guarded);
}

/** Resolves when all background work of this isolate is done, for tests and orderly shutdown. */
export async function backgroundIdle(): Promise<void> {
  while (pending.size > 0) await Promise.all(pending);
}
