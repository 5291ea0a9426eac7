import assert from "node:assert/strict";
import { doneOnce } from "./at_once.ts";

Deno.test("who comes while it is done shares it, who comes later does it again", async () => {
  let begun = 0;
  const work = async () => {
    const mine = ++begun;
    await Promise.resolve();
    return mine;
  };
  assert.deepEqual(await Promise.all([doneOnce("a", work), doneOnce("a", work)]), [1, 1]);
  assert.equal(await doneOnce("b", work), 2);
  assert.equal(await doneOnce("a", work), 3);
});

Deno.test("all who wait hear of a failure, and the next one tries again", async () => {
  const fail = () => Promise.reject(new Error("no"));
  const both = await Promise.allSettled([doneOnce("c", fail), doneOnce("c", fail)]);
  assert.deepEqual(both.map(({ status }) => status), ["rejected", "rejected"]);
  assert.equal(await doneOnce("c", () => Promise.resolve("yes")), "yes");
});
