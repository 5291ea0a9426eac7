/**
 * HMAC over a template of the request: most providers, each with its own spelling.
 *
 *     GitHub   x-hub-signature-256: sha256=<hex HMAC-SHA256(raw)>
 *     Slack    x-slack-signature: v0=<hex HMAC-SHA256("v0:" + timestamp + ":" + raw)>
 *     Stripe   stripe-signature: t=<timestamp>,v1=<hex HMAC-SHA256(timestamp + "." + raw)>
 *
 * @see https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 * @see https://docs.slack.dev/authentication/verifying-requests-from-slack
 * @see https://docs.stripe.com/webhooks#verify-manually
 */
import { type Bytes, concatBytes, decodeBytes, equalBytes, utf8 } from "./bytes.ts";
import type { HmacScheme } from "./config.ts";
import { atPointer, readJsonBytes, scalarText } from "./json_text.ts";
import { split } from "./template.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { ACCEPTED, type Delivery, refuse, type Verdict } from "./verify.ts";

const HASHES = {
  sha1: "SHA-1",
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512",
} as const;

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

  const read = (reference: string) => readReference(reference, delivery, parts);
  // A time inside the body says nothing before the body is proven.
  const isTimeInBody = scheme.timestamp?.from.startsWith("body:") ?? false;
  const timestamp = scheme.timestamp && !isTimeInBody ? read(scheme.timestamp.from) : undefined;
  if (scheme.timestamp && !isTimeInBody) {
    const refusal = refuseTimestamp(timestamp, scheme.timestamp, delivery.now);
    if (refusal) return refuse(refusal);
  }

  const signed = signedBytes(scheme.signed, delivery, { read, timestamp });
  if (!signed) return refuse("invalid_signature");
  let isMatch = false;
  for (const secret of secrets) {
    const key = scheme.secret_encoding === "utf8"
      ? utf8(secret)
      : decodeBytes(secret, scheme.secret_encoding);
    if (!key?.byteLength) continue;
    const expected = await hmac(HASHES[scheme.algorithm], key, signed);
    // No early exit: which secret matched must not show.
    for (const signature of signatures) {
      if (equalBytes(signature, expected)) isMatch = true;
    }
  }
  if (!isMatch) return refuse("invalid_signature");

  if (scheme.body_hash) {
    const sent = decodeBytes(
      read(scheme.body_hash.from) ?? "",
      scheme.body_hash.encoding,
    );
    const actual = new Uint8Array(
      await crypto.subtle.digest("SHA-256", delivery.raw),
    );
    if (!sent || !equalBytes(sent, actual)) return refuse("invalid_signature");
  }
  if (scheme.timestamp && isTimeInBody) {
    const refusal = refuseTimestamp(
      read(scheme.timestamp.from),
      scheme.timestamp,
      delivery.now,
    );
    if (refusal) return refuse(refusal);
  }
  return ACCEPTED;
}

/**
 * The keyed hash of a message.
 *
 * @param hash Web Crypto's name of the hash, for example `SHA-256`
 */
export async function hmac(
  hash: string,
  key: Bytes,
  message: Bytes,
): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

/** A value that a scheme names: a header, a part of the signature header, a query or body member. */
function readReference(
  reference: string,
  delivery: Delivery,
  parts: readonly string[],
): string | undefined {
  const [root, name] = split(reference, ":");
  switch (root) {
    case "header":
      return delivery.headers.get(name) ?? undefined;
    case "part":
      return parts.find((part) => part.startsWith(`${name}=`))?.slice(
        name.length + 1,
      );
    case "query":
      return new URL(delivery.url()).searchParams.get(name) ?? undefined;
    case "body": {
      const body = readJsonBytes(delivery.raw);
      return body.ok ? scalarText(atPointer(body.value, name)) : undefined;
    }
  }
  return undefined;
}

interface SignedParts {
  read: (reference: string) => string | undefined;
  timestamp: string | undefined;
}

/** The bytes under the signature; undefined when the template names something that was not sent. */
function signedBytes(
  template: string,
  delivery: Delivery,
  { read, timestamp }: SignedParts,
): Bytes | undefined {
  if (template === "{raw}") return delivery.raw;
  const pieces: Uint8Array[] = [];
  for (const piece of template.split(/(\{[^{}]+\})/)) {
    if (!piece.startsWith("{")) {
      pieces.push(utf8(piece));
      continue;
    }
    const name = piece.slice(1, -1);
    if (name === "raw") {
      pieces.push(delivery.raw);
      continue;
    }
    const text = name === "timestamp"
      ? timestamp
      : name === "method"
      ? delivery.method
      : name === "url"
      ? delivery.url()
      : read(name);
    if (text === undefined) return undefined;
    pieces.push(utf8(text));
  }
  return concatBytes(pieces);
}
