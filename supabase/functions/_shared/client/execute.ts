/**
 * A client of marketplace-execute for apps: this file and the types beside it need nothing else, and
 * run in browsers, Node, Deno and Edge Functions.
 *
 * ```ts
 * const execute = createExecute({
 *   url: `${SUPABASE_URL}/functions/v1`,
 *   token: async () => (await supabase.auth.getSession()).data.session?.access_token ?? "",
 * });
 * await execute<"slack">({
 *   integration: "slack",
 *   action: "chat.postMessage",
 *   parameters: { channel: "#ci-artifacts", text: "Done" },
 * }, { idempotencyKey: "build-4711" });
 * ```
 * @module
 */
import type { Actions } from "./action.types.ts";

/** Where the functions are, and who calls. */
export interface Target {
  /** `<project>/functions/v1` */
  url: string;
  /** A user's access token, an API key, a job token or the service key; asked for before each call. */
  token: string | (() => string | Promise<string>);
  /** Instead of the global one. */
  fetch?: typeof fetch;
}

interface Addressed {
  /** Slug; alone, it means the caller's connection under it. */
  integration?: string;
  /** Whose account it is done with. */
  connection_id?: string;
  /** The tenant, by slug or id; the connection's own when absent. */
  organization_id?: string;
  /** Further pages are fetched, as many as this at most. */
  paginate?: { max_pages?: number };
  /** Where an answer's bytes go: into {@link Execution.content} when absent. */
  output?: "stream" | "base64" | {
    url: string;
    method?: "PUT" | "POST";
    headers?: Record<string, string>;
  };
}

/** An action of a known provider, with parameters of that action's own type. */
export type ActionRequest<Provider extends keyof Actions> =
  & Addressed
  & {
    [Action in keyof Actions[Provider]]: {
      action: Action;
      parameters: Actions[Provider][Action];
    };
  }[keyof Actions[Provider]];

/** Any action, such as one that was added as a row. */
export type AnyRequest = Addressed & { action: string; parameters?: Record<string, unknown> };

/** What may be said of one call. */
export interface ExecuteOptions {
  /** Ends the wait. What was sent to the provider by then may have happened. */
  signal?: AbortSignal;
  /** The same key and request get the same answer for a day; nothing is done twice. 1–255 characters. */
  idempotencyKey?: string;
  /** UUID under which logs and trace tell of it. */
  correlationId?: string;
}

/** What came of an action. */
export interface Execution<Result = unknown> {
  /** The provider's HTTP status. */
  status: number;
  /** The provider's answer; undefined when it is bytes. */
  result: Result;
  /** The answer's bytes, to be read once; null when it is JSON. */
  content: Response | null;
  /** What is left of the tightest limit; null: none is known. */
  quota: { name: string; limit: number; remaining: number; resets_at: string | null } | null;
  /** When pages were asked for. */
  pages?: { page_count: number; is_complete: boolean; next: unknown };
  execution_id: string;
  correlation_id: string;
  /** It was answered before, to the same idempotency key. */
  isReplay: boolean;
}

/** What `marketplace-execute` answers with; a later version may know more. */
export type ExecuteErrorCode =
  /** The request is not as the action wants it: {@link ExecuteError.details} names each value. */
  | "validation_failed"
  | "invalid_request"
  | "invalid_json"
  /** More than a request, a file or a batch may be. */
  | "payload_too_large"
  | "batch_too_large"
  /** The token proves nobody, or its time is over. */
  | "missing_token"
  | "invalid_token"
  | "token_expired"
  /** The caller may not. */
  | "forbidden"
  | "action_not_allowed"
  | "integration_not_allowed"
  /** What was named is not there, for this caller. */
  | "organization_not_found"
  | "integration_not_found"
  | "connection_not_found"
  | "action_not_found"
  | "not_found"
  /** The account has to be connected, or connected again. */
  | "connection_pending"
  | "connection_reauthorization_required"
  | "connection_revoked"
  /** Several accounts fit: say which. */
  | "connection_ambiguous"
  /** Later: {@link ExecuteError.retryAfterSeconds} says when. */
  | "rate_limited"
  | "database_unavailable"
  | "keys_unavailable"
  | "token_refresh_busy"
  | "token_refresh_failed"
  /** Of an idempotency key. */
  | "idempotency_key_reused"
  | "execution_in_progress"
  | "outcome_unknown"
  | "answer_not_kept"
  /** The provider said no, or nothing that could be read. */
  | "provider_error"
  | "transform_failed"
  /** Somebody changed it since: nothing was written. */
  | "conflict"
  /** A URL in the request: it leads inside, or has nothing to give, or takes nothing. */
  | "address_refused"
  | "source_unavailable"
  | "delivery_failed"
  /** The operator's to mend: a row, a secret or a setting. */
  | "credentials_missing"
  | "credential_type_unsupported"
  | "integration_inactive"
  | "integration_misconfigured"
  | "action_misconfigured"
  | "action_unsupported"
  | "host_not_allowed"
  | "configuration_missing"
  | "configuration_invalid"
  | "internal_error"
  /** The answer was none of marketplace-execute's. */
  | "unexpected_answer"
  // Keeps the list above in an editor's completion.
  | (string & Record<never, never>);

/** An action that did not succeed. An aborted or unreachable call rejects as `fetch` does. */
export class ExecuteError extends Error {
  override readonly name = "ExecuteError";

  constructor(
    readonly code: ExecuteErrorCode,
    message: string,
    /** HTTP status of the answer. */
    readonly status: number,
    readonly correlationId: string | null,
    /** null: nothing was begun. */
    readonly executionId: string | null,
    /** null: nothing says when it would be better. */
    readonly retryAfterSeconds: number | null,
    /** For example each invalid value, or the provider's answer. */
    readonly details: unknown,
  ) {
    super(message);
  }
}

/** Runs an action; name its provider, as in `execute<"slack">(…)`, to have its parameters checked. */
export interface Execute {
  <Provider extends keyof Actions>(
    request: ActionRequest<Provider>,
    options?: ExecuteOptions,
  ): Promise<Execution>;
  (request: AnyRequest, options?: ExecuteOptions): Promise<Execution>;
}

/** A function that runs actions for one caller. */
export function createExecute(target: Target): Execute {
  return async (request: AnyRequest, options: ExecuteOptions = {}): Promise<Execution> => {
    const { signal, idempotencyKey, correlationId } = options;
    const token = typeof target.token === "function" ? await target.token() : target.token;
    const headers = new Headers({
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
    });
    if (idempotencyKey !== undefined) headers.set("idempotency-key", idempotencyKey);
    if (correlationId !== undefined) headers.set("x-correlation-id", correlationId);
    const response = await (target.fetch ?? fetch)(`${target.url}/marketplace-execute`, {
      method: "POST",
      headers,
      body: JSON.stringify(request),
      ...(signal ? { signal } : {}),
    });

    const providerStatus = response.headers.get("x-provider-status");
    if (response.ok && providerStatus !== null) {
      return {
        status: Number(providerStatus),
        result: undefined,
        content: response,
        quota: null,
        execution_id: response.headers.get("x-execution-id") ?? "",
        correlation_id: response.headers.get("x-correlation-id") ?? "",
        isReplay: false,
      };
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer?.ok === true) {
      const { ok: _, ...execution } = answer;
      const isReplay = response.headers.get("idempotent-replayed") === "true";
      return { ...execution, content: null, isReplay };
    }
    throw errorFrom(response, answer?.error);
  };
}

interface ErrorBody {
  code: string;
  message: string;
  correlation_id?: string;
  execution_id?: string;
  retry_after?: number;
  details?: unknown;
}

function errorFrom(response: Response, error: ErrorBody | undefined): ExecuteError {
  const retryAfter = error?.retry_after ?? Number(response.headers.get("retry-after"));
  return new ExecuteError(
    error?.code ?? "unexpected_answer",
    error?.message ?? `marketplace-execute answered ${response.status} without an error in JSON.`,
    response.status,
    error?.correlation_id ?? response.headers.get("x-correlation-id"),
    error?.execution_id ?? null,
    retryAfter > 0 ? retryAfter : null,
    error?.details,
  );
}
