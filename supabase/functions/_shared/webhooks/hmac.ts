/**
 * HMAC over a template of the request: most providers, each with its own spelling.
 *
 *     GitHub   x-hub-signature-256: sha256=<hex HMAC-SHA256(raw)>
 *     Slack    x-slack-signature: v0=<hex HMAC-SHA256("v0:" + timestamp + ":" + raw)>
 *     Stripe   stripe-signature: t=<timestamp>,v1=<hex HMAC-SHA256(timestamp + "." + raw)>
 *     Twilio   x-twilio-signature: <base64 HMAC-SHA1(url + sorted form fields)>
 *
 * @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 * @see https://docs.stripe.com/webhooks#verify-manually
 * @see https://www.twilio.com/docs/usage/security#validating-requests
 */
import { createHmac } from "node:crypto";
import { type Bytes, decodeBytes, equalBytes, utf8 } from "./bytes.ts";
import type { HmacScheme } from "./config.ts";
import { readReference, signedMessage } from "./message.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { accept, type Delivery, refuse, type Verdict } from "./verdict.ts";

/** Verifies an HMAC; any of the sent signatures may match any of the secrets. */
export async function verifyHmac(
  scheme: HmacScheme,
  delivery: Delivery,
  secrets: readonly string[],
): Promise<Verdict> {
  const header = delivery.headers.get(scheme.header);
  if (!header) return refuse("missing_signature");
  const parts = scheme.separator ? header.split(scheme.separator).map((p) => p.trim()) : [header];
  const signatures = parts
    .filter((part) => part.startsWith(scheme.prefix))
    .flatMap((part) => decodeBytes(part.slice(scheme.prefix.length), scheme.encoding) ?? []);
  if (signatures.length === 0) return refuse("invalid_signature");

  const { timestamp: rule, body_hash: bodyHash } = scheme;
  const refuseTime = () =>
    rule && refuseTimestamp(readReference(rule.from, delivery, { parts }), rule, delivery.now);
  // A time inside the body says nothing before the body is proven.
  const isTimeInBody = rule?.from.startsWith("body:") ?? false;
  const early = isTimeInBody ? undefined : refuseTime();
  if (early) return refuse(early);

  const timestamp = rule && !isTimeInBody
    ? readReference(rule.from, delivery, { parts })
    : undefined;
  const message = signedMessage(scheme.signed, delivery, { parts, timestamp });
  if (!message) return refuse("invalid_signature");
  let match: string | undefined;
  for (const secret of secrets) {
    const key = scheme.secret_encoding === "utf8"
      ? utf8(secret)
      : decodeBytes(secret, scheme.secret_encoding);
    if (!key?.byteLength) continue;
    const expected = hmac(scheme.algorithm, key, message);
    // No early exit: which secret matched must not show.
    for (const signature of signatures) if (equalBytes(signature, expected)) match = secret;
  }
  if (match === undefined) return refuse("invalid_signature");

  if (bodyHash) {
    const sent = decodeBytes(readReference(bodyHash.from, delivery) ?? "", bodyHash.encoding);
    const actual = new Uint8Array(await crypto.subtle.digest("SHA-256", delivery.raw));
    if (!sent || !equalBytes(sent, actual)) return refuse("invalid_signature");
  }
  const late = isTimeInBody ? refuseTime() : undefined;
  return late ? refuse(late) : accept(match);
}

/**
 * The keyed hash of a message. Not by Web Crypto, which takes several times as long for a few
 * kilobytes: each call goes through another thread.
 */
export function hmac(algorithm: HmacScheme["algorithm"], key: Bytes, message: Bytes): Bytes {
  return new Uint8Array(createHmac(algorithm, key).update(message).digest());
}
