/** What every function's Hono app shares: errors, correlation, request log, bearer tokens. */
import type { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { type Context, type Handler, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";
import { type Env, env, serviceKeys } from "./env.ts";
import { AppError, describeError, toAppError } from "./errors.ts";
import { createLogger, type LogFields, type Logger } from "./logger.ts";
import { correlationFrom } from "./trace.ts";

/** Hono's environment in all functions. */
export interface AppEnv {
  Variables: {
    /** Ties log lines, rows and answers of one request together; UUID. */
    correlationId: string;
    /** Logs with the request's correlation id. */
    log: Logger;
    /** What the line that is logged for every request says beside path, status and duration. */
    facts?: LogFields;
  };
}

/**
 * A Hono app at `/<name>`, where the host mounts the function, with the project's error format
 * `{error: {code, message, correlation_id}}`.
 *
 * @param name the function's name, which is its folder and its URL
 */
export function createApp(name: string): Hono<AppEnv> {
  const logger = createLogger(name);
  const app = new Hono<AppEnv>().basePath(`/${name}`);

  app.use("*", async (c, next) => {
    const started = performance.now();
    c.set("log", logger.with({ traceparent: c.req.header("traceparent") }));
    adoptCorrelation(c, correlationFrom(c.req.raw.headers) ?? crypto.randomUUID());
    await next();
    c.res.headers.set("x-correlation-id", c.get("correlationId"));
    // The path only: query strings may carry what must not be logged.
    c.get("log").info("request", {
      method: c.req.method,
      path: hideTokens(c.req.path),
      status: c.res.status,
      duration_ms: Math.round(performance.now() - started),
      ...c.get("facts"),
    });
  });

  app.onError((thrown, c) => {
    const error = toAppError(thrown);
    const level = error.status >= 500 ? "error" : "warn";
    const cause = error.cause === undefined ? undefined : describeError(error.cause);
    (c.get("log") ?? logger)[level]("request.failed", {
      code: error.code,
      status: error.status,
      message: error.message,
      cause,
    });
    return errorResponse(c, error);
  });

  app.notFound((c) =>
    errorResponse(
      c,
      new AppError("not_found", 404, `Nothing is at ${c.req.method} ${hideTokens(c.req.path)}.`),
    )
  );
  return app;
}

/** A path without what a connect link is opened by. */
function hideTokens(path: string): string {
  return path.replace(/\bmp[a-z]_[\w-]{8,}/g, (token) => `${token.slice(0, 4)}…`);
}

/** Continues under another correlation id, for example the one of the job that was addressed. */
export function adoptCorrelation(c: Context<AppEnv>, correlationId: string): void {
  c.set("correlationId", correlationId);
  c.set("log", c.get("log").with({ correlation_id: correlationId }));
}

/** An error as the answer to a request. */
export function errorResponse(c: Context<AppEnv>, error: AppError): Response {
  if (error.retryAfterSeconds !== undefined) {
    c.header("retry-after", String(Math.max(1, Math.ceil(error.retryAfterSeconds))));
  }
  return c.json(
    {
      error: {
        code: error.code,
        message: error.message,
        correlation_id: c.get("correlationId"),
        ...(error.details ? { details: error.details } : {}),
      },
    },
    error.status as ContentfulStatusCode,
  );
}

/** Answers 405 with `Allow`; mount it with `app.all(path, …)` behind the allowed methods. */
export function methodNotAllowed(...allowed: string[]): Handler<AppEnv> {
  return (c) => {
    c.header("allow", allowed.join(", "));
    return errorResponse(
      c,
      new AppError(
        "method_not_allowed",
        405,
        `${c.req.method} is not allowed here; use ${allowed.join(" or ")}.`,
      ),
    );
  };
}

/**
 * The token of `Authorization: Bearer <token>`.
 *
 * @throws AppError `missing_token` (401)
 */
export function bearerToken(request: Request): string {
  const match = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization")?.trim() ?? "");
  if (!match?.[1]) {
    throw new AppError("missing_token", 401, "Send the header Authorization: Bearer <token>.");
  }
  return match[1];
}

/**
 * Whether two texts are equal, in a time that says nothing about either: both are hashed first, so
 * that not even the lengths show.
 */
export function constantTimeEqual(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Whether a token is one of the platform's own service keys. */
export function isServiceKey(token: string): boolean {
  const given = digest(token);
  // No early exit: every key is compared.
  return serviceKeyDigests().map((key) => timingSafeEqual(key, given)).includes(true);
}

const digests = new WeakMap<Env, Buffer[]>();

/** Hashed once: they are compared with what every request brings. */
function serviceKeyDigests(): Buffer[] {
  const known = digests.get(env()) ?? serviceKeys().map(digest);
  digests.set(env(), known);
  return known;
}

/**
 * The raw bytes of a request, read to the end or to the cap.
 *
 * @param maxBytes largest body accepted
 * @param options.onChunk called as bytes arrive
 * @param options.signal gives up reading
 * @throws AppError `payload_too_large` (413); the signal's reason
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  { onChunk, signal }: { onChunk?: () => void; signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  const tooLarge = () =>
    new AppError("payload_too_large", 413, `The body is larger than ${maxBytes} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) {
    await request.body?.cancel();
    throw tooLarge();
  }
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  const giveUp = () => void reader.cancel().catch(() => {});
  signal?.addEventListener("abort", giveUp, { once: true });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    signal?.throwIfAborted();
    if (done) break;
    onChunk?.();
    size += value.byteLength;
    if (size > maxBytes) {
      giveUp();
      throw tooLarge();
    }
    chunks.push(value);
  }
  if (chunks.length === 1) return chunks[0]!;
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

/**
 * A request's JSON body, validated.
 *
 * @param schema zod schema of the body; an empty body is read as `{}`
 * @throws AppError `invalid_json` (400), `payload_too_large` (413); ZodError → 422
 */
export async function readJson<S extends z.ZodType>(
  request: Request,
  schema: S,
  { maxBytes = 256 * 1024 }: { maxBytes?: number } = {},
): Promise<z.infer<S>> {
  const bytes = await readBody(request, maxBytes);
  let value: unknown = {};
  if (bytes.byteLength > 0) {
    try {
      value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (cause) {
      throw new AppError("invalid_json", 400, "The body is not valid JSON in UTF-8.", { cause });
    }
  }
  return schema.parse(value);
}
