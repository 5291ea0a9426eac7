/** What an execution is authorised with, and in which way its provider takes that. */
import type { Sql } from "../db.ts";
import { env } from "../env.ts";
import { AppError } from "../errors.ts";
import { type Auth, seal } from "../gateway/credentials.ts";
import { offeredTypes, resolveAuth } from "../oauth/context.ts";
import { type Credential, getCredential, renew } from "../oauth/tokens.ts";
import type { Begun } from "./types.ts";

/** A credential with the provider's way of taking it. */
export interface Access {
  auth: Auth;
  secrets: Readonly<Record<string, string>>;
  /** What fills `{connection.<name>}`, defaults included. */
  settings: Readonly<Record<string, string | number>>;
}

/**
 * The credential of an execution: as `begin_execution` read it, renewed first when it is about to
 * end.
 *
 * @param refused an access token that the provider has just refused
 * @throws AppError `connection_reauthorization_required` `connection_revoked` (409),
 *   `credentials_missing` (422), `token_refresh_failed` `token_refresh_busy` (503)
 */
export async function accessOf(sql: Sql, begun: Begun, refused?: string): Promise<Access> {
  const { grant, integration } = begun;
  if (grant.state === "environment") {
    return toAccess(begun, {
      type: "bearer",
      secrets: { api_token: environmentToken(integration.provider) },
      settings: grant.settings,
      expiresAt: null,
    });
  }
  if (grant.state === "fresh" && refused === undefined) {
    const { credential_type: type, secrets, settings, expires_at: expiresAt } = grant;
    return toAccess(begun, {
      type,
      secrets: { ...secrets, ...environmentKeys(begun, secrets) },
      settings,
      expiresAt,
    });
  }
  // Nobody else may renew it while we hold the lease.
  if (grant.state === "leased" && refused === undefined) await renew(sql, grant);
  const target = begun.connection_id ? { connectionId: begun.connection_id } : { integration };
  return toAccess(begun, await getCredential(target, { sql, refused }));
}

/** Whether the provider's refusal of the credential may be answered with a renewed one. */
export function isRenewable({ grant }: Begun, { secrets }: Access): boolean {
  return grant.state !== "environment" && secrets.access_token !== undefined;
}

function toAccess(begun: Begun, credential: Credential): Access {
  const { secrets } = credential;
  const auth = chooseAuth(begun, credential);
  const settings: Record<string, string | number> = {};
  for (const [name, field] of Object.entries(auth.settings ?? {})) {
    if (field.default !== undefined) settings[name] = field.default;
  }
  return { auth, secrets, settings: { ...settings, ...credential.settings } };
}

/**
 * The way in that the credential's type names. An integration's own secrets may be of a kind that
 * its provider's row does not offer: then the first offer they satisfy, else a bearer token.
 */
function chooseAuth(begun: Begun, { type, secrets, settings }: Credential): Auth {
  const named = tryResolve(begun, type);
  if (begun.connection_id !== null && named) return named;
  const blank = {
    method: "GET",
    url: "https://example.invalid/",
    headers: {},
    body: null,
    bodyKind: "none",
    rest: {},
    markers: {},
  } as const;
  const isFitting = (auth: Auth | undefined): auth is Auth =>
    auth !== undefined && seal(blank, auth, { secrets, settings }).ok;
  if (isFitting(named)) return named;
  for (const offer of offeredTypes(begun.provider)) {
    const auth = tryResolve(begun, offer);
    if (isFitting(auth)) return auth;
  }
  if (secrets.api_token !== undefined) return { type: "bearer" };
  return named ?? { type: "none" };
}

function tryResolve(begun: Begun, type: Parameters<typeof resolveAuth>[1] | "none") {
  if (type === "none") return undefined;
  try {
    return resolveAuth(begun, type);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function environmentToken(provider: string): string {
  const { GITHUB_TOKEN, SLACK_BOT_TOKEN } = env();
  return (provider === "github" ? GITHUB_TOKEN : SLACK_BOT_TOKEN) ?? "";
}

/** The keys of the platform's own bucket may stand in the environment. */
function environmentKeys(
  { integration, connection_id }: Begun,
  secrets: Record<string, string>,
): Record<string, string> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env();
  const isOwn = connection_id === null && integration.is_default &&
    integration.provider === "aws_s3";
  if (!isOwn || secrets.access_key_id || !AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) return {};
  return {
    access_key_id: AWS_ACCESS_KEY_ID,
    secret_access_key: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN ? { session_token: AWS_SESSION_TOKEN } : {}),
  };
}
