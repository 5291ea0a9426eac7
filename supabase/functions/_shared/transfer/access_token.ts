/**
 * The bearer token for an integration.
 *
 * Either a fixed one (`api_token`), or one fetched with a refresh token and kept in this isolate
 * until shortly before it ends. Every caller goes through {@link accessToken}: where tokens are kept
 * is decided here and nowhere else.
 */
import { z } from "zod";
import { env } from "../env.ts";
import { AppError } from "../errors.ts";
import { callProvider, failure, parseAnswer, type ProviderRole } from "../provider_http.ts";
import type { Integration } from "./types.ts";

const GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token";
/** A token is renewed this long before it ends, or at half its life if that is shorter; ms. */
const EARLY_MS = 5 * 60_000;

const TokenAnswer = z.object({
  access_token: z.string().min(1),
  expires_in: z.number().positive().default(3600),
});

interface CachedToken {
  token: string;
  renewAt: number;
}

const cache = new Map<string, CachedToken>();
const refreshing = new Map<string, Promise<CachedToken>>();

/**
 * A token that is valid for some minutes at least.
 *
 * @param refused a token that the provider has just refused: it is not handed out again
 * @throws AppError `<role>_credentials_missing` (502), or what the token endpoint's answer means
 */
export async function accessToken(
  integration: Integration,
  role: ProviderRole,
  refused?: string,
): Promise<string> {
  const fixed = integration.credentials.api_token ?? environmentToken(integration);
  if (fixed) return fixed;
  // Another grant is another token: what was fetched for the former one ends here.
  const key = `${integration.id} ${refreshToken(integration)}`;
  const cached = cache.get(key);
  if (cached && cached.renewAt > Date.now() && cached.token !== refused) return cached.token;
  // One refresh at a time; whoever comes meanwhile waits for it.
  let pending = refreshing.get(key);
  if (!pending) {
    pending = refresh(integration, role).finally(() => refreshing.delete(key));
    refreshing.set(key, pending);
  }
  const fresh = await pending;
  cache.set(key, fresh);
  return fresh.token;
}

/**
 * Runs a call with the integration's token, and once more with a fresh one if the provider refuses
 * the first: it may have been revoked before its time.
 */
export async function withToken<T>(
  integration: Integration,
  role: ProviderRole,
  call: (token: string) => Promise<T>,
): Promise<T> {
  const token = await accessToken(integration, role);
  try {
    return await call(token);
  } catch (error) {
    const isRefused = error instanceof AppError && error.code === `${role}_unauthorized`;
    if (!isRefused || !isRenewable(integration)) throw error;
    return await call(await accessToken(integration, role, token));
  }
}

function isRenewable(integration: Integration): boolean {
  return !integration.credentials.api_token && !environmentToken(integration) &&
    refreshToken(integration) !== undefined;
}

/** The platform's own integrations may be given their token by the environment. */
function environmentToken(integration: Integration): string | undefined {
  if (!integration.is_default || refreshToken(integration)) return undefined;
  switch (integration.provider) {
    case "github":
      return env().GITHUB_TOKEN;
    case "slack":
      return env().SLACK_BOT_TOKEN;
    default:
      return undefined;
  }
}

function refreshToken(integration: Integration): string | undefined {
  return integration.credentials.refresh_token ??
    (isGoogle(integration) && integration.is_default ? env().GOOGLE_REFRESH_TOKEN : undefined);
}

const isGoogle = (integration: Integration) => /^(google|gmail)/.test(integration.provider);

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-6 */
async function refresh(integration: Integration, role: ProviderRole): Promise<CachedToken> {
  const { credentials, config, slug } = integration;
  const token = refreshToken(integration);
  const google = isGoogle(integration) ? env() : undefined;
  const clientId = credentials.client_id ?? google?.GOOGLE_CLIENT_ID;
  const clientSecret = credentials.client_secret ?? google?.GOOGLE_CLIENT_SECRET;
  const url = typeof config.token_url === "string" && config.token_url
    ? config.token_url
    : google && GOOGLE_TOKEN_URL;
  if (!token || !clientId || !clientSecret || !url) {
    const missing = !token ? "api_token or refresh_token" : !url ? "config.token_url" : "client";
    throw new AppError(
      `${role}_credentials_missing`,
      502,
      `Integration ${slug} has no credential (${missing}): store one with ` +
        `marketplace.set_integration_secret('${slug}', 'api_token', …), or refresh_token, ` +
        "client_id and client_secret.",
      { retryable: false },
    );
  }
  const call = {
    role,
    integration: slug,
    method: "POST" as const,
    url,
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    body: new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: token,
      client_id: clientId,
      client_secret: clientSecret,
    }).toString(),
    // Asking twice gives two valid tokens.
    isIdempotent: true,
    maxBytes: 64 * 1024,
    accept: [400],
  };
  const answer = await callProvider(call);
  if (answer.status === 400) {
    const said = z.object({ error: z.string() }).safeParse(parseAnswer(call, answer));
    throw failure(
      call,
      "reauthorization_required",
      502,
      `cannot renew its access (${said.data?.error ?? "400"}): its owner must authorize it again`,
      { status: 400, retryable: false },
    );
  }
  const parsed = TokenAnswer.safeParse(parseAnswer(call, answer));
  if (!parsed.success) {
    throw failure(call, "invalid_response", 502, "answered the token request without a token", {
      status: answer.status,
    });
  }
  const lifetimeMs = parsed.data.expires_in * 1000;
  return {
    token: parsed.data.access_token,
    renewAt: Date.now() + lifetimeMs - Math.min(EARLY_MS, lifetimeMs / 2),
  };
}
