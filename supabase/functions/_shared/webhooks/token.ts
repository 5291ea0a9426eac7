/**
 * A shared secret sent along in a header: GitLab's older scheme, Google's push channels, Cloudflare.
 *
 * @see https://docs.gitlab.com/user/project/integrations/webhooks/
 * @see https://developers.google.com/workspace/drive/api/guides/push
 */
import { decodeBytes, equalBytes, utf8 } from "./bytes.ts";
import type { TokenScheme } from "./config.ts";
import { accept, type Delivery, refuse, type Verdict } from "./verdict.ts";

/** Verifies that the header holds one of the secrets; compared as hashes, so that no length shows. */
export async function verifyToken(
  scheme: TokenScheme,
  delivery: Delivery,
  secrets: readonly string[],
): Promise<Verdict> {
  const header = delivery.headers.get(scheme.header);
  if (!header) return refuse("missing_signature");
  // Scheme names such as Bearer are case-insensitive.
  if (!header.toLowerCase().startsWith(scheme.prefix.toLowerCase())) {
    return refuse("invalid_signature");
  }
  const rest = header.slice(scheme.prefix.length);
  const sent = scheme.encoding === "basic" ? decodeBytes(rest, "base64") : utf8(rest);
  if (!sent) return refuse("invalid_signature");
  const sentHash = await sha256(sent);
  let match: string | undefined;
  for (const secret of secrets) {
    if (equalBytes(sentHash, await sha256(utf8(secret)))) match = secret;
  }
  return match === undefined ? refuse("invalid_signature") : accept(match);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
