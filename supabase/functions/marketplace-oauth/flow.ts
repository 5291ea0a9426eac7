/**
 * The way to a provider and back.
 *
 * Whoever is sent away gets a state in the URL and a cookie in the browser; the state comes back
 * once, and only from that browser, or with the access token of the user who began.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { Sql } from "../_shared/db.ts";
import { env, functionsUrl } from "../_shared/env.ts";
import { AppError, validationFailed } from "../_shared/errors.ts";
import type { AppEnv } from "../_shared/http.ts";
import {
  authorizationUrl,
  deriveVerifier,
  exchangeCode,
  isFromIssuer,
} from "../_shared/oauth/client.ts";
import {
  allowsPrivateNetwork,
  type ConnectionContext,
  isAtProviders,
  resolveAuth,
} from "../_shared/oauth/context.ts";
import { probe, type ProbeResult } from "../_shared/oauth/probe.ts";
import { environmentClient } from "../_shared/oauth/tokens.ts";

/** How a connection's authorization ended. */
export interface Outcome {
  connection_id: string;
  status: "connected" | "refused" | "failed";
  /** OAuth's or our code; null when connected. */
  error: string | null;
  /** For people; null when there is nothing to say. */
  message: string | null;
  account: string | null;
  /** Where the browser goes on to; null: nowhere. */
  redirect_to: string | null;
  /** For the page. */
  names: { provider: string; organization: string };
}

/** How long a browser may be away. */
const AWAY_S = 600;

/**
 * Begins an authorization: notes the state, sets the browser's cookie.
 *
 * @param options.userId the user who may also finish it with an access token instead of the cookie
 * @returns the URL at the provider
 * @throws AppError `integration_misconfigured` `credential_type_unsupported` (422)
 */
export async function beginAuthorization(
  c: Context<AppEnv>,
  sql: Sql,
  context: ConnectionContext,
  options: {
    scopes: readonly string[];
    redirectTo: string | null;
    userId: string | null;
  },
): Promise<string> {
  const { integration, settings, connection } = context;
  const auth = resolveAuth(context, "oauth2");
  const scopes = options.scopes.length > 0 ? options.scopes : auth.scopes ?? [];
  const state = randomBytes(32).toString("base64url");
  const browser = randomBytes(32).toString("base64url");
  const url = await authorizationUrl({
    auth,
    settings,
    clientId: { ...environmentClient(integration), ...context.client }.client_id,
    redirectUri: redirectUri(),
    scopes,
    state,
    verifier: deriveVerifier(await oauthKey(sql), state),
    integration: integration.slug,
  });
  await sql`
    select marketplace.begin_authorization(
      ${connection.id}, ${state}, ${browser}, ${options.userId}, ${[
    ...scopes,
  ]}::text[],
      ${options.redirectTo}
    )
  `;
  const base = new URL(functionsUrl());
  setCookie(c, cookieName(state), browser, {
    path: `${base.pathname}/marketplace-oauth`,
    httpOnly: true,
    secure: base.protocol === "https:",
    // The provider's redirect comes from another site.
    sameSite: "Lax",
    maxAge: AWAY_S,
  });
  return url;
}

/**
 * Finishes an authorization with what the provider's redirect brought.
 *
 * @param userId the user whose access token came along, if one did
 * @throws MK401 unknown, used or old state; MK403 another user's or another browser's
 */
export async function finishAuthorization(
  c: Context<AppEnv>,
  sql: Sql,
  userId: string | null,
): Promise<Outcome> {
  const parameters = new URL(c.req.url).searchParams;
  const state = parameters.get("state") ?? "";
  if (state === "") {
    throw new AppError(
      "invalid_state",
      400,
      "The provider sent no state along: begin again.",
    );
  }
  const [row] = await sql<
    {
      context: ConnectionContext & {
        scopes: string[];
        redirect_to: string | null;
      };
    }[]
  >`
    select marketplace.take_authorization(
      ${state}, ${getCookie(c, cookieName(state)) ?? null}, ${userId}
    ) as context
  `;
  const context = row!.context;
  const { connection, integration, settings } = context;
  const auth = resolveAuth(context, "oauth2");
  const end = (
    ended:
      & Pick<Outcome, "status">
      & Partial<Pick<Outcome, "error" | "message" | "account">>,
  ): Outcome => ({
    connection_id: connection.id,
    error: null,
    message: null,
    account: null,
    redirect_to: context.redirect_to,
    names: {
      provider: context.provider.name,
      organization: context.organization.name,
    },
    ...ended,
  });

  const refusal = parameters.get("error");
  if (refusal !== null) {
    const error = refusal.replace(/[^\w.-]/g, "_").slice(0, 80);
    const message = `${context.provider.name} answered ${error}.`;
    await noteFailure(sql, connection.id, message);
    return end({ status: "refused", error, message });
  }
  if (!isFromIssuer(auth, settings, parameters.get("iss"))) {
    const message = "The answer came from another issuer than the one that was asked.";
    await noteFailure(sql, connection.id, message);
    return end({ status: "failed", error: "unexpected_issuer", message });
  }
  const result = await exchangeCode({
    auth,
    settings,
    client: { ...environmentClient(integration), ...context.client },
    allowPrivate: allowsPrivateNetwork(integration),
    isProviders: isAtProviders(context),
    integration: integration.slug,
  }, {
    parameters,
    state,
    verifier: deriveVerifier(await oauthKey(sql), state),
    redirectUri: redirectUri(),
  });
  if (!result.ok) {
    const { code, message } = result.failure;
    c.get("log").warn("authorization.failed", {
      connection_id: connection.id,
      code,
    });
    await noteFailure(sql, connection.id, message);
    return end({ status: "failed", error: code, message });
  }

  // Kept before anything else is done with them: a code is good for one exchange only.
  const { tokens } = result;
  await sql`
    select marketplace.open_grant(
      p_connection_id => ${connection.id}, p_credential_type => 'oauth2',
      p_access_token => ${tokens.access_token}, p_refresh_token => ${tokens.refresh_token},
      p_token_type => ${tokens.token_type}, p_scopes => ${tokens.scopes ?? context.scopes}::text[],
      p_expires_in_s => ${tokens.expires_in_s}, p_account => ${tokens.account},
      p_metadata => ${JSON.stringify(tokens.settings)}::text::jsonb
    )
  `;
  const tested = await probe(
    sql,
    { ...context, settings: { ...settings, ...tokens.settings } },
    {
      type: "oauth2",
      secrets: {
        ...applicationSecrets(context),
        access_token: tokens.access_token,
      },
    },
  );
  await noteTest(sql, connection.id, tested);
  c.get("log").info("connection.authorized", {
    connection_id: connection.id,
    integration: integration.slug,
    test: tested.outcome,
  });
  if (tested.outcome === "refused") {
    return end({
      status: "refused",
      error: "credential_refused",
      message: tested.message,
    });
  }
  return end({
    status: "connected",
    account: tokens.account ?? tested.account,
  });
}

/** Notes how a test ended; one that nobody could judge changes nothing. */
export async function noteTest(
  sql: Sql,
  connectionId: string,
  tested: ProbeResult,
): Promise<void> {
  if (tested.outcome === "untested") return;
  await sql`
    select marketplace.note_connection_test(
      ${connectionId}, ${tested.message}, ${tested.account},
      ${JSON.stringify(tested.settings)}::text::jsonb
    )
  `;
}

/** Why a connection that was begun is still pending; what a working one has is left alone. */
async function noteFailure(
  sql: Sql,
  connectionId: string,
  message: string,
): Promise<void> {
  await sql`
    update marketplace.connections set error_message = ${message.slice(0, 500)}
    where id = ${connectionId} and status = 'pending'
  `;
}

/** The integration's secrets that requests need beside the token, such as a developer token. */
function applicationSecrets(
  context: ConnectionContext,
): Record<string, string> {
  const declared = Object.keys(resolveAuth(context, "oauth2").secrets ?? {});
  return Object.fromEntries(
    declared.filter((name) => context.client[name] !== undefined)
      .map((name) => [name, context.client[name]!]),
  );
}

/** Where providers send browsers back to; what is registered with them. */
export function redirectUri(): string {
  return `${functionsUrl()}/marketplace-oauth/callback`;
}

/**
 * Checks where a browser shall go on to: an origin that the operator named, our own, or, on a stack
 * of this machine, this machine.
 *
 * @throws AppError `validation_failed` (422)
 */
export function checkRedirect(
  redirectTo: string | null | undefined,
): string | null {
  if (!redirectTo) return null;
  const refuse = (message: string) => validationFailed([{ pointer: "/redirect_to", message }]);
  if (redirectTo.length > 2000 || !URL.canParse(redirectTo)) {
    throw refuse("is not a URL");
  }
  const { protocol, origin, hostname, username } = new URL(redirectTo);
  if (protocol !== "https:" && protocol !== "http:" || username !== "") {
    throw refuse("is not an http(s) URL");
  }
  const own = new URL(functionsUrl());
  const named = (env().MARKETPLACE_REDIRECT_ORIGINS ?? "").split(",").map((
    entry,
  ) => entry.trim());
  const isLocal = (host: string) => /^(localhost|127\.0\.0\.1|\[::1\])$/.test(host);
  if (
    named.some((entry) => URL.canParse(entry) && new URL(entry).origin === origin) ||
    origin === own.origin || (isLocal(hostname) && isLocal(own.hostname))
  ) return redirectTo;
  throw refuse(`${origin} is not among MARKETPLACE_REDIRECT_ORIGINS`);
}

/** Where the browser goes on to, told how it went; no secret goes along. */
export function withOutcome(redirectTo: string, outcome: Outcome): string {
  const url = new URL(redirectTo);
  url.searchParams.set("connection_id", outcome.connection_id);
  url.searchParams.set("status", outcome.status);
  if (outcome.error) url.searchParams.set("error", outcome.error);
  return url.href;
}

/** One cookie a state, so that two authorizations in one browser do not meet. */
function cookieName(state: string): string {
  return `mk_oauth_${createHash("sha256").update(state).digest("hex").slice(0, 12)}`;
}

let key: string | undefined;

async function oauthKey(sql: Sql): Promise<string> {
  if (key) return key;
  const [row] = await sql<
    { key: string | null }[]
  >`select marketplace.oauth_key() as key`;
  if (row?.key) return key = row.key;
  throw new AppError(
    "configuration_missing",
    503,
    "The Vault secret marketplace_oauth_key is gone: apply the migrations again.",
  );
}
