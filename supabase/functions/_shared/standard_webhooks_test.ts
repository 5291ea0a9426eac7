import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { createSigner } from "./standard_webhooks.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"type":"job.dispatched","n":"Grüße 🎉"}';

async function signed(body: string) {
  const sign = await createSigner(SECRET);
  return sign({ id: "msg_1", timestamp: Math.floor(Date.now() / 1000), body });
}

Deno.test("the signature equals the specification's published vector", async () => {
  const sign = await createSigner(SECRET);
  const headers = await sign({
    id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
    timestamp: 1614265330,
    body: '{"test": 2432232314}',
  });
  assert.equal(
    headers["webhook-signature"],
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  );
});

Deno.test("the reference library accepts what we sign, non-ASCII bodies included", async () => {
  assert.deepEqual(new Webhook(SECRET).verify(BODY, await signed(BODY)), JSON.parse(BODY));
});

Deno.test("the reference library refuses a changed body and another secret", async () => {
  const headers = await signed(BODY);
  assert.throws(() => new Webhook(SECRET).verify(BODY.replace("🎉", "!"), headers));
  assert.throws(() =>
    new Webhook(`whsec_${btoa("another-secret-of-24-byte")}`).verify(BODY, headers)
  );
});

Deno.test("an ed25519 signature is verified with the public key alone", async () => {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  assert.ok("privateKey" in pair);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const secret = `whsk_${btoa(String.fromCharCode(...pkcs8.subarray(-32)))}`;
  const sign = await createSigner(secret);
  const headers = await sign({ id: "msg_1", timestamp: 1614265330, body: BODY });
  const [version, signature] = headers["webhook-signature"].split(",");
  assert.equal(version, "v1a");
  const verify = (text: string) =>
    crypto.subtle.verify(
      "Ed25519",
      pair.publicKey,
      Uint8Array.from(atob(signature!), (char) => char.charCodeAt(0)),
      new TextEncoder().encode(text),
    );
  assert.ok(await verify(`msg_1.1614265330.${BODY}`));
  assert.ok(!await verify(`msg_1.1614265331.${BODY}`));
});

Deno.test("a secret that is not one is refused without being shown", async () => {
  for (const secret of ["whsec_***not-base64***", "whsec_c2hvcnQ=", "whsk_c2hvcnQ=", ""]) {
    await assert.rejects(createSigner(secret), (error: Error) => {
      assert.equal((error as { code?: string }).code, "configuration_invalid");
      return secret === "" || !error.message.includes(secret);
    });
  }
});
