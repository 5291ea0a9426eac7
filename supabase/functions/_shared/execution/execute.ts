/**
 * An execution from the caller's request to the caller's answer: begun in the database, run at the
 * provider, reported to the database, in this order.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Sql } from "../db.ts";
import { AppError, describeError, toAppError } from "../errors.ts";
import { createLogger } from "../logger.ts";
import { MAX_NESTING } from "../gateway/depth.ts";
import { guardedFetch, OF_THE_CONNECTION } from "../net/fetch.ts";
import { MAX_IN_MEMORY, readAll, type SentFile } from "./files.ts";
import type { Content } from "./handler.ts";
import { type Run, runAction } from "./run.ts";
import { beginExecution, finishExecution, type FinishReport } from "./store.ts";
import { reported } from "./stream.ts";
import { type Begun, type CallerProof, ExecutionError } from "./types.ts";

const Slug = z.string().min(1).max(200);

/** Where the bytes of an answer go. */
const OutputMode = z.union([
  /** `stream`: the answer is the bytes; `base64`: they stand in the JSON. */
  z.enum(["stream", "base64"]),
  /** They are sent to a link that the caller has, such as a presigned one. */
  z.strictObject({
    url: z.url(),
    method: z.enum(["PUT", "POST"]).default("PUT"),
    headers: z.record(
      z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/).refine(
        (name) => !OF_THE_CONNECTION.has(name.toLowerCase()),
        "is the connection's to write",
      ),
      z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/),
    ).default({}),
  }),
]);

/** What a caller asks for. */
export const ExecuteRequest = z.object({
  /** The tenant, by slug or id; the connection's own when absent. */
  organization_id: Slug.optional(),
  workspace_id: Slug.optional(),
  brand_id: Slug.optional(),
  /** Whose account it is done with. */
  connection_id: z.uuid().optional(),
  /** Slug; alone, it means the caller's connection under it. */
  integration: Slug.optional(),
  /** Slug of an action of the integration's provider. */
  action: Slug,
  parameters: z.record(z.string(), z.unknown()).default({}),
  /** The same key and request get the same answer for a day; nothing is done twice. */
  idempotency_key: z.string().min(1).max(255).optional(),
  /** Further pages are fetched, as many as this at most. */
  paginate: z.strictObject({ max_pages: z.int().min(1).max(100).default(10) }).optional(),
  output: OutputMode.optional(),
}).refine(
  ({ connection_id, integration }) => connection_id !== undefined || integration !== undefined,
  { path: ["integration"], message: "name an integration, or a connection_id" },
);
export type ExecuteRequest = z.infer<typeof ExecuteRequest>;

/** A request with what came around it. */
export interface ExecuteInput {
  request: ExecuteRequest;
  caller: CallerProof;
  correlationId: string;
  /** Bytes that came as the body. */
  sent?: SentFile | undefined;
  /** The answer must be JSON: it is kept, or one of many. */
  isJsonOnly?: boolean;
  /** For the service alone: an integration that is switched off may be asked, too. */
  allowsInactive?: boolean;
}

/** An answer in JSON. */
export interface JsonAnswer {
  kind: "json";
  status: number;
  body: Record<string, unknown>;
  correlationId: string;
  executionId: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** It was given before, to the same idempotency key. */
  isReplay?: boolean;
}

/** An answer whose body is the provider's bytes. */
export interface ContentAnswer {
  kind: "content";
  /** The provider's. */
  status: number;
  content: Content;
  correlationId: string;
  executionId: string;
}

/** Begins an execution, and says whether there is something left to run. */
export type Start =
  | { kind: "answered"; answer: JsonAnswer }
  | { kind: "begun"; begun: Begun; run: () => Promise<JsonAnswer | ContentAnswer> };

/** Largest answer that is kept for repetitions, in characters of JSON. */
const MAX_KEPT = 1024 * 1024;
/** Largest bytes that travel inside JSON. */
const MAX_BASE64 = 4 * 1024 * 1024;
const REPORT_ATTEMPTS = 3;
/** All has ended by then, below the hosts' limit of 150 s and the lease of an idempotency key. */
const END_MS = 145_000;

/**
 * Begins an execution; {@link Start} holds the answer when it was refused or answered before, else
 * how to go on.
 *
 * @param isAsync its answer is kept for the status URL
 * @throws MK401 for callers who prove nothing
 */
export async function startExecution(
  sql: Sql,
  input: ExecuteInput,
  { isAsync = false }: { isAsync?: boolean } = {},
): Promise<Start> {
  const { request, caller, correlationId } = input;
  const began = performance.now();
  const organization = request.organization_id ?? request.workspace_id ?? request.brand_id;
  const answer = await beginExecution(sql, {
    caller,
    organization,
    connection_id: request.connection_id,
    integration: request.integration,
    action: request.action,
    idempotency_key: request.idempotency_key,
    request_hash: hashOf(request),
    correlation_id: correlationId,
    is_async: isAsync,
    ...(input.allowsInactive ? { allows_inactive: true } : {}),
    pages: request.paginate?.max_pages ?? 1,
  });
  if (answer.kind === "replay") {
    const { http_status: status, answer: body, execution_id: executionId } = answer;
    return {
      kind: "answered",
      answer: { kind: "json", status, body, correlationId, executionId, isReplay: true },
    };
  }
  if (answer.kind === "refused") {
    const { refusal, execution_id } = answer;
    const error = new AppError(refusal.code, refusal.status, refusal.message, {
      ...(refusal.details ? { details: refusal.details } : {}),
      ...(refusal.retry_after_ms === undefined
        ? {}
        : { retryAfterSeconds: refusal.retry_after_ms / 1000 }),
    });
    return {
      kind: "answered",
      answer: errorAnswer(error, answer.correlation_id, execution_id),
    };
  }
  const { begun } = answer;
  return { kind: "begun", begun, run: () => complete(sql, { begun, input, isAsync, began }) };
}

/** Runs an execution from its beginning to its answer. */
export async function execute(
  sql: Sql,
  input: ExecuteInput,
): Promise<JsonAnswer | ContentAnswer> {
  const start = await startExecution(sql, input);
  return start.kind === "answered" ? start.answer : await start.run();
}

interface Progress {
  begun: Begun;
  input: ExecuteInput;
  isAsync: boolean;
  /** `performance.now()` when it was asked for. */
  began: number;
}

async function complete(sql: Sql, progress: Progress): Promise<JsonAnswer | ContentAnswer> {
  const { begun, input: { request, sent, isJsonOnly }, isAsync } = progress;
  const run = await runAction(sql, {
    begun,
    parameters: request.parameters,
    maxPages: request.paginate?.max_pages,
    sent,
    isAsync,
  });
  const { outcome } = run;
  if (!outcome.ok) return await fail(sql, progress, run, outcome.error);
  const { output } = outcome;
  if (output.kind === "result") {
    const { status, result, pages } = output;
    return await succeed(sql, progress, run, { status, result, ...(pages ? { pages } : {}) });
  }

  const { status, content } = output;
  const mode = request.output ?? (isJsonOnly || isAsync ? "base64" : "stream");
  if (mode === "stream" && !isJsonOnly && !isAsync) {
    return stream(sql, progress, run, { status, content });
  }
  try {
    const result = mode === "stream" || mode === "base64"
      ? await inBase64(content)
      : await delivered(begun, content, mode, performance.now() - progress.began);
    return await succeed(sql, progress, run, { status, result }, describeContent(content));
  } catch (thrown) {
    await content.body.cancel().catch(() => {});
    return await fail(sql, progress, run, toAppError(thrown));
  }
}

async function succeed(
  sql: Sql,
  progress: Progress,
  run: Run,
  answer: { status: number; result: unknown; pages?: unknown },
  logged: unknown = answer.result,
): Promise<JsonAnswer> {
  const { begun } = progress;
  const { correlation_id, execution_id } = begun;
  const { quota } = run;
  const body = { ok: true, ...answer, quota, correlation_id, execution_id };
  await report(sql, progress, run, {
    outcome: "succeeded",
    error: null,
    response: run.redact(logged),
    isKept: hasPlace(progress),
    answer: { status: 200, body },
  });
  return {
    kind: "json",
    status: 200,
    body,
    correlationId: correlation_id,
    executionId: execution_id,
  };
}

async function fail(
  sql: Sql,
  progress: Progress,
  run: Run,
  error: AppError,
): Promise<JsonAnswer> {
  const { begun, isAsync } = progress;
  const answer = errorAnswer(error, begun.correlation_id, begun.execution_id, run.scrub);
  createLogger("marketplace-execute").with({ correlation_id: begun.correlation_id })
    [error.status >= 500 && error.code !== "provider_error" ? "error" : "warn"](
      "execution.failed",
      {
        execution_id: begun.execution_id,
        action: `${begun.integration.slug}.${begun.action.slug}`,
        code: error.code,
        message: run.scrub(error.message),
        // Of what we did not expect, all that may be told.
        ...(error.code === "internal_error"
          ? { cause: JSON.parse(run.scrub(JSON.stringify(describeError(error.cause)))) }
          : {}),
      },
    );
  await report(sql, progress, run, {
    outcome: "failed",
    error,
    response: error instanceof ExecutionError && error.response !== undefined
      ? run.redact(error.response)
      : null,
    // A definite no stays a no; what may have happened must not happen twice.
    isKept: hasPlace(progress) && (isAsync || isFinal(error, begun)),
    answer,
  });
  return answer;
}

function stream(
  sql: Sql,
  progress: Progress,
  run: Run,
  { status, content }: { status: number; content: Content },
): ContentAnswer {
  const { correlation_id, execution_id } = progress.begun;
  const body = reported(content.body, async ({ size_bytes, failure }) => {
    const error = failure === undefined
      ? null
      : new AppError(failure, 502, FAILURES[failure], { retryable: true });
    await report(sql, progress, run, {
      outcome: error ? "failed" : "succeeded",
      error,
      response: { ...describeContent(content), size_bytes },
      // Bytes are not kept, so that a repetition is another execution.
      isKept: false,
      answer: { status: 200, body: {} },
    });
  });
  return {
    kind: "content",
    status,
    content: { ...content, body },
    correlationId: correlation_id,
    executionId: execution_id,
  };
}

const FAILURES = {
  client_closed: "The caller went away before the answer's end.",
  answer_broken: "The provider broke off its answer.",
  answer_too_large: "The provider's answer is larger than what passes here.",
} as const;

/** Whether somebody may come for the answer again. */
function hasPlace({ begun, isAsync }: Progress): boolean {
  return isAsync || begun.idempotency_key !== null;
}

function isFinal(error: AppError, { action }: Begun): boolean {
  if (!(error instanceof ExecutionError)) return false;
  const isRepeatable = action.is_read_only || action.is_idempotent ||
    action.idempotency_header !== null;
  return error.effect === "refused" || error.effect === "possible" && !isRepeatable;
}

/** An error in the project's format, with what names the execution. */
export function errorAnswer(
  error: AppError,
  correlationId: string,
  executionId: string | undefined,
  scrub: (text: string) => string = (text) => text,
): JsonAnswer {
  const { code, message, details, status, retryAfterSeconds } = error;
  const retryAfter = retryAfterSeconds === undefined
    ? {}
    : { retry_after: Math.max(1, Math.ceil(retryAfterSeconds)) };
  return {
    kind: "json",
    status,
    body: {
      error: {
        code,
        message: scrub(message),
        ...retryAfter,
        correlation_id: correlationId,
        ...(executionId ? { execution_id: executionId } : {}),
        ...(details ? { details: JSON.parse(scrub(JSON.stringify(details))) } : {}),
      },
    },
    correlationId,
    executionId,
    retryAfterSeconds,
  };
}

async function report(
  sql: Sql,
  { begun, began }: Progress,
  run: Run,
  end: {
    outcome: FinishReport["outcome"];
    error: AppError | null;
    response: unknown;
    isKept: boolean;
    answer: Pick<JsonAnswer, "status" | "body">;
  },
): Promise<void> {
  const { execution_id, created_at, correlation_id, organization_id } = begun;
  const { integration_id, connection_id, action } = begun;
  const { caller, user_id, api_key_id, job_id, idempotency_key } = begun;
  const isSmall = !end.isKept || JSON.stringify(end.answer.body).length <= MAX_KEPT;
  const finished: FinishReport = {
    execution_id,
    created_at,
    correlation_id,
    organization_id,
    integration_id,
    connection_id,
    caller,
    user_id,
    api_key_id,
    job_id,
    idempotency_key,
    action: action.slug,
    is_read_only: action.is_read_only,
    ...run.report,
    outcome: end.outcome,
    duration_ms: Math.round((performance.now() - began) * 10) / 10,
    error_code: end.error?.code ?? null,
    error_message: end.error ? run.scrub(end.error.message) : null,
    response: end.response,
    is_kept: end.isKept,
    http_status: end.answer.status,
    answer: end.isKept && isSmall ? end.answer.body : null,
  };
  for (let attempt = 1;; attempt++) {
    try {
      return await finishExecution(sql, finished);
    } catch (thrown) {
      const isAway = toAppError(thrown).status === 503;
      if (!isAway && finished.request !== null) {
        // Whatever it is that cannot be stored: how it ended can.
        Object.assign(finished, { request: null, response: null, observed: [], answer: null });
        continue;
      }
      // What happened at the provider has happened: its answer is worth more than the report.
      if (attempt >= REPORT_ATTEMPTS || !isAway) {
        createLogger("marketplace-execute").error("execution.unreported", {
          correlation_id,
          execution_id,
          error: describeError(thrown),
        });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 150 * 2 ** attempt));
    }
  }
}

// Bytes ---------------------------------------------------------------------------------------

function describeContent({ content_type, size_bytes, filename }: Content) {
  return { content_type, size_bytes, filename };
}

async function inBase64(content: Content) {
  const bytes = await readAll(content.body, MAX_BASE64);
  return {
    ...describeContent(content),
    size_bytes: bytes.byteLength,
    data: Buffer.from(bytes).toString("base64"),
  };
}

/** Sends bytes to the caller's link; no credential goes along. */
async function delivered(
  { integration }: Begun,
  content: Content,
  { url, method, headers }: Exclude<z.infer<typeof OutputMode>, string>,
  elapsedMs: number,
) {
  const bytes = await readAll(content.body, MAX_IN_MEMORY);
  let status: number;
  try {
    const response = await guardedFetch(url, {
      method,
      headers: { "content-type": content.content_type, ...headers },
      body: bytes,
      signal: AbortSignal.timeout(Math.max(1_000, Math.min(60_000, END_MS - elapsedMs))),
      allowPrivate: integration.config.allow_private_sources === true,
    });
    await response.body?.cancel();
    status = response.status;
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    throw new AppError("delivery_failed", 502, "The link in output could not be reached.");
  }
  if (status < 200 || status >= 300) {
    throw new AppError("delivery_failed", 502, `The link in output answered ${status}.`);
  }
  return {
    ...describeContent(content),
    size_bytes: bytes.byteLength,
    delivered_to: new URL(url).host,
  };
}

// Idempotency ---------------------------------------------------------------------------------

/** SHA-256 of what is asked for, whatever the order of its members. */
function hashOf(request: ExecuteRequest): string {
  const { idempotency_key: _, ...asked } = request;
  return createHash("sha256").update(JSON.stringify(sorted(asked, 0))).digest("hex");
}

function sorted(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_NESTING) {
    throw new AppError("invalid_request", 422, `The request has more than ${MAX_NESTING} levels.`);
  }
  if (Array.isArray(value)) return value.map((member) => sorted(member, depth + 1));
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
      .map(([name, member]) => [name, sorted(member, depth + 1)]),
  );
}
