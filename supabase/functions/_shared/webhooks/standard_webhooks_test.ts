import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { utf8 } from "./bytes.ts";
import { StandardWebhooksScheme } from "./config.ts";
import { verifyStandardWebhooks } from "./standard_webhooks.ts";

const SCHEME = StandardWebhooksScheme.parse({ family: "standard_webhooks" });
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW = 1_614_265_330_000;
const SECONDS = String(NOW / 1_000);
const BODY = '{"test": 2432232314}';
const MESSAGE = `msg_1.${SECONDS}.${BODY}`;

const v1 = new Webhook(SECRET).sign("msg_1", new Date(NOW), BODY);

async function verdict(signature: string, secrets: string[], headers: Record<string, string> = {}) {
  const sent = {
    "webhook-id": "msg_1",
    "webhook-timestamp": SECONDS,
    "webhook-signature": signature,
    ...headers,
  };
  const delivery = {
    raw: utf8(BODY),
    headers: new Headers(sent),
    method: "POST",
    url: () => "",
    now: NOW,
  };
  const result = await verifyStandardWebhooks(SCHEME, delivery, secrets);
  return result.ok ? "ok" : result.code;
}

Deno.test("any of several signatures may match any of several secrets", async () => {
  assert.equal(await verdict(`v1,${btoa("x".repeat(32))} ${v1}`, ["whsec_AAAA", SECRET]), "ok");
  assert.equal(
    await verdict(v1, [SECRET.slice("whsec_".length)]),
    "ok",
    "the prefix may be left out",
  );
  assert.equal(await verdict(v1, ["whsec_AAAA", "not base64!"]), "invalid_signature");
});

Deno.test("a signature counts under its own version only", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const key = `whpk_${
    publicKey.export({ type: "spki", format: "der" }).subarray(-32).toString("base64")
  }`;
  const asymmetric = sign(null, Buffer.from(MESSAGE), privateKey).toString("base64");
  assert.equal(await verdict(`v1a,${asymmetric}`, [key]), "ok");
  assert.equal(await verdict(`v1,${asymmetric}`, [key]), "invalid_signature");
  assert.equal(await verdict(v1.replace("v1,", "v1a,"), [SECRET]), "invalid_signature");
  assert.equal(await verdict(v1.replace("v1,", "v2,"), [SECRET]), "invalid_signature");
  // Whoever knows a public key must not be able to use it as an HMAC key.
  const forged = createHmac("sha256", Buffer.from(key.slice(5), "base64")).update(MESSAGE).digest(
    "base64",
  );
  assert.equal(await verdict(`v1,${forged}`, [key]), "invalid_signature");
});

Deno.test("id, timestamp and signature must all be there", async () => {
  assert.equal(await verdict("", [SECRET]), "missing_signature");
  assert.equal(await verdict(v1, [SECRET], { "webhook-id": "" }), "missing_signature");
  assert.equal(await verdict(v1, [SECRET], { "webhook-timestamp": "" }), "missing_timestamp");
  assert.equal(await verdict(v1, [SECRET], { "webhook-id": "msg_2" }), "invalid_signature");
});
