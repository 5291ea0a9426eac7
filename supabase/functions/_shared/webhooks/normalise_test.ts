import assert from "node:assert/strict";
import { utf8 } from "./bytes.ts";
import { BodyRule, EventRule } from "./config.ts";
import { storedHeaders } from "./headers.ts";
import { openDelivery, toEvents } from "./normalise.ts";

interface Sent {
  body?: string;
  headers?: Record<string, string>;
  query?: string;
}

function events(sent: Sent, event: Partial<EventRule>, body: Record<string, unknown> = {}) {
  const rules = {
    body: BodyRule.parse(body),
    event: EventRule.parse({ type: "{body:/type}", ...event }),
  };
  const opened = openDelivery({
    raw: utf8(sent.body ?? "{}"),
    headers: new Headers(sent.headers),
    query: new URLSearchParams(sent.query),
  }, rules.body);
  assert.ok(opened.ok);
  return toEvents(opened, rules);
}

const one = (...args: Parameters<typeof events>) => events(...args)[0]!;

Deno.test("a delivery is stored as it was sent, to the last byte", () => {
  const body = '{ "type":"a",\n "n": 1.50, "big": 12345678901234567890, "type": "b" }';
  assert.equal(one({ body }, {}).payload, body);
});

Deno.test("a delivery id too long or too odd for its index is hashed, and still tells deliveries apart", () => {
  const keyOf = (id: string) =>
    one({ body: JSON.stringify({ id }) }, { dedupe: "{body:/id}" }).dedupeKey;
  assert.equal(keyOf("x".repeat(200)), "x".repeat(200));
  const long = [keyOf("x".repeat(201)), keyOf("x".repeat(202)), keyOf("a\u0001"), keyOf("a\u0002")];
  for (const key of long) assert.match(key, /^sha256:[0-9a-f]{64}$/);
  assert.equal(new Set(long).size, 4);
  assert.equal(keyOf("x".repeat(201)), long[0]);
});

Deno.test("without a delivery id the body's hash is one, and each item of a batch has its own", () => {
  const [first, second] = events({ body: '[{"a":1},{"a":1}]' }, { dedupe: "{item:/id}" }, {
    items: [""],
  });
  assert.match(first!.dedupeKey, /^sha256:[0-9a-f]{64}:0$/);
  assert.equal(second!.dedupeKey, first!.dedupeKey.replace(/:0$/, ":1"));
});

Deno.test("names are bounded and hold no control characters", () => {
  const event = one({
    body: JSON.stringify({ type: "t\n".repeat(200), path: "p\u0000".repeat(4_000) }),
  }, {
    path: "{body:/path}",
    account: "{body:/type}",
  });
  assert.ok(event.eventType.length <= 128 && event.resourcePath.length <= 2_048);
  assert.ok(event.account!.length <= 256);
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\u0000-\u001f]/.test(event.eventType + event.resourcePath + event.account));
});

Deno.test("a type that cannot be told is unknown, and an empty path is empty", () => {
  const event = one({ body: "[]" }, { path: "{body:/path}", account: "{body:/account}" });
  assert.deepEqual([event.eventType, event.resourcePath, event.account], ["unknown", "", null]);
});

Deno.test("an item of a batch is stored as if it had come alone", () => {
  const stored = events(
    {
      body: '{"secret":"s","__proto__":1,"list":{"items":[{"n":1e2},{"n":12345678901234567890}]}}',
    },
    { type: "{item:/n}" },
    { items: ["/missing", "/list/items"], omit: ["/secret", "/missing"] },
  );
  assert.deepEqual(stored.map(({ eventType, payload }) => [eventType, payload]), [
    ["1e2", '{"__proto__":1,"list":{"items":[{"n":1e2}]}}'],
    ["12345678901234567890", '{"__proto__":1,"list":{"items":[{"n":12345678901234567890}]}}'],
  ]);
});

Deno.test("an embedded document is opened; text that is none stays text", () => {
  const body = { decode: { pointer: "/data", encoding: "base64_json" } };
  const of = (data: string) => one({ body: JSON.stringify({ data }) }, { type: "{data:/a}" }, body);
  assert.deepEqual([of(btoa('{"a":"x"}')).eventType, of(btoa('{"a":"x"}')).payload], [
    "x",
    '{"data":{"a":"x"}}',
  ]);
  assert.equal(of("!").payload, '{"data":"!"}');
});

Deno.test("a form is an object; a repeated field is a list", () => {
  const event = one({
    body: "type=a&b=1&b=2&c=%00%E2%98%83+x&__proto__=p",
    headers: { "content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8" },
  }, {});
  assert.equal(event.payload, '{"type":"a","b":["1","2"],"c":"\ufffd☃ x","__proto__":"p"}');
});

Deno.test("a time is read as ISO text, seconds or milliseconds; what is unbelievable is not", () => {
  const at = (time: unknown) =>
    one({ body: JSON.stringify({ time }) }, { occurred_at: ["body:/time"] }).occurredAt;
  const expected = "2025-10-09T08:53:20.000Z";
  for (
    const time of [
      1760000000,
      "1760000000",
      1760000000000,
      "1760000000.000",
      expected,
      "Thu, 09 Oct 2025 08:53:20 GMT",
    ]
  ) {
    assert.equal(at(time), expected, String(time));
  }
  for (
    const time of [
      0,
      -1,
      "yesterday",
      9e15,
      "9".repeat(400),
      "1e999",
      null,
      "275760-09-13",
      "0001-01-01",
    ]
  ) {
    assert.equal(at(time), null, String(time));
  }
});

Deno.test("headers are kept without proofs, credentials and bulk", () => {
  const secret = "s3cret-value";
  const names = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-hub-signature-256",
    "x-goog-channel-token",
    "x-api-key",
    "x-shopify-hmac-sha256",
    "x-hook-secret",
    "x-amz-security-token",
    "paypal-transmission-sig",
    "x-signature-ed25519",
    "x-proof",
  ];
  const headers = new Headers({ "user-agent": "GitHub-Hookshot/1", "x-long": "x".repeat(2_000) });
  for (const name of names) headers.set(name, secret);
  for (let i = 0; i < 200; i++) headers.set(`x-many-${i}`, "y".repeat(600));
  const stored = storedHeaders(headers, ["x-proof"]);
  assert.ok(!stored.includes(secret));
  assert.ok(stored.length < 50_000);
  const kept = JSON.parse(
    storedHeaders(new Headers({ "user-agent": "a", "x-long": "x".repeat(2_000) }), []),
  );
  assert.deepEqual(kept, { "user-agent": "a", "x-long": "x".repeat(512) });
});
