/**
 * Query strings and form bodies.
 *
 * Providers disagree about lists and objects, so a property's schema may say `x-style`, and the
 * schema itself a default for all its properties:
 *
 * | style      | `{a: [1, 2]}` | `{a: {b: 1}}` |
 * | ---------- | ------------- | ------------- |
 * | `repeat`   | `a=1&a=2`     | refused       |
 * | `comma`    | `a=1,2`       | refused       |
 * | `brackets` | `a[0]=1&a[1]=2` | `a[b]=1`    |
 * | `json`     | `a=[1,2]`     | `a={"b":1}`   |
 *
 * Without one, lists are repeated.
 */
import type { JsonSchema } from "./catalogue.ts";

/** The values of `x-style`. */
export const STYLES = ["repeat", "comma", "brackets", "json"] as const;
export type Style = typeof STYLES[number];

export type Pairs =
  | { ok: true; pairs: [string, string][] }
  | { ok: false; name: string; message: string };

/** The style of one parameter, by its schema. */
export function styleOf(schema: JsonSchema, name: string): Style {
  const properties = schema.properties as Record<string, JsonSchema> | undefined;
  const own = properties && Object.hasOwn(properties, name)
    ? properties[name]?.["x-style"]
    : undefined;
  const style = own ?? schema["x-style"];
  return STYLES.includes(style as Style) ? style as Style : "repeat";
}

/**
 * Parameters as name-value pairs, in the order given. Absent ones are left out, and so is null,
 * except in `brackets`, where it is sent empty: that is how such APIs clear a value.
 *
 * @param schema the action's, for `x-style`
 */
export function toPairs(
  parameters: Readonly<Record<string, unknown>>,
  schema: JsonSchema,
): Pairs {
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(parameters)) {
    const style = styleOf(schema, name);
    if (style === "brackets") {
      pairs.push(...bracketPairs(name, value));
    } else if (value === undefined || value === null) {
      continue;
    } else if (typeof value !== "object") {
      pairs.push([name, String(value)]);
    } else if (style === "json") {
      pairs.push([name, JSON.stringify(value)]);
    } else if (!Array.isArray(value) || value.some((item) => typeof item === "object")) {
      return { ok: false, name, message: `the parameter ${name} must be a list of plain values` };
    } else if (style === "comma") {
      if (value.length > 0) pairs.push([name, value.join(",")]);
    } else {
      pairs.push(...value.map((item): [string, string] => [name, String(item)]));
    }
  }
  return { ok: true, pairs };
}

/** `{a: {b: [1]}}` as `a[b][0]=1`. */
function bracketPairs(name: string, value: unknown): [string, string][] {
  if (value === undefined) return [];
  if (value === null) return [[name, ""]];
  if (typeof value !== "object") return [[name, String(value)]];
  return Object.entries(value).flatMap(([key, member]) => bracketPairs(`${name}[${key}]`, member));
}

/** Pairs as a query string, without the question mark; a space is `%20`, brackets stay readable. */
export function toQuery(pairs: readonly [string, string][]): string {
  return pairs.map(([name, value]) =>
    `${encodeName(name)}=${encodeURIComponent(value.toWellFormed())}`
  )
    .join("&");
}

/** Pairs as `application/x-www-form-urlencoded`. */
export function toForm(pairs: readonly [string, string][]): string {
  return new URLSearchParams(pairs as [string, string][]).toString();
}

function encodeName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll("%5B", "[").replaceAll("%5D", "]");
}
