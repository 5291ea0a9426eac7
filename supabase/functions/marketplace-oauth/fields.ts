/** What a connection must be told to be made: a form's fields, and a check of what was given. */
import { type Problem, validationFailed } from "../_shared/errors.ts";
import { type Auth, requiredValues } from "../_shared/gateway/credentials.ts";
import {
  type AuthProvider,
  authTypeOf,
  type CredentialType,
  offeredTypes,
  type Settings,
} from "../_shared/oauth/context.ts";

/** One value to ask for. */
export interface Field {
  /** Where it goes: into the connection's settings, or into Vault. */
  place: "settings" | "credential";
  name: string;
  title: string;
  description: string | null;
  isRequired: boolean;
  /** Whole-value regular expression. */
  pattern: string | null;
  default: string | null;
  isInteger: boolean;
  /** PEM and JSON files. */
  isMultiline: boolean;
}

/** What was given, checked. */
export interface CredentialInput {
  settings: Settings;
  secrets: Record<string, string>;
}

/** Tokens that the grant itself brings. */
const FETCHED = new Set(["access_token", "refresh_token"]);
const MULTILINE = new Set(["private_key", "service_account_key"]);
/** The longest value; a service account's key file has 2.4 KB. */
const MAX_LENGTH = 16 * 1024;

/**
 * The way in that a connection takes when nobody names one: the provider's own, or the only one that
 * needs no consent in a browser.
 *
 * @returns undefined when that leaves a choice
 */
export function defaultType(
  provider: AuthProvider,
  { inBrowser }: { inBrowser: boolean },
): CredentialType | undefined {
  const types = offeredTypes(provider) as CredentialType[];
  if (inBrowser) return types[0];
  const direct = types.filter((type) => type !== "oauth2");
  return direct.length === 1 || (types[0] !== "oauth2") ? direct[0] : undefined;
}

/**
 * The values a connection of this type is made of.
 *
 * @param known settings that the integration has already
 */
export function fieldsOf(
  auth: Auth,
  type: CredentialType,
  known: Settings,
): Field[] {
  const required = requiredValues(auth);
  const found = new Set(
    Object.keys({ ...auth.health_settings, ...auth.token_settings }),
  );
  const fields: Field[] = [];
  const add = (
    place: Field["place"],
    name: string,
    row: NonNullable<Auth["settings"]>[string] | undefined,
    isRequired: boolean,
  ) =>
    fields.push({
      place,
      name,
      title: row?.title ?? name.replaceAll("_", " "),
      description: row?.description ?? null,
      isRequired: isRequired && row?.default === undefined,
      pattern: row?.pattern ?? null,
      default: row?.default === undefined ? null : String(row.default),
      isInteger: row?.type === "integer",
      isMultiline: MULTILINE.has(name),
    });
  for (
    const name of new Set([
      ...Object.keys(auth.settings ?? {}),
      ...required.settings,
    ])
  ) {
    if (found.has(name) || Object.hasOwn(known, name)) continue;
    add(
      "settings",
      name,
      auth.settings?.[name],
      required.settings.includes(name),
    );
  }
  // What an application has, such as a developer token, is the integration's and not an account's.
  if (type === "oauth2") return fields;
  if (type === "client_credentials") {
    add("credential", "client_id", { title: "Client ID" }, false);
    add("credential", "client_secret", { title: "Client secret" }, false);
    return fields;
  }
  for (
    const name of new Set([
      ...Object.keys(auth.secrets ?? {}),
      ...required.secrets,
    ])
  ) {
    if (FETCHED.has(name)) continue;
    add(
      "credential",
      name,
      auth.secrets?.[name],
      required.secrets.includes(name),
    );
  }
  return fields;
}

/**
 * Checks what was given against the fields.
 *
 * @param form empty texts mean "not given", numbers come as texts
 * @throws AppError `validation_failed` (422), naming each place; values are never in it
 */
export function checkFields(
  fields: readonly Field[],
  given: {
    settings: Record<string, unknown>;
    credential: Record<string, unknown>;
  },
): CredentialInput {
  const problems: Problem[] = [];
  const input: CredentialInput = { settings: {}, secrets: {} };
  for (const place of ["settings", "credential"] as const) {
    for (const name of Object.keys(given[place])) {
      if (
        fields.some((field) => field.place === place && field.name === name)
      ) continue;
      const known = fields.filter((field) => field.place === place).map((
        field,
      ) => field.name);
      problems.push({
        pointer: `/${place}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`,
        message: `is not known here; known are ${known.join(", ") || "none"}`,
      });
    }
  }
  for (const field of fields) {
    const pointer = `/${field.place}/${field.name}`;
    const refuse = (message: string) => problems.push({ pointer, message });
    const value = Object.hasOwn(given[field.place], field.name)
      ? given[field.place][field.name]
      : undefined;
    const text = value === undefined || value === null || value === "" ? field.default : value;
    if (text === null) {
      if (field.isRequired) refuse("is needed");
    } else if (typeof text !== "string" && typeof text !== "number") {
      refuse("must be a text");
    } else if (String(text).length > MAX_LENGTH) {
      refuse(`is longer than ${MAX_LENGTH} characters`);
    } else if (!isClean(String(text), field)) {
      refuse("has characters that may not stand there");
    } else if (
      field.pattern && !new RegExp(`^(?:${field.pattern})$`).test(String(text))
    ) {
      refuse(`does not match ${field.pattern}`);
    } else if (field.isInteger && !/^-?\d{1,15}$/.test(String(text))) {
      refuse("must be a whole number");
    } else if (field.place === "credential") {
      input.secrets[field.name] = String(text);
    } else {
      input.settings[field.name] = field.isInteger ? Number(text) : text;
    }
  }
  if (problems.length > 0) throw validationFailed(problems);
  return input;
}

/** No control characters, but for the line ends of key files; no half surrogates. */
function isClean(text: string, { isMultiline }: Field): boolean {
  const withoutLineEnds = isMultiline ? text.replace(/[\t\r\n]/g, "") : text;
  return text.isWellFormed() && !/\p{Cc}/u.test(withoutLineEnds);
}

/** Whether tokens of this type are fetched with what the connection brings. */
export function isMinted(type: CredentialType): boolean {
  return type === "client_credentials" || type === "service_account" ||
    type === "github_app";
}

/** Whether a provider's row lets an application ask for tokens of its own. */
export function takesClientCredentials(auth: Auth): boolean {
  return authTypeOf("client_credentials") === auth.type &&
    (auth.grant_types ?? []).includes("client_credentials");
}
