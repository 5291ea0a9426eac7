/**
 * Calls to providers' APIs.
 *
 * One way for all of them: a time limit, a size limit, no redirect off the host (a credential must
 * not travel), a few retries of what is safe to repeat, and errors that name who failed and whether
 * trying again makes sense.
 */
import type { lookup } from "node:dns";
import { AppError } from "./errors.ts";
import { describeFetchFailure } from "./fetch_failure.ts";
import { guardedFetch } from "./net/fetch.ts";
import { readRetryWait, silentWait } from "./retry_after.ts";

/** Who is called, for error codes such as `source_unauthorized`. */
export type ProviderRole = "source" | "destination" | "provider";

/** What a provider said about its rate limit. */
export interface RateLimit {
  /** Which of the provider's limits, for example `core`. */
  name: string;
  limit: number;
  remaining: number;
  resets_at: Date;
}

/** One call. */
export interface ProviderCall {
  role: ProviderRole;
  /** The integration's slug, for messages. */
  integration: string;
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  url: string;
  headers?: Record<string, string>;
  body?: string;
  /** A write that may be repeated; reads always may. */
  isIdempotent?: boolean;
  /** Statuses that are answers rather than failures, beside 2xx. */
  accept?: number[];
  /** One attempt, body included; milliseconds. */
  timeoutMs?: number;
  /** Largest answer read; bytes. */
  maxBytes?: number;
  /** Told what the answer's rate-limit headers say. */
  onRateLimit?: (limit: RateLimit) => void;
  /** The integration's `allow_private_network`; without it a private address is refused. */
  allowPrivate?: boolean;
  /** The provider's own API, which no row has named: connections to its host are kept. */
  home?: string;
  /** Finds a name's addresses; the system's resolver when absent. */
  resolve?: typeof lookup;
}

/** An answer, read to its end. */
export interface ProviderAnswer {
  status: number;
  headers: Headers;
  text: string;
}

const TIMEOUT_MS = 15_000;
const MAX_BYTES = 4 * 1024 * 1024;
const ATTEMPTS = 3;
/** Waiting longer than this is the job queue's task, not ours; milliseconds. */
const LONGEST_WAIT_MS = 3_000;
const MAX_REDIRECTS = 3;

/**
 * Calls a provider.
 *
 * @throws AppError `<role>_unauthorized` `_forbidden` `_not_found` `_rejected` `_redirected`
 *   `_invalid_response` (502), `_rate_limited` `_unavailable` (503, retryable), whose details hold
 *   the provider's status; `address_refused` (422)
 */
export async function callProvider(call: ProviderCall): Promise<ProviderAnswer> {
  const method = call.method ?? "GET";
  const isSafe = method === "GET" || method === "HEAD" || call.isIdempotent === true;
  for (let attempt = 1;; attempt++) {
    try {
      return await attemptCall(call, method, attempt);
    } catch (error) {
      if (!(error instanceof AppError) || !error.retryable) throw error;
      if (!isSafe || attempt >= ATTEMPTS) throw error;
      const wait = (error.retryAfterSeconds ?? 0) * 1000 ||
        Math.random() * 200 * 2 ** attempt;
      if (wait > LONGEST_WAIT_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/**
 * The answer as JSON.
 *
 * @throws AppError `<role>_invalid_response` (502)
 */
export function parseAnswer(call: ProviderCall, answer: ProviderAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch (cause) {
    throw failure(call, "invalid_response", 502, "did not answer with JSON", {
      cause,
      status: answer.status,
    });
  }
}

/** Makes the error of a call; also for adapters that find out more than a status says. */
export function failure(
  call: Pick<ProviderCall, "role" | "integration">,
  code: string,
  status: number,
  what: string,
  rest: {
    status?: number;
    retryable?: boolean;
    retryAfterMs?: number | undefined;
    /** The same, if the provider has said so itself. */
    toldWaitMs?: number | undefined;
    cause?: unknown;
  } = {},
): AppError {
  const retryable = rest.retryable ?? status === 503;
  return new AppError(`${call.role}_${code}`, status, `${call.integration} ${what}.`, {
    cause: rest.cause,
    retryable,
    ...(rest.retryAfterMs === undefined ? {} : { retryAfterSeconds: rest.retryAfterMs / 1000 }),
    details: {
      integration: call.integration,
      ...(rest.status === undefined ? {} : { provider_status: rest.status }),
      retryable,
      ...(rest.toldWaitMs === undefined ? {} : { wait_ms: rest.toldWaitMs }),
    },
  });
}

async function attemptCall(
  call: ProviderCall,
  method: string,
  attempt: number,
): Promise<ProviderAnswer> {
  const signal = AbortSignal.timeout(call.timeoutMs ?? TIMEOUT_MS);
  let url = new URL(call.url);
  for (let hop = 0;; hop++) {
    let answer: ProviderAnswer;
    try {
      const response = await guardedFetch(url.href, {
        method,
        headers: { "user-agent": "marketplace", ...call.headers },
        body: call.body,
        signal,
        allowPrivate: call.allowPrivate === true,
        isProviders: call.home !== undefined && url.origin === new URL(call.home).origin,
        resolve: call.resolve,
      });
      answer = {
        status: response.status,
        headers: response.headers,
        text: await readText(response, call),
      };
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      const { kind, reason } = describeFetchFailure(thrown);
      const what = kind === "timeout"
        ? "did not answer in time"
        : `could not be reached (${reason})`;
      throw failure(call, "unavailable", 503, what, { cause: thrown });
    }
    const limit = readRateLimit(answer.headers);
    if (limit) call.onRateLimit?.(limit);
    if (answer.status >= 200 && answer.status < 300) return answer;
    if (call.accept?.includes(answer.status)) return answer;
    const next = answer.status >= 300 && answer.status < 400
      ? redirectWithin(url, answer, method)
      : undefined;
    if (!next || hop >= MAX_REDIRECTS) throw statusFailure(call, answer, limit, attempt);
    url = next;
  }
}

/** A redirect that reads may follow: the same origin, so that the credential stays where it was. */
function redirectWithin(from: URL, answer: ProviderAnswer, method: string): URL | undefined {
  const location = answer.headers.get("location");
  if (!location || (method !== "GET" && method !== "HEAD")) return undefined;
  if (!URL.canParse(location, from)) return undefined;
  const to = new URL(location, from);
  return to.origin === from.origin ? to : undefined;
}

async function readText(response: Response, call: ProviderCall): Promise<string> {
  if (!response.body) return "";
  const maxBytes = call.maxBytes ?? MAX_BYTES;
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw failure(call, "invalid_response", 502, `answered with more than ${maxBytes} bytes`, {
        status: response.status,
      });
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function statusFailure(
  call: ProviderCall,
  answer: ProviderAnswer,
  limit: RateLimit | undefined,
  attempt: number,
): AppError {
  const { status, headers } = answer;
  const retryAfterMs = readRetryWait({ status, headers, body: answer.text });
  // GitHub and others say 403 when a limit is used up, and when it starts anew.
  const isExhausted = limit?.remaining === 0 && (status === 403 || status === 429);
  const said = providerMessage(answer.text);
  const because = said ? `: ${said}` : "";
  if (
    status === 429 || isExhausted || (status === 403 && retryAfterMs !== undefined) ||
    (status === 403 && /rate ?limit|daily ?limit ?exceeded/i.test(answer.text))
  ) {
    return failure(call, "rate_limited", 503, `answered ${status}: its rate limit is used up`, {
      status,
      retryAfterMs: Math.max(retryAfterMs ?? silentWait(answer.text, attempt), 1_000),
      toldWaitMs: retryAfterMs,
    });
  }
  if (status === 401) {
    return failure(call, "unauthorized", 502, `refused the credential (401${because})`, { status });
  }
  if (status === 403) {
    return failure(call, "forbidden", 502, `does not allow this (403${because})`, { status });
  }
  if (status === 404 || status === 410) {
    return failure(call, "not_found", 502, `has no such thing (${status}${because})`, { status });
  }
  if (status === 408 || status === 425 || status >= 500) {
    return failure(call, "unavailable", 503, `answered ${status}${because}`, {
      status,
      retryAfterMs,
    });
  }
  if (status >= 300 && status < 400) {
    return failure(call, "redirected", 502, `answered ${status} to another host`, { status });
  }
  return failure(call, "rejected", 502, `rejected the request (${status}${because})`, { status });
}

/** The provider's own words in the common JSON spellings; short, for people. */
function providerMessage(text: string): string | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  const error = (body as { error?: unknown } | null)?.error;
  const candidates = [
    (body as { message?: unknown } | null)?.message,
    (error as { message?: unknown } | null)?.message,
    (body as { error_description?: unknown } | null)?.error_description,
    error,
  ];
  const found = candidates.find((candidate) => typeof candidate === "string") as string | undefined;
  return found?.replace(/\s+/g, " ").slice(0, 200).replace(/\.$/, "");
}

/**
 * Rate-limit headers in GitHub's spelling, which many share.
 * @see https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
function readRateLimit(headers: Headers): RateLimit | undefined {
  const limit = Number(headers.get("x-ratelimit-limit") ?? NaN);
  const remaining = Number(headers.get("x-ratelimit-remaining") ?? NaN);
  const reset = Number(headers.get("x-ratelimit-reset") ?? NaN);
  if (!(limit >= 0) || !(remaining >= 0) || !(reset > 1_000_000_000)) return undefined;
  return {
    name: headers.get("x-ratelimit-resource") ?? "requests",
    limit,
    remaining,
    resets_at: new Date(reset * 1000),
  };
}
