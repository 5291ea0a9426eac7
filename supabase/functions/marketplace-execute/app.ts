/**
 * marketplace-execute: runs a catalogue action of one of the job's integrations, with a credential
 * that the caller never sees.
 */
import { z } from "zod";
import { waitUntil } from "../_shared/background.ts";
import { db, type Sql, toJsonText } from "../_shared/db.ts";
import { AppError, toAppError } from "../_shared/errors.ts";
import {
  adoptCorrelation,
  bearerToken,
  createApp,
  methodNotAllowed,
  readJson,
} from "../_shared/http.ts";
import { type JobContext, type JobIntegration, withCredentials } from "../_shared/jobs/context.ts";
import { callProvider, parseAnswer, type ProviderCall } from "../_shared/provider_http.ts";
import { withToken } from "../_shared/transfer/access_token.ts";
import type { Integration } from "../_shared/transfer/types.ts";
import { type Action, buildRequest, validateParameters } from "./action.ts";

/** Body of `POST /marketplace-execute`. */
const ExecuteRequest = z.object({
  /** Slug of an integration of the job's rule. */
  integration: z.string().min(1),
  /** Slug of an action of its provider. */
  action: z.string().min(1),
  parameters: z.record(z.string(), z.unknown()).default({}),
});

/** The function's Hono app, mounted at /marketplace-execute. */
export const app = createApp("marketplace-execute");

app.post("/", async (c) => {
  const sql = db();
  const context = await authorizeToken(sql, bearerToken(c.req.raw));
  const { correlation_id } = context.job;
  adoptCorrelation(c, correlation_id);
  const request = await readJson(c.req.raw, ExecuteRequest, { maxBytes: 1024 * 1024 });
  const integrationRow = findIntegration(context, request.integration);
  const action = await findAction(sql, integrationRow.provider, request.action);
  const parameters = validateParameters(action, request.parameters);
  const integration = await withCredentials(sql, integrationRow);

  const started = performance.now();
  const log = (result: { status_code?: unknown; error?: AppError }) =>
    logExecution(sql, {
      job_id: context.job.id,
      integration_id: integration.id,
      action: action.slug,
      outcome: result.error ? "failed" : "succeeded",
      status_code: result.status_code ?? result.error?.details?.provider_status ?? null,
      duration_ms: Math.round(performance.now() - started),
      error_code: result.error?.code ?? null,
      error: result.error?.message ?? null,
    });
  try {
    const { status, result } = await run(action, integration, parameters);
    log({ status_code: status });
    return c.json({ ok: true, status, result, correlation_id });
  } catch (thrown) {
    const error = asProviderError(toAppError(thrown));
    log({ error });
    throw error;
  }
});
app.all("/", methodNotAllowed("POST"));

/**
 * The job whose token this is.
 *
 * @throws AppError `invalid_token` (401)
 */
async function authorizeToken(sql: Sql, token: string): Promise<JobContext> {
  // Only running jobs are looked through: a token dies with its attempt.
  const [row] = await sql<{ context: JobContext }[]>`
    select marketplace.authorize_job(j.id, ${token}) as context
    from marketplace.sync_jobs as j
    where j.status = 'running' and j.token_hash = sha256(convert_to(${token}, 'UTF8'))
  `;
  if (row) return row.context;
  throw new AppError(
    "invalid_token",
    401,
    "The token belongs to no running job: an attempt that ended, or lost its lease, has none.",
  );
}

/** @throws AppError `integration_not_allowed` (403) */
function findIntegration(context: JobContext, slug: string): JobIntegration {
  const own = [context.source, context.destination, context.notify].filter((i) => i !== null);
  const found = own.find((integration) => integration.slug === slug);
  if (found) return found;
  throw new AppError(
    "integration_not_allowed",
    403,
    `The job's rule does not name integration ${slug}; its own are ${
      own.map((i) => i.slug).join(", ")
    }.`,
  );
}

/** @throws AppError `action_not_found` (404) */
async function findAction(sql: Sql, provider: string, slug: string): Promise<Action> {
  const [action] = await sql<Action[]>`
    select provider_slug, slug, method, path, request_schema, query_parameters, header_parameters,
      body_type, response_type, request_transform, response_transform, handler, is_read_only,
      is_idempotent, timeout_ms
    from marketplace.actions
    where provider_slug = ${provider} and slug = ${slug}
  `;
  if (action) return action;
  throw new AppError(
    "action_not_found",
    404,
    `Provider ${provider} has no action ${slug}: select slug from marketplace.actions lists them.`,
  );
}

async function run(
  action: Action,
  integration: Integration,
  parameters: Record<string, unknown>,
): Promise<{ status: number; result: unknown }> {
  const request = buildRequest(action, integration, parameters);
  const call: ProviderCall = {
    role: "provider",
    integration: integration.slug,
    ...request,
    isIdempotent: action.is_idempotent || action.is_read_only,
    timeoutMs: action.timeout_ms,
    ...(integration.onRateLimit ? { onRateLimit: integration.onRateLimit } : {}),
  };
  const answer = await withToken(integration, "provider", (token) =>
    callProvider({
      ...call,
      headers: { ...request.headers, authorization: `Bearer ${token}` },
    }));
  if (action.response_type === "none" || answer.text === "") {
    return { status: answer.status, result: null };
  }
  const result = action.response_type === "text" ? answer.text : parseAnswer(call, answer);
  refuseSlackError(integration, answer.status, result);
  return { status: answer.status, result };
}

/**
 * Slack answers 200 to what it refuses.
 * @see https://docs.slack.dev/apis/web-api/#responses
 */
function refuseSlackError(integration: Integration, status: number, result: unknown): void {
  if (integration.provider !== "slack") return;
  const { ok, error } = (result ?? {}) as { ok?: unknown; error?: unknown };
  if (ok !== false) return;
  const said = typeof error === "string" ? error : "unknown_error";
  const retryable = /^(internal_error|fatal_error|service_unavailable|ratelimited|request_timeout)$/
    .test(said);
  throw new AppError("provider_error", 502, `${integration.slug} refused: ${said}.`, {
    retryable,
    details: {
      integration: integration.slug,
      provider_status: status,
      provider_error: said,
      retryable,
    },
  });
}

/** Whatever the provider answered is one code; the details say which status it had. */
function asProviderError(error: AppError): AppError {
  if (error.code === "provider_error" || error.details?.provider_status === undefined) return error;
  return new AppError("provider_error", 502, error.message, {
    cause: error,
    details: { ...error.details, reason: error.code },
    retryable: error.retryable,
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { retryAfterSeconds: error.retryAfterSeconds }),
  });
}

function logExecution(sql: Sql, execution: Record<string, unknown>): void {
  waitUntil((async () => {
    await sql`select marketplace.log_execution(${toJsonText(execution)}::text::jsonb)`;
  })());
}
