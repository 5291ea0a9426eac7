import assert from "node:assert/strict";
import { cleanText, toJsonText } from "./db.ts";

Deno.test("what Postgres cannot store is taken out of JSON, at any depth", () => {
  const value = { a: ["x\u0000y", { b: "\ud800z" }], n: 1, u: undefined, at: new Date(0) };
  assert.deepEqual(JSON.parse(toJsonText(value)), {
    a: ["xy", { b: "\ufffdz" }],
    n: 1,
    at: "1970-01-01T00:00:00.000Z",
  });
});

Deno.test("whole characters stay", () => {
  assert.equal(cleanText("Grüße 🎉\n"), "Grüße 🎉\n");
});
