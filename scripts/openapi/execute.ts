/** Routes of marketplace-execute. */
import { z } from "zod";
import { Batch } from "../../supabase/functions/marketplace-execute/app.ts";
import { ExecuteRequest } from "../../supabase/functions/_shared/execution/execute.ts";
import type { Operation } from "./operation.ts";
import { ErrorAnswer, Id, Time } from "./schemas.ts";

const Quota = z.object({
  name: z.string(),
  limit: z.number(),
  remaining: z.number(),
  resets_at: Time.nullable(),
}).meta({ id: "Quota" });

const Executed = z.object({
  ok: z.literal(true),
  status: z.int().describe("The provider's."),
  result: z.unknown().describe("The provider's answer, as the action shapes it."),
  pages: z.object({
    page_count: z.int(),
    is_complete: z.boolean(),
    next: z.unknown(),
  }).optional().describe("When pages were asked for."),
  quota: Quota.nullable().describe("What is left of the tightest limit; null: none is known."),
  execution_id: Id,
  correlation_id: Id,
}).meta({ id: "Executed" });

const Started = z.object({
  execution_id: Id,
  status: z.literal("running"),
  correlation_id: Id,
}).meta({ id: "ExecutionStarted" });

const State = z.object({
  execution_id: Id,
  correlation_id: Id,
  action: z.string(),
  status: z.enum(["running", "succeeded", "failed", "lost"]).describe("`lost`: it never reported."),
  created_at: Time,
  finished_at: Time.nullable(),
  http_status: z.int().nullable(),
  response: z.union([Executed, ErrorAnswer, z.null()]).optional().describe(
    "What the caller would have got; null: too large to be kept.",
  ),
}).meta({ id: "ExecutionState" });

const BatchAnswer = z.object({
  results: z.array(z.union([
    Executed.extend({ http_status: z.int() }),
    ErrorAnswer.extend({ http_status: z.int() }),
  ])).describe("One a request, in their order."),
  correlation_id: Id,
}).meta({ id: "BatchAnswer" });

const CALLERS: Operation["credentials"] = ["userToken", "apiKey", "jobToken", "serviceKey"];
const ERRORS = {
  403: ["forbidden", "action_not_allowed", "integration_not_allowed"],
  404: [
    ...["organization_not_found", "integration_not_found", "connection_not_found"],
    "action_not_found",
  ],
  409: [
    ...["connection_ambiguous", "connection_pending", "connection_reauthorization_required"],
    ...["connection_revoked", "execution_in_progress", "outcome_unknown", "answer_not_kept"],
    "conflict",
  ],
  422: [
    ...["validation_failed", "idempotency_key_reused", "credentials_missing", "address_refused"],
    ...["integration_inactive", "integration_misconfigured", "action_misconfigured"],
    ...["host_not_allowed", "source_unavailable", "credential_type_unsupported"],
  ],
  429: ["rate_limited"],
  501: ["action_unsupported"],
  502: ["provider_error", "transform_failed", "delivery_failed"],
  503: ["token_refresh_busy", "token_refresh_failed", "configuration_missing"],
};

/** Routes of marketplace-execute. */
export const EXECUTE: Operation[] = [
  {
    id: "execute",
    method: "post",
    path: "/marketplace-execute",
    summary: "Run an action",
    description:
      "Runs an action of the catalogue with a credential that the caller never sees. Its " +
      "parameters are held to the action's own schema, `marketplace.actions.request_schema`. The " +
      "same is at `/marketplace-execute/api/v2/execute`.",
    credentials: CALLERS,
    headers: {
      "idempotency-key": {
        description: "The same key and request get the same answer for a day.",
        schema: z.string().min(1).max(255).optional(),
      },
      "prefer": { description: "`respond-async`: do not wait for the provider." },
      "x-execute-request": {
        description: "The request as JSON in a header, when the body is a file's bytes.",
      },
      "x-correlation-id": { description: "UUID to tell this by.", schema: z.uuid().optional() },
    },
    body: {
      "application/json": ExecuteRequest.meta({ id: "ExecuteRequest" }),
      "application/octet-stream": z.string(),
    },
    answers: {
      200: {
        description: "The provider's answer; or its bytes, as the action or `output` has it.",
        body: { "application/json": Executed, "*/*": z.string() },
        headers: ["x-execution-id", "x-provider-status", "idempotent-replayed"],
      },
      202: {
        description: "With `Prefer: respond-async`: it runs in the background.",
        body: Started,
        headers: ["location"],
      },
    },
    errors: ERRORS,
  },
  {
    id: "executeBatch",
    method: "post",
    path: "/marketplace-execute/batch",
    summary: "Run up to 100 actions",
    description: "Each is checked, counted and answered by itself; one that fails stops no other.",
    credentials: CALLERS,
    body: Batch,
    answers: { 200: { description: "An answer for each.", body: BatchAnswer } },
    errors: { 413: ["batch_too_large"] },
  },
  {
    id: "getExecution",
    method: "get",
    path: "/marketplace-execute/executions/{id}",
    summary: "How an execution in the background stands",
    credentials: CALLERS,
    answers: {
      200: { description: "Its state, for a day.", body: State, headers: ["retry-after"] },
    },
    errors: { 404: ["not_found"] },
  },
  {
    id: "getApiDescription",
    method: "get",
    path: "/marketplace-execute/openapi.json",
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1.", body: z.looseObject({ openapi: z.string() }) } },
  },
];
