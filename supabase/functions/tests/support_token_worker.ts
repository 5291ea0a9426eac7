/**
 * A process of its own that asks for one credential many times at once.
 *
 * Arguments: connection id, how many. Waits for a line on standard input, prints a JSON line.
 */
import { getAccessToken } from "../_shared/oauth/tokens.ts";
import { closeDb, db } from "../_shared/db.ts";

const [connectionId, count] = [Deno.args[0]!, Number(Deno.args[1])];
await db()`select 1`;
console.log("ready");
await Deno.stdin.read(new Uint8Array(16));
const began = performance.now();
const results = await Promise.allSettled(
  Array.from({ length: count }, (_, i) =>
    // Each in a look of its own: within one isolate, like askers would share one.
    getAccessToken({ connectionId }, { minValidMs: i })),
);
console.log(JSON.stringify({
  ms: Math.round(performance.now() - began),
  tokens: [
    ...new Set(results.map((r) => r.status === "fulfilled" ? r.value : `error: ${r.reason}`)),
  ],
  fulfilled: results.filter((r) => r.status === "fulfilled").length,
}));
await closeDb();
