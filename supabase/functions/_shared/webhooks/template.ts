/**
 * The small language in which a provider's row says where things stand in a delivery.
 *
 * A reference names one value: `header:x-github-event`, `query:mode`, `body:/action` (JSON pointer
 * into the delivery), `data:/…` (into what the delivery carries, once opened), `item:/…` (into one
 * item of a batch), or a bare fact such as `event_type`, `index`, `sha256`.
 *
 * A template is text with `{reference}` or `{reference|filter}` in it. `[…]` marks a part that is left
 * out when something in it is missing; missing anywhere else, the template gives nothing and the
 * next one of its list is tried: `{header:x-github-event}[.{body:/action}]`.
 */

/** Looks a reference up; undefined when the delivery has no such value. */
export type Lookup = (reference: string) => string | undefined;

/** What a condition asks of a reference: present or absent, or one of these texts. */
export type Expectation = boolean | string | string[];

/** A template that only counts when its conditions hold. */
export interface Conditional {
  if: Record<string, Expectation>;
  then: string;
}

/** Templates in order of preference. */
export type Templates = string | (string | Conditional)[];

const FILTERS: Record<
  string,
  (value: string, argument: string) => string | undefined
> = {
  lower: (value) => value.toLowerCase(),
  /** `a+b%2Fc` as forms and S3 spell keys; text that is not so encoded stays as it is. */
  url_decode: (value) => {
    try {
      return decodeURIComponent(value.replaceAll("+", " "));
    } catch {
      return value;
    }
  },
  /** `a%40b` as paths spell it; text that is not so encoded stays as it is. */
  percent_decode: (value) => {
    try {
      return decodeURIComponent(value);
    } catch {
      return value;
    }
  },
  /** Up to the argument's first occurrence. */
  before: (value, argument) => value.split(argument, 1)[0],
  /** Behind the argument's last occurrence. */
  after: (value, argument) =>
    value.includes(argument) ? value.slice(value.lastIndexOf(argument) + argument.length) : value,
  /** The path segment that follows the named one: `segment:files` of `…/files/abc?alt=json` is `abc`. */
  segment: (value, argument) => {
    const segments = value.split(/[?#]/, 1)[0]!.split("/");
    const index = segments.indexOf(argument);
    return index < 0 ? undefined : segments[index + 1];
  },
};

/** Names that may stand behind `|` in a template. */
export const FILTER_NAMES = Object.keys(FILTERS);

/** `{reference|filter:argument}`, taken apart. */
interface Placeholder {
  reference: string;
  filters: [name: string, argument: string][];
}

/** What stands in `[…]`, or between such parts. */
interface Part {
  isOptional: boolean;
  pieces: (string | Placeholder)[];
}

/** Templates come from a few rows and are filled for every delivery. */
const parsed = new Map<string, Part[]>();
const MAX_PARSED = 2_000;

function parse(template: string): Part[] {
  let parts = parsed.get(template);
  if (parts) return parts;
  parts = template.split(/(\[[^[\]]*\])/).map((text) => {
    const isOptional = text.startsWith("[");
    const inner = isOptional ? text.slice(1, -1) : text;
    const pieces = inner.split(/(\{[^{}]+\})/).map((piece) => {
      if (!/^\{[^{}]+\}$/.test(piece)) return piece;
      const [reference, ...filters] = piece.slice(1, -1).split("|");
      return { reference: reference!, filters: filters.map((filter) => split(filter, ":")) };
    });
    return { isOptional, pieces };
  });
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(template, parts);
  return parts;
}

/**
 * Fills a template.
 *
 * @returns undefined when a value outside of `[…]` is missing
 */
export function renderTemplate(template: string, lookup: Lookup): string | undefined {
  let rendered = "";
  for (const { isOptional, pieces } of parse(template)) {
    const text = fill(pieces, lookup);
    if (text === undefined && !isOptional) return undefined;
    rendered += text ?? "";
  }
  return rendered;
}

function fill(pieces: Part["pieces"], lookup: Lookup): string | undefined {
  let text = "";
  for (const piece of pieces) {
    const value = typeof piece === "string" ? piece : evaluate(piece, lookup);
    if (value === undefined) return undefined;
    text += value;
  }
  return text;
}

function evaluate({ reference, filters }: Placeholder, lookup: Lookup): string | undefined {
  let value = lookup(reference);
  for (const [name, argument] of filters) {
    if (!value) return undefined;
    value = FILTERS[name]?.(value, argument);
  }
  return value === "" ? undefined : value;
}

/**
 * The first template that applies and is complete.
 *
 * @returns undefined when none is
 */
export function renderFirst(
  templates: Templates,
  lookup: Lookup,
): string | undefined {
  for (const entry of typeof templates === "string" ? [templates] : templates) {
    if (typeof entry !== "string" && !holds(entry.if, lookup)) continue;
    const text = renderTemplate(
      typeof entry === "string" ? entry : entry.then,
      lookup,
    );
    if (text) return text;
  }
  return undefined;
}

/** Whether all conditions hold; no conditions always do. */
export function holds(
  conditions: Record<string, Expectation>,
  lookup: Lookup,
): boolean {
  return Object.entries(conditions).every(([reference, expected]) => {
    const value = lookup(reference);
    if (typeof expected === "boolean") {
      return (value !== undefined) === expected;
    }
    return value !== undefined && [expected].flat().includes(value);
  });
}

/** A text at its first separator: `["header", "x-id"]` of `header:x-id`; the rest may be empty. */
export function split(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + separator.length)];
}
