/**
 * The bearer token for an integration's own calls: a fixed one (`api_token`, or the environment's),
 * or the one of its own grant, which is renewed under a lease.
 */
import { env } from "../env.ts";
import { AppError } from "../errors.ts";
import type { ProviderRole } from "../provider_http.ts";
import type { Integration } from "./types.ts";

/** Secrets of which an integration's tokens are made. */
const SEEDS = ["refresh_token", "service_account_key", "private_key", "client_secret"];

/**
 * Runs a call with the integration's token, and once more with a fresh one if the provider refuses
 * the first: it may have been revoked before its time.
 *
 * @throws AppError `<role>_credentials_missing` (502), `<role>_reauthorization_required` (502),
 *   `<role>_unavailable` (503), or what the call throws
 */
export async function withToken<T>(
  integration: Integration,
  role: ProviderRole,
  call: (token: string) => Promise<T>,
): Promise<T> {
  const fixed = integration.credentials.api_token ?? environmentToken(integration);
  if (fixed) return await call(fixed);
  const token = await grantedToken(integration, role);
  try {
    return await call(token);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== `${role}_unauthorized`) throw error;
    const fresh = await grantedToken(integration, role, token);
    if (fresh === token) throw error;
    return await call(fresh);
  }
}

/** The platform's own integrations may be given their token by the environment. */
function environmentToken({ is_default, provider, credentials }: Integration): string | undefined {
  if (!is_default || SEEDS.some((seed) => credentials[seed])) return undefined;
  switch (provider) {
    case "github":
      return env().GITHUB_TOKEN;
    case "slack":
      return env().SLACK_BOT_TOKEN;
    default:
      return undefined;
  }
}

/** The token of the integration's own grant; errors say whose it is. */
async function grantedToken(
  { slug, tokens }: Integration,
  role: ProviderRole,
  refused?: string,
): Promise<string> {
  try {
    if (tokens) return await tokens(refused);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { code, message, retryAfterSeconds } = error;
    if (code === "connection_reauthorization_required" || code === "connection_revoked") {
      throw new AppError(`${role}_reauthorization_required`, 502, message, {
        cause: error,
        retryable: false,
        details: { integration: slug },
      });
    }
    if (code.startsWith("token_refresh_")) {
      throw new AppError(`${role}_unavailable`, 503, message, {
        cause: error,
        details: { integration: slug, retryable: true },
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      });
    }
    if (code !== "credentials_missing") throw error;
  }
  throw new AppError(
    `${role}_credentials_missing`,
    502,
    `Integration ${slug} has no credential: store one with ` +
      `marketplace.set_integration_secret('${slug}', 'api_token', …), or refresh_token, ` +
      "client_id and client_secret.",
    { retryable: false },
  );
}
