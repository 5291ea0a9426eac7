/**
 * Paths and base URLs with placeholders.
 *
 * - `{name}`: one parameter as one path segment, everything but unreserved characters encoded
 * - `{+name}`: one parameter that may hold slashes; each segment is encoded by itself
 * - `{connection.name}`: a setting of the connection
 *
 * No value can leave its place: a `.` or `..` segment is refused in whatever encoding, and a setting
 * inside a host name must be a single DNS label.
 */

/** A placeholder of a path. */
export interface Placeholder {
  name: string;
  /** Filled from the parameters, or from the connection's settings. */
  from: "parameters" | "connection";
  /** May hold slashes. */
  isGreedy: boolean;
}

export type Filled =
  | { ok: true; text: string }
  | { ok: false; name: string; message: string };

const PLACEHOLDER = /\{(\+?)(connection\.)?([A-Za-z_$][\w.$-]*)\}/g;

/** The placeholders of a path or base URL, in order. */
export function placeholders(template: string): Placeholder[] {
  return [...template.matchAll(PLACEHOLDER)].map(([, plus, connection, name]) => ({
    name: name!,
    from: connection ? "connection" : "parameters",
    isGreedy: plus === "+",
  }));
}

/** Whether braces stand in a template beyond its placeholders. */
export function hasStrayBraces(template: string): boolean {
  return /[{}]/.test(template.replace(PLACEHOLDER, ""));
}

/**
 * Fills a path's placeholders.
 *
 * @param path for example `/repos/{owner}/{repo}/contents/{+path}`
 */
export function fillPath(
  path: string,
  parameters: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
): Filled {
  let failure: Filled | undefined;
  const text = path.replace(PLACEHOLDER, (_all, plus, connection, name) => {
    const source = connection ? settings : parameters;
    const filled = encodeSegments(Object.hasOwn(source, name) ? source[name] : undefined, {
      isGreedy: plus === "+",
    });
    if (typeof filled === "string") return filled;
    const place = connection ? "connection's setting" : "parameter";
    failure ??= { ok: false, name, message: `the ${place} ${name} ${filled.problem}` };
    return "";
  });
  return failure ?? { ok: true, text };
}

function encodeSegments(
  value: unknown,
  { isGreedy }: { isGreedy: boolean },
): string | { problem: string } {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    return { problem: "is missing" };
  }
  const text = String(value);
  if (text === "") return { problem: "is empty" };
  if (!text.isWellFormed()) return { problem: "is not well-formed Unicode" };
  // deno-lint-ignore no-control-regex
  if (/[\0-\x1f\x7f]/.test(text)) return { problem: "has control characters in it" };
  if (climbs(text)) return { problem: "may not hold a . or .. segment" };
  if (!isGreedy) return encodeURIComponent(text);
  const segments = text.split("/");
  // A trailing slash is a folder's; any other empty segment is a mistake.
  if (segments.slice(0, -1).includes("")) return { problem: "has an empty path segment" };
  return segments.map(encodeURIComponent).join("/");
}

/** Whether a segment is `.` or `..`, also when somebody decodes once or twice on the way. */
export function climbs(text: string): boolean {
  for (let round = 0, current = text; round < 3; round++) {
    if (current.split(/[/\\]/).some((segment) => segment === "." || segment === "..")) return true;
    const decoded = current.replace(/%(2e|2f|5c|25)/gi, (code) => decodeURIComponent(code));
    if (decoded === current) return false;
    current = decoded;
  }
  return false;
}

/**
 * Fills a base URL's `{connection.<setting>}`.
 *
 * A setting in the host stands for one DNS label, so that the provider's own domain stays what the
 * row says.
 *
 * @param template for example `https://{connection.shop}.myshopify.com/admin/api/2026-01`
 */
export function fillBaseUrl(
  template: string,
  settings: Readonly<Record<string, unknown>>,
): Filled {
  const [, origin, path] = /^(https?:\/\/[^/]*)(.*)$/.exec(template) ?? [];
  if (origin === undefined || path === undefined) {
    return { ok: false, name: "base_url", message: "the base URL is not an http(s) URL" };
  }
  let failure: Filled | undefined;
  const host = origin.replace(PLACEHOLDER, (_all, _plus, _connection, name) => {
    const value = String((Object.hasOwn(settings, name) ? settings[name] : "") ?? "");
    if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value)) return value;
    failure ??= {
      ok: false,
      name,
      message: value === ""
        ? `the connection's setting ${name} is missing`
        : `the connection's setting ${name} is not a single host label such as "acme"`,
    };
    return "";
  });
  const rest = fillPath(path, {}, settings);
  if (failure) return failure;
  return rest.ok ? { ok: true, text: `${host}${rest.text}`.replace(/\/+$/, "") } : rest;
}
