import assert from "node:assert/strict";
import fc from "fast-check";
import { atPointer, MAX_DEPTH, readJsonText, scalarText, withPointer } from "./json_text.ts";

function read(text: string) {
  const result = readJsonText(text);
  assert.ok(result.ok, `not readable: ${text}`);
  return result;
}

Deno.test("JSON that jsonb can hold is stored as it was sent", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    const { value, text: stored } = read(text);
    if (!/\\u(0000|d[89a-f])/i.test(text) && !/\d[eE]/.test(text)) assert.equal(stored, text);
    assert.deepEqual(JSON.parse(JSON.stringify(value)), JSON.parse(stored));
  }));
});

Deno.test("whatever is stored holds neither NUL nor a lone surrogate", () => {
  const unit = fc.integer({ min: 0, max: 0xffff }).map((code) =>
    `\\u${code.toString(16).padStart(4, "0")}`
  );
  const piece = fc.oneof(
    unit,
    fc.constantFrom(
      "\\u0000",
      "\\ud83d",
      "\\ude00",
      "\\ud83d\\ude00",
      "\\\\",
      '\\"',
      "é😀",
      "u0000",
    ),
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const { value, text } = read(`{"a":["${pieces.join("")}"]}`);
    const expected = JSON.parse(`"${pieces.join("")}"`).toWellFormed().replaceAll("\0", "\ufffd");
    assert.equal(atPointer(value, "/a/0") ?? "", expected);
    assert.equal(JSON.parse(text).a[0], expected);
  }));
});

Deno.test("numbers keep all their digits, in what is read and in what is stored", () => {
  const { value, text } = read('{"id":12345678901234567890,"e":1e3,"huge":-1e999,"s":"1e999"}');
  assert.equal(scalarText(atPointer(value, "/id")), "12345678901234567890");
  assert.equal(scalarText(atPointer(value, "/e")), "1e3");
  assert.equal(text, '{"id":12345678901234567890,"e":1e3,"huge":"-1e999","s":"1e999"}');
  assert.equal(JSON.stringify(value), text, "writing anew loses no digit either");
});

Deno.test("nesting is bounded", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assert.ok(readJsonText(nested(MAX_DEPTH)).ok);
  for (const depth of [MAX_DEPTH + 1, 1_000_000]) {
    assert.deepEqual(readJsonText(nested(depth)), { ok: false, code: "too_deep" });
  }
});

Deno.test("only JSON is JSON", () => {
  for (const text of ["", "{", "{'a':1}", "[1,]", "NaN", "01", '"\n"', "{}{}"]) {
    assert.deepEqual(readJsonText(text), { ok: false, code: "malformed_json" }, text);
  }
});

Deno.test("a pointer reaches own members only", () => {
  const { value } = read('{"a/b":{"~":[1,{"c":null}]},"__proto__":{"x":"own"},"":{"":"empty"}}');
  assert.equal(atPointer(value, "/a~1b/~0/0"), 1);
  assert.equal(atPointer(value, "/__proto__/x"), "own");
  assert.equal(atPointer(value, "//"), "empty");
  for (const pointer of ["/constructor", "/a~1b/~0/2", "/a~1b/~0/00", "/a~1b/~0/length", "/x/y"]) {
    assert.equal(atPointer(value, pointer), undefined, pointer);
  }
});

Deno.test("a place can be given another value or removed, and nothing else changes", () => {
  const document = JSON.parse('{"a":[1,{"b":2,"__proto__":3}],"c":4}');
  assert.equal(
    JSON.stringify(withPointer(document, "/a/1/b", [5])),
    '{"a":[1,{"b":[5],"__proto__":3}],"c":4}',
  );
  assert.equal(
    JSON.stringify(withPointer(document, "/c", undefined)),
    '{"a":[1,{"b":2,"__proto__":3}]}',
  );
  assert.deepEqual(withPointer(document, "/x/y", 1), document);
  assert.equal(document.c, 4);
});
