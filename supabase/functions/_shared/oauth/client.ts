/**
 * The OAuth 2.0 client: where a browser is sent, and what is asked of token endpoints.
 *
 * A provider is its row's `auth_config`; nothing here knows one by name.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749
 * @see https://www.rfc-editor.org/rfc/rfc7636
 * @see https://www.rfc-editor.org/rfc/rfc9700
 */
import { createHmac } from "node:crypto";
import {
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  calculatePKCECodeChallenge,
  clientCredentialsGrantRequest,
  customFetch,
  nopkce,
  processAuthorizationCodeResponse,
  processClientCredentialsResponse,
  processRefreshTokenResponse,
  processRevocationResponse,
  refreshTokenGrantRequest,
  revocationRequest,
  validateAuthResponse,
} from "oauth4webapi";
import { AppError } from "../errors.ts";
import type { Auth } from "../gateway/credentials.ts";
import type { Settings } from "./context.ts";
import {
  askForTokens,
  clientAuthentication,
  type Endpoint,
  fillUrl,
  send,
  type TokenResult,
} from "./token_endpoint.ts";

/** Parameters of an authorization request that data must not set. */
const OWN_PARAMETERS = new Set([
  "response_type",
  "client_id",
  "redirect_uri",
  "state",
  "code_challenge",
  "code_challenge_method",
]);

/**
 * The PKCE verifier that belongs to a state. It is derived, so that it need not be kept: whoever has
 * seen the state in a browser still lacks the key.
 *
 * @param key `marketplace.oauth_key()`
 * @param state 43 characters or more, random
 */
export function deriveVerifier(key: string, state: string): string {
  return createHmac("sha256", key).update(`pkce:${state}`).digest("base64url");
}

/**
 * The URL at the provider where somebody consents.
 *
 * @throws AppError `integration_misconfigured` (422)
 */
export async function authorizationUrl(request: {
  auth: Auth;
  settings: Settings;
  clientId: string | undefined;
  redirectUri: string;
  scopes: readonly string[];
  state: string;
  verifier: string;
  integration: string;
}): Promise<string> {
  const { auth, settings, clientId, integration } = request;
  const template = auth.authorize_url && fillUrl(auth.authorize_url, settings);
  if (!template || !clientId) {
    throw new AppError(
      "integration_misconfigured",
      422,
      clientId
        ? `Integration ${integration} has no authorize_url that its settings fill.`
        : `Integration ${integration} has no OAuth client: store its client_id and client_secret ` +
          `with marketplace.set_integration_secret('${integration}', 'client_id', …).`,
    );
  }
  const url = new URL(template);
  for (const [name, value] of Object.entries(auth.authorize_params ?? {})) {
    if (!OWN_PARAMETERS.has(name)) url.searchParams.set(name, value);
  }
  if (request.scopes.length > 0) {
    url.searchParams.set("scope", request.scopes.join(auth.scope_separator ?? " "));
  }
  url.searchParams.set("response_type", "code");
  url.searchParams.set("client_id", clientId);
  url.searchParams.set("redirect_uri", request.redirectUri);
  url.searchParams.set("state", request.state);
  if (auth.pkce !== "none") {
    url.searchParams.set("code_challenge", await calculatePKCECodeChallenge(request.verifier));
    url.searchParams.set("code_challenge_method", "S256");
  }
  return url.href;
}

/**
 * Whether a redirect may come from the provider that the browser was sent to: one that names its
 * issuer must name this one, and one whose row says that it does must not be silent. All integrations
 * share a redirect URI, so a provider could else have another's codes brought to itself.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9207
 */
export function isFromIssuer(auth: Auth, settings: Settings, issuer: string | null): boolean {
  if (auth.issuer !== undefined) return issuer === auth.issuer;
  if (issuer === null) return true;
  const authorizeUrl = auth.authorize_url && fillUrl(auth.authorize_url, settings);
  return authorizeUrl !== undefined && URL.canParse(issuer) &&
    new URL(issuer).origin === new URL(authorizeUrl).origin;
}

/** Exchanges the code that a provider's redirect brought for tokens. */
export async function exchangeCode(
  endpoint: Endpoint,
  callback: { parameters: URLSearchParams; state: string; verifier: string; redirectUri: string },
): Promise<TokenResult> {
  const { parameters, state, verifier, redirectUri } = callback;
  const secrets = [parameters.get("code"), verifier, state];
  return await askForTokens(
    endpoint,
    secrets,
    async ({ server, client, clientAuth, options }) => {
      // Providers add parameters of their own, and the issuer was compared before.
      const known = new URLSearchParams({ code: parameters.get("code") ?? "", state });
      const validated = validateAuthResponse(server, client, known, state);
      const response = await authorizationCodeGrantRequest(
        server,
        client,
        clientAuth,
        validated,
        redirectUri,
        endpoint.auth.pkce === "none" ? nopkce : verifier,
        options,
      );
      return await processAuthorizationCodeResponse(server, client, response);
    },
  );
}

/** Renews an access token. @see https://www.rfc-editor.org/rfc/rfc6749#section-6 */
export async function refreshTokens(
  endpoint: Endpoint,
  refreshToken: string,
): Promise<TokenResult> {
  return await askForTokens(
    endpoint,
    [refreshToken],
    async ({ server, client, clientAuth, options }) => {
      const response = await refreshTokenGrantRequest(
        server,
        client,
        clientAuth,
        refreshToken,
        options,
      );
      return await processRefreshTokenResponse(server, client, response);
    },
  );
}

/** Tokens for the client itself. @see https://www.rfc-editor.org/rfc/rfc6749#section-4.4 */
export async function clientCredentials(
  endpoint: Endpoint,
  scopes: readonly string[],
): Promise<TokenResult> {
  return await askForTokens(endpoint, [], async ({ server, client, clientAuth, options }) => {
    const parameters = new URLSearchParams(
      scopes.length > 0 ? { scope: scopes.join(endpoint.auth.scope_separator ?? " ") } : {},
    );
    for (const [name, value] of Object.entries(endpoint.auth.token_params ?? {})) {
      parameters.set(name, value);
    }
    const response = await clientCredentialsGrantRequest(
      server,
      client,
      clientAuth,
      parameters,
      options,
    );
    return await processClientCredentialsResponse(server, client, response);
  });
}

/**
 * Tells the provider that a token is of no more use.
 *
 * @returns whether it was told; false where the provider has no way, or did not listen
 * @see https://www.rfc-editor.org/rfc/rfc7009
 */
export async function revokeToken(
  endpoint: Endpoint,
  token: string,
  kind: "access_token" | "refresh_token",
): Promise<boolean> {
  const url = endpoint.auth.revoke_url && fillUrl(endpoint.auth.revoke_url, endpoint.settings);
  if (!url) return false;
  try {
    const response = await revocationRequest(
      { issuer: new URL(url).origin, revocation_endpoint: url },
      { client_id: endpoint.client.client_id ?? "" },
      clientAuthentication(endpoint.auth, endpoint.client),
      token,
      {
        additionalParameters: { token_type_hint: kind },
        [allowInsecureRequests]: true,
        [customFetch]: async (to, init) => {
          const { status, text } = await send(endpoint, to, init);
          return new Response(text, { status });
        },
      },
    );
    await processRevocationResponse(response);
    return true;
  } catch {
    return false;
  }
}
