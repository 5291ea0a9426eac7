/**
 * Actions that the platform runs for itself: through the same layer as everybody's, so that they are
 * logged, counted against the account's quota, and made with managed tokens.
 */
import { randomUUID } from "node:crypto";
import type { Sql } from "../db.ts";
import { execute, type JsonAnswer } from "../execution/execute.ts";
import type { FeedAccount } from "./types.ts";

/** What an action answered. */
export interface Called<T> {
  result: T;
  /** Parameters of the next page, when one was asked for as a page. */
  next: Record<string, unknown> | null;
}

/** Runs an action. */
export type Call = <T>(
  action: string,
  parameters: Record<string, unknown>,
  options?: { isPage?: boolean },
) => Promise<Called<T>>;

/** An action that failed. */
export class CallError extends Error {
  constructor(
    /** Of the gateway: `rate_limited`, `provider_error`, `connection_revoked`, … */
    readonly code: string,
    message: string,
    /** The provider's status; undefined: it did not answer. */
    readonly status: number | undefined,
    /** What the provider said. */
    readonly body: unknown,
    /** How long to wait, in milliseconds; undefined: nobody says. */
    readonly retryAfterMs: number | undefined,
  ) {
    super(message);
  }

  /** Whether it may have been done all the same. */
  get isPossible(): boolean {
    // A success whose answer broke off is one.
    const { status = 0 } = this;
    return this.code === "provider_error" && (status < 300 || status >= 500);
  }
}

/**
 * Calls for one account, under a correlation id of their own.
 *
 * @param options.isClosing what is open is closed, also when the integration is switched off
 */
export function callerFor(
  sql: Sql,
  { integration, connection_id }: Pick<FeedAccount, "integration" | "connection_id">,
  { isClosing = false }: { isClosing?: boolean } = {},
): Call {
  const correlationId = randomUUID();
  return async <T>(
    action: string,
    parameters: Record<string, unknown>,
    { isPage = false }: { isPage?: boolean } = {},
  ) => {
    const answer = await execute(sql, {
      request: {
        integration: integration.slug,
        ...(connection_id ? { connection_id } : {}),
        action,
        parameters,
        ...(isPage ? { paginate: { max_pages: 1 } } : {}),
      },
      caller: { kind: "service" },
      correlationId,
      isJsonOnly: true,
      allowsInactive: isClosing,
    }) as JsonAnswer;
    const { body } = answer;
    if (body.ok === true) {
      const pages = body.pages as { next: Record<string, unknown> | null } | undefined;
      return { result: body.result as T, next: pages?.next ?? null };
    }
    const error = body.error as {
      code: string;
      message: string;
      details?: { provider_status?: number; body?: unknown };
    };
    const { retryAfterSeconds } = answer;
    throw new CallError(
      error.code,
      error.message,
      error.details?.provider_status,
      error.details?.body,
      retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000,
    );
  };
}
