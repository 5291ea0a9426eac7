/**
 * Standard Webhooks signatures for what we send.
 *
 * Signed is `<id>.<timestamp>.<raw body>`: with HMAC-SHA256 (`v1`) and the key behind `whsec_`, or
 * with ed25519 (`v1a`) and the private key behind `whsk_`, so that the receiver can only verify.
 * Done with Web Crypto rather than the `standardwebhooks` package: that one hashes in JavaScript, on
 * a host that counts CPU time, and knows no ed25519. The tests verify with that package.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import { AppError } from "./errors.ts";

const encoder = new TextEncoder();

/** Signs messages with one secret. */
export type Signer = (message: { id: string; timestamp: number; body: string }) => Promise<
  Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>
>;

/** DER of a PKCS #8 ed25519 private key up to its 32 bytes. @see https://www.rfc-editor.org/rfc/rfc8410 */
const ED25519_PKCS8 = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/**
 * Makes a signer; the key is imported once.
 *
 * @param secret `whsec_<base64>`, or `whsk_<base64 of an ed25519 private key>` (its 32 bytes, or 64
 *   with the public key behind)
 * @returns a function that signs `{id, timestamp (Unix seconds), body}` and gives the three headers
 * @throws AppError `configuration_invalid` (500) when the secret is not of that form
 */
export async function createSigner(secret: string): Promise<Signer> {
  const { version, algorithm, key } = await importSecret(secret);
  return async ({ id, timestamp, body }) => {
    const signed = encoder.encode(`${id}.${timestamp}.${body}`);
    const signature = new Uint8Array(await crypto.subtle.sign(algorithm, key, signed));
    return {
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `${version},${btoa(String.fromCharCode(...signature))}`,
    };
  };
}

async function importSecret(secret: string) {
  const isPrivateKey = secret.startsWith("whsk_");
  const bytes = decodeBase64(secret.replace(/^whs(ec|k)_/, ""));
  if (isPrivateKey && (bytes.length === 32 || bytes.length === 64)) {
    const der = new Uint8Array([...ED25519_PKCS8, ...bytes.subarray(0, 32)]);
    const key = await crypto.subtle.importKey("pkcs8", der, "Ed25519", false, ["sign"]);
    return { version: "v1a", algorithm: "Ed25519", key };
  }
  if (!isPrivateKey && bytes.length >= 16) {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes, hmac, false, ["sign"]);
    return { version: "v1", algorithm: "HMAC", key };
  }
  throw new AppError(
    "configuration_invalid",
    500,
    "A signing secret is neither whsec_ and the base64 of at least 16 bytes, nor whsk_ and that " +
      "of an ed25519 private key.",
  );
}

/** The bytes, none when the text is not base64. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
