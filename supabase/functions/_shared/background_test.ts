import assert from "node:assert/strict";
import { backgroundIdle, waitUntil } from "./background.ts";

Deno.test("background work is waited for, and its failure stays its own", async () => {
  let done = false;
  waitUntil(
    new Promise<void>((resolve) =>
      setTimeout(() => {
        done = true;
        resolve();
      }, 20)
    ),
  );
  waitUntil(Promise.reject(new Error("planned")));
  await backgroundIdle();
  assert.ok(done);
});
