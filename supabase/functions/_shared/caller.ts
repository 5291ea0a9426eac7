/**
 * Who calls: a signed-in user, an API key, a job's workflow, somebody with a connect link, or the
 * platform itself.
 *
 * A user's token is proven here. Keys, job tokens and links are only told apart by their prefix: the
 * database proves them, in the same round trip in which it is asked for something.
 */
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
} from "jose";
import type { TransactionSql } from "postgres";
import type { Sql } from "./db.ts";
import { env, missingEnv } from "./env.ts";
import { AppError } from "./errors.ts";
import { bearerToken, isServiceKey } from "./http.ts";
import { isUuid } from "./trace.ts";

/** A signed-in user, whose token was verified. */
export interface UserCaller {
  kind: "user";
  /** auth.users.id */
  userId: string;
  /** The token's claims, as row level security reads them. */
  claims: JWTPayload;
}

/** Who a request says it is from. */
export type Caller =
  | UserCaller
  /** `mpk_…`, to be proven by `marketplace.authenticate_api_key`. */
  | { kind: "api_key"; token: string }
  /** `mpj_…`, to be proven by `marketplace.authorize_job`. */
  | { kind: "job"; token: string }
  /** `mpl_…`, to be proven by `marketplace.connect_link`. */
  | { kind: "connect_link"; token: string }
  | { kind: "service" };

/** What `marketplace.authenticate_api_key` answers. */
export interface ApiKey {
  id: string;
  organization_id: string;
  name: string;
  prefix: string;
  scopes: ("execute" | "read" | "admin")[];
  /** Globs over `<integration>.<action>`; none allows all. */
  allowed_actions: string[];
}

/**
 * Who sent a request, by `Authorization: Bearer …`.
 *
 * @throws AppError `missing_token` `invalid_token` `token_expired` (401), `keys_unavailable` (503)
 */
export async function identify(request: Request): Promise<Caller> {
  const token = bearerToken(request);
  if (token.startsWith("mpk_")) return { kind: "api_key", token };
  if (token.startsWith("mpj_")) return { kind: "job", token };
  if (token.startsWith("mpl_")) return { kind: "connect_link", token };
  if (isServiceKey(token)) return { kind: "service" };
  return await verifyUserToken(token);
}

/**
 * The API key's row, if it is alive and has the scope. Its last use is noted, once a minute at most.
 *
 * @throws MK401 unknown, revoked or expired; MK403 without the scope
 */
export async function authenticateApiKey(
  sql: Sql,
  token: string,
  scope: ApiKey["scopes"][number],
): Promise<ApiKey> {
  const [row] = await sql<{ key: ApiKey }[]>`
    select marketplace.authenticate_api_key(${token}, ${scope}) as key
  `;
  return row!.key;
}

/**
 * Reads as a user: in one transaction, as the role `authenticated` with the user's claims, so that
 * row level security decides what is there.
 *
 * @throws AppError `database_unavailable` (503) when the transaction was not one: a session that ends
 *   half-way is replaced by the client, and what came after was read as somebody else
 *   (https://github.com/porsager/postgres/issues/1216)
 */
export async function asUser<T>(
  sql: Sql,
  { claims }: UserCaller,
  work: (tx: TransactionSql) => Promise<T>,
): Promise<T> {
  return await sql.begin("read only", async (tx) => {
    const [first] = await tx`
      select set_config('request.jwt.claims', ${JSON.stringify(claims)}, true),
        set_config('role', 'authenticated', true), now()::text as began_at
    `;
    const read = await work(tx);
    const [last] = await tx`select current_user as role, now()::text as began_at`;
    if (last!.role === "authenticated" && last!.began_at === first!.began_at) return read;
    throw new AppError("database_unavailable", 503, "The database's session ended; try again.");
  }) as T;
}

/** What user tokens are verified with. */
export interface TokenRules {
  /** Base URL of the project: its Auth publishes the key set. */
  supabaseUrl?: string | undefined;
  /** The project's legacy secret; absent: no symmetric token is accepted. */
  jwtSecret?: string | undefined;
  /** Issuer of the tokens; `<supabaseUrl>/auth/v1` when absent. */
  issuer?: string | undefined;
}

/**
 * A verifier of users' access tokens, as Supabase Auth issues them.
 *
 * The algorithm belongs to the kind of key: HS256 is checked with the secret only, ES256, RS256 and
 * EdDSA with the published key set only, nothing else is accepted.
 *
 * @see https://supabase.com/docs/guides/auth/jwts
 */
export function userTokenVerifier(rules: TokenRules): (token: string) => Promise<UserCaller> {
  const issuer = rules.issuer ?? (rules.supabaseUrl && `${rules.supabaseUrl}/auth/v1`);
  const secret = rules.jwtSecret ? new TextEncoder().encode(rules.jwtSecret) : undefined;
  const keySet = rules.supabaseUrl
    ? createRemoteJWKSet(new URL(`${rules.supabaseUrl}/auth/v1/.well-known/jwks.json`), {
      timeoutDuration: 3_000,
      cooldownDuration: 10_000,
    })
    : undefined;
  const checks = {
    audience: "authenticated",
    requiredClaims: ["exp", "sub"],
    clockTolerance: 5,
  };

  return async (token) => {
    const algorithm = algorithmOf(token);
    let claims: JWTPayload;
    try {
      if (algorithm === "HS256") {
        if (!secret) throw new AppError("invalid_token", 401, NO_SECRET);
        ({ payload: claims } = await jwtVerify(token, secret, {
          ...checks,
          algorithms: ["HS256"],
        }));
        // Only this project has the secret; Auth servers of old name no issuer.
        if (claims.iss !== undefined && claims.iss !== issuer) throw refused();
      } else {
        if (!keySet || !issuer) throw missingEnv("SUPABASE_URL");
        ({ payload: claims } = await jwtVerify(token, keySet, {
          ...checks,
          issuer,
          algorithms: ["ES256", "RS256", "EdDSA"],
        }));
      }
    } catch (error) {
      throw asTokenError(error);
    }
    if (claims.role !== "authenticated" || !isUuid(claims.sub ?? "")) throw refused();
    return { kind: "user", userId: claims.sub!.toLowerCase(), claims };
  };
}

const NO_SECRET = "Tokens signed with a shared secret are not accepted here: set " +
  "MARKETPLACE_JWT_SECRET, or let Auth sign with asymmetric keys.";

let verifier: ReturnType<typeof userTokenVerifier> | undefined;

/**
 * Verifies a user's access token with this project's keys.
 *
 * @throws AppError `invalid_token` `token_expired` (401), `keys_unavailable` (503)
 */
export async function verifyUserToken(token: string): Promise<UserCaller> {
  const variables = env();
  verifier ??= userTokenVerifier({
    supabaseUrl: variables.SUPABASE_URL,
    jwtSecret: variables.SUPABASE_JWT_SECRET ?? variables.MARKETPLACE_JWT_SECRET ??
      variables.JWT_SECRET,
    issuer: variables.MARKETPLACE_JWT_ISSUER,
  });
  return await verifier(token);
}

function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg;
  } catch (cause) {
    throw refused(cause);
  }
}

function refused(cause?: unknown): AppError {
  return new AppError(
    "invalid_token",
    401,
    "The token is no user's access token, API key, job token or service key of this project.",
    { cause },
  );
}

function asTokenError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof errors.JWTExpired) {
    return new AppError("token_expired", 401, "The access token has expired: refresh the session.");
  }
  const isVerdict = error instanceof errors.JOSEError && error.code !== "ERR_JOSE_GENERIC" &&
    !(error instanceof errors.JWKSTimeout);
  if (!isVerdict) {
    return new AppError("keys_unavailable", 503, "The keys of Auth cannot be read; try again.", {
      cause: error,
      retryAfterSeconds: 5,
    });
  }
  return refused(error);
}
