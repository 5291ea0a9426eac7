/** Running an action that was begun: parameters in, the provider's result out. */
import { waitUntil } from "../background.ts";
import type { Sql } from "../db.ts";
import { type AppError, toAppError, validationFailed } from "../errors.ts";
import { baseUrlOf } from "../gateway/credentials.ts";
import { handlerFor } from "../gateway/handlers/registry.ts";
import { itemsOf, nextPage } from "../gateway/pagination.ts";
import { fillBaseUrl } from "../gateway/path.ts";
import { replaceAt } from "../gateway/pointer.ts";
import type { RateLimit } from "../gateway/rate_limit.ts";
import { redactDocument, redactUrl, sensitiveValues } from "../gateway/redact.ts";
import { buildRequest, type BuiltRequest, type FileValue, type Part } from "../gateway/request.ts";
import { validate } from "../gateway/schema.ts";
import { isAtProviders } from "../oauth/context.ts";
import { renew } from "../oauth/tokens.ts";
import { accessOf, isRenewable } from "./credential.ts";
import { Files, type SentFile } from "./files.ts";
import { type HandlerContext, type Output, toContent } from "./handler.ts";
import { type Outgoing, ProviderClient, type TextAnswer } from "./provider_client.ts";
import { SecretScrubber } from "./secrets.ts";
import type { FinishReport } from "./store.ts";
import { type Begun, ExecutionError } from "./types.ts";

/** What is to be run. */
export interface RunRequest {
  begun: Begun;
  parameters: Record<string, unknown>;
  /** How many pages are fetched at most; undefined: one, as it comes. */
  maxPages?: number | undefined;
  /** Bytes that came as the request's body. */
  sent?: SentFile | undefined;
  /** Nobody waits for the answer. */
  isAsync?: boolean;
  /** It is the credential that is tried: as it is, without another one in its place. */
  isTest?: boolean;
}

/** How a run ended, and what is to be reported of it. */
export interface Run {
  outcome: { ok: true; output: Output } | { ok: false; error: AppError };
  /** The part of the report that the run itself knows. */
  report: Pick<
    FinishReport,
    | "status_code"
    | "attempt_count"
    | "request"
    | "spent"
    | "observed"
    | "retry_after_ms"
    | "wait_ms"
  >;
  /** What is left of the tightest limit, for the answer; null: nobody knows. */
  quota: Quota | null;
  /** Takes what must not be shown out of a document, for the log. */
  redact: (document: unknown) => unknown;
  scrub: (text: string) => string;
}

/** What is left of a limit. */
export interface Quota {
  name: string;
  limit: number;
  remaining: number;
  /** ISO 8601; null: the provider does not say. */
  resets_at: string | null;
}

/** The longest an execution may take, below the hosts' limit of 150 s; milliseconds. */
const EXECUTION_MS = 140_000;
const LONGEST_WAIT_MS = { sync: 3_000, async: 30_000 };
/** All pages together, in items, and in characters of JSON. */
const MAX_ITEMS = 50_000;
const MAX_TEXT = 16 * 1024 * 1024;

/** What is known of a run when it fails. */
interface State {
  client?: ProviderClient;
  request?: BuiltRequest;
  isLeaseUsed: boolean;
}

/** Runs an action. Never throws: whatever happens is an outcome, to be reported. */
export async function runAction(sql: Sql, request: RunRequest): Promise<Run> {
  const { begun } = request;
  const scrubber = new SecretScrubber();
  const state: State = { isLeaseUsed: false };
  let outcome: Run["outcome"];
  try {
    outcome = { ok: true, output: await run(sql, request, scrubber, state) };
  } catch (thrown) {
    outcome = { ok: false, error: toAppError(thrown) };
    // A lease that was handed out is used, or others would wait for it to run out.
    if (begun.grant.state === "leased" && !state.isLeaseUsed) waitUntil(renew(sql, begun.grant));
  }
  const { client } = state;
  const redact = (document: unknown) =>
    scrubber.value(redactDocument(document, { sensitivePaths: begun.action.sensitive_paths }));
  const status = outcome.ok
    ? outcome.output.status
    : outcome.error instanceof ExecutionError
    ? outcome.error.providerStatus
    : undefined;
  return {
    outcome,
    report: {
      status_code: status ?? null,
      attempt_count: client?.sent ?? 0,
      request: describeRequest(request, state.request, redact, scrubber),
      spent: spentOf(begun, client),
      observed: [...client?.limits.values() ?? []].map(toObserved),
      retry_after_ms: client?.retryAfterMs ?? null,
      wait_ms: client?.toldWaitMs ?? null,
    },
    quota: quotaOf(begun, client),
    redact,
    scrub: (text) => scrubber.text(text),
  };
}

async function run(
  sql: Sql,
  { begun, parameters: given, maxPages, sent, isAsync = false, isTest = false }: RunRequest,
  scrubber: SecretScrubber,
  state: State,
): Promise<Output> {
  const { action, integration, provider } = begun;
  const validated = validate(action.request_schema, given);
  if (!validated.ok) throw validationFailed(validated.errors);
  const { parameters } = validated;

  state.isLeaseUsed = true;
  const access = await accessOf(sql, begun);
  scrubber.add(...Object.values(access.secrets));
  const template = baseUrlOf(provider, access.auth, integration.config.api_base as string);
  const build = async (parameters: Record<string, unknown>) => {
    const built = await buildRequest({
      provider,
      action,
      baseUrl: template,
      parameters,
      settings: access.settings,
      idempotencyKey: begun.provider_key,
    });
    if (!built.ok) throw unbuildable(built, integration.slug);
    return built.request;
  };
  const first = state.request = await build(parameters);
  // The builder has filled it once already.
  const base = fillBaseUrl(template!, access.settings);
  const client = state.client = new ProviderClient({
    begun,
    access,
    baseUrl: base.ok ? base.text : first.url,
    isProviders: isAtProviders(begun),
    scrubber,
    deadline: Date.now() + EXECUTION_MS,
    longestWaitMs: LONGEST_WAIT_MS[isAsync ? "async" : "sync"],
    renew: !isTest && isRenewable(begun, access)
      ? (refused) => accessOf(sql, begun, refused)
      : undefined,
  });
  const files = new Files({
    sent,
    // Made when it is needed: its clock runs on long after the execution has ended.
    get signal() {
      return client.signal;
    },
    allowPrivate: integration.config.allow_private_sources === true,
  });
  const context: HandlerContext = { begun, parameters, request: first, access, client, files };

  if (action.handler !== null && maxPages === undefined) {
    return await (await handlerFor(action.handler))(context);
  }
  if (action.response_type === "binary") return await download(context);
  if (maxPages === undefined) {
    const { status, body } = await readPage(context, first);
    return { kind: "result", status, result: await toResult(begun, body) };
  }
  return await readPages(context, maxPages, build);
}

/** One request by the row alone; a handler's page is its own. */
async function readPage(
  context: HandlerContext,
  request: BuiltRequest,
): Promise<Page> {
  const { begun: { action }, client } = context;
  if (action.handler !== null) {
    const output = await (await handlerFor(action.handler))({ ...context, request });
    if (output.kind === "result") {
      const size = JSON.stringify(output.result)?.length ?? 0;
      return { status: output.status, headers: new Headers(), body: output.result, size };
    }
    throw new ExecutionError("validation_failed", 422, `${action.slug} has no pages.`);
  }
  const answer = await client.call(await toOutgoing(context, request));
  const size = answer.text.length;
  if (action.response_type !== "json" || answer.text === "") {
    return { ...answer, size, body: action.response_type === "text" ? answer.text : null };
  }
  if (typeof answer.body === "string" && !answer.text.startsWith('"')) {
    throw new ExecutionError(
      "provider_error",
      502,
      `${context.begun.integration.slug} did not answer with JSON.`,
      {
        effect: action.is_read_only ? "none" : "possible",
        providerStatus: answer.status,
        response: answer.text,
        details: {
          integration: context.begun.integration.slug,
          provider_status: answer.status,
          reason: "provider_invalid_response",
          retryable: false,
        },
      },
    );
  }
  return { ...answer, size };
}

interface Page extends Pick<TextAnswer, "status" | "headers" | "body"> {
  /** Characters of its text. */
  size: number;
}

/** Page after page; the result is shaped like one page that holds all items. */
async function readPages(
  context: HandlerContext,
  maxPages: number,
  build: (parameters: Record<string, unknown>) => Promise<BuiltRequest>,
): Promise<Output> {
  const { begun } = context;
  const { pagination } = begun.action;
  if (!("style" in pagination)) {
    throw new ExecutionError("validation_failed", 422, `${begun.action.slug} has no pages.`);
  }
  let next: Record<string, unknown> | undefined = context.parameters;
  let request = context.request;
  let page = await readPage(context, request);
  const head = page;
  const items: unknown[] = [];
  let pageCount = 0;
  let size = 0;
  for (;;) {
    items.push(...itemsOf(pagination, page.body) ?? []);
    pageCount++;
    size += page.size;
    next = nextPage(begun.action, next, page);
    const isFull = items.length >= MAX_ITEMS || size >= MAX_TEXT;
    if (!next || pageCount >= maxPages || isFull) break;
    request = await build(next);
    page = await readPage({ ...context, parameters: next }, request);
  }
  const merged = replaceAt(head.body, pagination.items, () => items);
  return {
    kind: "result",
    status: head.status,
    result: await toResult(begun, merged),
    pages: { page_count: pageCount, is_complete: !next, next: next ?? null },
  };
}

async function toResult({ action }: Begun, body: unknown): Promise<unknown> {
  if (action.response_transform === null || body === null) return body;
  const { transform } = await import("../gateway/transform.ts");
  const transformed = await transform(action.response_transform, body);
  if (transformed.ok) return transformed.value;
  throw new ExecutionError(
    "transform_failed",
    502,
    `The answer of ${action.slug} cannot be transformed: ${transformed.message}.`,
    { effect: action.is_read_only ? "none" : "possible", retryable: false, response: body },
  );
}

/** Bytes as the provider sends them. */
async function download(context: HandlerContext): Promise<Output> {
  const { client, request } = context;
  const answer = await client.open(await toOutgoing(context, request));
  return { kind: "content", status: answer.status, content: toContent(answer) };
}

/** A built request with the body that only now has its bytes. */
export async function toOutgoing(
  { files, parameters, access }: HandlerContext,
  request: BuiltRequest,
): Promise<Outgoing | BuiltRequest> {
  if (request.bodyKind === "multipart") {
    const { url, method, headers, markers } = request;
    const parts = (request.body as Part[]).map((part): Part =>
      "value" in part ? { ...part, value: unmark(part.value, markers, access.secrets) } : part
    );
    return { url, method, headers, body: await files.form(parts) };
  }
  if (request.bodyKind === "binary") {
    const { url, method, headers } = request;
    const [name = "file"] = Object.keys(request.rest);
    const file = await files.bytes((parameters[name] ?? {}) as FileValue, `/${name}`);
    return {
      url,
      method,
      headers: { ...headers, "content-type": file.content_type },
      body: file.bytes,
    };
  }
  return request;
}

/** Secrets in their places, as `seal` puts them into other bodies. */
function unmark(
  text: string,
  markers: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): string {
  return Object.entries(markers).reduce(
    (filled, [marker, purpose]) => filled.replaceAll(marker, () => secrets[purpose] ?? ""),
    text,
  );
}

function unbuildable(
  built: Extract<Awaited<ReturnType<typeof buildRequest>>, { ok: false }>,
  integration: string,
): Error {
  const { code, name, message } = built;
  switch (code) {
    case "base_url_missing":
      return new ExecutionError(
        "integration_misconfigured",
        422,
        `Integration ${integration} cannot be used: ${message}.`,
      );
    case "transform_invalid":
      return new ExecutionError(
        "action_misconfigured",
        422,
        `The action's ${name} cannot be used: ${message}.`,
      );
    default:
      return validationFailed([{
        pointer: code === "invalid_parameter" && name !== "path" ? `/${name}` : "",
        message,
      }]);
  }
}

function describeRequest(
  { begun, parameters }: RunRequest,
  request: BuiltRequest | undefined,
  redact: (document: unknown) => unknown,
  scrubber: SecretScrubber,
): unknown {
  const hidden = sensitiveValues(parameters, begun.action.sensitive_paths);
  return {
    method: begun.action.method,
    ...(request ? { url: scrubber.text(redactUrl(request.url, hidden)) } : {}),
    parameters: redact(parameters),
  };
}

/** An operation of a handler is charged as one; a plain request by what went out. */
function spentOf({ action }: Begun, client: ProviderClient | undefined): number {
  const sent = client?.sent ?? 0;
  return action.quota_cost * (action.handler === null ? sent : Math.min(sent, 1));
}

/** Beyond these a provider's numbers are no counts, and no times that could be stored. */
const MOST = 1e15;
const LATEST_MS = 400 * 24 * 60 * 60 * 1000;

function toObserved({ name, limit, remaining, resets_at }: RateLimit) {
  const latest = Date.now() + LATEST_MS;
  return {
    name,
    limit_count: Math.min(Math.max(Math.round(limit), 1), MOST),
    remaining: Math.min(Math.max(Math.floor(remaining), 0), MOST),
    resets_at: resets_at === null
      ? null
      : new Date(Math.min(Math.max(resets_at.getTime(), 0), latest)).toISOString(),
  };
}

function quotaOf(begun: Begun, client: ProviderClient | undefined): Quota | null {
  const told = [...client?.limits.values() ?? []].at(-1);
  if (told) {
    return {
      name: told.name,
      limit: told.limit,
      remaining: told.remaining,
      resets_at: told.resets_at?.toISOString() ?? null,
    };
  }
  const window = begun.windows.at(-1);
  if (!window) return null;
  const { name, limit_count: limit, used_count, reserved_count, cost, resets_at } = window;
  const used = Number(used_count) + Number(reserved_count) - cost + spentOf(begun, client);
  return { name, limit: Number(limit), remaining: Math.max(0, Number(limit) - used), resets_at };
}
