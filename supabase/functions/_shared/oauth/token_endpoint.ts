/**
 * One request to a provider's token endpoint, and its answer in the words of RFC 6749.
 *
 * The protocol is oauth4webapi's. What stands here is what providers do differently: JSON bodies in,
 * form bodies out, success statuses on errors, missing token types, scopes as lists or with commas.
 */
import {
  allowInsecureRequests,
  type AuthorizationServer,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  customFetch,
  None,
  ResponseBodyError,
  type TokenEndpointRequestOptions,
  type TokenEndpointResponse,
} from "oauth4webapi";
import { AppError } from "../errors.ts";
import { describeFetchFailure } from "../fetch_failure.ts";
import { atPointer } from "../gateway/pointer.ts";
import { fillBaseUrl } from "../gateway/path.ts";
import type { Auth } from "../gateway/credentials.ts";
import { guardedFetch } from "../net/fetch.ts";
import { parseRetryAfter } from "../retry_after.ts";
import { decodeJwt } from "jose";
import type { Settings } from "./context.ts";

/** Tokens as a provider gave them. */
export interface TokenSet {
  access_token: string;
  /** null: none was given, the former one stays. */
  refresh_token: string | null;
  /** As the provider spells it. */
  token_type: string;
  /** null: as asked for. */
  scopes: string[] | null;
  /** Seconds from now; null: it does not end, or nobody knows. */
  expires_in_s: number | null;
  /** Whose account it is, for people; null when the answer does not say. */
  account: string | null;
  /** What `auth_config.token_settings` keeps of the answer. */
  settings: Settings;
}

/** Why there are none. */
export interface TokenFailure {
  /** OAuth's error code, or `unreachable`, `invalid_response`, `http_<status>`, `misconfigured`. */
  code: string;
  /** For people; holds no secret. */
  message: string;
  /** The grant is dead: only its owner can give another. */
  isFinal: boolean;
  retryAfterMs?: number | undefined;
}

export type TokenResult = { ok: true; tokens: TokenSet } | { ok: false; failure: TokenFailure };

/** Where to ask, and as whom. */
export interface Endpoint {
  auth: Auth;
  settings: Settings;
  /** `client_id`, and `client_secret` unless the client is public. */
  client: Readonly<Record<string, string>>;
  allowPrivate: boolean;
  /** Its URLs stand in the provider's row, and not in the integration's. */
  isProviders: boolean;
  /** Named in messages. */
  integration: string;
  /** The request proves itself by a signature: there is no OAuth client. */
  isSigned?: boolean;
}

/** The longest a token endpoint may take; the lease of a refresh is twice as long. */
const TIMEOUT_MS = 20_000;
const MAX_BYTES = 256 * 1024;

/** Codes by which providers say that a grant is dead, beside the standard's `invalid_grant`. */
const FINAL = new Set([
  "invalid_grant",
  "bad_refresh_token",
  "invalid_refresh_token",
  "token_revoked",
  "token_expired",
  "account_inactive",
  "consent_required",
  "interaction_required",
  "login_required",
]);

/** A failure on its way through the library. */
class Failed extends Error {
  constructor(readonly failure: TokenFailure) {
    super(failure.message);
  }
}

/** What the library's request functions are called with. */
export interface Ask {
  server: AuthorizationServer;
  client: Client;
  clientAuth: ClientAuth;
  options: TokenEndpointRequestOptions;
}

/**
 * Asks an endpoint for tokens.
 *
 * @param secrets what was sent along and must not come back in a message
 * @param request the library's request and processing, as for example
 *   `refreshTokenGrantRequest` and `processRefreshTokenResponse`
 */
export async function askForTokens(
  endpoint: Endpoint,
  secrets: readonly (string | undefined | null)[],
  request: (ask: Ask) => Promise<TokenEndpointResponse>,
): Promise<TokenResult> {
  const began = performance.now();
  const hidden = [...secrets, endpoint.client.client_secret].filter((s) => s && s.length > 3);
  const scrub = (text: string) =>
    hidden.reduce<string>((clean, secret) => clean.replaceAll(secret!, "…"), text);
  const seen: { answer?: Record<string, unknown> } = {};
  try {
    const ask = prepare(endpoint, seen);
    const answer = await request(ask);
    return { ok: true, tokens: readTokens(endpoint.auth, answer, seen.answer ?? {}, began) };
  } catch (thrown) {
    const failure = asFailure(thrown, endpoint.integration);
    return { ok: false, failure: { ...failure, message: scrub(failure.message) } };
  }
}

/**
 * A URL of an auth_config with the connection's settings filled in.
 *
 * @returns undefined when a setting is missing or may not stand there
 */
export function fillUrl(template: string, settings: Settings): string | undefined {
  if (!template.includes("{")) return template;
  const filled = fillBaseUrl(template, settings);
  return filled.ok ? filled.text : undefined;
}

function prepare(endpoint: Endpoint, seen: { answer?: Record<string, unknown> }): Ask {
  const { auth, client, settings } = endpoint;
  const tokenUrl = auth.token_url && fillUrl(auth.token_url, settings);
  if (!tokenUrl) throw misconfigured(`${endpoint.integration} has no token_url to ask`);
  if (!client.client_id && !endpoint.isSigned) {
    throw misconfigured(`${endpoint.integration} has no OAuth client: store its client_id`);
  }
  const parameters = new URLSearchParams(auth.token_params ?? {});
  return {
    server: { issuer: new URL(tokenUrl).origin, token_endpoint: tokenUrl },
    client: { client_id: client.client_id || "none" },
    clientAuth: clientAuthentication(auth, client),
    options: {
      additionalParameters: parameters,
      signal: () => AbortSignal.timeout(TIMEOUT_MS),
      // What may be asked without TLS is decided where it is sent.
      [allowInsecureRequests]: true,
      [customFetch]: async (url, init) => {
        const answer = normalise(await send(endpoint, url, init), endpoint.integration);
        seen.answer = answer.body;
        // An id token is read for a name only; whom it is for is not ours to judge.
        const { id_token: _, ...body } = answer.body;
        if (answer.status === 200) body.token_type = "Bearer";
        return Response.json(body, { status: answer.status });
      },
    },
  };
}

/** How a client proves itself; without a secret it only names itself. */
export function clientAuthentication(
  auth: Auth,
  client: Readonly<Record<string, string>>,
): ClientAuth {
  if (!client.client_secret || auth.token_auth_method === "none") return None();
  return auth.token_auth_method === "client_secret_basic"
    ? ClientSecretBasic(client.client_secret)
    : ClientSecretPost(client.client_secret);
}

/** The part of oauth4webapi's custom fetch options that is used. */
interface Outgoing {
  method: string;
  headers: Record<string, string>;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/**
 * Sends a request to one of the provider's OAuth endpoints.
 *
 * @returns the status, the headers and the whole body
 * @throws an error whose message is safe to show: unreachable, or at an address that is not allowed
 */
export async function send(
  endpoint: Endpoint,
  url: string,
  init: Outgoing,
): Promise<{ status: number; headers: Headers; text: string }> {
  const { auth, integration, allowPrivate, isProviders } = endpoint;
  if (!allowPrivate && !url.startsWith("https://")) {
    throw misconfigured(`${integration}'s token endpoint is not https`);
  }
  const headers = new Headers({
    "user-agent": "marketplace",
    ...init.headers,
    ...auth.token_headers,
  });
  let body = String(init.body ?? "");
  if (auth.token_body === "json") {
    headers.set("content-type", "application/json");
    body = JSON.stringify(Object.fromEntries(new URLSearchParams(body)));
  }
  try {
    const response = await guardedFetch(url, {
      method: init.method,
      headers: Object.fromEntries(headers),
      body,
      signal: init.signal ?? AbortSignal.timeout(TIMEOUT_MS),
      allowPrivate,
      isProviders,
    });
    return {
      status: response.status,
      headers: response.headers,
      text: await readCapped(response, integration),
    };
  } catch (thrown) {
    if (thrown instanceof Failed) throw thrown;
    if (thrown instanceof AppError) {
      throw misconfigured(`${integration}'s token endpoint: ${thrown.message.replace(/\.$/, "")}`);
    }
    const { kind, reason } = describeFetchFailure(thrown);
    throw new Failed({
      code: "unreachable",
      message: kind === "timeout"
        ? `${integration}'s token endpoint did not answer in time.`
        : `${integration}'s token endpoint could not be reached (${reason}).`,
      isFinal: false,
    });
  }
}

async function readCapped(response: Response, integration: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) {
      throw new Failed({
        code: "invalid_response",
        message: `${integration}'s token endpoint answered with more than ${MAX_BYTES} bytes.`,
        isFinal: false,
      });
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The answer in the standard's words, whatever the provider's were. */
function normalise(
  { status, headers, text }: { status: number; headers: Headers; text: string },
  integration: string,
): { status: 200 | 400; body: Record<string, unknown> } {
  const body = parseBody(text, headers.get("content-type") ?? "");
  const error = body && errorCode(body);
  if (body && !error && status >= 200 && status < 300) return { status: 200, body: tidy(body) };
  // Busy or broken says nothing about the grant, whatever its body says.
  if (status === 429 || status >= 500 || !error) {
    throw new Failed({
      code: status >= 200 && status < 300 ? "invalid_response" : `http_${status}`,
      message: status >= 200 && status < 300
        ? `${integration}'s token endpoint answered in no known way.`
        : `${integration}'s token endpoint answered ${status}.`,
      isFinal: false,
      retryAfterMs: parseRetryAfter(headers.get("retry-after")),
    });
  }
  const description = [body.error_description, body.error_message, body.message]
    .find((value) => typeof value === "string");
  return {
    status: 400,
    body: { error, ...(description ? { error_description: description } : {}) },
  };
}

function parseBody(text: string, contentType: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    const isForm = contentType.includes("form-urlencoded") || /^(access_token|error)=/.test(text);
    return isForm ? Object.fromEntries(new URLSearchParams(text)) : undefined;
  }
}

/** An error's code in any of the known spellings; undefined when the body tells of none. */
function errorCode(body: Record<string, unknown>): string | undefined {
  const { error, ok, status } = body;
  if (typeof error === "string" && error !== "") return error;
  const nested = (error as { code?: unknown; type?: unknown } | null) ?? {};
  for (const code of [nested.type, nested.code]) if (typeof code === "string" && code) return code;
  if (ok === false) return "request_failed";
  // HubSpot: {"status": "BAD_REFRESH_TOKEN", "message": …}
  if (typeof status === "string" && typeof body.access_token !== "string") {
    return status.toLowerCase();
  }
  return undefined;
}

/** A success with every member of the type the standard says. */
function tidy(body: Record<string, unknown>): Record<string, unknown> {
  // Slack's user tokens stand one level below.
  const inner = body.access_token === undefined ? body.authed_user : undefined;
  const tidied: Record<string, unknown> = {
    ...body,
    ...(typeof inner === "object" ? inner : {}),
  };
  // GitHub's installation tokens: {"token": …, "expires_at": …}
  if (tidied.access_token === undefined && typeof tidied.token === "string") {
    tidied.access_token = tidied.token;
  }
  if (typeof tidied.token_type !== "string" || tidied.token_type === "") {
    tidied.token_type = "Bearer";
  }
  if (Array.isArray(tidied.scope)) tidied.scope = tidied.scope.join(" ");
  if (typeof tidied.scope !== "string") delete tidied.scope;
  if (typeof tidied.refresh_token !== "string" || tidied.refresh_token === "") {
    delete tidied.refresh_token;
  }
  const seconds = Number(tidied.expires_in);
  const until = Date.parse(String(tidied.expires_at ?? ""));
  if (seconds > 0) tidied.expires_in = seconds;
  else if (tidied.expires_in === undefined && until > Date.now()) {
    tidied.expires_in = (until - Date.now()) / 1000;
  } else delete tidied.expires_in;
  return tidied;
}

function readTokens(
  auth: Auth,
  answer: TokenEndpointResponse,
  body: Record<string, unknown>,
  began: number,
): TokenSet {
  const lifetime = answer.expires_in ?? auth.token_lifetime_seconds ?? null;
  // It began to run when the endpoint answered at the earliest: count what has passed since asking.
  const passed = (performance.now() - began) / 1000;
  const settings: Settings = {};
  for (const [name, pointer] of Object.entries(auth.token_settings ?? {})) {
    const value = atPointer(body, pointer);
    if (typeof value === "string" || typeof value === "number") settings[name] = value;
  }
  return {
    access_token: answer.access_token,
    refresh_token: answer.refresh_token ?? null,
    token_type: typeof body.token_type === "string" ? body.token_type : "Bearer",
    scopes: answer.scope === undefined
      ? null
      : answer.scope.split(/[\s,]+/).filter((scope) => scope !== ""),
    expires_in_s: lifetime === null ? null : Math.max(lifetime - passed, 0),
    account: accountOf(body),
    settings,
  };
}

/** Whose account it is, from the id token that came along over TLS; for people only. */
function accountOf(body: Record<string, unknown>): string | null {
  if (typeof body.id_token !== "string") return null;
  try {
    const { email, preferred_username, name, sub } = decodeJwt(body.id_token);
    const found = [email, preferred_username, name, sub].find((value) =>
      typeof value === "string" && value !== ""
    );
    return (found as string | undefined) ?? null;
  } catch {
    return null;
  }
}

function asFailure(thrown: unknown, integration: string): TokenFailure {
  if (thrown instanceof Failed) return thrown.failure;
  if (thrown instanceof ResponseBodyError) {
    const code = thrown.error.replace(/[^\w.:-]/g, "_").slice(0, 80);
    // deno-lint-ignore no-control-regex
    const said = thrown.error_description?.replace(/[\0-\x1f\x7f]+/g, " ").slice(0, 200);
    return {
      code,
      message: `${integration} answered ${code}${said ? `: ${said.replace(/\.$/, "")}` : ""}.`,
      isFinal: FINAL.has(code.toLowerCase()),
    };
  }
  return {
    code: "invalid_response",
    // The library's own words; they quote nothing of the answer.
    message: `${integration}'s token endpoint did not answer as documented: ${
      thrown instanceof Error ? thrown.message.slice(0, 200) : "unknown"
    }.`,
    isFinal: false,
  };
}

function misconfigured(message: string): Failed {
  return new Failed({ code: "misconfigured", message: `${message}.`, isFinal: false });
}
