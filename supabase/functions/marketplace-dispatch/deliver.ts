/** Sending one job to its workflow. */
import { AppError, toAppError } from "../_shared/errors.ts";
import { describeFetchFailure } from "../_shared/fetch_failure.ts";
import { noticeChannel } from "../_shared/jobs/notice_channel.ts";
import { privateAddressOf } from "../_shared/net/addresses.ts";
import { guardedFetch } from "../_shared/net/fetch.ts";
import { readRetryWait } from "../_shared/retry_after.ts";
import type { Signer } from "../_shared/standard_webhooks.ts";
import { traceparent } from "../_shared/trace.ts";
import { beginAttempt } from "./outcome.ts";
import type { ClaimedJob, DispatchResult } from "./queue.ts";

/** How much of an answer is kept, in characters. */
const KEPT_CHARACTERS = 2_000;
/** How much of an answer is read, in bytes; the rest is not waited for. */
const READ_BYTES = 16 * 1024;
/** How long the body of an answer may take once its status is known, in milliseconds. */
const BODY_MS = 2_000;

/** What all deliveries of a drain share. */
export interface DeliveryOptions {
  /** The signer for a workflow's own secret, or for the platform's (null). */
  signer: (secret: string | null) => Promise<Signer>;
  /** Base URL of the functions, as workflows reach them. */
  functionsUrl: string;
  /** Base URLs of the engines whose endpoints may be relative. */
  baseUrls: { n8n: string | undefined; windmill: string | undefined };
  /** Where notices of the default integration go that has, and whose rule has, no channel. */
  notifyChannel?: string | undefined;
  /** No attempt goes on beyond this; milliseconds since the epoch. */
  stopAt: number;
}

/** How relative endpoints of each kind become absolute. */
const ENGINES = {
  n8n: { name: "n8n", variable: "N8N_URL", path: "webhook" },
  windmill: { name: "Windmill", variable: "WINDMILL_URL", path: "api" },
} as const;

/**
 * Where a job is sent.
 *
 * @returns an absolute URL: an absolute endpoint as it is, else the n8n webhook of that path, or the
 *   Windmill API's
 * @throws AppError `endpoint_invalid`, `n8n_url_missing`, `windmill_url_missing`
 */
export function destinationUrl(
  job: Pick<ClaimedJob, "workflow_slug" | "workflow_kind" | "endpoint">,
  baseUrls: DeliveryOptions["baseUrls"],
): string {
  const { endpoint, workflow_kind: kind, workflow_slug: slug } = job;
  if (/^https?:\/\//i.test(endpoint)) {
    if (URL.canParse(endpoint)) return endpoint;
    throw new AppError("endpoint_invalid", 422, `The endpoint of workflow ${slug} is not a URL.`);
  }
  if (kind !== "n8n" && kind !== "windmill") {
    throw new AppError(
      "endpoint_invalid",
      422,
      `Workflow ${slug} is of kind ${kind}: its endpoint must be an absolute http(s) URL.`,
    );
  }
  const { name, variable, path } = ENGINES[kind];
  const baseUrl = baseUrls[kind];
  if (!baseUrl) {
    throw new AppError(
      `${kind}_url_missing`,
      503,
      `Workflow ${slug} runs in ${name}, but ${variable} is not set: give the functions the base ` +
        `URL of your ${name}.`,
    );
  }
  const segments = endpoint.replace(/^\/+/, "").split("/").map(encodeURIComponent);
  return `${baseUrl}/${path}/${segments.join("/")}`;
}

/**
 * The body of a dispatch: what the database says about the job, and what only we know. One of our
 * own events goes out as itself: whoever is notified has nothing to report and gets no token.
 */
export function dispatchBody(
  job: ClaimedJob,
  { functionsUrl, notifyChannel }: Pick<DeliveryOptions, "functionsUrl" | "notifyChannel">,
  now: Date,
): string {
  const { event, source, notify } = job.body;
  if (source?.provider === "marketplace" && event) {
    return JSON.stringify({ type: event.type, timestamp: event.occurred_at, data: event.payload });
  }
  // Whose integration it is, is nothing to the workflow.
  const { is_default: _, ...notice } = notify ?? {};
  return JSON.stringify({
    type: "job.dispatched",
    timestamp: now.toISOString(),
    data: {
      ...job.body,
      ...(notify ? { notify: { ...notice, channel: noticeChannel(notify, notifyChannel) } } : {}),
      job: {
        ...job.body.job,
        id: job.job_id,
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        lease_expires_at: job.lease_expires_at,
        correlation_id: job.correlation_id,
        token: job.token,
        url: `${functionsUrl}/marketplace-jobs/${job.job_id}`,
      },
      execute_url: `${functionsUrl}/marketplace-execute`,
      workflow: job.workflow_slug,
    },
  });
}

/**
 * Sends a job once. Never throws: whatever happens is an outcome.
 *
 * - 2xx → `delivered`
 * - connection refused, name unknown, TLS refused, nowhere to send → `failed`
 * - no answer in time, connection lost after sending → `unknown`
 * - 3xx → `failed` (`redirect`): a redirected POST would leave as something else, with our token
 * - 4xx, 5xx → `failed`, with `Retry-After`
 */
export async function deliver(job: ClaimedJob, options: DeliveryOptions): Promise<DispatchResult> {
  const result = beginAttempt(job);

  let url: string;
  let sign: Signer;
  try {
    url = destinationUrl(job, options.baseUrls);
    sign = await options.signer(job.signing_secret);
    if (!job.allows_private_network) await refusePrivateAddress(url, job.workflow_slug);
  } catch (thrown) {
    const error = toAppError(thrown);
    return result("failed", {
      error_code: error.code,
      error: error.message,
      retryable: error.retryable,
    });
  }

  const now = new Date();
  const timeoutMs = Math.max(
    1,
    Math.min(job.timeout_ms, options.stopAt - now.getTime()),
  );
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeoutMs);
  try {
    const body = dispatchBody(job, options, now);
    const signature = await sign({
      id: job.job_id,
      timestamp: Math.floor(now.getTime() / 1000),
      body,
    });
    const response = await guardedFetch(url, {
      method: "POST",
      signal: abort.signal,
      allowPrivate: job.allows_private_network,
      // A relative endpoint is at the engine that the operator runs.
      isProviders: !/^https?:/i.test(job.endpoint),
      headers: {
        ...signature,
        "content-type": "application/json",
        "idempotency-key": job.job_id,
        "user-agent": "marketplace-dispatch",
        traceparent: traceparent(job.correlation_id),
        ...(job.auth_token ? { authorization: `Bearer ${job.auth_token}` } : {}),
      },
      body,
    });
    // The status is the answer; the body is only kept for whoever reads the attempt.
    const text = await beginningOf(response, Math.min(BODY_MS, timeoutMs));
    const kept = text.replaceAll(job.token, "[token]").slice(0, KEPT_CHARACTERS) || null;
    const answer = { status_code: response.status, response: kept };
    if (response.ok) return result("delivered", answer);
    if (response.status >= 300 && response.status < 400) {
      return result("failed", {
        ...answer,
        error_code: "redirect",
        error: `The workflow answered ${response.status}: redirects are not followed; ` +
          "set the workflow's endpoint to its final URL.",
      });
    }
    return result("failed", {
      ...answer,
      error_code: `http_${response.status}`,
      error: `The workflow answered ${response.status}.`,
      retry_after_ms: readRetryWait({
        status: response.status,
        headers: response.headers,
        body: text,
      }) ?? null,
    });
  } catch (thrown) {
    if (thrown instanceof AppError) {
      // Its name leads elsewhere than a moment ago.
      return result("failed", {
        error_code: thrown.code,
        error: thrown.message,
        retryable: thrown.retryable,
      });
    }
    const failure = describeFetchFailure(thrown);
    const { host } = new URL(url);
    if (failure.kind === "connect") {
      return result("failed", {
        error_code: "connect",
        error: `No connection to ${host}: ${failure.reason}.`,
      });
    }
    return result("unknown", {
      error_code: failure.kind === "timeout" ? "timeout" : "connection_lost",
      error: failure.kind === "timeout"
        ? `${host} did not answer within ${timeoutMs} ms; it may have started the job.`
        : `${host} closed the connection without an answer; it may have started the job.`,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** @throws AppError `private_address`, `connect` */
async function refusePrivateAddress(url: string, workflow: string): Promise<void> {
  const { host } = new URL(url);
  const address = await privateAddressOf(url).catch((cause) => {
    throw new AppError("connect", 503, `No connection to ${host}: its name does not resolve.`, {
      cause,
    });
  });
  if (address === undefined) return;
  throw new AppError(
    "private_address",
    422,
    `${host} is at the private address ${address}: set allows_private_network on workflow ` +
      `${workflow} if that is meant.`,
  );
}

/** The beginning of an answer's body as text. One that streams on is cut off. */
async function beginningOf(response: Response, withinMs: number): Promise<string> {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const timer = setTimeout(
    () => void reader.cancel().catch(() => {}),
    withinMs,
  );
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    while (size < READ_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.byteLength;
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    // Cut off half-way: what came is kept.
  } finally {
    clearTimeout(timer);
    void reader.cancel().catch(() => {});
  }
  return text;
}
