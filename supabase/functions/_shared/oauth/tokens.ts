/**
 * The one way to a connection's credential.
 *
 * Whoever needs a token asks here. It is read from Vault in one round trip while it is good; when it
 * is about to end, one process in all renews it under a lease, and the others wait for what it
 * stores. No lock is held while the provider is asked.
 */
import { db, type Sql } from "../db.ts";
import { env } from "../env.ts";
import { AppError, describeError, toAppError } from "../errors.ts";
import { createLogger } from "../logger.ts";
import type { JobIntegration } from "../jobs/context.ts";
import {
  allowsPrivateNetwork,
  type AuthProvider,
  type CredentialType,
  isAtProviders,
  resolveAuth,
  type Settings,
} from "./context.ts";
import type { Endpoint, TokenFailure, TokenResult } from "./token_endpoint.ts";

/** Whose credential: a connection's, or an integration's own. */
export type Target =
  | { connectionId: string }
  | { integration: Pick<JobIntegration, "id" | "provider" | "is_default"> };

/** A credential as requests are sealed with it. */
export interface Credential {
  type: CredentialType;
  /** By purpose: `access_token`, `api_token`, `password`, …; never logged. */
  secrets: Record<string, string>;
  /** What fills `{connection.<name>}`. */
  settings: Settings;
  /** When the access token ends, ISO 8601; null: it does not. */
  expiresAt: string | null;
}

/** How a credential is wanted. */
export interface CredentialOptions {
  sql?: Sql;
  /** How long it must still be good, in milliseconds, as far as its life allows. */
  minValidMs?: number;
  /** An access token that the provider has just refused: it is not handed out again. */
  refused?: string | undefined;
}

/** What `marketplace.lease_refresh` answers. */
type GrantAnswer =
  | ({ state: "fresh" } & GrantJson)
  | Lease
  | { state: "busy" }
  | { state: "cooldown"; message: string | null; retry_after_ms: number }
  | { state: "reauthorization_required"; message: string | null }
  | { state: "revoked" | "missing" };

interface GrantJson {
  grant_id: string | null;
  credential_type: CredentialType;
  expires_at: string | null;
  scopes: string[];
  integration: JobIntegration;
  settings: Settings;
  secrets: Record<string, string>;
}

/** The right to renew a grant, until the lease runs out. */
export interface Lease extends GrantJson {
  state: "leased";
  grant_id: string;
  lease_id: string;
  provider: AuthProvider;
  client: Record<string, string>;
  refresh_token: string | null;
}

/** Waiting for somebody else's refresh; the token endpoint itself may take 20 seconds. */
const WAIT_MS = 25_000;
/** How often what a provider gave is tried to be stored: a rotated token exists nowhere else. */
const STORE_ATTEMPTS = 6;

const SHORT_LIVED: TokenFailure = {
  code: "short_lived",
  message: "the provider's tokens end as soon as they are given.",
  isFinal: false,
};

const underWay = new Map<string, Promise<Credential>>();

/**
 * The access token of a connection, or of an integration by itself, good for some minutes at least.
 *
 * @throws AppError as {@link getCredential}; `credentials_missing` (422) when it has none
 */
export async function getAccessToken(
  target: Target,
  options: CredentialOptions = {},
): Promise<string> {
  const { secrets } = await getCredential(target, options);
  const token = secrets.access_token ?? secrets.api_token;
  if (token) return token;
  throw new AppError(
    "credentials_missing",
    422,
    `${nameOf(target)} has no token.`,
  );
}

/**
 * The credential of a connection, or of an integration by itself, renewed when it is about to end.
 *
 * @throws AppError `connection_reauthorization_required` (409), `connection_revoked` (409),
 *   `credentials_missing` (422), `token_refresh_failed` (503, with `Retry-After`),
 *   `token_refresh_busy` (503)
 */
export async function getCredential(
  target: Target,
  options: CredentialOptions = {},
): Promise<Credential> {
  // Callers of one isolate who want the same share one look.
  const id = "connectionId" in target ? target.connectionId : target.integration.id;
  const key = `${id} ${options.minValidMs ?? 0} ${options.refused ?? ""}`;
  let pending = underWay.get(key);
  if (!pending) {
    pending = look(target, options).finally(() => underWay.delete(key));
    underWay.set(key, pending);
  }
  return await pending;
}

async function look(
  target: Target,
  options: CredentialOptions,
): Promise<Credential> {
  const sql = options.sql ?? db();
  const deadline = performance.now() + WAIT_MS;
  let refused = options.refused;
  let renewals = 0;
  for (let pause = 25;; pause = Math.min(pause * 2, 800)) {
    const answer = await ask(sql, target, { ...options, refused });
    switch (answer.state) {
      case "fresh":
        return asCredential(answer);
      case "leased": {
        const result = await renew(sql, answer);
        if (!result.ok && !result.failure.isFinal) {
          throw refreshFailed(target, result.failure);
        }
        if (++renewals > 2) throw refreshFailed(target, SHORT_LIVED);
        // What is stored now is read like anybody reads it.
        refused = undefined;
        continue;
      }
      case "busy":
        if (performance.now() > deadline) {
          throw new AppError(
            "token_refresh_busy",
            503,
            `${nameOf(target)}: its token is being renewed; try again.`,
            { retryAfterSeconds: 5 },
          );
        }
        await new Promise((done) => setTimeout(done, pause * (0.75 + Math.random() / 2)));
        continue;
      case "cooldown":
        throw new AppError(
          "token_refresh_failed",
          503,
          `${nameOf(target)}: its token could not be renewed: ${answer.message ?? "unknown"}`,
          { retryAfterSeconds: answer.retry_after_ms / 1000 },
        );
      case "reauthorization_required":
        throw new AppError(
          "connection_reauthorization_required",
          409,
          `${nameOf(target)} must be authorized again by its owner: ${answer.message ?? "refused"}`,
        );
      case "revoked":
        throw new AppError(
          "connection_revoked",
          409,
          `${nameOf(target)} was revoked.`,
        );
      case "missing":
        throw new AppError(
          "credentials_missing",
          422,
          `${nameOf(target)} is not authorized yet: connect it first.`,
        );
    }
  }
}

/**
 * Leases grants that end soon, for whoever renews them ahead of time; each must be given to
 * {@link renew} at once.
 *
 * @param limit as many as are renewed side by side: a lease lives 45 seconds
 */
export async function claimExpiring(sql: Sql, limit: number): Promise<Lease[]> {
  const rows = await sql<{ lease: Lease }[]>`
    select lease from marketplace.claim_expiring_tokens(${limit}) as lease
  `;
  return rows.map(({ lease }) => lease);
}

/** Renews a leased grant at its provider, and stores what came of it. */
export async function renew(sql: Sql, lease: Lease): Promise<TokenResult> {
  const log = createLogger("oauth").with({
    grant_id: lease.grant_id,
    integration: lease.integration.slug,
  });
  const began = performance.now();
  let result: TokenResult;
  try {
    result = await mintTokens({
      ...lease,
      type: lease.credential_type,
      refreshToken: lease.refresh_token ??
        seedOf({ integration: lease.integration }) ?? null,
    });
  } catch (error) {
    // A row that cannot be used: said like any other failure, so that it cools down.
    const { code, message } = toAppError(error);
    result = { ok: false, failure: { code, message, isFinal: false } };
  }
  const isKept = await store(sql, lease, result);
  const fields = {
    duration_ms: Math.round(performance.now() - began),
    kept: isKept,
  };
  if (result.ok) log.info("token.refreshed", fields);
  else {
    const { code, isFinal } = result.failure;
    log.warn("token.refresh_failed", { ...fields, code, final: isFinal });
  }
  return result;
}

async function ask(
  sql: Sql,
  target: Target,
  { minValidMs = 0, refused }: CredentialOptions,
): Promise<GrantAnswer> {
  const [row] = await sql<{ answer: GrantAnswer }[]>`
    select marketplace.lease_refresh(
      ${"connectionId" in target ? target.connectionId : null},
      ${"connectionId" in target ? null : target.integration.id},
      make_interval(secs => ${minValidMs / 1000}::float8),
      ${refused ?? null}, ${seedOf(target) ?? null}
    ) as answer
  `;
  return row!.answer;
}

/** What tokens are made of that nobody has to consent to anew. */
export interface Mint {
  type: CredentialType;
  integration: JobIntegration;
  provider: AuthProvider;
  /** The integration's own secrets, its OAuth client's among them. */
  client: Record<string, string>;
  settings: Settings;
  /** What the connection brought of its own; it stands before what the integration has. */
  secrets: Record<string, string>;
  scopes?: readonly string[];
  refreshToken?: string | null;
}

/**
 * Asks the provider for tokens with what is there: a refresh token, a client, a key to sign with.
 *
 * @throws AppError `credential_type_unsupported` (422)
 */
export async function mintTokens(mint: Mint): Promise<TokenResult> {
  const { type, integration, settings } = mint;
  const auth = resolveAuth(mint, type);
  const secrets = {
    ...environmentClient(integration),
    ...mint.client,
    ...mint.secrets,
  };
  const endpoint: Endpoint = {
    auth,
    settings,
    client: secrets,
    allowPrivate: allowsPrivateNetwork(integration),
    isProviders: isAtProviders(mint),
    integration: integration.slug,
  };
  const scopes = mint.scopes?.length ? mint.scopes : auth.scopes ?? [];
  // Loaded when somebody needs it: most requests find a token that is good.
  switch (type) {
    case "oauth2": {
      const { refreshTokens } = await import("./client.ts");
      return await refreshTokens(endpoint, mint.refreshToken ?? "");
    }
    case "client_credentials": {
      const { clientCredentials } = await import("./client.ts");
      return await clientCredentials(endpoint, scopes);
    }
    case "service_account": {
      const { serviceAccountToken } = await import("./assertions.ts");
      return await serviceAccountToken(
        endpoint,
        secrets.service_account_key,
        scopes,
      );
    }
    case "github_app": {
      const { githubAppToken } = await import("./assertions.ts");
      return await githubAppToken(endpoint, secrets.private_key);
    }
    default:
      throw new AppError(
        "credential_type_unsupported",
        422,
        `Nothing renews a ${type}.`,
      );
  }
}

/** Stores what a refresh brought; tries again while the database is away. */
async function store(
  sql: Sql,
  { grant_id, lease_id }: Lease,
  result: TokenResult,
): Promise<boolean> {
  for (let attempt = 1;; attempt++) {
    try {
      if (!result.ok) {
        const { message, isFinal, retryAfterMs } = result.failure;
        const [row] = await sql<{ kept: boolean }[]>`
          select marketplace.fail_refresh(
            ${grant_id}, ${lease_id}, ${message}, ${isFinal},
            ${retryAfterMs === undefined ? null : retryAfterMs / 1000}
          ) as kept
        `;
        return row!.kept;
      }
      const { tokens } = result;
      const [row] = await sql<{ kept: boolean }[]>`
        select marketplace.store_tokens(
          ${grant_id}, ${lease_id}, ${tokens.access_token}, ${tokens.refresh_token},
          ${tokens.token_type}, ${tokens.scopes}::text[], ${tokens.expires_in_s}
        ) as kept
      `;
      return row!.kept;
    } catch (error) {
      if (attempt >= STORE_ATTEMPTS || toAppError(error).status !== 503) {
        throw error;
      }
      createLogger("oauth").warn("token.store_retried", {
        grant_id,
        error: describeError(error),
      });
      await new Promise((done) => setTimeout(done, 200 * 2 ** attempt));
    }
  }
}

function asCredential(
  { credential_type, secrets, settings, expires_at }: GrantJson,
): Credential {
  return { type: credential_type, secrets, settings, expiresAt: expires_at };
}

/** Google's refresh token may stand in the environment, for the platform's own integration. */
function seedOf(target: Target): string | undefined {
  return "integration" in target && isOwnGoogle(target.integration)
    ? env().GOOGLE_REFRESH_TOKEN
    : undefined;
}

/** And so may its OAuth client. */
export function environmentClient(
  integration: Pick<JobIntegration, "provider" | "is_default">,
): Record<string, string> {
  if (!isOwnGoogle(integration)) return {};
  const { GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET } = env();
  return {
    ...(GOOGLE_CLIENT_ID ? { client_id: GOOGLE_CLIENT_ID } : {}),
    ...(GOOGLE_CLIENT_SECRET ? { client_secret: GOOGLE_CLIENT_SECRET } : {}),
  };
}

function isOwnGoogle(
  { provider, is_default }: Pick<JobIntegration, "provider" | "is_default">,
) {
  return is_default && /^(google|gmail)/.test(provider);
}

function refreshFailed(target: Target, failure: TokenFailure): AppError {
  return new AppError(
    "token_refresh_failed",
    503,
    `${nameOf(target)}: its token could not be renewed: ${failure.message}`,
    {
      retryAfterSeconds: (failure.retryAfterMs ?? 5_000) / 1000,
      details: { reason: failure.code },
    },
  );
}

function nameOf(target: Target): string {
  return "connectionId" in target
    ? `Connection ${target.connectionId}`
    : `The integration ${target.integration.id}`;
}
