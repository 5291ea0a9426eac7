import assert from "node:assert/strict";
import { parseRetryAfter } from "./retry_after.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const DAY = 86_400_000;

const cases: [string | null, number | undefined][] = [
  ["0", 0],
  ["120", 120_000],
  [" 1.5 ", 1_500],
  ["Sun, 01 Mar 2026 12:00:30 GMT", 30_000],
  ["Sunday, 01-Mar-26 12:00:30 GMT", 30_000],
  ["Sun, 01 Mar 2026 11:00:00 GMT", 0],
  [String(NOW / 1000 + 60), 60_000],
  [String(NOW + 60_000), 60_000],
  ["31536000", DAY],
  ["", undefined],
  [null, undefined],
  ["soon", undefined],
  ["-5", undefined],
  ["1e3", undefined],
  ["2026-03-01", undefined],
];

for (const [value, expected] of cases) {
  Deno.test(`Retry-After ${JSON.stringify(value)} means ${expected} ms`, () => {
    assert.equal(parseRetryAfter(value, NOW), expected);
  });
}
