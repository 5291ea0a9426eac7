/**
 * How a credential gets onto a request: templates in the provider's `auth_config`, filled at the
 * last moment.
 *
 * A built request holds no secret. Where a transform needs one inside the body (Odoo's JSON-RPC
 * takes its password there), `$secret("password")` leaves a marker that nobody can guess, and
 * {@link seal} puts the secret in its place. So what is logged, returned or kept for a retry is the
 * unsealed request.
 */
import type { AuthConfig, AuthType, ProviderRow } from "./catalogue.ts";
import type { BuiltRequest } from "./request.ts";

/** A connection's values by name. */
export interface ConnectionValues {
  /** Not secret: shop, account id, database, … */
  settings: Readonly<Record<string, string | number>>;
  /** By purpose: `access_token` (fetched or refreshed), `api_token`, `password`, … */
  secrets: Readonly<Record<string, string>>;
}

/** A provider's way in, with the chosen alternative laid over it. */
export interface Auth extends Omit<AuthConfig, "alternatives"> {
  type: AuthType;
}

export type Sealed =
  | { ok: true; request: BuiltRequest }
  /** `credential_missing` names the purpose or setting; `credential_invalid` says what it breaks. */
  | {
    ok: false;
    code: "credential_missing" | "credential_invalid";
    name: string;
    message: string;
  };

/** Auth types whose credential is a bearer token, and the purpose it is kept under. */
const BEARER: Partial<Record<AuthType, string>> = {
  oauth2: "access_token",
  service_account: "access_token",
  github_app: "access_token",
  bearer: "api_token",
};

/**
 * How a connection authenticates.
 *
 * @param type one of the provider's alternatives; absent: the provider's own type
 * @returns undefined when the provider does not offer that type
 */
export function authOf(
  provider: Pick<ProviderRow, "auth_type" | "auth_config">,
  type: AuthType = provider.auth_type,
): Auth | undefined {
  const { alternatives, ...own } = provider.auth_config;
  const chosen = alternatives?.[type];
  if (!chosen && type !== provider.auth_type) return undefined;
  // Another way in has no use for user and password, unless it says so.
  return chosen ? { ...own, basic: undefined, ...chosen, type } : { ...own, type };
}

/**
 * The base URL of a connection's requests, a template still: the integration's own (`api_base`),
 * else the one of its way in, else the provider's.
 */
export function baseUrlOf(
  provider: Pick<ProviderRow, "base_url">,
  auth: Pick<Auth, "base_url">,
  apiBase?: string | null,
): string | undefined {
  return apiBase || auth.base_url || provider.base_url || undefined;
}

/**
 * The headers that carry credentials, as templates, by lower-case name. A token goes into
 * `Authorization: Bearer` unless the row puts it elsewhere.
 */
export function credentialHeaders(auth: Auth): Record<string, string> {
  const purpose = BEARER[auth.type];
  const own = [...Object.values(auth.headers ?? {}), ...Object.values(auth.query ?? {})];
  const isElsewhere = own.some((template) => template.includes(`{secret.${purpose}}`));
  const headers: Record<string, string> = purpose && !isElsewhere
    ? { authorization: `Bearer {secret.${purpose}}` }
    : {};
  for (const [name, template] of Object.entries(auth.headers ?? {})) {
    headers[name.toLowerCase()] = template;
  }
  return headers;
}

/** The settings and secrets a way in cannot do without. */
export function requiredValues(auth: Auth): { settings: string[]; secrets: string[] } {
  const required = (fields: AuthConfig["settings"]) =>
    Object.entries(fields ?? {}).filter(([, field]) => field.is_required !== false)
      .map(([name]) => name);
  const implied = auth.type === "aws_sigv4" ? ["access_key_id", "secret_access_key"] : [];
  const used = [
    ...Object.values(credentialHeaders(auth)),
    ...Object.values(auth.query ?? {}),
    ...Object.values(auth.basic ?? {}),
  ].flatMap((template) => [...template.matchAll(REFERENCE)]);
  const optional = new Set(
    [...Object.entries(auth.settings ?? {}), ...Object.entries(auth.secrets ?? {})]
      .filter(([, field]) => field.is_required === false).map(([name]) => name),
  );
  const namesIn = (place: string) =>
    used.filter(([, from]) => from === place).map(([, , name]) => name!)
      .filter((name) => !optional.has(name));
  return {
    settings: [...new Set([...required(auth.settings), ...namesIn("connection")])],
    secrets: [...new Set([...implied, ...required(auth.secrets), ...namesIn("secret")])],
  };
}

/** Puts the connection's credentials onto a request and into the places its body marks. */
export function seal(request: BuiltRequest, auth: Auth, values: ConnectionValues): Sealed {
  const headers = { ...request.headers };
  let url = request.url;

  for (const [name, template] of Object.entries(credentialHeaders(auth))) {
    const filled = fill(template, auth, values);
    if (!filled.ok) return filled;
    if (filled.text === undefined) continue;
    if (!/^[\x20-\x7e\x80-\xff]*$/.test(filled.text)) return invalid(name);
    headers[name] = filled.text;
  }
  if (auth.basic) {
    const username = fill(auth.basic.username, auth, values);
    if (!username.ok) return username;
    const password = fill(auth.basic.password, auth, values);
    if (!password.ok) return password;
    const pair = `${username.text ?? ""}:${password.text ?? ""}`;
    const bytes = new TextEncoder().encode(pair);
    headers.authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
  }
  for (const [name, template] of Object.entries(auth.query ?? {})) {
    const filled = fill(template, auth, values);
    if (!filled.ok) return filled;
    if (filled.text === undefined) continue;
    const separator = url.includes("?") ? "&" : "?";
    url += `${separator}${encodeURIComponent(name)}=${encodeURIComponent(filled.text)}`;
  }

  let body = request.body;
  for (const [marker, purpose] of Object.entries(request.markers)) {
    const secret = own(values.secrets, purpose);
    if (secret === undefined) return missing(purpose, "secret");
    if (typeof body === "string") {
      const spelling = request.bodyKind === "form"
        ? new URLSearchParams([["", secret]]).toString().slice(1)
        : JSON.stringify(secret).slice(1, -1);
      body = body.replaceAll(marker, () => spelling);
    } else if (Array.isArray(body)) {
      body = body.map((part) =>
        "value" in part ? { ...part, value: part.value.replaceAll(marker, () => secret) } : part
      );
    }
  }
  return { ok: true, request: { ...request, url, headers, body, markers: {} } };
}

const REFERENCE = /\{(secret|connection)\.([a-z][a-z0-9_]*)\}/g;

type FilledTemplate = { ok: true; text: string | undefined } | Extract<Sealed, { ok: false }>;

/** A template's text; undefined when an optional value it needs is not there. */
function fill(template: string, auth: Auth, values: ConnectionValues): FilledTemplate {
  for (const [, place, name] of template.matchAll(REFERENCE)) {
    const isSecret = place === "secret";
    if (own(isSecret ? values.secrets : values.settings, name!) !== undefined) continue;
    const field = own((isSecret ? auth.secrets : auth.settings) ?? {}, name!);
    if (field?.is_required === false) return { ok: true, text: undefined };
    return missing(name!, isSecret ? "secret" : "setting");
  }
  const text = template.replace(
    REFERENCE,
    (_all, place, name) => String((place === "secret" ? values.secrets : values.settings)[name]),
  );
  return { ok: true, text };
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function missing(name: string, what: string): Extract<Sealed, { ok: false }> {
  const message = `the connection has no ${what} ${name}; connect the account again`;
  return { ok: false, code: "credential_missing", name, message };
}

function invalid(name: string): Sealed {
  const message = `the credential for the header ${name} has characters no header may hold`;
  return { ok: false, code: "credential_invalid", name, message };
}
