/** Whether a credential works: the provider's health action, run with it once. */
import type { Sql } from "../db.ts";
import { toAppError } from "../errors.ts";
import type { ActionRow } from "../gateway/catalogue.ts";
import { baseUrlOf, seal } from "../gateway/credentials.ts";
import { atPointer } from "../gateway/pointer.ts";
import { readProviderError } from "../gateway/provider_errors.ts";
import { buildRequest } from "../gateway/request.ts";
import { callProvider } from "../provider_http.ts";
import {
  allowsPrivateNetwork,
  type ConnectingContext,
  type CredentialType,
  resolveAuth,
  type Settings,
} from "./context.ts";

/** How a test ended. */
export interface ProbeResult {
  /** `works`, `refused` by the provider, or `untested`: nobody could say. */
  outcome: "works" | "refused" | "untested";
  /** Why not; for people, without secrets. null when it works. */
  message: string | null;
  /** Whose account it is, as far as the answer says. */
  account: string | null;
  /** What `auth_config.health_settings` keeps of the answer. */
  settings: Settings;
}

/** Shorter than an action's own limit: somebody waits in front of a page. */
const TIMEOUT_MS = 10_000;

/**
 * Tests a credential by the provider's health action.
 *
 * @param context the integration, with the settings of the connection that is tested
 * @param secrets by purpose, `access_token` included
 */
export async function probe(
  sql: Sql,
  context: Omit<ConnectingContext, "client">,
  { type, secrets }: { type: CredentialType; secrets: Record<string, string> },
): Promise<ProbeResult> {
  const { integration, provider, settings } = context;
  if (!provider.health_action) {
    return untested(`${provider.name} has no health action`);
  }
  const [action] = await sql<ActionRow[]>`
    select * from marketplace.actions
    where provider_slug = ${provider.slug} and slug = ${provider.health_action}
  `;
  if (!action) {
    return untested(`${provider.name} has no action ${provider.health_action}`);
  }
  if (action.handler) {
    return untested(`${action.slug} is more than one request`);
  }

  const auth = resolveAuth(context, type);
  const built = await buildRequest({
    provider,
    action,
    baseUrl: baseUrlOf(
      provider,
      auth,
      integration.config.api_base as string | undefined,
    ),
    parameters: {},
    settings,
  });
  if (!built.ok) return untested(built.message);
  const sealed = seal(built.request, auth, { settings, secrets });
  if (!sealed.ok) return refused(`${sealed.message}.`);
  const { method, url, headers, body } = sealed.request;
  try {
    const answer = await callProvider({
      role: "provider",
      integration: integration.slug,
      method,
      url,
      headers,
      ...(typeof body === "string" ? { body } : {}),
      isIdempotent: true,
      timeoutMs: TIMEOUT_MS,
      allowPrivate: allowsPrivateNetwork(integration),
    });
    const told = parse(answer.text);
    const error = readProviderError(provider.response_errors, told);
    if (error) {
      const said = `${integration.slug} said ${error.message ?? error.code ?? "an error"}`;
      return error.kind === "rate_limited" ? untested(said) : refused(`${said}.`);
    }
    const result = await transformed(action.response_transform, told);
    if (!result.ok) return refused(`${result.message}.`);
    return {
      outcome: "works",
      message: null,
      account: accountOf(result.value),
      settings: readSettings(auth.health_settings, result.value),
    };
  } catch (thrown) {
    const error = toAppError(thrown);
    const isRefused = /_(unauthorized|forbidden)$/.test(error.code);
    // The failure's own words: a URL or a header is never among them.
    return isRefused ? refused(error.message) : untested(error.message.replace(/\.$/, ""));
  }
}

async function transformed(
  expression: string | null,
  body: unknown,
): Promise<{ ok: true; value: unknown } | { ok: false; message: string }> {
  if (expression === null) return { ok: true, value: body };
  const { transform } = await import("../gateway/transform.ts");
  return await transform(expression, body);
}

function readSettings(
  pointers: Record<string, string> = {},
  result: unknown,
): Settings {
  const settings: Settings = {};
  for (const [name, pointer] of Object.entries(pointers)) {
    const value = atPointer(result, pointer);
    if (typeof value === "string" || typeof value === "number") {
      settings[name] = value;
    }
  }
  return settings;
}

/** Where providers say who one is, in the order of what people recognise. */
const ACCOUNT_NAMES = [
  "email",
  "emailAddress",
  "login",
  "username",
  "user",
  "name",
  "url",
];

function accountOf(answer: unknown): string | null {
  for (
    const place of [answer, member(answer, "user"), member(answer, "data")]
  ) {
    for (const name of ACCOUNT_NAMES) {
      const value = member(place, name);
      if (
        typeof value === "string" && value !== "" && value.length <= 200
      ) return value;
    }
  }
  return null;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null &&
      Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(message: string): ProbeResult {
  return { outcome: "refused", message, account: null, settings: {} };
}

function untested(why: string): ProbeResult {
  return {
    outcome: "untested",
    message: `Not tested: ${why}.`,
    account: null,
    settings: {},
  };
}
