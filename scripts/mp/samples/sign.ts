/**
 * Signs a delivery the way a provider's row says it is verified.
 *
 * Only where the stored secret is what the provider signs with: of Ed25519, ECDSA, RSA and JWT the
 * integration holds a public key, or none.
 * @module
 */
import { Buffer } from "node:buffer";
import { createSigner } from "../../../supabase/functions/_shared/standard_webhooks.ts";
import { decodeBytes, utf8 } from "../../../supabase/functions/_shared/webhooks/bytes.ts";
import type { HmacScheme, Scheme } from "../../../supabase/functions/_shared/webhooks/config.ts";
import { hmac } from "../../../supabase/functions/_shared/webhooks/hmac.ts";
import { signedMessage } from "../../../supabase/functions/_shared/webhooks/message.ts";

/** A delivery that can be sent. */
export interface SignedDelivery {
  url: string;
  headers: Headers;
  body: string;
}

/** The schemes that can be signed with a secret that the integration holds. */
export type SignableScheme = Extract<
  Scheme,
  { family: "hmac" | "token" | "standard_webhooks" }
>;

/**
 * Of several schemes the one that suits the secret.
 * @returns undefined when only the provider itself could sign
 */
export function chooseScheme(
  schemes: readonly Scheme[],
  secret: string,
): SignableScheme | undefined {
  const signable = schemes.filter((scheme): scheme is SignableScheme =>
    ["hmac", "token", "standard_webhooks"].includes(scheme.family)
  );
  const standard = signable.find(({ family }) => family === "standard_webhooks");
  if (standard && secret.startsWith("whsec_")) return standard;
  return signable.find((scheme) =>
    scheme.family !== "standard_webhooks" &&
    !(scheme.family === "token" && scheme.encoding === "basic" && !secret.includes(":"))
  ) ?? standard;
}

/**
 * Adds the proof to a delivery's headers.
 * @param delivery.id what Standard Webhooks calls the message
 */
export async function signDelivery(
  scheme: SignableScheme,
  secret: string,
  delivery: SignedDelivery & { id: string; now: Date },
): Promise<SignedDelivery> {
  const { url, body, id, now } = delivery;
  const headers = new Headers(delivery.headers);
  if (scheme.family === "token") {
    const token = scheme.encoding === "basic" ? Buffer.from(secret).toString("base64") : secret;
    headers.set(scheme.header, scheme.prefix + token);
  } else if (scheme.family === "standard_webhooks") {
    const sign = await createSigner(secret);
    const proof = await sign({ id, timestamp: Math.floor(now.getTime() / 1000), body });
    for (const [name, value] of Object.entries(proof)) {
      headers.set(name.replace("webhook-", scheme.header_prefixes[0]!), value);
    }
  } else {
    headers.set(scheme.header, hmacProof(scheme, secret, { url, body, headers, now }));
  }
  return { url, body, headers };
}

function hmacProof(
  scheme: HmacScheme,
  secret: string,
  { url, body, headers, now }: SignedDelivery & { now: Date },
): string {
  const parts: string[] = [];
  let timestamp: string | undefined;
  if (scheme.timestamp && !scheme.timestamp.from.startsWith("body:")) {
    const { from, unit } = scheme.timestamp;
    timestamp = unit === "iso"
      ? now.toISOString()
      : String(unit === "ms" ? now.getTime() : Math.floor(now.getTime() / 1000));
    const [place, name = ""] = from.split(":");
    if (place === "header") headers.set(name, timestamp);
    else parts.push(`${name}=${timestamp}`);
  }
  const request = { raw: utf8(body), headers, method: "POST", url: () => url, now: now.getTime() };
  const message = signedMessage(scheme.signed, request, {
    parts,
    ...(timestamp ? { timestamp } : {}),
  });
  const key = scheme.secret_encoding === "utf8"
    ? utf8(secret)
    : decodeBytes(secret, scheme.secret_encoding);
  if (!message || !key) {
    throw new Error(
      `The delivery lacks what "${scheme.signed}" signs, or the secret is not ${scheme.secret_encoding}.`,
    );
  }
  const mac = hmac(scheme.algorithm, key, message);
  const signature = Buffer.from(mac).toString(scheme.encoding);
  return [...parts, scheme.prefix + signature].join(scheme.separator ?? "");
}
