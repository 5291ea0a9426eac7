/** Who may do what with connections. */
import {
  asUser,
  authenticateApiKey,
  type Caller,
  identify,
  type UserCaller,
} from "../_shared/caller.ts";
import type { Fragment, Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import type { Connection } from "../_shared/oauth/context.ts";
import { isUuid } from "../_shared/trace.ts";

/** Who a request acts for. */
export interface Subject {
  /** null: an API key or the platform itself. */
  user: UserCaller | null;
  /** The organization an API key belongs to; null: a user's are looked up, the platform's are all. */
  organizationId: string | null;
  isService: boolean;
}

/** The columns of a connection that anybody who may use it sees. */
const COLUMNS = [
  "id",
  "organization_id",
  "integration_id",
  "user_id",
  "name",
  "account",
  "is_shared",
  "status",
  "error_message",
  "metadata",
  "expires_at",
  "is_renewable",
  "created_at",
  "updated_at",
] as const;

/**
 * Who a request acts for.
 *
 * @param scope what an API key must be good for
 * @throws AppError `missing_token` `invalid_token` `token_expired` (401), `forbidden` (403)
 */
export async function subjectOf(
  sql: Sql,
  request: Request,
  scope: "read" | "admin",
): Promise<Subject> {
  return await asSubject(sql, await identify(request), scope);
}

/** {@link subjectOf} of a caller that is known already. */
export async function asSubject(
  sql: Sql,
  caller: Caller,
  scope: "read" | "admin",
): Promise<Subject> {
  switch (caller.kind) {
    case "user":
      return { user: caller, organizationId: null, isService: false };
    case "service":
      return { user: null, organizationId: null, isService: true };
    case "api_key": {
      const key = await authenticateApiKey(sql, caller.token, scope);
      return {
        user: null,
        organizationId: key.organization_id,
        isService: false,
      };
    }
    default:
      throw new AppError(
        "forbidden",
        403,
        "Connections are managed by users, API keys with the scope admin, and the service key.",
      );
  }
}

/**
 * A connection that the subject may use. A user looks as himself, under row level security.
 *
 * @throws AppError `not_found` (404)
 */
export async function readConnection(
  sql: Sql,
  subject: Subject,
  id: string,
): Promise<Connection> {
  requireUuid(id);
  const [connection] = subject.user
    ? await asUser(
      sql,
      subject.user,
      (tx) => tx<Connection[]>`select ${tx(COLUMNS)} from marketplace.connections where id = ${id}`,
    )
    : await sql<Connection[]>`
      select ${sql(COLUMNS)}
      from marketplace._require_connection(${id}, null, ${subject.organizationId}, false)
    `;
  if (connection) return connection;
  throw notFound(id);
}

/**
 * Checks that the subject may change a connection.
 *
 * @throws MK404 unknown to the subject, MK403 not his to change
 */
export async function requireManaged(
  sql: Sql,
  subject: Subject,
  id: string,
): Promise<void> {
  requireUuid(id);
  await sql`
    select id from marketplace._require_connection(
      ${id}, ${subject.user?.userId ?? null}, ${subject.organizationId}, true
    )
  `;
}

/** What a connection is made with. */
export interface NewConnection {
  integration: string;
  /** Slug or id; absent: the integration's. */
  organization?: string | undefined;
  name?: string | undefined;
  is_shared: boolean;
  /** The organization's rather than the user's. */
  is_organizations: boolean;
  /** On behalf of this user; the service key's privilege. */
  user_id?: string | undefined;
}

/**
 * Checks that the subject may connect under the integration, before anything is looked at or tried.
 *
 * @throws MK403, MK404, MK422; AppError `forbidden` (403)
 */
export async function requireConnecting(
  sql: Sql,
  subject: Subject,
  wanted: NewConnection,
): Promise<void> {
  if (wanted.user_id !== undefined && !subject.isService) {
    throw new AppError("forbidden", 403, "Only the service key connects on behalf of a user.");
  }
  const [found] = await sql<{ id: string }[]>`
    select marketplace.connecting_organization(
      ${wanted.integration}, ${wanted.organization ?? subject.organizationId},
      ${actingUser(subject, wanted)}, ${wanted.is_organizations}
    ) as id
  `;
  if (subject.organizationId && found!.id !== subject.organizationId) {
    throw new AppError("forbidden", 403, "The API key belongs to another organization.");
  }
}

/**
 * Makes a pending connection for a subject that was checked with {@link requireConnecting}.
 *
 * @returns its id
 */
export async function createConnection(
  sql: Sql,
  subject: Subject,
  wanted: NewConnection,
): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select ${creationOf(sql, subject, wanted)} as id`;
  return row!.id;
}

/** The call that makes a connection, as a part of a statement. */
export function creationOf(sql: Sql, subject: Subject, wanted: NewConnection): Fragment {
  return sql`
    marketplace.create_connection(
      ${wanted.integration}, ${wanted.name ?? null},
      ${wanted.organization ?? subject.organizationId}, ${actingUser(subject, wanted)},
      ${wanted.is_shared}, ${wanted.is_organizations}
    )`;
}

function actingUser(subject: Subject, wanted: NewConnection): string | null {
  return subject.user?.userId ?? wanted.user_id ?? null;
}

function requireUuid(id: string): void {
  if (!isUuid(id)) throw notFound(id);
}

function notFound(id: string): AppError {
  return new AppError(
    "not_found",
    404,
    `Connection ${id.slice(0, 60)} does not exist.`,
  );
}
