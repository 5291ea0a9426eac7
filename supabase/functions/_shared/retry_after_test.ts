import assert from "node:assert/strict";
import { parseRetryAfter, readRetryWait, silentWait } from "./retry_after.ts";

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

const date = (seconds: number) => new Date(NOW + seconds * 1000).toUTCString();

const answers: [string, Parameters<typeof readRetryWait>[0], number | undefined][] = [
  ["no word of it", answer(503), undefined],
  ["Retry-After in seconds", answer(503, { "retry-after": "30" }), 30_000],
  ["Retry-After as a date", answer(503, { "retry-after": date(45) }), 45_000],
  ["X-Retry-After", answer(503, { "x-retry-after": "7" }), 7_000],
  ["Retry-After-Ms", answer(429, { "retry-after-ms": "1500" }), 1_500],
  ["X-Ms-Retry-After-Ms", answer(503, { "x-ms-retry-after-ms": "250.4" }), 250],
  ["Retry-After-Ms that is none", answer(429, { "retry-after-ms": "soon" }), undefined],
  ["Retry-After-Ms beyond a day", answer(429, { "retry-after-ms": "1e9" }), undefined],
  ["a reset in Unix seconds", answer(429, { "x-ratelimit-reset": at(60) }), 60_000],
  ["a reset in Unix milliseconds", answer(429, { "x-ratelimit-reset": `${at(60)}000` }), 60_000],
  ["a reset in seconds from now", answer(429, { "ratelimit-reset": "12" }), 12_000],
  ["Discord's reset", answer(429, { "x-ratelimit-reset-after": "0.35" }), 350],
  ["X's reset", answer(429, { "x-rate-limit-reset": at(900) }), 900_000],
  ["a reset of a limit that is not used up", answer(503, { "x-ratelimit-reset": "60" }), undefined],
  [
    "a reset of a limit that is, whatever the status",
    answer(503, { "x-ratelimit-reset": "60", "x-ratelimit-remaining": "0" }),
    60_000,
  ],
  [
    "the end of a limit with a name of its own",
    answer(400, {
      "x-ratelimit-requests-remaining": "7",
      "x-ratelimit-requests-reset": `${at(3600)}000`,
      "x-ratelimit-complexity-remaining": "0",
      "x-ratelimit-complexity-reset": `${at(90)}000`,
    }),
    90_000,
  ],
  [
    "a named limit of which something is left",
    answer(400, { "x-ratelimit-a-reset": "5" }),
    undefined,
  ],
  ["RateLimit, used up", answer(429, { ratelimit: '"day";r=5;t=9000, "burst";r=0;t=30' }), 30_000],
  ["RateLimit, not used up", answer(503, { ratelimit: '"day";r=5;t=9000' }), undefined],
  ["RateLimit of the drafts", answer(429, { ratelimit: "limit=9, remaining=0, reset=40" }), 40_000],
  ["retry_after in the body", answer(429, {}, { retry_after: 2.5 }), 2_500],
  ["retryAfter as text", answer(429, {}, { retryAfter: "3" }), 3_000],
  ["retry_after_ms", answer(429, {}, { retry_after_ms: 1200 }), 1_200],
  ["Telegram's", answer(429, {}, { ok: false, parameters: { retry_after: 14 } }), 14_000],
  [
    "Google's",
    answer(429, {}, { error: { details: [{ "@type": "x" }, { retryDelay: "38.5s" }] } }),
    38_500,
  ],
  ["an unreadable body", { ...answer(429), body: '{"retry_after": 9' }, undefined],
  ["a body that speaks of retrying", { ...answer(429), body: "retry_after: 9" }, undefined],
  ["one buried too deep", answer(429, {}, [[[[[{ retry_after: 9 }]]]]]), undefined],
  [
    "several: the longest wins",
    answer(
      429,
      { "retry-after": "5", "retry-after-ms": "700", "x-ratelimit-reset": at(20) },
      { retry_after: 11 },
    ),
    20_000,
  ],
  [
    "several, the body's is the longest",
    answer(429, { "retry-after": date(5) }, { retry_after: 11 }),
    11_000,
  ],
];

function at(seconds: number): string {
  return String(NOW / 1000 + seconds);
}

function answer(status: number, headers: Record<string, string> = {}, body?: unknown) {
  return {
    status,
    headers: new Headers(headers),
    body: body === undefined ? null : JSON.stringify(body),
  };
}

for (const [what, given, expected] of answers) {
  Deno.test(`an answer with ${what} asks to wait ${expected} ms`, () => {
    assert.equal(readRetryWait(given, NOW), expected);
  });
}

const google = (reason: string) =>
  JSON.stringify({ error: { code: 403, errors: [{ domain: "usageLimits", reason }] } });

Deno.test("where nothing says how long: Google's documented backoff, a minute for others", () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8].map((attempt) =>
    silentWait(google("userRateLimitExceeded"), attempt, 0.5)
  );
  assert.deepEqual(waits, [1_500, 2_500, 4_500, 8_500, 16_500, 32_500, 64_000, 64_000]);
  assert.equal(silentWait(google("rateLimitExceeded"), 1, 0), 1_000);
  assert.equal(silentWait('{"error": {"status": "RESOURCE_EXHAUSTED"}}', 1, 0), 1_000);
  assert.equal(silentWait(google("dailyLimitExceeded"), 1), 3_600_000);
  assert.equal(silentWait("slow down", 1), 60_000);
  assert.equal(silentWait("slow down", 5), 60_000);
});
