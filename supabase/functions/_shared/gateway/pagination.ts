/**
 * The next page, from the answer of this one.
 *
 * Every style ends in parameters: the next request is built from them like any other, so that no
 * answer can send the gateway to another host.
 */
import type { ActionRow, JsonSchema, Pagination } from "./catalogue.ts";
import { placeholders } from "./path.ts";
import { atPointer } from "./pointer.ts";
import { styleOf } from "./serialize.ts";

/** An answer, as far as paging is concerned. */
export interface PageAnswer {
  /** As the provider sent it, before any transform. */
  body: unknown;
  headers: Pick<Headers, "get">;
}

/** The items of a page; undefined when the action is not paginated or the answer has no list. */
export function itemsOf(pagination: Pagination, body: unknown): unknown[] | undefined {
  if (!("style" in pagination)) return undefined;
  const items = atPointer(body, pagination.items);
  return Array.isArray(items) ? items : undefined;
}

/**
 * The parameters of the next page, undefined when this one was the last.
 *
 * @param parameters those of this page
 */
export function nextPage(
  action: Pick<ActionRow, "pagination" | "path" | "request_schema" | "query_parameters">,
  parameters: Readonly<Record<string, unknown>>,
  answer: PageAnswer,
): Record<string, unknown> | undefined {
  const { pagination } = action;
  if (!("style" in pagination)) return undefined;
  const items = itemsOf(pagination, answer.body) ?? [];
  switch (pagination.style) {
    case "cursor": {
      if (pagination.more !== undefined && !atPointer(answer.body, pagination.more)) {
        return undefined;
      }
      const next = pagination.next_of_last_item === undefined
        ? atPointer(answer.body, pagination.next ?? "")
        : atPointer(items.at(-1), pagination.next_of_last_item);
      if ((typeof next !== "string" && typeof next !== "number") || next === "") return undefined;
      // The same cursor again would go round in circles.
      return next === parameters[pagination.parameter]
        ? undefined
        : { ...parameters, [pagination.parameter]: next };
    }
    case "page": {
      if (isLast(pagination, answer.body, items, parameters)) return undefined;
      const page = Number(parameters[pagination.parameter] ?? pagination.first ?? 1);
      return { ...parameters, [pagination.parameter]: page + 1 };
    }
    case "offset": {
      if (isLast(pagination, answer.body, items, parameters)) return undefined;
      const offset = Number(parameters[pagination.parameter] ?? 0) + items.length;
      const total = pagination.total && atPointer(answer.body, pagination.total);
      if (typeof total === "number" && offset >= total) return undefined;
      return { ...parameters, [pagination.parameter]: offset };
    }
    case "link":
      return followLink(action, pagination.next, parameters, answer);
  }
}

type Counted = Extract<Pagination, { style: "page" | "offset" }>;

/** Whether a counted page is the last: it says so, it is empty, or it is not full. */
function isLast(
  pagination: Counted,
  body: unknown,
  items: unknown[],
  parameters: Readonly<Record<string, unknown>>,
): boolean {
  if (items.length === 0) return true;
  if (pagination.is_last !== undefined) return Boolean(atPointer(body, pagination.is_last));
  if (pagination.style === "page" && pagination.more !== undefined) {
    return !atPointer(body, pagination.more);
  }
  if (pagination.style === "offset" && pagination.total !== undefined) return false;
  const size = parameters[pagination.size_parameter ?? ""] ?? pagination.default_size;
  return typeof size === "number" && items.length < size;
}

/**
 * The query of the next page's link replaces this page's; only parameters that the schema knows are
 * taken over, and the link's host and path are ignored.
 */
function followLink(
  action: Pick<ActionRow, "path" | "request_schema">,
  pointer: string | undefined,
  parameters: Readonly<Record<string, unknown>>,
  answer: PageAnswer,
): Record<string, unknown> | undefined {
  const link = pointer === undefined
    ? nextLink(answer.headers.get("link"))
    : atPointer(answer.body, pointer);
  if (typeof link !== "string" || link === "") return undefined;
  const properties = (action.request_schema.properties ?? {}) as Record<string, JsonSchema>;
  const query = new URL(link, "https://link.invalid").searchParams;
  const inPath = new Set(placeholders(action.path).map(({ name }) => name));
  const next: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(parameters)) {
    if (inPath.has(name)) next[name] = value;
  }
  for (const name of new Set(query.keys())) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!property || inPath.has(name)) continue;
    const values = query.getAll(name);
    const isList = styleOf(action.request_schema, name) === "comma";
    next[name] = typed(isList ? values.flatMap((value) => value.split(",")) : values, property);
  }
  return sameEntries(next, parameters) ? undefined : next;
}

/**
 * The target of `rel="next"`.
 * @see https://www.rfc-editor.org/rfc/rfc8288
 */
export function nextLink(header: string | null): string | undefined {
  for (const [, target, attributes] of (header ?? "").matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*("[^"]*\bnext\b[^"]*"|next\b)/i.test(attributes!)) return target;
  }
  return undefined;
}

function typed(values: string[], { type }: JsonSchema): unknown {
  const [first = ""] = values;
  if (type === "array") return values;
  if (type === "boolean") return first === "true";
  if (type === "integer" || type === "number") return Number(first);
  return first;
}

function sameEntries(a: Record<string, unknown>, b: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => JSON.stringify(a[name]) === JSON.stringify(b[name]));
}
