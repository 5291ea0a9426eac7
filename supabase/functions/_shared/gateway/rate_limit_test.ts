import assert from "node:assert/strict";
import type { RateLimitConfig } from "./catalogue.ts";
import { readRateLimit, readRetryAfter, readUntilReset } from "./rate_limit.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const read = (config: RateLimitConfig, headers: Record<string, string>, body?: unknown) =>
  readRateLimit(config, new Headers(headers), { body, now: NOW });
const counts = (reset_format: RateLimitConfig["reset_format"]): RateLimitConfig => ({
  limit_header: "x-limit",
  remaining_header: "x-remaining",
  reset_header: "x-reset",
  reset_format,
});

Deno.test("limit, remaining and reset are read in each format", () => {
  const inOneMinute = new Date(NOW + 60_000);
  const cases: [RateLimitConfig["reset_format"], string, Date | null][] = [
    ["epoch_s", String(NOW / 1000 + 60), inOneMinute],
    ["epoch_ms", String(NOW + 60_000), inOneMinute],
    ["delta_s", "60", inOneMinute],
    ["delta_s", "0.5", new Date(NOW + 500)],
    ["delta_ms", "60000", inOneMinute],
    ["duration", "1m0s", inOneMinute],
    ["duration", "1h2m3.5s", new Date(NOW + 3_723_500)],
    ["duration", "20ms", new Date(NOW + 20)],
    ["iso", "2026-01-01T00:01:00Z", inOneMinute],
    ["duration", "soon", null],
    ["iso", "soon", null],
    ["epoch_s", "1e99", null],
  ];
  for (const [format, text, resets_at] of cases) {
    assert.deepEqual(
      read(counts(format), { "x-limit": "100", "x-remaining": "7", "x-reset": text }),
      { name: "requests", limit: 100, remaining: 7, resets_at },
      `${format} ${text}`,
    );
  }
});

Deno.test("the name comes from a header, the row, or is requests", () => {
  const headers = { "x-limit": "10", "x-remaining": "1", "x-resource": "search" };
  assert.equal(read({ ...counts("iso"), name_header: "x-resource" }, headers)?.name, "search");
  assert.equal(
    read({ ...counts("iso"), name_header: "x-other", name: "core" }, headers)?.name,
    "core",
  );
});

Deno.test("a usage header says both", () => {
  const shopify: RateLimitConfig = {
    usage_header: "x-shopify-shop-api-call-limit",
    usage_format: "used_of_limit",
  };
  assert.deepEqual(read(shopify, { "x-shopify-shop-api-call-limit": "32/40" }), {
    name: "requests",
    limit: 40,
    remaining: 8,
    resets_at: null,
  });
  const meta: RateLimitConfig = {
    usage_header: "x-ad-account-usage",
    usage_format: "json_percent",
    usage_pointer: "/acc_id_util_pct",
  };
  assert.deepEqual(read(meta, { "x-ad-account-usage": '{"acc_id_util_pct":9.67}' })?.remaining, 90);
  assert.equal(read(meta, { "x-ad-account-usage": "not json" }), undefined);
  assert.equal(read(shopify, { "x-shopify-shop-api-call-limit": "0/0" }), undefined);
});

Deno.test("the body may say it", () => {
  const config: RateLimitConfig = {
    name: "points",
    limit_pointer: "/extensions/cost/throttleStatus/maximumAvailable",
    remaining_pointer: "/extensions/cost/throttleStatus/currentlyAvailable",
  };
  const throttleStatus = { maximumAvailable: 2000, currentlyAvailable: 1954 };
  assert.deepEqual(read(config, {}, { extensions: { cost: { throttleStatus } } }), {
    name: "points",
    limit: 2000,
    remaining: 1954,
    resets_at: null,
  });
  assert.equal(read(config, {}, {}), undefined);
});

Deno.test("half an answer is none", () => {
  assert.equal(read(counts("iso"), { "x-limit": "10" }), undefined);
  assert.equal(read(counts("iso"), { "x-limit": "10", "x-remaining": "some" }), undefined);
  assert.equal(read(counts("iso"), { "x-limit": "0", "x-remaining": "0" }), undefined);
  assert.equal(read(counts("iso"), { "x-limit": "", "x-remaining": "" }), undefined);
  assert.equal(read({}, {}), undefined);
});

Deno.test("the longest wait that was asked for wins", () => {
  const config: RateLimitConfig = { retry_after_header: "x-reset-in" };
  assert.equal(
    readRetryAfter(config, new Headers({ "retry-after": "2", "x-reset-in": "5" }), NOW),
    5000,
  );
  assert.equal(readRetryAfter({}, new Headers({ "retry-after": "2" }), NOW), 2000);
  assert.equal(readRetryAfter(config, new Headers(), NOW), undefined);
});

Deno.test("a refusal for a limit tells when it starts anew, by the header that the row names", () => {
  const until = (
    reset_format: RateLimitConfig["reset_format"],
    headers: Record<string, string>,
  ) => readUntilReset(counts(reset_format), new Headers(headers), NOW);
  // Jira's, which comes with the refusal alone.
  assert.equal(until("iso", { "x-reset": "2026-01-01T00:02Z" }), 120_000);
  assert.equal(until("epoch_ms", { "x-remaining": "0", "x-reset": String(NOW + 5_000) }), 5_000);
  assert.equal(until("epoch_s", { "x-reset": String(NOW / 1000 - 60) }), 0);
  // It counts another limit than the one that is used up.
  assert.equal(until("delta_s", { "x-remaining": "7", "x-reset": "60" }), undefined);
  assert.equal(until("delta_s", {}), undefined);
  assert.equal(readUntilReset({}, new Headers({ "x-reset": "60" }), NOW), undefined);
});
