/**
 * Ed25519 over a template of the request; the "secret" is the sender's public key.
 *
 *     Discord  x-signature-ed25519: <hex signature of timestamp + raw>
 *
 * @see https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint-validating-security-request-headers
 * @see https://www.rfc-editor.org/rfc/rfc8032
 */
import { type Bytes, decodeBytes } from "./bytes.ts";
import type { Ed25519Scheme } from "./config.ts";
import { readReference, signedMessage } from "./message.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { accept, type Delivery, refuse, type Verdict } from "./verdict.ts";

/** Verifies an Ed25519 signature with any of the public keys. */
export async function verifyEd25519(
  scheme: Ed25519Scheme,
  delivery: Delivery,
  publicKeys: readonly string[],
): Promise<Verdict> {
  const header = delivery.headers.get(scheme.header);
  if (!header) return refuse("missing_signature");
  const signature = decodeBytes(header, scheme.encoding);
  const timestamp = scheme.timestamp && readReference(scheme.timestamp.from, delivery);
  const refusal = scheme.timestamp && refuseTimestamp(timestamp, scheme.timestamp, delivery.now);
  if (refusal) return refuse(refusal);
  const message = signedMessage(scheme.signed, delivery, { timestamp });
  if (!signature || !message) return refuse("invalid_signature");
  for (const publicKey of publicKeys) {
    const key = decodeBytes(publicKey, scheme.key_encoding);
    if (key && await isEd25519Valid(key, signature, message)) return accept(publicKey);
  }
  return refuse("invalid_signature");
}

/** Whether a signature is that of a raw 32-byte public key; false for keys that are none. */
export async function isEd25519Valid(
  publicKey: Bytes,
  signature: Bytes,
  message: Bytes,
): Promise<boolean> {
  if (publicKey.byteLength !== 32 || signature.byteLength !== 64) return false;
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", key, signature, message);
  } catch {
    return false; // 32 bytes that are not a point of the curve
  }
}
