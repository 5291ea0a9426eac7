/**
 * ECDSA on P-256 with SHA-256 over a template of the request; the "secret" is the sender's public
 * key (SPKI, base64 or PEM).
 *
 *     SendGrid  x-twilio-email-event-webhook-signature: <base64 DER signature of timestamp + raw>
 *
 * @see https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
 */
import { type Bytes, decodeBytes } from "./bytes.ts";
import type { EcdsaScheme } from "./config.ts";
import { readReference, signedMessage } from "./message.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { accept, type Delivery, refuse, type Verdict } from "./verdict.ts";

const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Verifies an ECDSA signature with any of the public keys. */
export async function verifyEcdsa(
  scheme: EcdsaScheme,
  delivery: Delivery,
  publicKeys: readonly string[],
): Promise<Verdict> {
  const header = delivery.headers.get(scheme.header);
  if (!header) return refuse("missing_signature");
  const timestamp = scheme.timestamp && readReference(scheme.timestamp.from, delivery);
  const refusal = scheme.timestamp && refuseTimestamp(timestamp, scheme.timestamp, delivery.now);
  if (refusal) return refuse(refusal);
  const signature = derToRaw(decodeBytes(header, scheme.encoding));
  const message = signedMessage(scheme.signed, delivery, { timestamp });
  if (!signature || !message) return refuse("invalid_signature");
  for (const publicKey of publicKeys) {
    const key = await importKey(publicKey);
    if (key && await crypto.subtle.verify(P256, key, signature, message)) return accept(publicKey);
  }
  return refuse("invalid_signature");
}

async function importKey(text: string): Promise<CryptoKey | undefined> {
  const spki = decodeBytes(text.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
  if (!spki) return undefined;
  try {
    return await crypto.subtle.importKey("spki", spki, P256, false, ["verify"]);
  } catch {
    return undefined; // not a P-256 key
  }
}

/**
 * `SEQUENCE { r INTEGER, s INTEGER }` as the 64 bytes that Web Crypto takes.
 *
 * @returns undefined for anything else
 * @see https://www.rfc-editor.org/rfc/rfc3279#section-2.2.3
 */
function derToRaw(der: Bytes | undefined): Bytes | undefined {
  if (!der || der[0] !== 0x30 || der[1] !== der.byteLength - 2) return undefined;
  const raw = new Uint8Array(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0;
    const integer = der.subarray(at + 2, at + 2 + length);
    if (der[at] !== 0x02 || length === 0 || integer.byteLength !== length) return undefined;
    const digits = integer[0] === 0 ? integer.subarray(1) : integer;
    if (digits.byteLength > 32) return undefined;
    raw.set(digits, end - digits.byteLength);
    at += 2 + length;
  }
  return at === der.byteLength ? raw : undefined;
}
