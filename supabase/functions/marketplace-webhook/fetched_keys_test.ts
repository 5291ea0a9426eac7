/** Providers whose keys are fetched: SNS and PayPal by certificate, Gmail by key set. */
import assert from "node:assert/strict";
import { createSign, generateKeyPairSync, sign as signWithKey } from "node:crypto";
import { EventEmitter } from "node:events";
import https from "node:https";
import selfsigned from "selfsigned";
import SnsValidator from "sns-validator";
import { resetEnv } from "../_shared/env.ts";
import { readCatalogue } from "../_shared/webhooks/testing.ts";
import { openProvider, type ProviderOptions } from "./testing.ts";

Deno.env.set("MARKETPLACE_LOG_LEVEL", "error");
resetEnv();

const [OURS, STRANGERS] = await Promise.all(
  [0, 1].map(() =>
    selfsigned.generate([{ name: "commonName", value: "sns.amazonaws.com" }], { keySize: 2048 })
  ),
);
assert.ok(OURS && STRANGERS);

const NOW = Date.now();
const CERT_URL =
  "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem";
const TOPIC = "arn:aws:sns:us-west-2:123456789012:uploads";

type Message = Record<string, string>;

/** Signs as AWS documents it: `name\nvalue\n` of the type's members in byte order. */
function signSns(message: Message, { version = "2", key = OURS!.private } = {}): Message {
  const members = message.Type === "Notification"
    ? ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    : ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
  const signer = createSign(version === "1" ? "RSA-SHA1" : "RSA-SHA256");
  for (const member of members) {
    if (message[member] !== undefined) signer.update(`${member}\n${message[member]}\n`);
  }
  return {
    ...message,
    SignatureVersion: version,
    Signature: signer.sign(key, "base64"),
    SigningCertURL: message.SigningCertURL ?? CERT_URL,
    UnsubscribeURL: "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=x",
  };
}

const record = (key: string, eventName = "ObjectCreated:Put") => ({
  eventVersion: "2.1",
  eventSource: "aws:s3",
  eventTime: "2026-01-01T00:00:00.000Z",
  eventName,
  s3: { bucket: { name: "my-bucket" }, object: { key, size: 12345678901234567890n.toString() } },
});

const notification = (message: unknown, extra: Message = {}): Message => ({
  Type: "Notification",
  MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  TopicArn: TOPIC,
  Subject: "Amazon S3 Notification",
  Message: typeof message === "string" ? message : JSON.stringify(message),
  Timestamp: new Date(NOW).toISOString(),
  ...extra,
});

const sent = (message: Message) => ({
  body: JSON.stringify(message, null, 2),
  headers: { "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message.Type! },
});

function openSns(options: ProviderOptions & { certificate?: string } = {}) {
  const fetched: { url: string; init: RequestInit }[] = [];
  const certificate = options.certificate ?? OURS!.cert;
  const opened = openProvider("aws_s3", {
    settings: { topic_arns: [TOPIC] },
    now: () => NOW,
    fetch: (url, init) => {
      fetched.push({ url, init });
      return Promise.resolve(new Response(url.endsWith(".pem") ? certificate : "<ok/>"));
    },
    ...options,
  });
  return opened.then((provider) => ({ ...provider, fetched }));
}

Deno.test("SNS: an S3 notification becomes one event per record, its key decoded", async () => {
  for (const version of ["1", "2"]) {
    const { send, rows, fetched } = await openSns();
    const message = signSns(
      notification({ Records: [record("a+b/%C3%BC.txt"), record("old", "ObjectRemoved:Delete")] }),
      { version },
    );
    const answer = await send(sent(message));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text).events.length, 2);
    assert.deepEqual(
      rows.map((
        { eventType, resourcePath, account, dedupeKey },
      ) => [eventType, resourcePath, account, dedupeKey]),
      [
        ["s3.ObjectCreated:Put", "objects/a b/ü.txt", "my-bucket", `${message.MessageId}:0`],
        ["s3.ObjectRemoved:Delete", "objects/old", "my-bucket", `${message.MessageId}:1`],
      ],
    );
    const payload = JSON.parse(rows[1]!.payload);
    assert.deepEqual(payload.Message, { Records: [record("old", "ObjectRemoved:Delete")] });
    for (const secret of ["Signature", "SigningCertURL", "UnsubscribeURL"]) {
      assert.ok(!(secret in payload), secret);
    }
    assert.equal((await send(sent(message))).status, 200);
    assert.equal(rows.length, 2, "redelivered");
    assert.deepEqual(fetched.map(({ url, init }) => [url, init.redirect]), [[CERT_URL, "error"]]);
  }
});

Deno.test("SNS: messages that are no S3 notification are named too", async () => {
  const { send, rows } = await openSns();
  const named = async (message: unknown, extra: Message) => {
    await send(sent(signSns(notification(message, extra))));
    return [rows.at(-1)!.eventType, rows.at(-1)!.resourcePath];
  };
  assert.deepEqual(
    await named({ Service: "Amazon S3", Event: "s3:TestEvent", Bucket: "my-bucket" }, {
      MessageId: "1",
    }),
    ["s3.TestEvent", "buckets/my-bucket"],
  );
  assert.deepEqual(await named("just text", { MessageId: "2" }), ["sns.Notification", "messages/"]);
  assert.deepEqual(
    await named({
      source: "aws.s3",
      "detail-type": "Object Deleted",
      detail: {
        bucket: { name: "b" },
        object: { key: "k" },
        reason: "DeleteObject",
        "deletion-type": "Delete Marker Created",
      },
    }, { MessageId: "3" }),
    ["s3.ObjectRemoved:DeleteMarkerCreated", "objects/k"],
  );
});

Deno.test("SNS: what AWS' own validator accepts is what we accept", async () => {
  // The validator fetches by https.get; the certificate is answered here.
  const get = https.get;
  // deno-lint-ignore no-explicit-any
  (https as any).get = (
    _url: string,
    answer: (response: EventEmitter & { statusCode: number }) => void,
  ) => {
    const response = Object.assign(new EventEmitter(), { statusCode: 200 });
    answer(response);
    queueMicrotask(() => {
      response.emit("data", OURS!.cert);
      response.emit("end");
    });
    return new EventEmitter();
  };
  try {
    const validate = (message: Message) =>
      new Promise<boolean>((resolve) =>
        new SnsValidator().validate({ ...message }, (error: unknown) => resolve(!error))
      );
    const { Subject: _, ...withoutSubject } = notification("text");
    const messages = [
      signSns(notification("text")),
      signSns(notification("text"), { version: "1" }),
      signSns(withoutSubject),
      signSns({
        ...withoutSubject,
        Type: "SubscriptionConfirmation",
        Token: "t".repeat(64),
        SubscribeURL:
          `https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=t`,
      }),
      { ...signSns(notification("text")), Message: "tampered" },
      { ...signSns(notification("text")), Subject: "tampered" },
      signSns(notification("text"), { key: STRANGERS!.private }),
    ];
    for (const [index, message] of messages.entries()) {
      const { send } = await openSns();
      const isAccepted = (await send(sent(message))).status === 200;
      assert.equal(isAccepted, await validate(message), `message ${index}`);
      assert.equal(isAccepted, index < 4, `message ${index}`);
    }
  } finally {
    https.get = get;
  }
});

Deno.test("SNS: only topics the integration names count, and nothing is fetched for others", async () => {
  const { send, fetched } = await openSns();
  const foreign = await send(sent(signSns(notification("x", { TopicArn: `${TOPIC}-evil` }))));
  assert.deepEqual([foreign.status, foreign.code], [401, "unexpected_source"]);
  assert.deepEqual(fetched, []);
  const unset = await openSns({ settings: {} });
  assert.equal((await unset.send(sent(signSns(notification("x"))))).code, "missing_setting");
});

Deno.test("SNS: a certificate is fetched from SNS' own hosts and paths only", async () => {
  const urls = [
    CERT_URL.replace("https:", "http:"),
    CERT_URL.replace("sns.us-west-2", "sns.us-west-2.evil"),
    CERT_URL.replace("amazonaws.com", "amazonaws.com.evil.com"),
    CERT_URL.replace("sns.us-west-2.amazonaws.com", "sns.us-west-2.amazonaws.com@evil.com"),
    CERT_URL.replace("https://", "https://user:pass@"),
    CERT_URL.replace(".com/", ".com:8443/"),
    CERT_URL.replace("sns.", "s3."),
    `${CERT_URL}?x=.pem`,
    `${CERT_URL}#x`,
    "https://sns.us-west-2.amazonaws.com/?Action=x&y=.pem",
    "https://sns.us-west-2.amazonaws.com/evil.pem",
    CERT_URL.replace("/Simple", "/a/../Simple"),
    CERT_URL.replace("/Simple", "\\Simple"),
    CERT_URL.replace(".pem", ".pem%00"),
    "",
    "not a url",
  ];
  for (const SigningCertURL of urls) {
    const { send, fetched } = await openSns();
    const { code } = await send(sent(signSns(notification("x", { SigningCertURL }))));
    assert.equal(code, "invalid_signature", SigningCertURL);
    assert.deepEqual(fetched, [], SigningCertURL);
  }
  for (
    const SigningCertURL of [
      CERT_URL,
      CERT_URL.replace("us-west-2", "cn-north-1").replace(".com", ".com.cn"),
    ]
  ) {
    const { send } = await openSns();
    assert.equal((await send(sent(signSns(notification("x", { SigningCertURL }))))).status, 200);
  }
});

Deno.test("SNS: where a stand-in takes its place, its own certificate counts and nobody else's", async () => {
  const sns_endpoint = "http://127.0.0.1:4566/sns";
  const file = "SimpleNotificationService-0123456789abcdef.pem";
  const code = async (SigningCertURL: string, key = OURS!.private) => {
    const { send, fetched } = await openSns({ settings: { topic_arns: [TOPIC], sns_endpoint } });
    const answer = await send(sent(signSns(notification("x", { SigningCertURL }), { key })));
    return [answer.code, fetched.length];
  };
  assert.deepEqual(await code(`${sns_endpoint}/${file}`), [undefined, 1]);
  assert.deepEqual(await code(`${sns_endpoint}/${file}`, STRANGERS!.private), [
    "invalid_signature",
    1,
  ]);
  for (
    const url of [
      CERT_URL,
      `http://127.0.0.1:4567/sns/${file}`,
      `http://127.0.0.1:4566.evil.com/sns/${file}`,
      `${sns_endpoint}/other.pem`,
    ]
  ) {
    assert.deepEqual(await code(url), ["invalid_signature", 0], url);
  }
});

Deno.test("SNS: stale, future and tampered messages are refused", async () => {
  const { send, rows } = await openSns();
  const at = (ms: number) => notification("x", { Timestamp: new Date(NOW + ms).toISOString() });
  assert.equal((await send(sent(signSns(at(-3_600_000 - 1_000))))).code, "stale_timestamp");
  assert.equal((await send(sent(signSns(at(301_000))))).code, "future_timestamp");
  assert.equal(
    (await send(sent(signSns(notification("x", { Timestamp: "yesterday" }))))).code,
    "invalid_signature",
  );
  const valid = signSns(notification("x"));
  const { Timestamp: _, ...undated } = valid;
  assert.equal((await send(sent(undated))).code, "missing_timestamp");
  for (const member of ["Message", "MessageId", "Subject", "Type"]) {
    assert.equal(
      (await send(sent({ ...valid, [member]: "other" }))).code,
      "invalid_signature",
      member,
    );
  }
  assert.equal((await send(sent({ ...valid, SignatureVersion: "3" }))).code, "invalid_signature");
  const { Signature: __, ...unsigned } = valid;
  assert.equal((await send(sent(unsigned))).code, "missing_signature");
  assert.deepEqual(rows, []);
});

Deno.test("SNS: certificates are kept, fetched once for many, and hiccups are not the sender's fault", async () => {
  let status = 500;
  const fetched: string[] = [];
  let now = NOW;
  const { send } = await openSns({
    now: () => now,
    fetch: async (url) => {
      fetched.push(url);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return new Response(OURS!.cert, { status });
    },
  });
  const message = sent(signSns(notification("x")));
  const away = await send(message);
  assert.deepEqual([away.status, away.code, away.headers.get("retry-after")], [
    503,
    "keys_unavailable",
    "5",
  ]);
  status = 200;
  assert.equal((await send(message)).status, 503, "not asked again within seconds");
  now += 6_000;
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(message)));
  assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]));
  assert.equal(fetched.length, 2);
  assert.equal((await send(message)).status, 200);
  assert.equal(fetched.length, 2);
});

Deno.test("SNS: a certificate that has expired or is none proves nothing", async () => {
  const past = {
    keySize: 2048,
    notBeforeDate: new Date(NOW - 2e9),
    notAfterDate: new Date(NOW - 1e9),
  };
  const expired = await selfsigned.generate(
    [{ name: "commonName", value: "sns.amazonaws.com" }],
    past,
  );
  const key = expired.private;
  for (const certificate of [expired.cert, "not a certificate", ""]) {
    const { send } = await openSns({ certificate });
    assert.equal((await send(sent(signSns(notification("x"), { key })))).code, "invalid_signature");
  }
});

Deno.test("SNS: a subscription is confirmed at SNS' own URL, for an allowed topic only", async () => {
  const confirmation = (SubscribeURL: string) =>
    signSns({
      Type: "SubscriptionConfirmation",
      MessageId: "165545c9",
      Token: "2336412f37",
      TopicArn: TOPIC,
      Message: "You have chosen to subscribe",
      SubscribeURL,
      Timestamp: new Date(NOW).toISOString(),
    });
  const good =
    `https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=2336412f37`;
  const { send, rows, fetched, confirmed } = await openSns();
  assert.equal((await send(sent(confirmation(good)))).status, 200);
  assert.deepEqual(confirmed, [TOPIC]);
  assert.deepEqual(fetched.map(({ url }) => url), [CERT_URL, good]);
  assert.equal(fetched[1]!.init.redirect, "error");
  assert.deepEqual(rows, []);
  for (
    const bad of [
      good.replace("https", "http"),
      good.replace("amazonaws.com", "amazonaws.com.evil.com"),
      good.replace("ConfirmSubscription", "DeleteTopic"),
      good.replace(TOPIC, `${TOPIC}-evil`),
      good.replace("/?", "/path?"),
      "http://169.254.169.254/latest/meta-data/",
    ]
  ) {
    const strict = await openSns();
    assert.equal((await strict.send(sent(confirmation(bad)))).code, "unexpected_source", bad);
    assert.ok(!strict.fetched.some(({ url }) => url === bad), bad);
    assert.deepEqual(strict.confirmed, []);
  }
  const failing = await openSns({
    fetch: (url) => Promise.resolve(new Response(OURS!.cert, { status: url === good ? 500 : 200 })),
  });
  assert.equal((await failing.send(sent(confirmation(good)))).code, "confirmation_failed");
  assert.deepEqual(failing.confirmed, []);
});

const PAYPAL_CERT = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-7a8abba8";
const WEBHOOK_ID = "0EH40505U7160970P";

/** The CRC of the documentation's `cksum`-like example, bit by bit, independent of the verifier's table. */
function bitwiseCrc32(text: string): number {
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function paypal(
  {
    body =
      '{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED","resource_type":"sale","resource":{"id":"80021663"}}',
    webhookId = WEBHOOK_ID,
    at = NOW,
    certUrl = PAYPAL_CERT,
    key = OURS!.private,
  } = {},
) {
  const time = new Date(at).toISOString().replace(/\.\d+/, "");
  const signature = createSign("RSA-SHA256")
    .update(`69cd13f0-d67a-11e5-baa3-778b53f4ae55|${time}|${webhookId}|${bitwiseCrc32(body)}`)
    .sign(key, "base64");
  return {
    body,
    headers: {
      "paypal-transmission-id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
      "paypal-transmission-time": time,
      "paypal-auth-algo": "SHA256withRSA",
      "paypal-cert-url": certUrl,
      "paypal-transmission-sig": signature,
    },
  };
}

Deno.test("PayPal: a transmission signed for this webhook is accepted, anything else refused", async () => {
  const fetched: string[] = [];
  const fetch = (url: string) => {
    fetched.push(url);
    return Promise.resolve(new Response(OURS!.cert));
  };
  const { send, rows } = await openProvider("paypal", {
    secrets: ["former id", WEBHOOK_ID],
    now: () => NOW,
    fetch,
  });
  const answer = await send(paypal());
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(
    rows.map(({ eventType, resourcePath, dedupeKey }) => [eventType, resourcePath, dedupeKey]),
    [["PAYMENT.SALE.COMPLETED", "sale/80021663", "WH-1"]],
  );
  assert.equal(
    (await send(paypal({ at: NOW - 71 * 3_600_000 }))).status,
    200,
    "PayPal retries for three days",
  );
  const valid = paypal();
  const refused = async (
    delivery: { body: string; headers: Record<string, string> },
    code: string,
  ) => assert.equal((await send(delivery)).code, code);
  await refused({ ...valid, body: `${valid.body} ` }, "invalid_signature");
  await refused(paypal({ webhookId: "another" }), "invalid_signature");
  await refused(paypal({ key: STRANGERS!.private }), "invalid_signature");
  await refused(paypal({ at: NOW - 73 * 3_600_000 }), "stale_timestamp");
  await refused(paypal({ at: NOW + 301_000 }), "future_timestamp");
  const { "paypal-transmission-sig": signature, ...unsigned } = valid.headers;
  await refused({ ...valid, headers: unsigned as Record<string, string> }, "missing_signature");
  await refused({
    ...valid,
    headers: { ...valid.headers, "paypal-transmission-sig": signature.slice(0, -8) },
  }, "invalid_signature");
  for (
    const certUrl of [
      PAYPAL_CERT.replace("api.paypal.com", "api.paypal.com.evil.com"),
      PAYPAL_CERT.replace("https", "http"),
      PAYPAL_CERT.replace("/v1/notifications/certs/", "/v1/x/"),
      PAYPAL_CERT.replace("certs/", "certs/../../x/"),
      `${PAYPAL_CERT}?x`,
    ]
  ) await refused(paypal({ certUrl }), "invalid_signature");
  assert.deepEqual(fetched, [PAYPAL_CERT]);
  const unset = await openProvider("paypal", { now: () => NOW, fetch });
  assert.equal((await unset.send(valid)).code, "missing_secret");
});

const AUDIENCE = "https://hooks.example.com/gmail";
const ACCOUNT = "gmail-push@project.iam.gserviceaccount.com";
const SUBSCRIPTION = "projects/p/subscriptions/gmail";
const GMAIL_BODY = JSON.stringify({
  message: {
    data: btoa('{"emailAddress":"user@example.com","historyId":12345678901234567890}'),
    messageId: "2070443601311540",
    publishTime: "2021-02-26T19:13:55.749Z",
  },
  subscription: SUBSCRIPTION,
});

function rsaKey(kid: string) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    kid,
    privateKey,
    jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" },
    publicKey,
  };
}

const base64url = (value: unknown) =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** A token made by hand, so that what verifies is not what signed. */
function makeToken(
  key: ReturnType<typeof rsaKey>,
  claims: Record<string, unknown> = {},
  header = {},
): string {
  const iat = Math.floor(Date.now() / 1_000);
  const payload = {
    iss: "https://accounts.google.com",
    aud: AUDIENCE,
    email: ACCOUNT,
    email_verified: true,
    sub: "1",
    iat,
    exp: iat + 3_600,
    ...claims,
  };
  const signed = `${base64url({ alg: "RS256", kid: key.kid, typ: "JWT", ...header })}.${
    base64url(payload)
  }`;
  const signature = signWithKey("sha256", new TextEncoder().encode(signed), key.privateKey)
    .toString("base64url");
  return `${signed}.${signature}`;
}

/** A key set on loopback; counts how often it is fetched. */
async function withKeySet(
  keys: unknown[],
  test: (
    url: string,
    state: { fetches: number; keys: unknown[]; isAway: boolean },
  ) => Promise<void>,
) {
  const state = { fetches: 0, keys, isAway: false };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    state.fetches++;
    return state.isAway
      ? new Response("away", { status: 503 })
      : Response.json({ keys: state.keys });
  });
  try {
    await test(`http://127.0.0.1:${server.addr.port}/certs`, state);
  } finally {
    await server.shutdown();
  }
}

async function openGmail(jwksUrl: string, settings: Record<string, unknown> = {}) {
  const { verify } = (await readCatalogue()).get("gmail")!.webhookConfig as { verify: object };
  return await openProvider("gmail", {
    settings: {
      verify: { ...verify, jwks_url: jwksUrl },
      audience: AUDIENCE,
      push_service_account: ACCOUNT,
      subscription: SUBSCRIPTION,
      ...settings,
    },
  });
}

const push = (token: string | undefined, body = GMAIL_BODY) => ({
  body,
  headers: {
    "content-type": "application/json",
    ...(token ? { authorization: `Bearer ${token}` } : {}),
  },
});

Deno.test("Gmail: a push with Google's token is opened and named", async () => {
  const key = rsaKey("k1");
  await withKeySet([key.jwk], async (url, state) => {
    const { send, rows } = await openGmail(url);
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(push(makeToken(key)))));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200, 200],
      answers[0]!.text,
    );
    assert.equal(state.fetches, 1, "many waiters, one fetch");
    assert.equal(rows.length, 1);
    const [event] = rows;
    assert.deepEqual(
      [event!.eventType, event!.resourcePath, event!.account, event!.dedupeKey, event!.occurredAt],
      [
        "gmail.history",
        "mailboxes/user@example.com",
        "user@example.com",
        "2070443601311540",
        "2021-02-26T19:13:55.749Z",
      ],
    );
    assert.match(event!.payload, /"historyId":12345678901234567890/, "every digit is kept");
    assert.ok(!event!.headers.includes("eyJ"), "the token is not stored");
  });
});

Deno.test("Gmail: tokens for others, of others, stale or altered are refused", async () => {
  const key = rsaKey("k1");
  const stranger = rsaKey("k1");
  await withKeySet([key.jwk], async (url) => {
    const { send, rows } = await openGmail(url);
    const now = Math.floor(Date.now() / 1_000);
    const refused: [string, string | undefined, string][] = [
      ["missing", undefined, "missing_signature"],
      [
        "another audience",
        makeToken(key, { aud: "https://elsewhere.example.com" }),
        "invalid_signature",
      ],
      ["another issuer", makeToken(key, { iss: "https://evil.example.com" }), "invalid_signature"],
      [
        "another account",
        makeToken(key, { email: "other@project.iam.gserviceaccount.com" }),
        "invalid_signature",
      ],
      ["unverified account", makeToken(key, { email_verified: false }), "invalid_signature"],
      ["expired", makeToken(key, { iat: now - 7_200, exp: now - 3_600 }), "stale_timestamp"],
      ["without expiry", makeToken(key, { exp: undefined }), "invalid_signature"],
      ["not yet valid", makeToken(key, { nbf: now + 600 }), "invalid_signature"],
      ["another key", makeToken(stranger), "invalid_signature"],
      [
        "no algorithm",
        `${base64url({ alg: "none" })}.${base64url({ aud: AUDIENCE })}.`,
        "invalid_signature",
      ],
      ["HMAC with the public key", makeToken(key, {}, { alg: "HS256" }), "invalid_signature"],
      ["garbage", "garbage", "invalid_signature"],
      ["short", makeToken(key).slice(0, -6), "invalid_signature"],
    ];
    for (const [what, token, code] of refused) {
      assert.equal((await send(push(token))).code, code, what);
    }
    const foreign = GMAIL_BODY.replace(SUBSCRIPTION, "projects/p/subscriptions/other");
    assert.equal((await send(push(makeToken(key), foreign))).code, "unexpected_source");
    assert.deepEqual(rows, []);
    for (const setting of ["audience", "push_service_account", "subscription"]) {
      const unset = await openGmail(url, { [setting]: undefined });
      assert.equal((await unset.send(push(makeToken(key)))).code, "missing_setting", setting);
    }
  });
});

Deno.test("Gmail: keys that cannot be fetched are 503, so that the push comes again", async () => {
  const key = rsaKey("k1");
  await withKeySet([key.jwk], async (url, state) => {
    state.isAway = true;
    const { send } = await openGmail(url);
    const { status, code } = await send(push(makeToken(key)));
    assert.deepEqual([status, code], [503, "keys_unavailable"]);
    state.isAway = false;
    assert.equal((await send(push(makeToken(key)))).status, 200);
  });
});

Deno.test("Gmail: a key the set did not hold is looked for again, at most every ten seconds", async () => {
  const [former, next] = [rsaKey("k1"), rsaKey("k2")];
  const clock = Date.now;
  await withKeySet([former.jwk], async (url, state) => {
    const { send } = await openGmail(url);
    assert.equal((await send(push(makeToken(former)))).status, 200);
    state.keys = [next.jwk];
    for (let i = 0; i < 5; i++) assert.equal((await send(push(makeToken(next)))).status, 401);
    assert.equal(state.fetches, 1);
    Date.now = () => clock() + 11_000;
    try {
      assert.equal((await send(push(makeToken(next)))).status, 200);
      assert.equal((await send(push(makeToken(former)))).status, 401, "the former key is gone");
    } finally {
      Date.now = clock;
    }
    assert.equal(state.fetches, 2);
  });
});
