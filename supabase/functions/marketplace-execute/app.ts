/**
 * marketplace-execute: runs a catalogue action at its provider, with a credential that the caller
 * never sees.
 *
 * Callers are signed-in users, API keys, workflows with a job token, and the platform itself.
 */
import type { Context } from "hono";
import { cors } from "hono/cors";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { waitUntil } from "../_shared/background.ts";
import { identify } from "../_shared/caller.ts";
import { db } from "../_shared/db.ts";
import { functionsUrl } from "../_shared/env.ts";
import { AppError, toAppError } from "../_shared/errors.ts";
import {
  type ContentAnswer,
  errorAnswer,
  execute,
  ExecuteRequest,
  type JsonAnswer,
  startExecution,
} from "../_shared/execution/execute.ts";
import type { SentFile } from "../_shared/execution/files.ts";
import { readExecution } from "../_shared/execution/store.ts";
import type { CallerProof } from "../_shared/execution/types.ts";
import {
  adoptCorrelation,
  type AppEnv,
  createApp,
  methodNotAllowed,
  readJson,
} from "../_shared/http.ts";

/** Files may stand in the JSON, in base64. */
const MAX_REQUEST = 48 * 1024 * 1024;
const MAX_BATCH = 100;
/** Executions of a batch that run side by side. */
const BATCH_WIDTH = 8;
/** Answers of a batch, in characters; what begins beyond is not run. */
const MAX_BATCH_TEXT = 32 * 1024 * 1024;

/** Body of `POST /batch`; each request is checked by itself. */
export const Batch = z.union([
  z.array(z.unknown()).min(1).max(MAX_BATCH),
  z.strictObject({ requests: z.array(z.unknown()).min(1).max(MAX_BATCH) }),
]);

/** The function's Hono app, mounted at /marketplace-execute. */
export const app = createApp("marketplace-execute");

// Browsers may call, too: what authorizes is a header that no other site can send.
const forBrowsers = cors({
  origin: "*",
  allowMethods: ["GET", "POST"],
  allowHeaders: [
    "authorization",
    "apikey",
    "content-type",
    "idempotency-key",
    "prefer",
    "traceparent",
    "x-client-info",
    "x-correlation-id",
    "x-execute-request",
  ],
  exposeHeaders: [
    "content-disposition",
    "idempotent-replayed",
    "location",
    "retry-after",
    "x-correlation-id",
    "x-execution-id",
    "x-provider-status",
  ],
  maxAge: 86_400,
});
// They name their origin; whoever does not would pay for headers that nobody reads.
app.use("*", (c, next) => c.req.header("origin") === undefined ? next() : forBrowsers(c, next));

for (const path of ["/", "/api/v2/execute"]) {
  app.post(path, async (c) => {
    const caller = await proofOf(c.req.raw);
    const { request, sent } = await readRequest(c.req.raw);
    const input = { request, caller, correlationId: c.get("correlationId"), sent };
    if (!prefersAsync(c.req.raw)) return respond(c, await execute(db(), input));

    if (sent) throw invalid("Bytes in the body cannot wait: leave out Prefer: respond-async.");
    const start = await startExecution(db(), input, { isAsync: true });
    if (start.kind === "answered") return respond(c, start.answer);
    waitUntil(start.run());
    const { execution_id, correlation_id } = start.begun;
    adoptCorrelation(c, correlation_id);
    c.header("location", `/marketplace-execute/executions/${execution_id}`);
    c.header("preference-applied", "respond-async");
    return c.json({ execution_id, status: "running", correlation_id }, 202);
  });
  app.all(path, methodNotAllowed("POST"));

  app.post(path === "/" ? "/batch" : `${path}/batch`, async (c) => {
    const caller = await proofOf(c.req.raw);
    const body = await readJson(c.req.raw, Batch, { maxBytes: MAX_REQUEST });
    const items = Array.isArray(body) ? body : body.requests;
    const correlationId = c.get("correlationId");
    // Each answer is written down at once: a text is smaller than what it says.
    const texts = new Array<string>(items.length);
    let next = 0;
    let size = 0;
    const work = async () => {
      for (let index = next++; index < items.length; index = next++) {
        const { status, body } = size < MAX_BATCH_TEXT
          ? await executeOne(items[index], caller, correlationId)
          : errorAnswer(notRun(), correlationId, undefined);
        texts[index] = JSON.stringify({ http_status: status, ...body });
        size += texts[index]!.length;
      }
    };
    await Promise.all(Array.from({ length: BATCH_WIDTH }, work));
    const text = `{"results":[${texts.join(",")}],"correlation_id":${
      JSON.stringify(correlationId)
    }}`;
    return c.body(text, 200, { "content-type": "application/json" });
  });
}
app.all("/batch", methodNotAllowed("POST"));

app.get("/executions/:id{[0-9a-fA-F-]{36}}", async (c) => {
  const caller = await proofOf(c.req.raw);
  const { answer, ...state } = await readExecution(db(), c.req.param("id"), caller);
  adoptCorrelation(c, state.correlation_id);
  if (state.status === "running") c.header("retry-after", "1");
  return c.json({ ...state, ...(state.http_status === null ? {} : { response: answer }) });
});

app.get("/openapi.json", async (c) => {
  // Loaded when it is asked for: executions do not wait for it.
  const { describeApi } = await import("./openapi.ts");
  c.header("cache-control", "public, max-age=300");
  return c.json(describeApi(functionsUrl()));
});
app.all("/openapi.json", methodNotAllowed("GET"));

async function executeOne(
  item: unknown,
  caller: CallerProof,
  correlationId: string,
): Promise<JsonAnswer> {
  try {
    const request = ExecuteRequest.parse(item);
    // Bytes come in base64: there is one answer for all.
    return await execute(db(), { request, caller, correlationId, isJsonOnly: true }) as JsonAnswer;
  } catch (thrown) {
    return errorAnswer(toAppError(thrown), correlationId, undefined);
  }
}

function respond(c: Context<AppEnv>, answer: JsonAnswer | ContentAnswer): Response {
  adoptCorrelation(c, answer.correlationId);
  if (answer.executionId) c.header("x-execution-id", answer.executionId);
  if (answer.kind === "json") {
    if (answer.isReplay) c.header("idempotent-replayed", "true");
    if (answer.retryAfterSeconds !== undefined) {
      c.header("retry-after", String(Math.max(1, Math.ceil(answer.retryAfterSeconds))));
    }
    return c.json(answer.body, answer.status as ContentfulStatusCode);
  }
  const { content } = answer;
  c.header("content-type", content.content_type);
  if (content.size_bytes !== null) c.header("content-length", String(content.size_bytes));
  // Whatever it is, it is no page of this origin.
  const filename = content.filename
    ? `; filename*=UTF-8''${encodeURIComponent(content.filename)}`
    : "";
  c.header("content-disposition", `attachment${filename}`);
  c.header("x-content-type-options", "nosniff");
  c.header("x-provider-status", String(answer.status));
  return c.body(content.body);
}

/** @throws AppError `missing_token` `invalid_token` (401) */
async function proofOf(request: Request): Promise<CallerProof> {
  const caller = await identify(request);
  switch (caller.kind) {
    case "user":
      return { kind: "user", claims: caller.claims };
    case "connect_link":
      throw new AppError("invalid_token", 401, "A connect link runs no actions.");
    default:
      return caller;
  }
}

/**
 * The request: the body, or, when the body is a file's bytes, the header `x-execute-request`.
 *
 * @throws AppError `invalid_json` (400), `payload_too_large` (413); ZodError → 422
 */
async function readRequest(
  raw: Request,
): Promise<{ request: ExecuteRequest; sent: SentFile | undefined }> {
  const key = raw.headers.get("idempotency-key") ?? undefined;
  const described = raw.headers.get("x-execute-request");
  if (described === null) {
    const request = await readJson(raw, ExecuteRequest, { maxBytes: MAX_REQUEST });
    return { request: withKey(request, key), sent: undefined };
  }
  let value: unknown;
  try {
    value = JSON.parse(described);
  } catch {
    throw new AppError("invalid_json", 400, "The header x-execute-request is not valid JSON.");
  }
  const length = raw.headers.get("content-length");
  return {
    request: withKey(ExecuteRequest.parse(value), key),
    sent: raw.body
      ? {
        body: raw.body,
        content_type: raw.headers.get("content-type"),
        size: length === null ? null : Number(length),
      }
      : undefined,
  };
}

function withKey(request: ExecuteRequest, key: string | undefined): ExecuteRequest {
  if (key === undefined || request.idempotency_key !== undefined) return request;
  if (key.length === 0 || key.length > 255) {
    throw invalid("The idempotency key has 1 to 255 characters.");
  }
  return { ...request, idempotency_key: key };
}

/** @see https://www.rfc-editor.org/rfc/rfc7240#section-4.1 */
function prefersAsync(request: Request): boolean {
  return /(^|,)\s*respond-async\s*(;|,|$)/i.test(request.headers.get("prefer") ?? "");
}

function notRun(): AppError {
  return new AppError(
    "batch_too_large",
    413,
    `It was not run: the answers before it have more than ${MAX_BATCH_TEXT} characters.`,
  );
}

function invalid(message: string): AppError {
  return new AppError("invalid_request", 422, message);
}
