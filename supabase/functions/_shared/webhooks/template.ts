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

/**
 * Fills a template.
 *
 * @returns undefined when a value outside of `[…]` is missing
 */
export function renderTemplate(
  template: string,
  lookup: Lookup,
): string | undefined {
  let missing = false;
  const fill = (text: string): { text: string; complete: boolean } => {
    let complete = true;
    const filled = text.replace(
      /\{([^{}]+)\}/g,
      (_placeholder, expression: string) => {
        const value = evaluate(expression, lookup);
        if (value === undefined) complete = false;
        return value ?? "";
      },
    );
    return { text: filled, complete };
  };
  // Split before filling: a value that holds a bracket must not be taken for the template's own.
  const rendered = template.split(/(\[[^[\]]*\])/).map((part) => {
    const optional = part.startsWith("[");
    const filled = fill(optional ? part.slice(1, -1) : part);
    if (filled.complete) return filled.text;
    if (!optional) missing = true;
    return "";
  });
  return missing ? undefined : rendered.join("");
}

function evaluate(expression: string, lookup: Lookup): string | undefined {
  const [reference, ...filters] = expression.split("|");
  let value = lookup(reference!);
  for (const filter of filters) {
    if (!value) return undefined;
    const [name, argument] = split(filter, ":");
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
