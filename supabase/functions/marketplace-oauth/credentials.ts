/** Credentials that are handed in: checked, tested, kept; tested again; revoked. */
import type { Fragment, Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import {
  allowsPrivateNetwork,
  type ConnectingContext,
  type CredentialType,
  isAtProviders,
  resolveAuth,
  type Settings,
} from "../_shared/oauth/context.ts";
import { probe, type ProbeResult } from "../_shared/oauth/probe.ts";
import type { TokenFailure, TokenSet } from "../_shared/oauth/token_endpoint.ts";
import { environmentClient, getCredential, mintTokens } from "../_shared/oauth/tokens.ts";
import { integrationSettings, readContext } from "./contexts.ts";
import {
  checkFields,
  type CredentialInput,
  type Field,
  fieldsOf,
  isMinted,
  takesClientCredentials,
} from "./fields.ts";
import { noteTest } from "./flow.ts";

/** Values as they were handed in. */
export interface Given {
  settings: Record<string, unknown>;
  credential: Record<string, unknown>;
}

/** A credential that was checked, tested, and is ready to be kept. */
export interface Prepared {
  type: CredentialType;
  input: CredentialInput;
  /** What was fetched with it already; null: nothing is. */
  tokens: TokenSet | null;
  tested: ProbeResult;
}

/**
 * Checks a credential's form, fetches a token with it if it is for that, and tests it.
 *
 * @param own settings that the connection has already; what is given stands before them
 * @throws AppError `validation_failed` `credential_refused` `credential_type_unsupported` (422),
 *   `provider_unavailable` (503)
 */
export async function prepare(
  sql: Sql,
  context: ConnectingContext,
  type: CredentialType,
  given: Given,
  own: Settings = {},
): Promise<Prepared> {
  const auth = resolveAuth(context, type);
  if (type === "oauth2" || (type === "client_credentials" && !takesClientCredentials(auth))) {
    throw new AppError(
      "credential_type_unsupported",
      422,
      type === "oauth2"
        ? "OAuth needs a browser: make a link with POST /marketplace-oauth/connect-links."
        : `${context.provider.name} gives no tokens to applications alone.`,
    );
  }
  const fields = fieldsOf(auth, type, integrationSettings(context));
  const input = checkFields(fields, withOwn(fields, given, own));
  const settings = { ...context.settings, ...input.settings };
  let tokens: TokenSet | null = null;
  if (isMinted(type)) {
    const minted = await mintTokens({ ...context, type, settings, secrets: input.secrets });
    if (!minted.ok) throw asRefusal(minted.failure);
    tokens = minted.tokens;
  }
  const tested = await probe(sql, { ...context, settings }, {
    type,
    secrets: { ...input.secrets, ...(tokens ? { access_token: tokens.access_token } : {}) },
  });
  if (tested.outcome === "refused") {
    throw new AppError("credential_refused", 422, tested.message ?? "The credential was refused.");
  }
  return { type, input, tokens, tested };
}

/** What is given, and where nothing is, what the connection has already. */
export function withOwn(fields: readonly Field[], given: Given, own: Settings): Given {
  const kept = Object.entries(own).filter(([name]) =>
    fields.some((field) => field.place === "settings" && field.name === name)
  );
  return { ...given, settings: { ...Object.fromEntries(kept), ...given.settings } };
}

function asRefusal({ code, message, retryAfterMs }: TokenFailure): AppError {
  const details = { details: { reason: code } };
  if (code !== "unreachable" && !/^http_(429|5\d\d)$/.test(code)) {
    return new AppError("credential_refused", 422, message, details);
  }
  return new AppError("provider_unavailable", 503, message, {
    ...details,
    ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: retryAfterMs / 1000 }),
  });
}

/** Keeps a prepared credential in place of what the connection had: secrets and tokens in Vault. */
export async function openGrant(sql: Sql, connectionId: string, made: Prepared): Promise<void> {
  await sql`select ${grantOf(sql, sql`${connectionId}`, made)}`;
}

/** The call that opens a grant, as a part of a statement. */
export function grantOf(sql: Sql, connectionId: Fragment, made: Prepared): Fragment {
  const { type, input, tokens, tested } = made;
  const metadata = { ...input.settings, ...tokens?.settings, ...tested.settings };
  const hasSecrets = Object.keys(input.secrets).length > 0;
  return sql`
    marketplace.open_grant(
      p_connection_id => ${connectionId}, p_credential_type => ${type},
      p_credential => ${hasSecrets || !tokens ? JSON.stringify(input.secrets) : null},
      p_access_token => ${tokens?.access_token ?? null},
      p_token_type => ${tokens?.token_type ?? null},
      p_scopes => ${tokens?.scopes ?? []}::text[],
      p_expires_in_s => ${tokens?.expires_in_s ?? null},
      p_account => ${tested.account ?? tokens?.account ?? null},
      p_metadata => ${JSON.stringify(metadata)}::text::jsonb
    )
  `;
}

/** Tests what a connection has, once more with a renewed token if the first was refused. */
export async function testConnection(sql: Sql, id: string): Promise<ProbeResult> {
  const context = await readContext(sql, id);
  const target = { connectionId: id };
  const credential = await getCredential(target, { sql });
  let tested = await probe(sql, context, credential);
  const { access_token: refused } = credential.secrets;
  if (tested.outcome === "refused" && refused) {
    const renewed = await getCredential(target, { sql, refused });
    if (renewed.secrets.access_token !== refused) tested = await probe(sql, context, renewed);
  }
  await noteTest(sql, id, tested);
  return tested;
}

/**
 * Renews a connection's token now, unless that was done a moment ago.
 *
 * @throws AppError `not_renewable` (422), or as `getCredential`
 */
export async function refreshConnection(sql: Sql, id: string): Promise<void> {
  const { secrets } = await getCredential({ connectionId: id }, { sql });
  if (!secrets.access_token) {
    throw new AppError(
      "not_renewable",
      422,
      "This connection's credential is not fetched: connect it again to change it.",
    );
  }
  await getCredential({ connectionId: id }, { sql, refused: secrets.access_token });
}

/**
 * Forgets what a connection has, then tells the provider.
 *
 * @returns whether the provider was told
 */
export async function revokeConnection(sql: Sql, id: string): Promise<boolean> {
  const context = await readContext(sql, id);
  const [row] = await sql<
    {
      tokens: { credential_type?: CredentialType; access_token?: string; refresh_token?: string };
    }[]
  >`select marketplace.revoke_connection(${id}) as tokens`;
  const { credential_type: type, ...tokens } = row!.tokens;
  if (type !== "oauth2" && type !== "client_credentials") return false;
  const endpoint = {
    auth: resolveAuth(context, type),
    settings: context.settings,
    client: { ...environmentClient(context.integration), ...context.client },
    allowPrivate: allowsPrivateNetwork(context.integration),
    isProviders: isAtProviders(context),
    integration: context.integration.slug,
  };
  const { revokeToken } = await import("../_shared/oauth/client.ts");
  let isTold = false;
  // The refresh token first: with it, most providers end the whole grant.
  for (const kind of ["refresh_token", "access_token"] as const) {
    const token = tokens[kind];
    if (token && await revokeToken(endpoint, token, kind)) isTold = true;
  }
  return isTold;
}
