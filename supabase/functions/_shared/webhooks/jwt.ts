/**
 * A JSON Web Token signed with a key of the sender's key set: Google Pub/Sub's push, Gmail's carrier.
 *
 *     authorization: Bearer <JWT: iss, aud, exp, email, email_verified>
 *
 * The token proves the sender, not the body: Pub/Sub signs no body, TLS protects it.
 *
 * @see https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
 * @see https://www.rfc-editor.org/rfc/rfc7519
 */
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import type { JwtScheme } from "./config.ts";
import { atPointer, scalarText } from "./json_text.ts";
import { renderTemplate, split } from "./template.ts";
import { accept, type Delivery, refuse, type Settings, type Verdict } from "./verdict.ts";

type KeySet = ReturnType<typeof createRemoteJWKSet>;

/** Key sets by URL: cached, refetched when a token names an unknown key, fetched once for many. */
const keySets = new Map<string, KeySet>();
const MAX_KEY_SETS = 20;

/** Verifies signature, issuer, audience, expiry and the claims that the scheme asks for. */
export async function verifyJwt(
  scheme: JwtScheme,
  { headers, now }: Delivery,
  settings: Settings,
): Promise<Verdict> {
  const read = (reference: string) => {
    const [root, name] = split(reference, ":");
    return root === "setting" ? scalarText(settings[name]) : undefined;
  };
  // An audience nobody configured would accept every token Google ever issued.
  const audience = renderTemplate(scheme.audience, read);
  const claims = Object.entries(scheme.claims)
    .map(([pointer, template]) => [pointer, renderTemplate(template, read)] as const);
  if (!audience || claims.some(([, expected]) => !expected)) return refuse("missing_setting");

  const header = headers.get(scheme.header);
  if (!header) return refuse("missing_signature");
  if (!header.toLowerCase().startsWith(scheme.prefix.toLowerCase())) {
    return refuse("invalid_signature");
  }
  try {
    const { payload } = await jwtVerify(
      header.slice(scheme.prefix.length).trim(),
      keySet(scheme.jwks_url),
      {
        issuer: scheme.issuers,
        audience,
        algorithms: scheme.algorithms,
        requiredClaims: ["exp", "iat"],
        clockTolerance: 30,
        currentDate: new Date(now),
      },
    );
    const isExpected = claims.every(([pointer, expected]) =>
      scalarText(atPointer(payload, pointer)) === expected
    );
    return isExpected ? accept() : refuse("invalid_signature");
  } catch (error) {
    if (error instanceof errors.JWTExpired) return refuse("stale_timestamp");
    if (error instanceof errors.JOSEError && !isFetchFailure(error)) {
      return refuse("invalid_signature");
    }
    return refuse("keys_unavailable");
  }
}

function keySet(url: string): KeySet {
  let keys = keySets.get(url);
  if (!keys) {
    if (keySets.size >= MAX_KEY_SETS) keySets.clear();
    keys = createRemoteJWKSet(new URL(url), { timeoutDuration: 3_000, cooldownDuration: 10_000 });
    keySets.set(url, keys);
  }
  return keys;
}

/** jose's plain error: the key set's host answered with something that is no key set. */
function isFetchFailure(error: errors.JOSEError): boolean {
  return error instanceof errors.JWKSTimeout || error.code === "ERR_JOSE_GENERIC";
}
