/**
 * RSA with SHA-256 over a template of the request, with a certificate that a header points to.
 *
 *     PayPal  paypal-transmission-sig: <base64 signature of
 *               transmission id|transmission time|webhook id|crc32 of the body>
 *
 * The webhook id is the "secret". A CRC can be matched on purpose: whoever has seen one delivery can
 * make another with the same signature while its time window lasts, so keep what PayPal sends private.
 *
 * @see https://developer.paypal.com/api/rest/webhooks/rest/#link-selfverificationmethod
 */
import { decodeBytes } from "./bytes.ts";
import type { CertificateCache } from "./certificates.ts";
import type { RsaCertificateScheme } from "./config.ts";
import { readReference, signedMessage } from "./message.ts";
import { refuseTimestamp } from "./timestamp.ts";
import { accept, type Delivery, refuse, type Verdict } from "./verdict.ts";

/** Verifies the signature with any of the secrets as part of the message. */
export async function verifyRsaCertificate(
  scheme: RsaCertificateScheme,
  delivery: Delivery,
  secrets: readonly string[],
  certificates: CertificateCache,
): Promise<Verdict> {
  const header = delivery.headers.get(scheme.header);
  const url = delivery.headers.get(scheme.certificate.header);
  if (!header || !url) return refuse("missing_signature");
  const timestamp = scheme.timestamp && readReference(scheme.timestamp.from, delivery);
  const refusal = scheme.timestamp && refuseTimestamp(timestamp, scheme.timestamp, delivery.now);
  if (refusal) return refuse(refusal);
  const signature = decodeBytes(header, "base64");
  if (!signature || !isAllowedUrl(url, scheme)) return refuse("invalid_signature");
  const certificate = await certificates.key(url, "SHA-256");
  if (!certificate.ok) {
    return refuse(certificate.code === "invalid" ? "invalid_signature" : "keys_unavailable");
  }
  const { key } = certificate;
  for (const secret of secrets) {
    const message = signedMessage(scheme.signed, delivery, { timestamp, secret });
    if (message && await crypto.subtle.verify(key.algorithm.name, key, signature, message)) {
      return accept(secret);
    }
  }
  return refuse("invalid_signature");
}

function isAllowedUrl(text: string, { certificate }: RsaCertificateScheme): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.protocol === "https:" && url.href === text && url.port === "" &&
    url.username === "" && url.password === "" && url.search === "" && url.hash === "" &&
    certificate.hosts.includes(url.hostname) && url.pathname.startsWith(certificate.path_prefix) &&
    /^[A-Za-z0-9._/-]+$/.test(url.pathname);
}
