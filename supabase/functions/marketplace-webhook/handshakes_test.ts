import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { resetEnv } from "../_shared/env.ts";
import type { ChannelPush } from "./ingest.ts";
import { openProvider } from "./testing.ts";

Deno.env.set("MARKETPLACE_LOG_LEVEL", "error");
resetEnv();

const NOW = Date.now();
const SECONDS = String(Math.floor(NOW / 1_000));
const now = () => NOW;
const hex = (secret: string, message: string) =>
  createHmac("sha256", secret).update(message).digest("hex");

const slack = (secret: string, body: string) => ({
  body,
  headers: {
    "x-slack-request-timestamp": SECONDS,
    "x-slack-signature": `v0=${hex(secret, `v0:${SECONDS}:${body}`)}`,
  },
});

Deno.test("Slack: the challenge is returned once the request is verified, and not before", async () => {
  const { send, rows } = await openProvider("slack", { secrets: ["secret"], now });
  const body = JSON.stringify({
    type: "url_verification",
    token: "t",
    challenge: "3eZbrw1aBm2rZgRNFdxV",
  });
  const answer = await send(slack("secret", body));
  assert.equal(answer.status, 200);
  assert.deepEqual(JSON.parse(answer.text), { challenge: "3eZbrw1aBm2rZgRNFdxV" });
  const forged = await send(slack("wrong", body));
  assert.equal(forged.status, 401);
  assert.ok(!forged.text.includes("3eZbrw1aBm2rZgRNFdxV"));
  assert.deepEqual(rows, []);
});

Deno.test("Slack: the verification token in the body is not stored", async () => {
  const { send, rows } = await openProvider("slack", { secrets: ["secret"], now });
  await send(
    slack("secret", '{"token":"deprecated","event_id":"Ev1","event":{"type":"app_mention"}}'),
  );
  assert.deepEqual(JSON.parse(rows[0]!.payload), {
    event_id: "Ev1",
    event: { type: "app_mention" },
  });
});

Deno.test("Zoom: the plain token is returned with its HMAC, by the secret that proved the request", async () => {
  const { send, rows } = await openProvider("zoom", { secrets: ["other", "secret"], now });
  const body = JSON.stringify({
    event: "endpoint.url_validation",
    payload: { plainToken: "qgg8vlvZRS6UYooatFL8Aw" },
  });
  const zoom = (secret: string) => ({
    body,
    headers: {
      "x-zm-request-timestamp": SECONDS,
      "x-zm-signature": `v0=${hex(secret, `v0:${SECONDS}:${body}`)}`,
    },
  });
  const answer = await send(zoom("secret"));
  assert.deepEqual(JSON.parse(answer.text), {
    plainToken: "qgg8vlvZRS6UYooatFL8Aw",
    encryptedToken: hex("secret", "qgg8vlvZRS6UYooatFL8Aw"),
  });
  assert.equal((await send(zoom("wrong"))).status, 401);
  assert.deepEqual(rows, []);
});

Deno.test("Discord: both kinds of PING are answered, a badly signed one is 401", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("hex");
  const { send, rows } = await openProvider("discord", { secrets: [key], now });
  const discord = (body: string) => ({
    body,
    headers: {
      "x-signature-timestamp": SECONDS,
      "x-signature-ed25519": sign(null, Buffer.from(SECONDS + body), privateKey).toString("hex"),
    },
  });
  const interaction = await send(discord('{"type":1,"id":"1","token":"t"}'));
  assert.deepEqual([interaction.status, interaction.text], [200, '{"type":1}']);
  const events = await send(discord('{"version":1,"application_id":"1","type":0}'));
  assert.deepEqual([events.status, events.text], [204, ""]);
  assert.deepEqual(rows, []);
  const event =
    '{"version":1,"application_id":"1","type":1,"event":{"type":"ENTITLEMENT_CREATE","timestamp":"2026-01-01T00:00:00Z"}}';
  assert.equal((await send(discord(event))).status, 204);
  assert.deepEqual(rows.map(({ eventType }) => eventType), ["ENTITLEMENT_CREATE"]);
  const bad = discord('{"type":1}');
  bad.headers["x-signature-ed25519"] = "0".repeat(128);
  assert.equal((await send(bad)).status, 401);
});

Deno.test("Meta: the challenge is returned to whoever knows the verify token", async () => {
  const credentials = { verify_token: "meatyhamhock" };
  const { send } = await openProvider("meta", { secrets: ["app secret"], credentials });
  const challenge = (token: string, mode = "subscribe") => ({
    method: "GET",
    query: `?hub.mode=${mode}&hub.challenge=1158201444&hub.verify_token=${token}`,
  });
  const answer = await send(challenge("meatyhamhock"));
  assert.deepEqual([answer.status, answer.text], [200, "1158201444"]);
  assert.equal(answer.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal((await send(challenge("wrong"))).status, 401);
  assert.equal((await send(challenge(""))).status, 401);
  assert.equal((await send(challenge("meatyhamhock", "unsubscribe"))).status, 405);
  const unset = await openProvider("meta", { secrets: ["app secret"] });
  assert.equal((await unset.send(challenge(""))).status, 401);
  assert.equal((await unset.send(challenge("undefined"))).status, 401);
});

Deno.test("Dropbox: the challenge is returned as text that no browser takes for a page", async () => {
  const { send } = await openProvider("dropbox", { secrets: ["secret"] });
  const answer = await send({ method: "GET", query: "?challenge=abc-123_XYZ" });
  assert.deepEqual([answer.status, answer.text], [200, "abc-123_XYZ"]);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.match(answer.headers.get("content-type")!, /^text\/plain/);
  assert.equal((await send({ method: "GET" })).status, 405);
  assert.equal((await send({ method: "GET", query: `?challenge=${"x".repeat(600)}` })).status, 405);
  assert.equal((await send({ method: "GET", query: "?challenge=a%0d%0ab" })).status, 405);
});

Deno.test("Intercom: HEAD is answered, for providers that send none it is 405", async () => {
  const intercom = await openProvider("intercom", { secrets: ["secret"] });
  assert.equal((await intercom.send({ method: "HEAD" })).status, 200);
  const github = await openProvider("github", { secrets: ["secret"] });
  assert.equal((await github.send({ method: "HEAD" })).status, 405);
});

const HOOK_SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";

Deno.test("Asana: the expected secret is kept and echoed, a second one refused", async () => {
  const { send, rows, held } = await openProvider("asana", { expectsHandshake: true });
  const body = '{"events":[{"action":"added","resource":{"gid":"1","resource_type":"task"}}]}';
  const signed = (secret: string) => ({ body, headers: { "x-hook-signature": hex(secret, body) } });
  assert.equal((await send(signed(HOOK_SECRET))).code, "missing_secret");
  const answer = await send({ body: "{}", headers: { "x-hook-secret": HOOK_SECRET } });
  assert.deepEqual([answer.status, answer.headers.get("x-hook-secret")], [200, HOOK_SECRET]);
  assert.deepEqual(held, [HOOK_SECRET]);
  assert.equal((await send(signed(HOOK_SECRET))).status, 200);
  assert.equal(rows.length, 1);
  const second = await send({
    body: "{}",
    headers: { "x-hook-secret": HOOK_SECRET.replace("b5", "c6") },
  });
  assert.deepEqual([second.status, second.code, second.headers.get("x-hook-secret")], [
    401,
    "handshake_closed",
    null,
  ]);
  assert.deepEqual(held, [HOOK_SECRET]);
});

Deno.test("Asana: an empty batch, its heartbeat, is accepted and stores nothing", async () => {
  const { send, rows } = await openProvider("asana", { secrets: [HOOK_SECRET] });
  const body = '{"events":[]}';
  const answer = await send({ body, headers: { "x-hook-signature": hex(HOOK_SECRET, body) } });
  assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, { received: true, events: [] }]);
  assert.deepEqual(rows, []);
});

Deno.test("Asana: a secret that nobody expects is refused, and short secrets are none", async () => {
  const sent = { body: "{}", headers: { "x-hook-secret": HOOK_SECRET } };
  const closed = await openProvider("asana");
  assert.equal((await closed.send(sent)).code, "handshake_closed");
  assert.deepEqual(closed.held, []);
  const further = await openProvider("asana", {
    secrets: ["another webhook's secret"],
    expectsHandshake: true,
  });
  assert.equal((await further.send(sent)).status, 200);
  assert.deepEqual(further.held, ["another webhook's secret", HOOK_SECRET]);
  const { send } = await openProvider("asana", { expectsHandshake: true });
  assert.equal((await send({ body: "{}", headers: { "x-hook-secret": "short" } })).status, 401);
});

Deno.test("Notion: the verification token is put aside for the operator and trusted for nothing", async () => {
  const token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl";
  const { send, rows, offered, held } = await openProvider("notion");
  const sent = { body: JSON.stringify({ verification_token: token }) };
  const answer = await send(sent);
  assert.equal(answer.status, 200);
  assert.ok(!answer.text.includes(token));
  assert.deepEqual([offered, held, rows], [[token], [], []]);
  const event = '{"id":"1","type":"page.created"}';
  const signed = { body: event, headers: { "x-notion-signature": `sha256=${hex(token, event)}` } };
  assert.equal((await send(signed)).code, "missing_secret", "an offered token proves nothing");

  const set = await openProvider("notion", { secrets: [token] });
  assert.equal(
    (await set.send(sent)).status,
    401,
    "with a secret set, nothing unsigned is looked at",
  );
  assert.deepEqual(set.offered, []);
  assert.equal((await set.send(signed)).status, 200);
});

Deno.test("a flood of offered secrets is slowed down", async () => {
  const { send, offered } = await openProvider("notion", { now });
  const statuses = new Set<number>();
  for (let i = 0; i < 50; i++) {
    statuses.add(
      (await send({ body: JSON.stringify({ verification_token: `secret_${i}`.padEnd(40, "x") }) }))
        .status,
    );
  }
  assert.deepEqual([...statuses], [200, 429]);
  assert.equal(offered.length, 10);
});

const CHANNEL = {
  "x-goog-channel-id": "channel-1",
  "x-goog-channel-token": "token",
  "x-goog-resource-id": "resource-1",
  "x-goog-resource-uri": "https://www.googleapis.com/drive/v3/files/abc?alt=json",
};
const drive = (state: string, number: number, headers: Record<string, string> = {}) => ({
  headers: {
    ...CHANNEL,
    "x-goog-resource-state": state,
    "x-goog-message-number": String(number),
    ...headers,
  },
});

Deno.test("Google: sync is answered and not stored, whether or not the channel is ours", async () => {
  const own = await openProvider("google_drive", { secrets: ["token"] });
  const followed = await openProvider("google_drive", {
    secrets: ["token"],
    notePush: () => Promise.resolve("unknown"),
  });
  for (const { send, rows } of [own, followed]) {
    assert.equal((await send(drive("sync", 1))).status, 200);
    assert.equal((await send(drive("sync", 1, { "x-goog-channel-token": "wrong" }))).status, 401);
    assert.deepEqual(rows, []);
  }
});

Deno.test("Google: every state is an event of its own message number", async () => {
  const { send, rows } = await openProvider("google_drive", { secrets: ["token"] });
  const states = ["add", "remove", "update", "trash", "untrash", "change", "changed"];
  for (const [index, state] of states.entries()) {
    assert.equal((await send(drive(state, index + 2))).status, 200);
    assert.equal((await send(drive(state, index + 2))).status, 200);
  }
  assert.deepEqual(
    rows.map(({ eventType, dedupeKey }) => `${eventType} ${dedupeKey}`),
    states.map((state, index) =>
      `drive.${state.replace("changed", "change")} channel-1:${index + 2}`
    ),
  );
  assert.deepEqual(JSON.parse(rows[0]!.payload), {
    channel_id: "channel-1",
    message_number: "2",
    resource_id: "resource-1",
    resource_uri: CHANNEL["x-goog-resource-uri"],
    resource_state: "add",
  });
});

Deno.test("Google: of an account that is followed, a push is noted and is no event", async () => {
  const pushes: ChannelPush[] = [];
  const { send, rows } = await openProvider("google_drive", {
    secrets: ["token"],
    notePush: (_id, push) => {
      pushes.push(push);
      if (push.channelId !== "channel-1") return Promise.resolve("unknown");
      if (push.state === "sync") return Promise.resolve("sync");
      return Promise.resolve(pushes.length > 2 ? "coalesced" : "noted");
    },
  });
  const told = [];
  for (const [state, number] of [["sync", 1], ["change", 2], ["change", 3]] as const) {
    const answer = await send(drive(state, number));
    told.push([answer.status, JSON.parse(answer.text)]);
  }
  assert.deepEqual(told, [
    [200, { received: true, push: "sync" }],
    [200, { received: true, push: "noted" }],
    [200, { received: true, push: "coalesced" }],
  ]);
  assert.deepEqual(pushes[1], {
    channelId: "channel-1",
    resourceId: "resource-1",
    messageNumber: "2",
    state: "change",
  });
  const foreign = await send(drive("update", 4, { "x-goog-channel-id": "channel-2" }));
  assert.deepEqual(
    [foreign.status, foreign.code],
    [503, "unknown_channel"],
    "Google sends it again",
  );
  const forged = await send(drive("update", 5, { "x-goog-channel-token": "wrong" }));
  assert.equal(forged.status, 401);
  assert.equal(pushes.length, 4, "nothing unproven is noted");
  assert.deepEqual(rows, []);
});

Deno.test("Google: channels that somebody opened himself make events, until one is opened by us", async () => {
  const { send, rows } = await openProvider("google_drive", {
    secrets: ["token"],
    notePush: () => Promise.resolve("unchecked"),
  });
  assert.equal((await send(drive("update", 2))).status, 200);
  assert.equal(rows.length, 1);
});
