/** What running an action is about: what the database knows of it, and what comes of it. */
import { AppError, type AppErrorOptions } from "../errors.ts";
import type { ActionRow, ProviderRow } from "../gateway/catalogue.ts";
import type { JobIntegration } from "../jobs/context.ts";
import type { AuthProvider, Settings } from "../oauth/context.ts";
import type { Lease } from "../oauth/tokens.ts";

/** Who calls, as `marketplace.begin_execution` proves it. */
export type CallerProof =
  /** Claims of a token that was verified. */
  | { kind: "user"; claims: Record<string, unknown> }
  | { kind: "api_key" | "job"; token: string }
  | { kind: "service" };

/** What `marketplace.begin_execution` is asked. */
export interface BeginRequest {
  caller: CallerProof;
  /** Slug or id. */
  organization?: string | undefined;
  connection_id?: string | undefined;
  /** Slug. */
  integration?: string | undefined;
  action: string;
  idempotency_key?: string | undefined;
  /** SHA-256 of what is asked for, hex. */
  request_hash: string;
  correlation_id: string;
  /** Its answer is kept for whoever asks later. */
  is_async?: boolean;
  /** The service may close what an integration that is switched off has left open. */
  allows_inactive?: boolean;
  /** For how many pages quota is reserved; 1 when absent. */
  pages?: number;
}

/** A limit from which the call has reserved. */
export interface QuotaWindow {
  id: string;
  name: string;
  connection_id: string | null;
  limit_count: number;
  used_count: number;
  reserved_count: number;
  window_started_at: string;
  resets_at: string;
  cost: number;
}

/** Names an execution in log and answer. */
export interface ExecutionIds {
  execution_id: string;
  /** Finds the log row's partition. */
  created_at: string;
  correlation_id: string;
  organization_id: string;
  integration_id: string | null;
  connection_id: string | null;
  caller: CallerProof["kind"];
  user_id: string | null;
  api_key_id: string | null;
  job_id: string | null;
  /** As the caller chose it. */
  idempotency_key: string | null;
}

/** The credential as the database has it. */
export type Grant =
  | (Pick<Lease, "credential_type" | "settings" | "secrets" | "expires_at"> & { state: "fresh" })
  /** It must be renewed, and this caller is the one who does it. */
  | Lease
  /** The function's environment holds it. */
  | { state: "environment"; settings: Settings }
  /** It must be asked for again, to wait or to be told why there is none. */
  | { state: "busy" | "cooldown" | "reauthorization_required" | "revoked" | "missing" };

/** An execution that may go on. */
export interface Begun extends ExecutionIds {
  integration_id: string;
  action: ActionRow;
  provider: ProviderRow & AuthProvider;
  integration: JobIntegration;
  grant: Grant;
  windows: QuotaWindow[];
  /** What a provider is given where it knows a header for it: one for each caller and key. */
  provider_key: string;
}

/** Why it may not. */
export interface Refusal {
  status: number;
  code: string;
  message: string;
  retry_after_ms?: number;
  details?: Record<string, unknown>;
}

/** What `marketplace.begin_execution` answers. */
export type BeginAnswer =
  | { kind: "begun"; begun: Begun }
  | {
    kind: "replay";
    correlation_id: string;
    execution_id: string;
    http_status: number;
    answer: Record<string, unknown>;
  }
  | { kind: "refused"; correlation_id: string; execution_id?: string; refusal: Refusal };

/** What may have happened at the provider when an execution failed. */
export type Effect =
  /** Nothing: it was not asked, or did not begin. A repetition is harmless. */
  | "none"
  /** It said no; it would say so again. */
  | "refused"
  /** Nobody knows. */
  | "possible";

/** A failed execution. */
export class ExecutionError extends AppError {
  readonly effect: Effect;
  /** The provider's status; undefined when it did not answer. */
  readonly providerStatus: number | undefined;
  /** What the provider said, for the log. */
  readonly response: unknown;

  constructor(
    code: string,
    status: number,
    message: string,
    options: AppErrorOptions & {
      effect?: Effect;
      providerStatus?: number | undefined;
      response?: unknown;
    } = {},
  ) {
    super(code, status, message, options);
    this.effect = options.effect ?? "none";
    this.providerStatus = options.providerStatus;
    this.response = options.response;
  }
}
