/**
 * An action's row and a caller's parameters, as an HTTP request.
 *
 * Pure: no network, no database, no secret. Each parameter has one place: a placeholder of the path,
 * the query (`query_parameters`), a header (`header_parameters`), or the body, which is what remains
 * or what `request_transform` makes of it. GET, HEAD, actions without a body, and DELETE without a
 * transform send what remains in the query.
 */
import type { ActionRow, ProviderRow } from "./catalogue.ts";
import { fillBaseUrl, fillPath, placeholders } from "./path.ts";
import { toForm, toPairs, toQuery } from "./serialize.ts";

/** One part of a multipart body; a file's bytes come along in base64 or stand at a URL. */
export type Part =
  | { name: string; value: string }
  | { name: string; file: FileValue };

/** A file among the parameters. */
export interface FileValue {
  filename: string;
  content_type?: string;
  /** Base64. */
  data?: string;
  /** Where the gateway gets the bytes from. */
  url?: string;
}

/** A request without credentials. */
export interface BuiltRequest {
  method: ActionRow["method"];
  url: string;
  /** By lower-case name. */
  headers: Record<string, string>;
  /** Text for JSON and forms, parts for multipart; null when there is none or a handler makes it. */
  body: string | Part[] | null;
  bodyKind: "none" | "json" | "form" | "multipart" | "binary" | "handler";
  /** Parameters that found no place: the handler's, or the binary body's. */
  rest: Record<string, unknown>;
  /** Marker in the body → purpose of the secret that belongs there. */
  markers: Record<string, string>;
}

/** What a request is made from. */
export interface RequestInput {
  provider: Pick<ProviderRow, "request_headers">;
  action: Pick<
    ActionRow,
    | "method"
    | "path"
    | "request_schema"
    | "query_parameters"
    | "header_parameters"
    | "body_type"
    | "request_transform"
    | "response_type"
    | "handler"
    | "idempotency_header"
  >;
  /** What `baseUrlOf` says; may hold `{connection.<setting>}`. */
  baseUrl: string | undefined;
  /** Validated, defaults filled in. */
  parameters: Record<string, unknown>;
  /** The connection's settings; never a secret. */
  settings?: Readonly<Record<string, string | number>>;
  /** Sent along when the action knows a header for it. */
  idempotencyKey?: string | undefined;
}

export type Built =
  | { ok: true; request: BuiltRequest }
  | {
    ok: false;
    code:
      | "base_url_missing"
      | "invalid_parameter"
      | "transform_invalid"
      | "transform_failed"
      | "too_large";
    /** The parameter, setting or column it is about. */
    name: string;
    message: string;
  };

/** Headers that only the gateway itself writes. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-length",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Builds the request of an action.
 *
 * Transforms see the parameters as their input, and `$body` (what is not in path, query or headers),
 * `$connection` (the settings), `$secret(purpose)`, whose value is filled in by `seal` only, and
 * `$toBase64(text)` (of the text's UTF-8; JSONata's own knows Latin-1 alone).
 */
export async function buildRequest(input: RequestInput): Promise<Built> {
  const { provider, action, baseUrl, parameters, settings = {} } = input;

  if (!baseUrl) {
    return fail("base_url_missing", "api_base", "the integration has no base URL: set api_base");
  }
  const base = fillBaseUrl(baseUrl, settings);
  if (!base.ok) return fail("base_url_missing", base.name, base.message);
  const path = fillPath(action.path, parameters, settings);
  if (!path.ok) return fail("invalid_parameter", path.name, path.message);

  const { query, headers: headerValues, rest } = place(action, parameters);
  const restInQuery = !action.handler && sendsRestInQuery(action);
  const pairs = toPairs(restInQuery ? { ...query, ...rest } : query, action.request_schema);
  if (!pairs.ok) return fail("invalid_parameter", pairs.name, pairs.message);
  const url = base.text + path.text + (pairs.pairs.length > 0 ? `?${toQuery(pairs.pairs)}` : "");
  if (!staysBelow(url, base.text)) {
    return fail("invalid_parameter", "path", "the parameters lead away from the provider's URL");
  }

  const headers: Record<string, string> = {
    accept: action.response_type === "json" ? "application/json" : "*/*",
  };
  for (const [name, value] of Object.entries(provider.request_headers)) {
    headers[name.toLowerCase()] = value;
  }
  // Of bodies only: some providers want a charset with their JSON.
  const jsonType = headers["content-type"];
  delete headers["content-type"];
  for (const [name, value] of Object.entries(headerValues)) {
    if (!isHeaderValue(value)) {
      const message = `the parameter ${name} has characters no header may hold`;
      return fail("invalid_parameter", name, message);
    }
    headers[action.header_parameters[name]!.toLowerCase()] = String(value);
  }
  if (action.idempotency_header && input.idempotencyKey !== undefined) {
    if (!isHeaderValue(input.idempotencyKey)) {
      const message = "the idempotency key has characters no header may hold";
      return fail("invalid_parameter", "idempotency_key", message);
    }
    headers[action.idempotency_header.toLowerCase()] = input.idempotencyKey;
  }

  const request: BuiltRequest = {
    method: action.method,
    url,
    headers,
    body: null,
    bodyKind: "none",
    rest: {},
    markers: {},
  };
  if (action.handler) return { ok: true, request: { ...request, bodyKind: "handler", rest } };
  if (restInQuery) return { ok: true, request };
  if (action.body_type === "binary") {
    return { ok: true, request: { ...request, bodyKind: "binary", rest } };
  }
  return await withBody(request, input, { rest, jsonType });
}

/** Whether a row's remaining parameters go into the query. */
export function sendsRestInQuery(
  action: Pick<ActionRow, "method" | "body_type" | "request_transform">,
): boolean {
  if (action.method === "GET" || action.method === "HEAD") return true;
  return action.body_type === "none" ||
    (action.method === "DELETE" && action.request_transform === null);
}

/** The values of a row's query and header parameters, and what is left for the body. */
function place(action: RequestInput["action"], parameters: Record<string, unknown>) {
  const inPath = new Set(
    placeholders(action.path).filter(({ from }) => from === "parameters").map(({ name }) => name),
  );
  const inQuery = new Set(action.query_parameters);
  const query: Record<string, unknown> = {};
  const headers: Record<string, unknown> = {};
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    const isPlaced = inPath.has(name) || inQuery.has(name) ||
      Object.hasOwn(action.header_parameters, name);
    if (inQuery.has(name)) query[name] = value;
    if (Object.hasOwn(action.header_parameters, name) && value !== null) headers[name] = value;
    if (!isPlaced) rest[name] = value;
  }
  return { query, headers, rest };
}

async function withBody(
  request: BuiltRequest,
  { action, parameters, settings = {} }: RequestInput,
  { rest, jsonType }: { rest: Record<string, unknown>; jsonType: string | undefined },
): Promise<Built> {
  const markers: Record<string, string> = {};
  let body: unknown = rest;
  if (action.request_transform !== null) {
    const { transform } = await import("./transform.ts");
    const nonce = crypto.randomUUID().replaceAll("-", "");
    const transformed = await transform(action.request_transform, parameters, {
      body: rest,
      connection: settings,
      toBase64: (text: unknown) => typeof text === "string" ? toBase64(text) : undefined,
      secret: (purpose: unknown) => {
        if (typeof purpose !== "string") return undefined;
        const marker = `mksecret-${nonce}-${purpose}-end`;
        markers[marker] = purpose;
        return marker;
      },
    });
    if (!transformed.ok) return fail(transformed.code, "request_transform", transformed.message);
    if (transformed.value === null) {
      return fail("transform_failed", "request_transform", "the transform yields no body");
    }
    body = transformed.value;
  }

  const bodyKind = action.body_type as "json" | "form" | "multipart";
  const headers = { ...request.headers };
  if (bodyKind === "json") headers["content-type"] = jsonType ?? "application/json";
  if (bodyKind === "form") headers["content-type"] = "application/x-www-form-urlencoded";
  const built = { ...request, headers, bodyKind, markers };
  if (bodyKind === "json") return { ok: true, request: { ...built, body: JSON.stringify(body) } };

  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return fail("transform_failed", "request_transform", "the transform must yield an object");
  }
  if (bodyKind === "multipart") {
    return { ok: true, request: { ...built, body: toParts(body as Record<string, unknown>) } };
  }
  const pairs = toPairs(body as Record<string, unknown>, action.request_schema);
  if (!pairs.ok) return fail("invalid_parameter", pairs.name, pairs.message);
  return { ok: true, request: { ...built, body: toForm(pairs.pairs) } };
}

/** Members as parts: lists are repeated, files stay files, other objects become JSON. */
function toParts(body: Record<string, unknown>): Part[] {
  return Object.entries(body).flatMap(([name, value]) =>
    [value].flat().flatMap((item): Part[] => {
      if (item === undefined || item === null) return [];
      if (typeof item !== "object") return [{ name, value: String(item) }];
      const isFile = typeof (item as { filename?: unknown }).filename === "string";
      return [isFile ? { name, file: item as FileValue } : { name, value: JSON.stringify(item) }];
    })
  );
}

/** Whether a URL is below a base, on the same origin, after everything a URL parser normalises. */
function staysBelow(url: string, base: string): boolean {
  const [is, from] = [new URL(url), new URL(base)];
  const folder = from.pathname.replace(/\/+$/, "");
  return is.origin === from.origin && is.username === from.username &&
    (is.pathname === folder || is.pathname.startsWith(`${folder}/`));
}

function toBase64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function isHeaderValue(value: unknown): boolean {
  return (typeof value === "string" && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) ||
    typeof value === "number" || typeof value === "boolean";
}

function fail(
  code: Extract<Built, { ok: false }>["code"],
  name: string,
  message: string,
): Built {
  return { ok: false, code, name, message };
}
