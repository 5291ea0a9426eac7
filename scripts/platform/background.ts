/**
 * `EdgeRuntime.waitUntil` of hosted Edge Functions: work that goes on after the response.
 * @module
 */
import { sleep } from "./processes.ts";

const pending = new Set<Promise<unknown>>();

/** Makes `globalThis.EdgeRuntime` as on hosted. A failing background promise is logged, not fatal. */
export function installEdgeRuntime(): void {
  const waitUntil = (work: Promise<unknown>): void => {
    const tracked = Promise.resolve(work)
      .catch((error) => console.error("background work failed:", error))
      .finally(() => pending.delete(tracked));
    pending.add(tracked);
  };
  Object.defineProperty(globalThis, "EdgeRuntime", { value: { waitUntil }, configurable: true });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    console.error("unhandled rejection:", event.reason);
  });
}

/** Waits until background work is done, at most `patience` milliseconds. */
export async function settleBackground(patience: number): Promise<void> {
  const deadline = Date.now() + patience;
  while (pending.size > 0 && Date.now() < deadline) {
    await Promise.race([Promise.allSettled(pending), sleep(deadline - Date.now())]);
  }
}
