import assert from "node:assert/strict";
import {
  count,
  idAt,
  idRange,
  isIdPrefix,
  jsonObject,
  moment,
  period,
  several,
} from "./arguments.ts";

Deno.test("a time is a while ago, or a date", () => {
  const ago = (text: string) => Math.round((Date.now() - moment(text).getTime()) / 1000);
  assert.deepEqual(["90s", "15m", "15min", "2h", "3d", "1w"].map(ago), [
    90,
    900,
    900,
    7200,
    259200,
    604800,
  ]);
  assert.equal(moment("2026-01-31").toISOString(), "2026-01-31T00:00:00.000Z");
  for (const bad of ["", "yesterday", "5", "5 years", "2026-13-01"]) {
    assert.throws(() => moment(bad), /Give 90s, 15m/, bad);
  }
});

Deno.test("counts and durations say what they want instead", () => {
  assert.equal(count("20"), 20);
  for (const bad of ["0", "-1", "1.5", "x", "10001"]) {
    assert.throws(() => count(bad), /whole number/);
  }
  assert.equal(period("24h"), 86_400);
  assert.equal(period("0"), 0);
  assert.throws(() => period("soon"), /24h/);
});

Deno.test("an option may be repeated, or hold several", () => {
  assert.deepEqual(several("b, c,", several("a")), ["a", "b", "c"]);
});

Deno.test("the beginning of an id is a range of ids", () => {
  assert.deepEqual(idRange("01a1fc86-5c40"), [
    "01a1fc86-5c40-0000-0000-000000000000",
    "01a1fc86-5c40-ffff-ffff-ffffffffffff",
  ]);
  const full = "01A1FC86-5c40-712c-a804-e6ac07c9b4f6";
  assert.deepEqual(idRange(full), [full.toLowerCase(), full.toLowerCase()]);
  assert.equal(idRange("01a1fc865c40"), undefined); // no hyphen where one belongs
  assert.equal(isIdPrefix("01a1fc8"), false);
  assert.equal(isIdPrefix("push.json"), false);
  assert.equal(isIdPrefix("4f0c2a9e"), true);
});

Deno.test("the lowest id of a time sorts before every id made since", () => {
  assert.equal(idAt(new Date(0x01a1fc865c40)), "01a1fc86-5c40-0000-0000-000000000000");
});

Deno.test("settings are an object, as text or in a file", async () => {
  assert.deepEqual(jsonObject('{"a": 1}'), { a: 1 });
  const file = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(file, '{"b": 2}');
  assert.deepEqual(jsonObject(`@${file}`), { b: 2 });
  await Deno.remove(file);
  assert.throws(() => jsonObject("[1]"), /Give an object/);
  assert.throws(() => jsonObject("{a}"), /cannot be read as JSON/);
});
