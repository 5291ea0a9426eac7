/**
 * What a row of the catalogue must satisfy, so that the gateway can run it as it stands.
 *
 * Everything that only shows when an action is executed is looked for here: a transform that does
 * not parse, a page parameter that does not exist, a check in a schema that nobody makes. Each fault
 * says what to do about it.
 * @module
 */
import type { z } from "zod";
import {
  type ActionRow,
  AuthConfig,
  AuthType,
  HANDLERS,
  type JsonSchema,
  PagingStyle,
  type ProviderRow,
  RateLimitConfig,
  ResponseErrors,
} from "../../supabase/functions/_shared/gateway/catalogue.ts";
import {
  type Auth,
  authOf,
  credentialHeaders,
} from "../../supabase/functions/_shared/gateway/credentials.ts";
import { hasStrayBraces, placeholders } from "../../supabase/functions/_shared/gateway/path.ts";
import { isSecretName } from "../../supabase/functions/_shared/gateway/redact.ts";
import {
  RESERVED_HEADERS,
  sendsRestInQuery,
} from "../../supabase/functions/_shared/gateway/request.ts";
import { patternFault, schemaFaults } from "../../supabase/functions/_shared/gateway/schema.ts";
import { styleOf, STYLES } from "../../supabase/functions/_shared/gateway/serialize.ts";
import { transformFault } from "../../supabase/functions/_shared/gateway/transform.ts";
import type { Catalogue } from "./rows.ts";

/** Something wrong with a row, and the remedy. */
export interface CatalogueFault {
  /** `provider`, or `provider/action`. */
  subject: string;
  /** Which rule; stable. */
  rule: string;
  message: string;
}

type Report = (rule: string, message: string) => void;

/** Looks for faults in every row. */
export async function findFaults({ providers, actions }: Catalogue): Promise<CatalogueFault[]> {
  const faults: CatalogueFault[] = [];
  const bySlug = new Map(providers.map((provider) => [provider.slug, provider]));
  for (const provider of providers) {
    const own = actions.filter((action) => action.provider_slug === provider.slug);
    checkProvider(provider, own, (rule, message) => {
      faults.push({ subject: provider.slug, rule, message });
    });
  }
  for (const action of actions) {
    const subject = `${action.provider_slug}/${action.slug}`;
    const report: Report = (rule, message) => faults.push({ subject, rule, message });
    const provider = bySlug.get(action.provider_slug);
    if (!provider) report("provider", "its provider is not in the catalogue: register it");
    else await checkAction(action, provider, report);
  }
  return faults;
}

// Providers -----------------------------------------------------------------------------------

function checkProvider(provider: ProviderRow, actions: ActionRow[], report: Report): void {
  if (provider.base_url !== null && !provider.base_url.startsWith("https://")) {
    report("base_url", `${provider.base_url} is not https; leave it null for private services`);
  }
  const isAuthValid = parse(AuthConfig, provider.auth_config, "auth_config", report);
  parse(ResponseErrors, provider.response_errors, "response_errors", report);
  if (parse(RateLimitConfig, provider.rate_limit, "rate_limit", report)) {
    checkRateLimit(provider, report);
  }
  for (const [name, value] of Object.entries(provider.request_headers)) {
    if (isSecretName(name) || RESERVED_HEADERS.has(name.toLowerCase()) && name !== "content-type") {
      report("request_headers", `${name} is written by the gateway: declare it in auth_config`);
    }
    if (typeof value !== "string" || !/^[\x20-\x7e]+$/.test(value)) {
      report("request_headers", `the value of ${name} is not a header value`);
    }
  }
  const health = actions.find(({ slug }) => slug === provider.health_action);
  if (provider.health_action !== null && !health) {
    report("health_action", `${provider.health_action} is none of its actions: register it`);
  } else if (health && (!health.is_read_only || requiredOf(health.request_schema).length > 0)) {
    report("health_action", `${health.slug} must be read-only and run without parameters`);
  }
  if (isAuthValid) {
    for (const auth of waysIn(provider)) {
      checkAuth(provider, auth, actions, report);
    }
  }
}

/** The provider's own way in and its alternatives. */
function waysIn(provider: ProviderRow): Auth[] {
  const types = [provider.auth_type, ...Object.keys(provider.auth_config.alternatives ?? {})];
  return [...new Set(types)].map((type) => authOf(provider, AuthType.parse(type))!);
}

const OAUTH_GRANTS = ["authorization_code"];

function checkAuth(
  provider: ProviderRow,
  auth: Auth,
  actions: ActionRow[],
  report: Report,
): void {
  const say = (rule: string, message: string) => report(rule, `${auth.type}: ${message}`);
  if (auth.type === "oauth2") {
    if (!auth.token_url) say("oauth", "has no token_url: without it no token can be had");
    const grants = auth.grant_types ?? OAUTH_GRANTS;
    if (grants.includes("authorization_code") && !auth.authorize_url) {
      say("oauth", "has no authorize_url: add it, or leave authorization_code out of grant_types");
    }
  }
  const sent = [
    ...Object.values(credentialHeaders(auth)),
    ...Object.values(auth.query ?? {}),
    ...Object.values(auth.basic ?? {}),
  ];
  const inBody = actions.some(({ request_transform }) => request_transform?.includes("$secret("));
  if (auth.type === "basic" && !auth.basic) {
    say("credentials", "has no basic: say which templates are user and password");
  }
  const sendsSecret = sent.some((template) => template.includes("{secret.")) || inBody;
  if (!sendsSecret && auth.type !== "none" && auth.type !== "aws_sigv4") {
    say("credentials", "sends no secret: add headers, query or basic with {secret.<purpose>}");
  }

  const urls = [
    auth.base_url ?? provider.base_url,
    auth.authorize_url,
    auth.token_url,
    auth.revoke_url,
  ].filter((url) => typeof url === "string");
  for (const template of [...sent, ...urls]) {
    for (const name of references(template, "connection")) {
      if (auth.settings?.[name] === undefined) {
        say("settings", `${template} needs the setting ${name}: describe it under settings`);
      }
    }
    for (const name of references(template, "secret")) {
      if (name !== "access_token" && auth.secrets?.[name] === undefined) {
        say("secrets", `${template} needs the secret ${name}: describe it under secrets`);
      }
    }
  }
  for (const url of urls) {
    if (hasStrayBraces(url)) {
      say("settings", `${url} has braces that are no {connection.<setting>}`);
    }
    for (const name of references(url.split("/").slice(0, 3).join("/"), "connection")) {
      if (auth.settings?.[name]?.pattern) continue;
      say("settings", `${name} becomes part of a host: give the setting a pattern`);
    }
  }
  for (const [name, field] of Object.entries({ ...auth.settings, ...auth.secrets })) {
    const fault = field.pattern === undefined ? undefined : patternFault(field.pattern);
    if (fault) say("settings", `the pattern of ${name} ${fault}`);
  }
}

function checkRateLimit({ rate_limit }: ProviderRow, report: Report): void {
  const { limit_header, remaining_header, limit_pointer, remaining_pointer } = rate_limit;
  if (!limit_header !== !remaining_header || !limit_pointer !== !remaining_pointer) {
    report("rate_limit", "limit and remaining belong together: name both or neither");
  }
  if (!rate_limit.reset_header !== !rate_limit.reset_format) {
    report("rate_limit", "reset_header and reset_format belong together: name both or neither");
  }
  if (!rate_limit.usage_header !== !rate_limit.usage_format) {
    report("rate_limit", "usage_header and usage_format belong together: name both or neither");
  }
  if (!rate_limit.quota) {
    report("rate_limit", "has no quota: name a limit and its window for a start");
  }
}

// Actions -------------------------------------------------------------------------------------

async function checkAction(
  action: ActionRow,
  provider: ProviderRow,
  report: Report,
): Promise<void> {
  const faults = schemaFaults(action.request_schema);
  for (const { pointer, message } of faults) {
    report("schema", `${pointer || "the root"} ${message}`);
  }
  const { properties, type, additionalProperties } = action.request_schema;
  if (type !== "object" || typeof properties !== "object" || properties === null) {
    report("schema", "must describe an object: {type: object, properties: {…}}");
    return;
  }
  if (additionalProperties === undefined) {
    report("schema", "leaves open what else may come: set additionalProperties");
  }
  checkPlaces(action, provider, properties as Record<string, JsonSchema>, report);
  checkStyles(action, properties as Record<string, JsonSchema>, report);
  await checkTransforms(action, provider, report);
  checkPagination(action, properties as Record<string, JsonSchema>, report);
  checkPromises(action, properties as Record<string, JsonSchema>, report);
}

/** Every parameter has one place, and every place has its parameter. */
function checkPlaces(
  action: ActionRow,
  provider: ProviderRow,
  properties: Record<string, JsonSchema>,
  report: Report,
): void {
  if (hasStrayBraces(action.path)) {
    report("path", "has braces that are no placeholder: {name}, {+name} or {connection.name}");
  }
  const inPath = placeholders(action.path);
  const required = requiredOf(action.request_schema);
  for (const { name, from } of inPath) {
    if (from === "connection") {
      const isKnown = waysIn(provider).every(({ settings }) => settings?.[name] !== undefined);
      if (!isKnown) report("path", `needs the setting ${name}: describe it in auth_config`);
      continue;
    }
    const property = properties[name];
    if (!property) report("path", `needs ${name}: describe it under properties`);
    else if (!required.includes(name) && property.default === undefined) {
      report("path", `needs ${name}: require it or give it a default`);
    }
    if (property && isComposite(property)) report("path", `${name} must be a text or number`);
  }
  const placed = [
    ...inPath.filter(({ from }) => from === "parameters").map(({ name }) => name),
    ...action.query_parameters,
    ...Object.keys(action.header_parameters),
  ];
  for (const name of action.query_parameters) {
    if (!properties[name]) report("query_parameters", `${name} is not described in the schema`);
  }
  for (const [name, header] of Object.entries(action.header_parameters)) {
    if (!properties[name]) report("header_parameters", `${name} is not described in the schema`);
    if (!/^[A-Za-z0-9-]+$/.test(header) || RESERVED_HEADERS.has(header.toLowerCase())) {
      report("header_parameters", `${header} is not a header that a parameter may set`);
    }
  }
  for (const name of new Set(placed.filter((name, index) => placed.indexOf(name) !== index))) {
    report("places", `${name} has two places: leave it in one of path, query and headers`);
  }
}

/** Objects in a query or form are written in a way that somebody chose. */
function checkStyles(
  action: ActionRow,
  properties: Record<string, JsonSchema>,
  report: Report,
): void {
  const inPath = placeholders(action.path).map(({ name }) => name);
  const isForm = action.body_type === "form" && action.request_transform === null;
  for (const [name, property] of Object.entries(properties)) {
    const style = property["x-style"];
    if (style !== undefined && !STYLES.includes(style as typeof STYLES[number])) {
      report("x-style", `${style} of ${name} is unknown: use ${STYLES.join(", ")}`);
    }
    const isPlaced = inPath.includes(name) || Object.hasOwn(action.header_parameters, name);
    const isWritten = action.query_parameters.includes(name) ||
      (!isPlaced && !action.handler && (sendsRestInQuery(action) || isForm));
    const chosen = styleOf(action.request_schema, name);
    if (isWritten && holdsObjects(property) && chosen !== "brackets" && chosen !== "json") {
      report("x-style", `${name} holds objects: say x-style brackets or json`);
    }
  }
  const style = action.request_schema["x-style"];
  if (style !== undefined && !STYLES.includes(style as typeof STYLES[number])) {
    report("x-style", `${style} is unknown: use ${STYLES.join(", ")}`);
  }
}

async function checkTransforms(
  action: ActionRow,
  provider: ProviderRow,
  report: Report,
): Promise<void> {
  const { request_transform: request, response_transform: response } = action;
  const fault = request === null ? undefined : await transformFault(request);
  if (fault) report("request_transform", fault);
  if (request !== null && action.handler) {
    report("request_transform", `is never run: the handler ${action.handler} makes the request`);
  } else if (request !== null && sendsRestInQuery(action)) {
    report("request_transform", `yields a body, which ${action.method} with this body_type lacks`);
  }
  for (const { settings, secrets } of request === null ? [] : waysIn(provider)) {
    for (const [, name] of request!.matchAll(/\$connection\.([a-z_]+)/g)) {
      if (!settings?.[name!]) report("request_transform", `reads the unknown setting ${name}`);
    }
    for (const [, name] of request!.matchAll(/\$secret\("([^"]*)"\)/g)) {
      if (!secrets?.[name!]) report("request_transform", `reads the unknown secret ${name}`);
    }
  }
  const responseFault = response === null ? undefined : await transformFault(response);
  if (responseFault) report("response_transform", responseFault);
  if (response !== null && action.response_type !== "json") {
    report("response_transform", `needs JSON to work on, not ${action.response_type}`);
  }
}

function checkPagination(
  action: ActionRow,
  properties: Record<string, JsonSchema>,
  report: Report,
): void {
  const { pagination } = action;
  if (Object.keys(pagination).length === 0) return;
  if (!parse(PagingStyle, pagination, "pagination", report) || !("style" in pagination)) return;
  if (!action.is_read_only) report("pagination", "pages through a write: set is_read_only");
  if (action.response_type !== "json") report("pagination", "needs an answer in JSON");
  if (pagination.style === "link") return;
  if (!properties[pagination.parameter]) {
    report("pagination", `${pagination.parameter} is not described in the schema`);
  }
  if (pagination.style === "cursor") {
    if ((pagination.next === undefined) === (pagination.next_of_last_item === undefined)) {
      report("pagination", "says where the cursor stands in one of next and next_of_last_item");
    }
    return;
  }
  const size = pagination.size_parameter;
  if (size !== undefined && !properties[size]) {
    report("pagination", `${size} is not described in the schema`);
  }
  const saysTheEnd = pagination.is_last ??
    (pagination.style === "page" ? pagination.more : pagination.total) ??
    (size !== undefined && pagination.default_size !== undefined ? size : undefined);
  if (saysTheEnd === undefined) {
    report("pagination", "never ends: name is_last, more or total, or size and default_size");
  }
}

/** What a row promises about repeating, logging and running it. */
function checkPromises(
  action: ActionRow,
  properties: Record<string, JsonSchema>,
  report: Report,
): void {
  const isRead = action.method === "GET" || action.method === "HEAD";
  if (isRead && !action.is_read_only) report("is_read_only", `${action.method} only reads: set it`);
  if (isRead && action.body_type !== "none") {
    report("body_type", `${action.method} has no body: set none`);
  }
  if (action.is_read_only && !action.is_idempotent) {
    report("is_idempotent", "reading may be repeated: set it");
  }
  if ((action.method === "PUT" || action.method === "DELETE") && !action.is_idempotent) {
    report("is_idempotent", `${action.method} may be repeated: set it, or use another method`);
  }
  if (action.idempotency_header && action.is_read_only) {
    report("idempotency_header", "is of no use to a read: leave it out");
  }
  if (action.idempotency_header && RESERVED_HEADERS.has(action.idempotency_header.toLowerCase())) {
    report("idempotency_header", `${action.idempotency_header} is written by the gateway`);
  }
  if (action.handler && !Object.hasOwn(HANDLERS, action.handler)) {
    report("handler", `${action.handler} is none of ${Object.keys(HANDLERS).join(", ")}`);
  }
  if (action.body_type === "binary" && !action.handler) {
    report("body_type", "binary needs a handler that knows where the bytes are");
  }
  for (const path of action.sensitive_paths) {
    if (!/^(\/([^~/]|~[01])*)+$/.test(path)) {
      report("sensitive_paths", `${path} is not a JSON pointer, such as /attachments/*/data`);
    }
  }
  for (const [name, property] of Object.entries(properties)) {
    if (
      property.const === undefined && isSecretName(name) &&
      !action.sensitive_paths.includes(`/${name}`)
    ) {
      report("sensitive_paths", `${name} looks like a credential: add /${name}`);
    }
  }
}

// Helpers -------------------------------------------------------------------------------------

function parse(schema: z.ZodType, value: unknown, rule: string, report: Report): boolean {
  const parsed = schema.safeParse(value);
  for (const issue of parsed.error?.issues ?? []) {
    report(rule, `${issue.path.join(".") || "it"}: ${issue.message}`);
  }
  return parsed.success;
}

function references(template: string, place: "connection" | "secret"): string[] {
  return [...template.matchAll(/\{(connection|secret)\.([^}]*)\}/g)]
    .filter(([, from]) => from === place).map(([, , name]) => name!);
}

function requiredOf(schema: JsonSchema): string[] {
  return Array.isArray(schema.required) ? schema.required as string[] : [];
}

function isComposite(schema: JsonSchema): boolean {
  return [schema.type ?? []].flat().some((type) => type === "object" || type === "array");
}

/** Whether a value may be an object, or a list with objects or lists in it. */
function holdsObjects(schema: JsonSchema): boolean {
  const types = [schema.type ?? []].flat();
  if (types.includes("object")) return true;
  const items = schema.items;
  return types.includes("array") && typeof items === "object" && items !== null &&
    isComposite(items as JsonSchema);
}
