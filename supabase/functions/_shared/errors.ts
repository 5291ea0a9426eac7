/**
 * Errors as the callers of the API see them.
 *
 * Expected failures are values inside the code; at route level they become an {@link AppError},
 * whose message is safe to show. Whatever else is thrown is a 500 with a generic text.
 */
import { ZodError } from "zod";

/** What an {@link AppError} may carry beyond code, status and message. */
export interface AppErrorOptions {
  /** The underlying failure; logged, never shown. */
  cause?: unknown;
  /** Seconds until it makes sense to try again; becomes `Retry-After`. */
  retryAfterSeconds?: number;
  /** Whether the same request may succeed later. Defaults to what the status says. */
  retryable?: boolean;
  /** Safe structured facts shown to the caller, for example a provider's status. */
  details?: Record<string, unknown>;
}

/** A failure with a stable code, an HTTP status and a message that is safe to show. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly retryAfterSeconds: number | undefined;
  readonly retryable: boolean;
  readonly details: Record<string, unknown> | undefined;

  /**
   * @param code snake_case, stable: callers branch on it
   * @param status HTTP status, 400–599
   * @param message what happened, with the value, and what to do; no secrets
   */
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    options: AppErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.retryable = options.retryable ?? (status === 408 || status === 429 || status >= 500);
    this.details = options.details;
  }
}

/** What is wrong with one value of a request. */
export interface Problem {
  /** JSON pointer of the value in the body. */
  pointer: string;
  message: string;
}

/** `validation_failed` (422): every problem named, in the message and in `details`. */
export function validationFailed(problems: readonly Problem[]): AppError {
  const text = problems.map(({ pointer, message }) => `${pointer || "/"}: ${message}`).join("; ");
  return new AppError("validation_failed", 422, text, {
    details: problems as unknown as Record<string, unknown>,
  });
}

/**
 * SQLSTATEs raised by the database's functions: `MK` and the HTTP status. Their message and hint
 * are written for the caller.
 */
const MK_CODES: Record<string, string> = {
  MK400: "bad_request",
  MK401: "invalid_token",
  MK403: "forbidden",
  MK404: "not_found",
  MK409: "conflict",
  MK422: "invalid_state",
  MK429: "rate_limited",
  MK503: "unavailable",
};

/** What node's sockets and the `postgres` client call a connection that is not there. */
const CONNECTION_CODES = new Set([
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "EPIPE",
]);

/**
 * SQLSTATEs that say "not now": connection lost (08), resources (53), shutdown and start-up (57P),
 * a statement over its time (57014), deadlock and serialization (40), lock timeout (55P03), a
 * standby during failover (25006).
 * @see https://www.postgresql.org/docs/17/errcodes-appendix.html
 */
const UNAVAILABLE_SQLSTATE = /^(08...|53...|57P0[1-5]|57014|40001|40P01|55P03|25006)$/;

/** How the poolers report that they have no server connection to give. */
const POOLER_REFUSAL = /max ?client|too many (clients|connections)|tenant or user not found/i;

function databaseUnavailable(cause: unknown): AppError {
  return new AppError("database_unavailable", 503, "The database is not reachable; try again.", {
    cause,
    retryAfterSeconds: 5,
  });
}

/** Postgres' own errors, recognised by shape: an isolate may hold two copies of the client. */
interface DatabaseError extends Error {
  code: string;
  hint?: string;
}

function isDatabaseError(error: unknown): error is DatabaseError {
  return error instanceof Error && typeof (error as { code?: unknown }).code === "string";
}

/**
 * Whatever was thrown, as an {@link AppError}.
 *
 * - Postgres `MKnnn` → that status, with the database's message and hint
 * - a database that is away, full, starting or too slow → 503 `database_unavailable`, `Retry-After`
 * - a {@link ZodError} → 422 `invalid_request`, naming each path
 * - anything else → 500 `internal_error`, generic text, the thing itself as cause
 */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof ZodError) {
    const problems = error.issues.map((issue) =>
      issue.path.length > 0 ? `${issue.path.join(".")}: ${issue.message}` : issue.message
    );
    return new AppError("invalid_request", 422, problems.join("; "), { cause: error });
  }
  if (isDatabaseError(error)) {
    const own = /^MK([45]\d\d)$/.exec(error.code);
    if (own) {
      const message = error.hint ? `${error.message} (${error.hint})` : error.message;
      return new AppError(MK_CODES[error.code] ?? "request_failed", Number(own[1]), message, {
        cause: error,
      });
    }
    const refused = error.code === "XX000" && POOLER_REFUSAL.test(error.message);
    if (CONNECTION_CODES.has(error.code) || UNAVAILABLE_SQLSTATE.test(error.code) || refused) {
      return databaseUnavailable(error);
    }
  }
  return new AppError("internal_error", 500, "Something went wrong on our side.", {
    cause: error,
  });
}

/**
 * What may be logged about an error: names, codes, messages and the stack, down the chain of
 * causes. A database error's detail, query and parameters stay out: they hold payloads and tokens.
 */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const described: Record<string, unknown> = { name: error.name, message: error.message };
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") described.code = code;
  if (depth === 0 && !(error instanceof AppError)) described.stack = error.stack;
  if (error.cause !== undefined && depth < 4) {
    described.cause = describeError(error.cause, depth + 1);
  }
  return described;
}
