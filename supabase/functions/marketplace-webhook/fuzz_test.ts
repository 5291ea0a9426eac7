/** A hundred thousand malformed requests at every provider of the catalogue. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { backgroundIdle } from "../_shared/background.ts";
import { resetEnv } from "../_shared/env.ts";
import { readCatalogue } from "../_shared/webhooks/testing.ts";
import { AbuseLimiter } from "./abuse_limiter.ts";
import { createWebhookApp } from "./app.ts";

Deno.env.set("MARKETPLACE_LOG_LEVEL", "error");
resetEnv();

const RUNS = 100_000;
const TOPIC = "arn:aws:sns:us-east-1:1:t";
const MAX_BODY = 4_096;

const catalogue = await readCatalogue();
const PROVIDERS = [...catalogue.keys()];

/** Names that some scheme, handshake or reader looks at. */
const HEADER_NAMES = [
  ...new Set(
    JSON.stringify([...catalogue.values()]).match(/(?<=header\\?":\\?"|header:)[a-z0-9-]+/g),
  ),
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
  "svix-id",
  "svix-timestamp",
  "svix-signature",
  "content-type",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "traceparent",
  "cookie",
];

const encoder = new TextEncoder();

const headerValue = fc.oneof(
  fc.constantFrom(
    "",
    "sha256=",
    "v0=",
    "v1,",
    "v1a,",
    "t=,v1=",
    "t=1e999,v1=00",
    "Bearer ",
    "Basic ",
    "Bearer a.b.c",
    `Bearer ${btoa('{"alg":"RS256","kid":"x"}')}.${btoa("{}")}.AAAA`,
    `Bearer ${btoa('{"alg":"none"}')}.${btoa("{}")}.`,
    `sha256=${"0".repeat(64)}`,
    `v0=${"0".repeat(64)}`,
    `v1,${btoa("0".repeat(32))}`,
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "null",
    "-1",
    "9".repeat(400),
    "__proto__",
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
    "https://api.paypal.com/v1/notifications/certs/CERT-1",
    String(Math.floor(Date.now() / 1_000)),
    String(Date.now()),
    new Date().toISOString(),
  ),
  // What fetch lets through: printable and extended characters.
  fc.string({
    unit: fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f).map((code) =>
      String.fromCharCode(code)
    ),
    maxLength: 80,
  }),
  fc.base64String({ maxLength: 120 }),
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), maxLength: 130 }),
);

const piece = fc.constantFrom(
  "{",
  "}",
  "[",
  "]",
  '"',
  ":",
  ",",
  "\\",
  "\\u0000",
  "\\ud800",
  "\0",
  "\ufeff",
  "null",
  "1e99999",
  "-",
  "0.",
  "1".repeat(500),
  '"__proto__":',
  '"constructor":',
  '{"type":"url_verification","challenge":"x"}',
  '{"__proto__":{"x":1}}',
  '{"verification_token":"secret_0123456789abcdef"}',
  "payload=%7B%7D",
  "a=b&a=c&%FF=%00",
  "[".repeat(500),
  "\r\n",
  JSON.stringify({
    Type: "Notification",
    TopicArn: TOPIC,
    Signature: "AAAA",
    SignatureVersion: "1",
    Message: "m",
    MessageId: "1",
    Timestamp: new Date().toISOString(),
    SigningCertURL: "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
  }),
  JSON.stringify({
    Type: "SubscriptionConfirmation",
    TopicArn: TOPIC,
    Signature: "x",
    SubscribeURL: "http://169.254.169.254/",
  }),
);

const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(piece, { maxLength: 12 }).map((pieces) => encoder.encode(pieces.join(""))),
  // Truncated and spliced documents.
  fc.tuple(fc.json(), fc.nat(200)).map(([json, cut]) => encoder.encode(json.slice(0, cut))),
  fc.integer({ min: MAX_BODY - 2, max: MAX_BODY + 2 }).map((size) =>
    new Uint8Array(size).fill(0x20)
  ),
  fc.constant(undefined),
);

const request = fc.record({
  path: fc.oneof(
    {
      weight: 20,
      arbitrary: fc.constantFrom(
        ...PROVIDERS,
        ...PROVIDERS.map((slug) => slug.replaceAll("_", "-")),
      ),
    },
    { weight: 1, arbitrary: fc.webPath({ size: "small" }).map((path) => path.replace(/^\/*/, "")) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "github/%2e%2e",
        "github/x/y",
        "%00",
        "__proto__",
        "constructor",
        "github/__proto__",
        "",
        "health/x",
      ),
    },
  ),
  query: fc.oneof(
    fc.constantFrom(
      "",
      "",
      "?challenge=",
      "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
      "?bodySHA256=00",
      "?bodySHA256=%FF",
    ),
    fc.webQueryParameters({ size: "small" }).map((query) => `?${query}`),
  ),
  method: fc.constantFrom(
    "POST",
    "POST",
    "POST",
    "POST",
    "POST",
    "POST",
    "POST",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
  ),
  headers: fc.array(fc.tuple(fc.constantFrom(...HEADER_NAMES), headerValue), { maxLength: 8 }),
  source: fc.ipV4(),
  body,
});

function makeApp(counts: { ingested: number; fetched: number }) {
  return createWebhookApp({
    store: {
      loadConfig: (provider) => {
        const slug = provider.replaceAll("-", "_");
        const row = catalogue.get(slug);
        return Promise.resolve(
          row && {
            integration_id: "0198c7de-9a3c-7c11-8a5b-1f2e3d4c5b6a",
            integration_slug: "fuzzed",
            provider: slug,
            is_default: true,
            status: "active",
            version: 1,
            webhook_config: {
              ...row.webhookConfig,
              public_url: "https://hooks.example.com/hook",
              topic_arns: [TOPIC],
              // Gmail's settings stay unset: its keys are not to be fetched from here.
            },
            secret_env: null,
            max_body_bytes: MAX_BODY,
            secrets: [
              "a secret that nobody guesses",
              "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
              "83f4d8d9b5c0a3e1f6c7b8a9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f70819293",
            ].map((secret) => ({ secret, valid_from: "2020-01-01T00:00:00Z", valid_until: null })),
          },
        );
      },
      ingest: () => {
        counts.ingested++;
        return Promise.resolve([]);
      },
      countRejections: () => Promise.resolve(),
      health: () => Promise.resolve({ status: "ok" }),
      // as the database does while no operator expects a handshake
      acceptHookSecret: () => Promise.resolve(false),
      offerSecret: () => assert.fail("an integration that has a secret is offered no other"),
      credentials: () => Promise.resolve({}),
      notePush: () => assert.fail("nothing unproven is noted"),
      noteAccountPush: () => assert.fail("nothing unproven is noted"),
      noteConfirmation: () => assert.fail("nothing unproven is confirmed"),
    },
    secretFromEnv: () => undefined,
    fetch: () => {
      counts.fetched++;
      return Promise.resolve(new Response("not a certificate"));
    },
    // The limiter keeps its books, but lets everything through to the verifiers.
    limiter: new AbuseLimiter({ size: { burst: 1e9, perSecond: 1 } }),
    rejectionFlushMs: 20,
  });
}

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Bytes that are still referenced. */
function heapInUse(): number {
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}

Deno.test(`${RUNS} malformed requests give no 5xx, no row and no growth`, async () => {
  const counts = { ingested: 0, fetched: 0 };
  const app = makeApp(counts);
  const statuses = new Map<number, number>();
  let runs = 0;
  let settled = 0;
  await fc.assert(
    fc.asyncProperty(request, async ({ path, query, method, headers, source, body }) => {
      const sent = new Headers({ "x-forwarded-for": source });
      for (const [name, value] of headers) sent.append(name, value);
      const response = await app.request(`/marketplace-webhook/${path}${query}`, {
        method,
        headers: sent,
        body: method === "OPTIONS" ? undefined : body as Uint8Array<ArrayBuffer> | undefined,
      });
      await response.body?.cancel();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      assert.ok(response.status >= 400 && response.status < 500, `answered ${response.status}`);
      if (++runs === RUNS / 4) settled = heapInUse();
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  await backgroundIdle();
  assert.equal(counts.ingested, 0);
  assert.ok(counts.fetched <= 100, `${counts.fetched} certificates were fetched`);
  const growth = (heapInUse() - settled) / 2 ** 20;
  assert.ok(growth < 8, `the heap grew by ${growth.toFixed(1)} MB`);
  for (const expected of [401, 404, 405, 413]) {
    assert.ok(statuses.has(expected), `no request was answered ${expected}`);
  }
});
