/**
 * The requests of one execution.
 *
 * Each carries the credential, goes to the provider's own origin and nowhere else, is bounded in
 * time and size, is repeated only where a repetition is harmless, and is counted.
 */
import { AppError } from "../errors.ts";
import { describeFetchFailure } from "../fetch_failure.ts";
import { seal } from "../gateway/credentials.ts";
import { isTooDeep, MAX_NESTING } from "../gateway/depth.ts";
import { climbs } from "../gateway/path.ts";
import { readProviderError } from "../gateway/provider_errors.ts";
import {
  type RateLimit,
  readRateLimit,
  readRetryAfter,
  readUntilReset,
} from "../gateway/rate_limit.ts";
import { redactDocument } from "../gateway/redact.ts";
import type { BuiltRequest } from "../gateway/request.ts";
import { guardedFetch } from "../net/fetch.ts";
import { readRetryWait, silentWait } from "../retry_after.ts";
import type { Access } from "./credential.ts";
import type { SecretScrubber } from "./secrets.ts";
import { type Begun, type Effect, ExecutionError } from "./types.ts";

/** What `fetch` takes as a body; all but a stream can be sent again. */
export type Body = string | Uint8Array<ArrayBuffer> | FormData | ReadableStream<Uint8Array>;

/** A request of the execution. */
export interface Outgoing {
  method: BuiltRequest["method"];
  url: string;
  /** By lower-case name. */
  headers?: Record<string, string>;
  body?: Body | undefined;
}

/** How an answer is wanted. */
export interface CallOptions {
  /** Another attempt does no harm; the action's own word when absent. */
  isRepeatable?: boolean;
  /** Statuses that are answers rather than failures, beside 2xx. */
  accept?: readonly number[];
}

/** An answer that was read to its end. */
export interface TextAnswer {
  status: number;
  headers: Headers;
  text: string;
  /** Its JSON, else its text. */
  body: unknown;
}

/** An answer whose body is still to come. */
export interface StreamAnswer {
  status: number;
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
}

/** What all requests of an execution share. */
export interface ClientOptions {
  begun: Begun;
  access: Access;
  /** The provider's base URL, filled in: requests stay at its origin. */
  baseUrl: string;
  /** It stands in the provider's row, and not in the integration's. */
  isProviders: boolean;
  scrubber: SecretScrubber;
  /** No request goes on beyond this; milliseconds since the epoch. */
  deadline: number;
  /** The longest wait that is worth it for whoever waits; milliseconds. */
  longestWaitMs: number;
  /** Renews a refused credential; undefined when there is no other. */
  renew?: ((refused: string) => Promise<Access>) | undefined;
}

const ATTEMPTS = 3;
const MAX_REDIRECTS = 3;
/** Largest answer that is read as a whole, in bytes. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Largest body of an error that is shown, in characters of JSON. */
const MAX_ERROR = 8 * 1024;

type Once<T> = { ok: true; answer: T } | { ok: false; error: ExecutionError };

/** Takes an answer; says so when its body is handed on, and has until the execution's end. */
type Read<T> = (response: Response, handOn: () => void) => T | Promise<T>;

/** Sends the requests of one execution. */
export class ProviderClient {
  /** Requests that went out. */
  sent = 0;
  /** How long the provider asked to be left alone, in so many words; milliseconds. */
  retryAfterMs: number | undefined;
  /** How long until the limit that was used up last starts anew, wherever the provider says it. */
  toldWaitMs: number | undefined;
  /** The last word about each limit. */
  readonly limits = new Map<string, RateLimit>();
  #access: Access;
  #isRenewed = false;
  /** How often a limit was used up and nothing said until when. */
  #silences = 0;
  readonly #origins: Set<string>;

  constructor(private readonly options: ClientOptions) {
    this.#access = options.access;
    this.#origins = new Set([new URL(options.baseUrl).origin]);
    options.scrubber.add(...Object.values(options.access.secrets));
  }

  /** The credential's secrets, for requests that are signed. */
  get secrets(): Access["secrets"] {
    return this.#access.secrets;
  }

  /** The provider's base URL, without a trailing slash. */
  get baseUrl(): string {
    return this.options.baseUrl;
  }

  /**
   * Lets the credential go to a second host of the same provider. For handlers whose provider serves
   * one API from two hosts; never with a URL from parameters or answers.
   */
  permit(baseUrl: string): void {
    this.#origins.add(new URL(baseUrl).origin);
  }

  /** What ends with the execution. */
  get signal(): AbortSignal {
    return AbortSignal.timeout(Math.max(1, this.options.deadline - Date.now()));
  }

  /**
   * A request to the provider, with the credential, and its answer read.
   *
   * @throws ExecutionError `provider_error` (502), `rate_limited` (429), `credentials_missing` (422)
   */
  async call(request: Outgoing | BuiltRequest, options: CallOptions = {}): Promise<TextAnswer> {
    return await this.#attempts(request, options, true, (response) => this.#read(response));
  }

  /** The same, with the answer's body as a stream. */
  async open(request: Outgoing | BuiltRequest, options: CallOptions = {}): Promise<StreamAnswer> {
    return await this.#attempts(request, options, true, this.#stream);
  }

  /**
   * A request to whatever host, without the credential: a link that the provider handed out.
   *
   * @throws ExecutionError as {@link call}; AppError `address_refused` (422)
   */
  async openElsewhere(request: Outgoing, options: CallOptions = {}): Promise<StreamAnswer> {
    return await this.#attempts(request, options, false, this.#stream);
  }

  /** The same, and its answer read. */
  async callElsewhere(request: Outgoing, options: CallOptions = {}): Promise<TextAnswer> {
    return await this.#attempts(request, options, false, (response) => this.#read(response));
  }

  /** The failure of an answer whose body says so, whatever its status. */
  refuse(status: number, code: string | undefined, message: string | undefined, body: unknown) {
    return this.#providerError(status, `refused: ${message ?? code ?? "no reason given"}`, {
      effect: "refused",
      body,
      code,
    });
  }

  async #attempts<T>(
    request: Outgoing | BuiltRequest,
    options: CallOptions,
    isSealed: boolean,
    read: Read<T>,
  ): Promise<T> {
    const { action } = this.options.begun;
    const isSafe = request.method === "GET" || request.method === "HEAD";
    const isRepeatable = options.isRepeatable ??
      (isSafe || action.is_read_only || action.is_idempotent || action.idempotency_header !== null);
    const canResend = !(request.body instanceof ReadableStream);
    for (let attempt = 1;; attempt++) {
      const once = await this.#once(request, isSealed, async (response, handOn) => {
        const { status } = response;
        const isAnswer = status >= 200 && status < 300 || options.accept?.includes(status);
        if (!isAnswer) throw this.#statusError(await this.#read(response));
        const answer = await read(response, handOn);
        const refusal = isSealed && isText(answer) ? this.#refusalIn(answer) : undefined;
        if (refusal) throw refusal;
        return answer;
      });
      if (once.ok) return once.answer;
      const { error } = once;
      if (isSealed && canResend && await this.#renewed(error)) continue;
      const mayRepeat = canResend && error.retryable && (isRepeatable || error.effect === "none");
      const waitMs = (error.retryAfterSeconds ?? 0) * 1000 || Math.random() * 200 * 2 ** attempt;
      const isWorthIt = waitMs <= this.options.longestWaitMs &&
        Date.now() + waitMs < this.options.deadline;
      if (!mayRepeat || attempt >= ATTEMPTS || !isWorthIt) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #once<T>(
    request: Outgoing | BuiltRequest,
    isSealed: boolean,
    read: Read<T>,
  ): Promise<Once<T>> {
    const { begun, deadline, scrubber } = this.options;
    const { headers, body, ...target } = isSealed ? this.#seal(request) : request as Outgoing;
    const abort = new AbortController();
    const timeoutMs = Math.min(begun.action.timeout_ms, deadline - Date.now());
    const stop = () => abort.abort(new DOMException("", "TimeoutError"));
    let clock = setTimeout(stop, timeoutMs);
    const stopClock = () => clearTimeout(clock);
    const untilTheEnd = () => {
      stopClock();
      clock = setTimeout(stop, deadline - Date.now());
    };
    let { url } = target;
    try {
      for (let hop = 0;; hop++) {
        this.sent++;
        const response = await guardedFetch(url, {
          method: request.method,
          headers: { "user-agent": "marketplace", ...headers },
          body: body ?? undefined,
          signal: abort.signal,
          allowPrivate: begun.integration.config.allow_private_network === true,
          isProviders: isSealed && this.options.isProviders,
        });
        if (isSealed) this.#note(response);
        const next = redirectWithin(url, response, request.method);
        if (!next || hop >= MAX_REDIRECTS) {
          let isHandedOn = false;
          const answer = await read(response, () => isHandedOn = true);
          if (isHandedOn) untilTheEnd();
          else stopClock();
          return { ok: true, answer };
        }
        await response.body?.cancel();
        url = next;
      }
    } catch (thrown) {
      stopClock();
      if (thrown instanceof ExecutionError) return { ok: false, error: thrown };
      const isUnsent = thrown instanceof AppError;
      const { kind, reason } = describeFetchFailure(thrown);
      if (isUnsent || kind === "connect") this.sent--;
      if (isUnsent) throw thrown;
      const what = kind === "timeout"
        ? "did not answer in time"
        : `could not be reached (${scrubber.text(reason)})`;
      return {
        ok: false,
        // Without its cause: what `fetch` throws quotes the URL, and with it what may stand in a query.
        error: new ExecutionError("provider_error", 502, `${begun.integration.slug} ${what}.`, {
          retryable: true,
          effect: kind === "connect" ? "none" : "possible",
          details: {
            integration: begun.integration.slug,
            reason: kind === "timeout" ? "provider_timeout" : "provider_unavailable",
            retryable: true,
          },
        }),
      };
    }
  }

  /** Puts the credential on, last of all, and sees that it goes to nobody else. */
  #seal(request: Outgoing | BuiltRequest): Pick<Outgoing, "url" | "headers" | "body"> {
    const { auth, secrets, settings } = this.#access;
    const isBuilt = "markers" in request;
    const sealed = seal(
      isBuilt ? request : {
        headers: {},
        ...request,
        body: null,
        bodyKind: "handler",
        rest: {},
        markers: {},
      },
      auth,
      { secrets, settings },
    );
    if (!sealed.ok) {
      throw new ExecutionError("credentials_missing", 422, `${capital(sealed.message)}.`);
    }
    const { url, headers, body } = sealed.request;
    // Handlers write paths, too; what climbs in one would be another path once it is a URL.
    if (climbs(pathOf(url))) {
      throw new ExecutionError(
        "validation_failed",
        422,
        "The parameters lead away from the action's path.",
      );
    }
    if (!this.#origins.has(new URL(url).origin)) {
      throw new ExecutionError(
        "host_not_allowed",
        422,
        `The credential of ${this.options.begun.integration.slug} is for ${
          [...this.#origins].join(", ")
        } only.`,
      );
    }
    this.options.scrubber.addHeader(headers.authorization);
    return { url, headers, body: isBuilt ? body as string ?? undefined : request.body };
  }

  #note(response: Response): void {
    const limit = readRateLimit(this.options.begun.provider.rate_limit, response.headers);
    if (limit) this.limits.set(limit.name, limit);
  }

  /** Whether the refusal was of the credential, and there is another now. */
  async #renewed(error: ExecutionError): Promise<boolean> {
    const refused = this.#access.secrets.access_token;
    const { renew, scrubber } = this.options;
    const isRefusal = error.details?.reason === "provider_unauthorized";
    if (!isRefusal || !renew || !refused || this.#isRenewed) return false;
    this.#isRenewed = true;
    const access = await renew(refused);
    if (access.secrets.access_token === refused) return false;
    this.#access = access;
    scrubber.add(...Object.values(access.secrets));
    return true;
  }

  async #read(response: Response): Promise<TextAnswer> {
    const { status, headers } = response;
    const text = this.options.scrubber.text(await this.#text(response));
    if (isTooDeep(text)) {
      throw this.#providerError(status, `answered with more than ${MAX_NESTING} levels of JSON`, {
        effect: "possible",
        reason: "provider_invalid_response",
      });
    }
    return { status, headers, text, body: parse(text) };
  }

  /** What streams has until the execution's own end. */
  #stream = (response: Response, handOn: () => void): StreamAnswer => {
    handOn();
    const { status, headers, body } = response;
    return { status, headers, body };
  };

  async #text(response: Response): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let size = 0;
    const length = response.headers.get("content-length");
    // It says how long it is: then nobody has to count. What is compressed says how long it was.
    const isToldWhole = length !== null && !response.headers.has("content-encoding");
    try {
      if (isToldWhole && Number(length) <= MAX_BYTES) return await response.text();
      for await (const chunk of response.body ?? []) {
        size += chunk.byteLength;
        if (size > MAX_BYTES) break;
        text += decoder.decode(chunk, { stream: true });
      }
    } catch (cause) {
      const { kind } = describeFetchFailure(cause);
      const what = kind === "timeout" ? "did not answer in time" : "broke off its answer";
      throw this.#providerError(response.status, what, {
        effect: "possible",
        reason: kind === "timeout" ? "provider_timeout" : "provider_unavailable",
        retryable: true,
      });
    }
    if (size > MAX_BYTES) {
      throw this.#providerError(response.status, `answered with more than ${MAX_BYTES} bytes`, {
        effect: "possible",
        reason: "provider_invalid_response",
      });
    }
    return text + decoder.decode();
  }

  /** A failure that stands in the body of a success. */
  #refusalIn({ status, body, headers, text }: TextAnswer): ExecutionError | undefined {
    const { provider } = this.options.begun;
    const inBody = readRateLimit(provider.rate_limit, headers, { body });
    if (inBody) this.limits.set(inBody.name, inBody);
    const said = readProviderError(provider.response_errors, body);
    if (!said) return undefined;
    if (said.kind === "rate_limited") return this.#rateLimited({ status, headers, body, text });
    const isUnauthorized = said.kind === "unauthorized";
    const reason = said.kind === "failed" ? undefined : `provider_${said.kind}`;
    return this.#providerError(
      status,
      `refused: ${said.message ?? said.code ?? "no reason given"}`,
      {
        effect: isUnauthorized ? "none" : "refused",
        retryable: TRANSIENT.test(said.code ?? ""),
        body,
        code: said.code,
        ...(reason ? { reason } : {}),
      },
    );
  }

  #statusError(answer: TextAnswer): ExecutionError {
    const { status, headers, text, body } = answer;
    const limit = readRateLimit(this.options.begun.provider.rate_limit, headers, { body });
    const isSpent = limit?.remaining === 0 || headers.has("retry-after") ||
      // A full Drive is no limit that passes.
      /rate.?limit|(?<!storage)quota.?exceeded|daily.?limit.?exceeded/i.test(text);
    // GraphQL says with 400 what others have statuses for.
    const named = readProviderError(this.options.begun.provider.response_errors, body)?.kind;
    if (status === 429 || status === 403 && isSpent || named === "rate_limited") {
      return this.#rateLimited(answer);
    }
    const said = providerMessage(body);
    const because = said ? `: ${said}` : "";
    const failure = (what: string, reason: string, effect: Effect, retryable = false) =>
      this.#providerError(status, what, {
        reason,
        effect,
        retryable,
        body,
        retryAfterMs: retryable ? readRetryWait({ status, headers, body: text }) : undefined,
      });
    if (status === 401 || named === "unauthorized") {
      return failure(
        `refused the credential (${status}${because})`,
        "provider_unauthorized",
        "none",
      );
    }
    if (status === 403) {
      return failure(`does not allow this (403${because})`, "provider_forbidden", "none");
    }
    if (status === 404 || status === 410) {
      return failure(`has no such thing (${status}${because})`, "provider_not_found", "refused");
    }
    if (status === 408 || status === 425 || status >= 500) {
      return failure(`answered ${status}${because}`, "provider_unavailable", "possible", true);
    }
    if (status >= 300 && status < 400) {
      return failure(`answered ${status}, which leads elsewhere`, "provider_redirected", "refused");
    }
    return failure(`rejected the request (${status}${because})`, "provider_rejected", "refused");
  }

  #rateLimited({ status, headers, text, body }: TextAnswer): ExecutionError {
    const { integration, provider } = this.options.begun;
    const asked = readRetryAfter(provider.rate_limit, headers);
    if (asked !== undefined) this.retryAfterMs = Math.max(this.retryAfterMs ?? 0, asked);
    const waits = [
      asked,
      readUntilReset(provider.rate_limit, headers),
      // Where the body of a success says it, what headers count is used up all the same.
      readRetryWait({ status: status < 400 ? 429 : status, headers, body: text }),
    ].filter((wait) => wait !== undefined);
    this.toldWaitMs = waits.length > 0 ? Math.max(...waits) : undefined;
    const waitMs = this.toldWaitMs ?? silentWait(text, ++this.#silences);
    return new ExecutionError(
      "rate_limited",
      429,
      `${integration.slug} answered ${status}: its rate limit is used up.`,
      {
        retryAfterSeconds: waitMs / 1000,
        effect: "none",
        providerStatus: status,
        response: body,
        details: {
          integration: integration.slug,
          provider_status: status,
          retry_after: Math.ceil(waitMs / 1000),
          retryable: true,
        },
      },
    );
  }

  #providerError(
    status: number,
    what: string,
    rest: {
      effect: Effect;
      reason?: string;
      retryable?: boolean;
      retryAfterMs?: number | undefined;
      body?: unknown;
      code?: string | undefined;
    },
  ): ExecutionError {
    const { integration, action } = this.options.begun;
    const { effect, reason, retryable = false, retryAfterMs, body, code } = rest;
    const shown = body === undefined || body === ""
      ? undefined
      : redactDocument(body, { maxLength: MAX_ERROR, sensitivePaths: action.sensitive_paths });
    return new ExecutionError("provider_error", 502, `${integration.slug} ${what}.`, {
      effect,
      retryable,
      providerStatus: status,
      response: body,
      ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: retryAfterMs / 1000 }),
      details: {
        integration: integration.slug,
        provider_status: status,
        ...(reason ? { reason } : {}),
        ...(code ? { provider_error: code } : {}),
        ...(shown === undefined ? {} : { body: shown }),
        retryable,
      },
    });
  }
}

/** Codes by which providers say, inside a success, that it was only this time. */
const TRANSIENT = /^(internal_error|fatal_error|service_unavailable|request_timeout|timeout)$/;

/** A redirect that reads may follow: the same origin, so that the credential stays where it was. */
function redirectWithin(from: string, response: Response, method: string): string | undefined {
  const { status, headers } = response;
  const location = headers.get("location");
  if (status < 300 || status >= 400 || !location) return undefined;
  if (method !== "GET" && method !== "HEAD" || !URL.canParse(location, from)) return undefined;
  const to = new URL(location, from);
  return to.origin === new URL(from).origin ? to.href : undefined;
}

/** The provider's own words in the common spellings, JSON and XML; short, for people. */
function providerMessage(body: unknown): string | undefined {
  if (typeof body === "string") return /<Message>([^<]{1,200})/i.exec(body)?.[1];
  const member = (value: unknown, name: string) =>
    typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)[name]
      : undefined;
  const error = member(body, "error") ?? member(member(body, "errors"), "0");
  const candidates = [
    member(body, "message"),
    member(error, "message"),
    member(body, "error_description"),
    member(body, "detail"),
    error,
    ...atlassianMessages(member(body, "errorMessages"), member(body, "errors")),
  ];
  const found = candidates.find((candidate) => typeof candidate === "string") as string | undefined;
  return found?.replace(/\s+/g, " ").slice(0, 200).replace(/\.$/, "");
}

/** Atlassian's: what is wrong with fields stands beside their names, and all else in a list. */
function atlassianMessages(messages: unknown, errors: unknown): string[] {
  if (!Array.isArray(messages)) return [];
  const ofFields = typeof errors === "object" && errors !== null
    ? Object.entries(errors).map(([field, message]) => `${field}: ${message}`)
    : [];
  const all = [...messages.map(String), ...ofFields].join("; ");
  return all === "" ? [] : [all];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The path as it is written, before a URL parser tidies it up. */
function pathOf(url: string): string {
  return /^https?:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? "";
}

function isText(answer: unknown): answer is TextAnswer {
  return typeof answer === "object" && answer !== null && "text" in answer;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
