/** What those who authorise know about an integration: its provider, its OAuth client, its settings. */
import { authOf } from "../gateway/credentials.ts";
import type { Auth } from "../gateway/credentials.ts";
import type { AuthConfig, AuthType, ResponseErrors } from "../gateway/catalogue.ts";
import type { JobIntegration } from "../jobs/context.ts";
import { AppError } from "../errors.ts";

/** How a grant was given; all but `client_credentials` are the catalogue's auth types. */
export type CredentialType =
  | "oauth2"
  | "client_credentials"
  | "api_key"
  | "basic"
  | "bearer"
  | "service_account"
  | "github_app"
  | "aws_sigv4";

/** `marketplace._provider_json` */
export interface AuthProvider {
  slug: string;
  name: string;
  base_url: string | null;
  auth_type: AuthType;
  auth_config: AuthConfig;
  request_headers: Record<string, string>;
  /** null: nothing proves a credential. */
  health_action: string | null;
  response_errors: ResponseErrors;
}

/** Values that fill `{connection.<name>}`. */
export type Settings = Record<string, string | number>;

/** `marketplace.connecting_context` */
export interface ConnectingContext {
  integration: JobIntegration & { name?: string };
  provider: AuthProvider;
  /** The integration's own secrets: the OAuth client's `client_id` and `client_secret` among them. */
  client: Record<string, string>;
  settings: Settings;
}

/** A row of `marketplace.connections`. */
export interface Connection {
  id: string;
  organization_id: string;
  integration_id: string;
  /** null: the organization's. */
  user_id: string | null;
  name: string;
  account: string | null;
  is_shared: boolean;
  status: "pending" | "active" | "reauthorization_required" | "revoked" | "error";
  error_message: string | null;
  metadata: Settings;
  /** When its access token ends; null: it does not. */
  expires_at: string | null;
  is_renewable: boolean;
  created_at: string;
  updated_at: string;
}

/** `marketplace.connection_context` */
export interface ConnectionContext extends ConnectingContext {
  connection: Connection;
  organization: { id: string; slug: string; name: string };
}

/** The way in that a grant of this type takes. */
export function authTypeOf(type: CredentialType): AuthType {
  return type === "client_credentials" ? "oauth2" : type;
}

/**
 * How an integration authenticates: what its provider's row says for the type, and over it what the
 * integration's own `config.auth` says (a self-hosted provider has its own URLs).
 *
 * @throws AppError `credential_type_unsupported` (422)
 */
export function resolveAuth(
  { integration, provider }: Pick<ConnectingContext, "integration" | "provider">,
  type: CredentialType,
): Auth {
  const { auth: over, token_url } = integration.config as {
    auth?: AuthConfig;
    token_url?: string;
  };
  const authType = authTypeOf(type);
  // What an integration's secrets are decides its own way in, also where no row offers it.
  const auth = authOf(provider, authType) ?? (over || token_url ? { type: authType } : undefined);
  if (auth) return { ...auth, ...(token_url ? { token_url } : {}), ...over };
  throw new AppError(
    "credential_type_unsupported",
    422,
    `${provider.name} does not take ${type}; it takes ${offeredTypes(provider).join(", ")}.`,
  );
}

/** The credential types a provider's row offers, its own first. */
export function offeredTypes(
  provider: Pick<AuthProvider, "auth_type" | "auth_config">,
): AuthType[] {
  const others = Object.keys(provider.auth_config.alternatives ?? {}) as AuthType[];
  return [provider.auth_type, ...others].filter((type) => type !== "none");
}

/** Whether the integration may be reached on this machine's network. */
export function allowsPrivateNetwork(integration: Pick<JobIntegration, "config">): boolean {
  return integration.config.allow_private_network === true;
}

/** Whether every host that the integration is asked at stands in its provider's own row. */
export function isAtProviders({ integration: { config }, provider }: {
  integration: Pick<JobIntegration, "config">;
  provider: Pick<AuthProvider, "base_url">;
}): boolean {
  if (config.drive_api_base || config.auth || config.token_url) return false;
  const base = String(config.api_base ?? "");
  // Written down once more, as many do, it is still the provider's.
  return base === "" || URL.canParse(base) && provider.base_url !== null &&
      URL.canParse(provider.base_url) &&
      new URL(base).origin === new URL(provider.base_url).origin;
}
