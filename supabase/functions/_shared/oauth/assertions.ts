/**
 * Tokens that are signed for rather than consented to: Google's service accounts and GitHub's apps.
 *
 * A private key leaves this file only as a signature.
 */
import { createPrivateKey } from "node:crypto";
import { genericTokenEndpointRequest, processGenericTokenEndpointResponse } from "oauth4webapi";
import { importPKCS8, SignJWT } from "jose";
import { z } from "zod";
import { askForTokens, type Endpoint, type TokenResult } from "./token_endpoint.ts";

/** The parts of a service account's JSON key that are used. */
const ServiceAccountKey = z.object({
  client_email: z.string().min(3),
  private_key: z.string().min(20),
  private_key_id: z.string().optional(),
});

/**
 * A token for a Google service account, by a signed assertion; with the setting `subject`, for the
 * user of a Workspace domain who delegated that.
 *
 * @param key the JSON key file's text
 * @see https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
 * @see https://www.rfc-editor.org/rfc/rfc7523
 */
export async function serviceAccountToken(
  endpoint: Endpoint,
  key: string | undefined,
  scopes: readonly string[],
): Promise<TokenResult> {
  const { auth, settings, integration } = endpoint;
  const parsed = parseKey(key);
  if (!parsed) {
    return unusable(integration, "the service account key is not the JSON file that Google gave");
  }
  const now = Math.floor(Date.now() / 1000);
  let assertion: string;
  try {
    assertion = await new SignJWT({
      scope: scopes.join(" "),
      ...(settings.subject ? { sub: String(settings.subject) } : {}),
    })
      .setProtectedHeader({
        alg: "RS256",
        typ: "JWT",
        ...(parsed.private_key_id ? { kid: parsed.private_key_id } : {}),
      })
      .setIssuer(parsed.client_email)
      .setAudience(auth.assertion_audience ?? auth.token_url ?? "")
      .setIssuedAt(now)
      .setExpirationTime(now + 3600)
      .sign(await readPrivateKey(parsed.private_key));
  } catch {
    return unusable(integration, "the private key inside the service account key cannot be read");
  }
  return await askForTokens(
    { ...endpoint, isSigned: true },
    [assertion, parsed.private_key],
    async ({ server, client, options }) => {
      const response = await genericTokenEndpointRequest(
        server,
        client,
        // The assertion itself proves who asks.
        () => {},
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        { ...auth.token_params, assertion },
        options,
      );
      return await processGenericTokenEndpointResponse(server, client, response);
    },
  );
}

/**
 * An installation token of a GitHub App, which lives one hour.
 *
 * @param privateKey PEM, as GitHub gives it (PKCS #1) or as PKCS #8
 * @see https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-an-installation-access-token-for-a-github-app
 */
export async function githubAppToken(
  endpoint: Endpoint,
  privateKey: string | undefined,
): Promise<TokenResult> {
  const { auth, settings, integration } = endpoint;
  if (!settings.app_id || !settings.installation_id) {
    return unusable(integration, "the settings app_id and installation_id are needed");
  }
  const now = Math.floor(Date.now() / 1000);
  let proof: string;
  try {
    proof = await new SignJWT().setProtectedHeader({ alg: "RS256" })
      .setIssuer(String(settings.app_id))
      // As GitHub advises: its clock may be behind ours, and ten minutes are the most it takes.
      .setIssuedAt(now - 60)
      .setExpirationTime(now + 540)
      .sign(await readPrivateKey(privateKey ?? ""));
  } catch {
    return unusable(integration, "the app's private key cannot be read; store the PEM file whole");
  }
  const asApp: Endpoint = {
    ...endpoint,
    isSigned: true,
    auth: {
      ...auth,
      token_headers: {
        accept: "application/vnd.github+json",
        ...auth.token_headers,
        authorization: `Bearer ${proof}`,
      },
      token_body: "json",
    },
  };
  return await askForTokens(asApp, [proof, privateKey], async ({ server, client, options }) => {
    const response = await genericTokenEndpointRequest(
      server,
      client,
      // GitHub takes no OAuth parameters here, and refuses unknown ones.
      (_server, _client, body) => body.delete("grant_type"),
      "installation",
      {},
      options,
    );
    return await processGenericTokenEndpointResponse(server, client, response);
  });
}

function parseKey(text: string | undefined): z.infer<typeof ServiceAccountKey> | undefined {
  try {
    return ServiceAccountKey.safeParse(JSON.parse(text ?? "")).data;
  } catch {
    return undefined;
  }
}

/** GitHub's PEM files are PKCS #1, Google's PKCS #8. */
function readPrivateKey(pem: string): ReturnType<typeof importPKCS8> {
  const normal = createPrivateKey(pem.replaceAll("\\n", "\n").trim())
    .export({ type: "pkcs8", format: "pem" });
  return importPKCS8(String(normal), "RS256");
}

function unusable(integration: string, why: string): TokenResult {
  return {
    ok: false,
    failure: { code: "misconfigured", message: `${integration}: ${why}.`, isFinal: false },
  };
}
