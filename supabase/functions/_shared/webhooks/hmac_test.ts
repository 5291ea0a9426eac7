import { sign, verify } from "@octokit/webhooks-methods";
import assert from "node:assert/strict";
import { utf8 } from "./bytes.ts";
import { HmacScheme } from "./config.ts";
import { verifyHmac } from "./hmac.ts";
import type { Delivery } from "./verdict.ts";

const NOW = 1_700_000_000_000;

function delivery(body: string, headers: Record<string, string>, now = NOW): Delivery {
  return {
    raw: utf8(body),
    headers: new Headers(headers),
    method: "POST",
    url: () => "https://example.com/hook",
    now,
  };
}

const GITHUB = HmacScheme.parse({
  family: "hmac",
  algorithm: "sha256",
  encoding: "hex",
  header: "x-hub-signature-256",
  prefix: "sha256=",
});
const SLACK = HmacScheme.parse({
  family: "hmac",
  algorithm: "sha256",
  encoding: "hex",
  header: "x-slack-signature",
  prefix: "v0=",
  signed: "v0:{timestamp}:{raw}",
  timestamp: { from: "header:x-slack-request-timestamp" },
});

const github = (body: string, signature: string, secrets: string[]) =>
  verifyHmac(GITHUB, delivery(body, { "x-hub-signature-256": signature }), secrets);

Deno.test("GitHub's published vector is accepted", async () => {
  const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const verdict = await github("Hello, World!", signature, ["It's a Secret to Everybody"]);
  assert.ok(verdict.ok);
});

Deno.test("what GitHub's library signs is accepted, and what is accepted it verifies", async () => {
  const body = JSON.stringify({ emoji: "😀", text: "é" });
  const signature = await sign("secret", body);
  assert.ok((await github(body, signature, ["secret"])).ok);
  assert.ok(await verify("secret", body, signature));
});

Deno.test("any valid secret is accepted while secrets overlap", async () => {
  const signature = await sign("new", "{}");
  assert.ok((await github("{}", signature, ["old", "new"])).ok);
});

Deno.test("tampered, wrongly keyed, short and missing signatures are refused", async () => {
  const signature = await sign("secret", "{}");
  const cases: [string, string, string[], string][] = [
    ["{} ", signature, ["secret"], "invalid_signature"],
    ["{}", signature, ["other"], "invalid_signature"],
    ["{}", signature.slice(0, -2), ["secret"], "invalid_signature"],
    ["{}", `${signature}00`, ["secret"], "invalid_signature"],
    ["{}", signature.replace("sha256=", "sha1="), ["secret"], "invalid_signature"],
    ["{}", "sha256=", ["secret"], "invalid_signature"],
    ["{}", "sha256=zz", ["secret"], "invalid_signature"],
    ["{}", "", ["secret"], "missing_signature"],
  ];
  for (const [body, sent, secrets, code] of cases) {
    assert.deepEqual(await github(body, sent, secrets), { ok: false, code }, sent);
  }
});

/** The request of Slack's documentation. */
const SLACK_BODY =
  "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V" +
  "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=" +
  "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
  "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SLACK_HEADERS = {
  "x-slack-request-timestamp": "1531420618",
  "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
};
const SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5";

Deno.test("Slack's published vector is accepted within its window only", async () => {
  const at = (seconds: number, headers = SLACK_HEADERS) =>
    verifyHmac(SLACK, delivery(SLACK_BODY, headers, (1_531_420_618 + seconds) * 1_000), [
      SLACK_SECRET,
    ]);
  assert.ok((await at(0)).ok);
  assert.ok((await at(300)).ok);
  assert.deepEqual(await at(301), { ok: false, code: "stale_timestamp" });
  assert.deepEqual(await at(-301), { ok: false, code: "future_timestamp" });
});

Deno.test("a timestamp that is missing, malformed or not the signed one is refused", async () => {
  const sent = (timestamp: string | undefined) => {
    const headers: Record<string, string> = { ...SLACK_HEADERS };
    delete headers["x-slack-request-timestamp"];
    if (timestamp !== undefined) headers["x-slack-request-timestamp"] = timestamp;
    return verifyHmac(SLACK, delivery(SLACK_BODY, headers, 1_531_420_618_000), [SLACK_SECRET]);
  };
  assert.deepEqual(await sent(undefined), { ok: false, code: "missing_timestamp" });
  for (const malformed of ["1531420618.0", "-1", "1e9", "0x5b47", "now", "9".repeat(20)]) {
    assert.deepEqual(await sent(malformed), { ok: false, code: "invalid_signature" }, malformed);
  }
  assert.deepEqual(await sent("1531420619"), { ok: false, code: "invalid_signature" });
});

Deno.test("a window of zero cannot be configured", () => {
  assert.ok(
    !HmacScheme.safeParse({ ...SLACK, timestamp: { from: "part:t", tolerance_seconds: 0 } })
      .success,
  );
});
