/** Whether a credential works: the provider's health action, run with it once, as any action is. */
import type { Sql } from "../db.ts";
import type { AppError } from "../errors.ts";
import { ExecutionError } from "../execution/types.ts";
import type { ActionRow, ProviderRow } from "../gateway/catalogue.ts";
import { atPointer } from "../gateway/pointer.ts";
import {
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
  if (!provider.health_action) return untested(`${provider.name} has no health action`);
  const [action] = await sql<ActionRow[]>`
    select * from marketplace.actions
    where provider_slug = ${provider.slug} and slug = ${provider.health_action}
  `;
  if (!action) return untested(`${provider.name} has no action ${provider.health_action}`);

  // Loaded when somebody connects: renewing tokens does without it.
  const { runAction } = await import("../execution/run.ts");
  const id = crypto.randomUUID();
  const run = await runAction(sql, {
    begun: {
      execution_id: id,
      created_at: new Date().toISOString(),
      correlation_id: id,
      organization_id: id,
      integration_id: integration.id,
      // Whichever: what is tested takes the way in that its type names.
      connection_id: id,
      caller: "service",
      user_id: null,
      api_key_id: null,
      job_id: null,
      idempotency_key: null,
      provider_key: id,
      action: { ...action, timeout_ms: Math.min(action.timeout_ms, TIMEOUT_MS) },
      provider: provider as typeof provider & ProviderRow,
      integration,
      grant: { state: "fresh", credential_type: type, settings, secrets, expires_at: null },
      windows: [],
    },
    parameters: {},
    isTest: true,
  });
  if (run.outcome.ok) {
    const { output } = run.outcome;
    if (output.kind === "content") await output.content.body.cancel();
    const result = output.kind === "result" ? output.result : null;
    return {
      outcome: "works",
      message: null,
      account: accountOf(result),
      settings: readSettings(resolveAuth(context, type).health_settings, result),
    };
  }
  const { error } = run.outcome;
  // The failure's own words: a URL or a header is never among them.
  const message = run.scrub(error.message);
  return isRefusal(error) ? refused(message) : untested(message.replace(/\.$/, ""));
}

/** Whether it was the credential that would not do, and not the provider or the way to it. */
function isRefusal(error: AppError): boolean {
  if (error.code === "credentials_missing" || error.code === "transform_failed") return true;
  if (!(error instanceof ExecutionError) || error.code !== "provider_error") return false;
  if (/^provider_(unauthorized|forbidden)$/.test(String(error.details?.reason))) return true;
  // A failure in the body of a success.
  const status = error.providerStatus ?? 0;
  return error.effect === "refused" && status >= 200 && status < 300;
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
