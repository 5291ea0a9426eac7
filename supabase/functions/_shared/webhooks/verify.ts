/**
 * Proof that a delivery is the provider's: raw bytes, headers, secrets and the time in, verdict out.
 *
 * Fail closed: without a secret, a header or a scheme nothing is accepted.
 */
import { CertificateCache } from "./certificates.ts";
import type { Scheme } from "./config.ts";
import { verifyEcdsa } from "./ecdsa.ts";
import { verifyEd25519 } from "./ed25519.ts";
import { verifyHmac } from "./hmac.ts";
import { verifyJwt } from "./jwt.ts";
import { verifyRsaCertificate } from "./rsa_certificate.ts";
import { verifySns } from "./sns.ts";
import { verifyStandardWebhooks } from "./standard_webhooks.ts";
import { verifyToken } from "./token.ts";
import {
  type Delivery,
  type Refusal,
  REFUSALS,
  refuse,
  type Settings,
  type Verdict,
} from "./verdict.ts";

/** What belongs to the integration, and what the isolate has fetched before. */
export interface Trust {
  /** All that are valid now, in any order. */
  secrets: readonly string[];
  settings: Settings;
  certificates: CertificateCache;
}

/** Verifies a delivery against each scheme; one that accepts suffices. */
export async function verifyDelivery(
  schemes: readonly Scheme[],
  delivery: Delivery,
  trust: Trust,
): Promise<Verdict> {
  let furthest: Refusal = "missing_secret";
  for (const scheme of schemes) {
    const verdict = await verifyScheme(scheme, delivery, trust);
    if (verdict.ok) return verdict;
    if (REFUSALS.indexOf(verdict.code) > REFUSALS.indexOf(furthest)) furthest = verdict.code;
  }
  return refuse(furthest);
}

function verifyScheme(
  scheme: Scheme,
  delivery: Delivery,
  { secrets, settings, certificates }: Trust,
): Promise<Verdict> | Verdict {
  // These two prove the sender by keys it publishes; settings say which sender.
  if (scheme.family === "jwt") return verifyJwt(scheme, delivery, settings);
  if (scheme.family === "sns") return verifySns(scheme, delivery, settings, certificates);

  const usable = secrets.filter((secret) => secret !== "");
  if (usable.length === 0) return refuse("missing_secret");
  switch (scheme.family) {
    case "hmac":
      return verifyHmac(scheme, delivery, usable);
    case "token":
      return verifyToken(scheme, delivery, usable);
    case "standard_webhooks":
      return verifyStandardWebhooks(scheme, delivery, usable);
    case "ed25519":
      return verifyEd25519(scheme, delivery, usable);
    case "ecdsa":
      return verifyEcdsa(scheme, delivery, usable);
    case "rsa_certificate":
      return verifyRsaCertificate(scheme, delivery, usable, certificates);
  }
}

/** The headers that proofs travel in; they are not stored. */
export function proofHeaders(schemes: readonly Scheme[]): string[] {
  return schemes.flatMap((scheme) => "header" in scheme ? [scheme.header] : []);
}
