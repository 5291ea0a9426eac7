/** Who speaks to the server, and how that caller reads. */
import type { ISql } from "postgres";
import { type ApiKey, asUser, identify, type UserCaller } from "../_shared/caller.ts";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { bearerToken } from "../_shared/http.ts";

/** What a caller may do here: run actions, look, or change what belongs to an organization. */
export type Scope = ApiKey["scopes"][number];

/** A caller whose credential was proven. */
export interface Access {
  kind: "user" | "api_key" | "service";
  /** The credential itself, passed on to the gateway and nowhere else. */
  bearer: string;
  /** Reads as the platform: only for what {@link Access.read} or a check has allowed. */
  sql: Sql;
  user: UserCaller | null;
  /** The key; what it reads must name its organization. */
  key: ApiKey | null;
  /** Whether an API key is good for it. Users and the service are; their rows decide. */
  can(scope: Scope): boolean;
  /** Reads as the caller: a user under row level security, everybody else as the platform. */
  read<T>(work: (sql: ISql) => Promise<T>): Promise<T>;
}

/**
 * Proves the caller of a request.
 *
 * @throws AppError `missing_token` `invalid_token` `token_expired` (401), `keys_unavailable` (503)
 */
export async function openAccess(sql: Sql, request: Request): Promise<Access> {
  const caller = await identify(request);
  const bearer = bearerToken(request);
  const base = { bearer, sql, user: null, key: null, can: () => true };
  switch (caller.kind) {
    case "user":
      return { ...base, kind: "user", user: caller, read: (work) => asUser(sql, caller, work) };
    case "service":
      return { ...base, kind: "service", read: (work) => work(sql) };
    case "api_key": {
      const [row] = await sql<{ key: ApiKey }[]>`
        select marketplace.authenticate_api_key(${caller.token}) as key
      `;
      const { key } = row!;
      const can = (scope: Scope) => key.scopes.includes(scope) || key.scopes.includes("admin");
      return { ...base, kind: "api_key", key, can, read: (work) => work(sql) };
    }
    default:
      throw new AppError(
        "invalid_token",
        401,
        "Job tokens and connect links open nothing here: send an API key or a user's access token.",
      );
  }
}

/**
 * The organizations that a user owns or administers.
 *
 * @returns ids; empty for everybody who is no user
 */
export async function administeredOrganizations(access: Access): Promise<string[]> {
  const { user } = access;
  if (!user) return [];
  const rows = await access.read((sql) =>
    sql<{ organization_id: string }[]>`
      select organization_id from marketplace.organization_members
      where user_id = ${user.userId} and role in ('owner', 'admin')
    `
  );
  return rows.map((row) => row.organization_id);
}
