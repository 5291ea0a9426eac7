/** An action of the catalogue as an HTTP request. */
import { z } from "zod";
import { AppError } from "../_shared/errors.ts";
import type { Integration } from "../_shared/transfer/types.ts";

/** A row of `marketplace.actions`, as far as data alone can be run. */
export interface Action {
  provider_slug: string;
  slug: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  request_schema: Record<string, unknown>;
  query_parameters: string[];
  header_parameters: Record<string, string>;
  body_type: "none" | "json" | "form" | "multipart" | "binary";
  response_type: "json" | "text" | "binary" | "none";
  request_transform: string | null;
  response_transform: string | null;
  handler: string | null;
  is_read_only: boolean;
  is_idempotent: boolean;
  timeout_ms: number;
}

type JsonSchema = Exclude<Parameters<typeof z.fromJSONSchema>[0], boolean>;

/** Parameters by name. */
export type ActionParameters = Record<string, unknown>;

/** What is sent, but for the credential. */
export interface ActionRequest {
  method: Action["method"];
  url: string;
  headers: Record<string, string>;
  body?: string;
}

/**
 * Checks parameters against the action's JSON Schema.
 *
 * @returns the parameters, defaults filled in
 * @throws AppError `parameters_invalid` (422) naming each path
 */
export function validateParameters(action: Action, parameters: ActionParameters): ActionParameters {
  const schema = z.fromJSONSchema(action.request_schema as JsonSchema);
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return parsed.data as ActionParameters;
  const problems = parsed.error.issues.map((issue) =>
    `${["parameters", ...issue.path].join(".")}: ${issue.message}`
  );
  throw new AppError("parameters_invalid", 422, problems.join("; "));
}

/**
 * Puts parameters where they belong: into the path, the query, headers, and the rest into the body
 * (reads and deletions have none: there the rest goes into the query).
 *
 * @throws AppError `action_unsupported` (501), `parameters_invalid` (422),
 *   `integration_misconfigured` (422)
 */
export function buildRequest(
  action: Action,
  integration: Pick<Integration, "slug" | "base_url">,
  parameters: ActionParameters,
): ActionRequest {
  const needsCode = action.handler ?? action.request_transform ?? action.response_transform;
  if (
    needsCode !== null || action.body_type === "multipart" || action.body_type === "binary" ||
    action.response_type === "binary"
  ) {
    throw new AppError(
      "action_unsupported",
      501,
      `Action ${action.slug} of ${action.provider_slug} needs more than JSON in and out.`,
    );
  }
  if (!integration.base_url) {
    throw new AppError(
      "integration_misconfigured",
      422,
      `Integration ${integration.slug} has no base URL: set api_base in its config.`,
    );
  }
  const rest = new Map(Object.entries(parameters).filter(([, value]) => value !== undefined));
  const take = (name: string) => {
    const value = rest.get(name);
    rest.delete(name);
    return value;
  };
  const path = action.path.replace(/\{([A-Za-z0-9_]+)\}/g, (_, name: string) => {
    const value = take(name);
    const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
    // A dot segment would be resolved away and lead to another path.
    if (text === "" || text === "." || text === "..") {
      throw new AppError("parameters_invalid", 422, `parameters.${name}: is needed in the path`);
    }
    return encodeURIComponent(text);
  });
  const url = new URL(`${integration.base_url}${path}`);
  const headers: Record<string, string> = { accept: "application/json" };
  for (const [name, header] of Object.entries(action.header_parameters)) {
    const value = take(name);
    if (value !== undefined) headers[header] = String(value);
  }
  const hasBody = action.method !== "GET" && action.method !== "DELETE" &&
    action.body_type !== "none";
  for (const name of hasBody ? action.query_parameters : [...rest.keys()]) {
    append(url.searchParams, name, take(name));
  }
  const request = { method: action.method, url: url.href, headers };
  if (!hasBody) return request;
  if (action.body_type === "form") {
    const form = new URLSearchParams();
    for (const [name, value] of rest) append(form, name, value);
    headers["content-type"] = "application/x-www-form-urlencoded";
    return { ...request, body: form.toString() };
  }
  headers["content-type"] = "application/json; charset=utf-8";
  return { ...request, body: JSON.stringify(Object.fromEntries(rest)) };
}

/** Lists repeat their name; objects travel as JSON text. */
function append(target: URLSearchParams, name: string, value: unknown): void {
  if (value === undefined || value === null) return;
  for (const each of Array.isArray(value) ? value : [value]) {
    target.append(name, typeof each === "object" ? JSON.stringify(each) : String(each));
  }
}
