import assert from "node:assert/strict";
import { atPointer, replaceAt, toPointer } from "./pointer.ts";

const DOCUMENT = { a: [{ b: 1 }, { b: 2 }], "c/d": { "~": 3 }, e: null };

Deno.test("a pointer names own members only", () => {
  assert.equal(atPointer(DOCUMENT, "/a/1/b"), 2);
  assert.equal(atPointer(DOCUMENT, "/c~1d/~0"), 3);
  assert.equal(atPointer(DOCUMENT, ""), DOCUMENT);
  assert.equal(atPointer(DOCUMENT, "/e"), null);
  for (
    const pointer of ["/e/x", "/a/2", "/a/length", "/__proto__", "/constructor", "/a/-1", "/c"]
  ) {
    assert.equal(atPointer(DOCUMENT, pointer), undefined, pointer);
  }
  assert.equal(atPointer("text", "/length"), undefined);
  assert.equal(toPointer(["c/d", "~", 0]), "/c~1d/~0/0");
});

Deno.test("replacing copies, and a star stands for every member", () => {
  assert.deepEqual(replaceAt(DOCUMENT, "/a/*/b", () => 0), {
    ...DOCUMENT,
    a: [{ b: 0 }, { b: 0 }],
  });
  assert.deepEqual(replaceAt(DOCUMENT, "/a/1", () => 0), { ...DOCUMENT, a: [{ b: 1 }, 0] });
  assert.deepEqual(replaceAt(DOCUMENT, "/none/x", () => 0), DOCUMENT);
  assert.equal(replaceAt(DOCUMENT, "", () => 0), 0);
  assert.equal(DOCUMENT.a[0]?.b, 1);
});
