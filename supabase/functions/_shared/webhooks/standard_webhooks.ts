/**
 * Standard Webhooks, versions 1 (HMAC-SHA256) and 1a (Ed25519), and Svix, which it came from.
 *
 *     webhook-id, webhook-timestamp
 *     webhook-signature: v1,<base64 HMAC-SHA256(id + "." + timestamp + "." + raw)> v1a,<base64 Ed25519>
 *
 * A secret is `whsec_<base64>`, a public key `whpk_<base64>`; the header may hold several signatures.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
import { type Bytes, concatBytes, decodeBytes, equalBytes, utf8 } from "./bytes.ts";
import type { StandardWebhooksScheme } from "./config.ts";
import { isEd25519Valid } from "./ed25519.ts";
import { hmac } from "./hmac.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { accept, type Delivery, refuse, type Verdict } from "./verdict.ts";

/** Verifies any of the sent signatures with any of the secrets and public keys. */
export async function verifyStandardWebhooks(
  scheme: StandardWebhooksScheme,
  { headers, raw, now }: Delivery,
  secrets: readonly string[],
): Promise<Verdict> {
  const prefix = scheme.header_prefixes.find((name) => headers.has(`${name}signature`));
  const header = prefix && headers.get(`${prefix}signature`);
  const id = headers.get(`${prefix}id`);
  if (!header || !id) return refuse("missing_signature");
  const timestamp = headers.get(`${prefix}timestamp`) ?? undefined;
  const { tolerance_seconds, future_seconds } = scheme;
  const rule = { from: "", unit: "s", tolerance_seconds, future_seconds } as const;
  const refusal = refuseTimestamp(timestamp, rule, now);
  if (refusal) return refuse(refusal);

  const signatures = header.split(" ").slice(0, MAX_SIGNATURES).flatMap((part) => {
    const [, version, text] = /^(v1a?),(.+)$/.exec(part) ?? [];
    const bytes = text && decodeBytes(text, "base64");
    return bytes ? [{ version, bytes }] : [];
  });
  const message = concatBytes([utf8(`${id}.${timestamp}.`), raw]);
  let match: string | undefined;
  for (const secret of secrets) {
    const isPublic = secret.startsWith("whpk_");
    const key = decodeBytes(secret.replace(/^wh(sec|pk)_/, ""), "base64");
    if (!key?.byteLength) continue;
    const isValid = isPublic ? ed25519(key, message) : await hmacSha256(key, message);
    for (const { version, bytes } of signatures) {
      if (version === (isPublic ? "v1a" : "v1") && await isValid(bytes)) match = secret;
    }
  }
  return match === undefined ? refuse("invalid_signature") : accept(match);
}

/** A rotation needs two or three; more only cost time. */
const MAX_SIGNATURES = 10;

function hmacSha256(key: Bytes, message: Bytes) {
  const expected = hmac("sha256", key, message);
  return (signature: Bytes) => equalBytes(signature, expected);
}

function ed25519(key: Bytes, message: Bytes) {
  return (signature: Bytes) => isEd25519Valid(key, signature, message);
}
