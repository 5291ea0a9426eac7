/**
 * Standard Webhooks signatures for what we send.
 *
 * Signed is `<id>.<timestamp>.<raw body>` with HMAC-SHA256; the key is the base64 text behind
 * `whsec_`. Done with Web Crypto rather than the `standardwebhooks` package because that one hashes
 * in JavaScript, on a host that counts CPU time; the tests verify with that package.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import { AppError } from "./errors.ts";

const encoder = new TextEncoder();

/** Signs messages with one secret. */
export type Signer = (message: { id: string; timestamp: number; body: string }) => Promise<
  Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>
>;

/**
 * Makes a signer; the key is imported once.
 *
 * @param secret `whsec_<base64>`
 * @returns a function that signs `{id, timestamp (Unix seconds), body}` and gives the three headers
 * @throws AppError `configuration_invalid` (500) when the secret is not of that form
 */
export async function createSigner(secret: string): Promise<Signer> {
  const key = await crypto.subtle.importKey(
    "raw",
    decodeSecret(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return async ({ id, timestamp, body }) => {
    const signed = encoder.encode(`${id}.${timestamp}.${body}`);
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, signed));
    return {
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${btoa(String.fromCharCode(...mac))}`,
    };
  };
}

function decodeSecret(secret: string): Uint8Array<ArrayBuffer> {
  try {
    const bytes = Uint8Array.from(
      atob(secret.replace(/^whsec_/, "")),
      (char) => char.charCodeAt(0),
    );
    if (bytes.length >= 16) return bytes;
  } catch {
    // told below, without the secret
  }
  throw new AppError(
    "configuration_invalid",
    500,
    "The dispatch signing secret is not whsec_ followed by the base64 of at least 16 bytes.",
  );
}
