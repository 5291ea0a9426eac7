import { OdooError } from "./errors.ts";
import type { OdooRecord, OdooRecords } from "./records.ts";

/** Whether a record is found. */
export type Matches = (record: OdooRecord) => boolean;

/**
 * Compiles a search domain: terms `[field, operator, value]` in Polish notation with `&`, `|` and
 * `!`, where terms that nothing joins are joined by `&`.
 *
 * @throws OdooError `ValueError`
 * @see https://www.odoo.com/documentation/18.0/developer/reference/backend/orm.html#search-domains
 */
export function compileDomain(records: OdooRecords, model: string, domain: unknown): Matches {
  const invalid = new OdooError(
    "builtins.ValueError",
    `Malformed domain ${JSON.stringify(domain)}`,
  );
  if (!Array.isArray(domain)) throw invalid;
  let at = 0;
  const next = (): Matches => {
    const term = domain[at++];
    if (term === "!") {
      const negated = next();
      return (record) => !negated(record);
    }
    if (term === "&" || term === "|") {
      const [left, right] = [next(), next()];
      return term === "&"
        ? (record) => left(record) && right(record)
        : (record) => left(record) || right(record);
    }
    if (!Array.isArray(term) || term.length !== 3 || typeof term[0] !== "string") throw invalid;
    return compileTerm(records, model, term as [string, string, unknown]);
  };
  const all: Matches[] = [];
  while (at < domain.length) all.push(next());
  return (record) => all.every((matches) => matches(record));
}

function compileTerm(
  records: OdooRecords,
  model: string,
  [path, operator, value]: [string, string, unknown],
): Matches {
  const [name = "", ...rest] = path.split(".");
  const field = records.field(model, name);
  if (rest.length > 0) {
    const { relation } = field;
    if (!relation) {
      throw new OdooError("builtins.ValueError", `Invalid field ${model}.${path} in leaf`);
    }
    const inner = compileTerm(records, relation, [rest.join("."), operator, value]);
    return (record) => related(records, relation, record[name]).some(inner);
  }
  const test = OPERATORS[operator];
  if (!test) {
    const term = `('${path}', '${operator}', ${JSON.stringify(value)})`;
    throw new OdooError("builtins.ValueError", `Invalid operator ${operator} in leaf ${term}`);
  }
  // Text is compared with a relation's names, an id with its ids.
  const byName = field.relation !== undefined &&
    (typeof value === "string" || operator.includes("like"));
  return (record) => {
    const held = name === "display_name" ? records.nameOf(record) : record[name];
    const values = byName
      ? related(records, field.relation!, held).map((each) => records.nameOf(each))
      : Array.isArray(held)
      ? held
      : [held];
    const negative = operator === "!=" || operator.startsWith("not ");
    if (values.length === 0) return negative || value === false;
    return negative
      ? values.every((each) => test(each, value))
      : values.some((each) => test(each, value));
  };
}

function related(records: OdooRecords, model: string, held: unknown): OdooRecord[] {
  const ids = Array.isArray(held) ? held : [held];
  return records.all(model).filter(({ id }) => ids.includes(id));
}

type Test = (held: unknown, value: unknown) => boolean;

const isIn: Test = (held, value) => Array.isArray(value) ? value.includes(held) : held === value;
const like = (pattern: (text: string) => string, flags: string): Test => (held, value) =>
  held !== false && new RegExp(pattern(toRegExp(String(value))), flags).test(String(held));
const anywhere = like((text) => text, "s");
const anywhereIgnoringCase = like((text) => text, "is");

const OPERATORS: Readonly<Record<string, Test>> = {
  "=": (held, value) => held === (value ?? false),
  "!=": (held, value) => held !== (value ?? false),
  ">": (held, value) => held !== false && (held as string) > (value as string),
  ">=": (held, value) => held !== false && (held as string) >= (value as string),
  "<": (held, value) => held !== false && (held as string) < (value as string),
  "<=": (held, value) => held !== false && (held as string) <= (value as string),
  in: isIn,
  "not in": (held, value) => !isIn(held, value),
  like: anywhere,
  ilike: anywhereIgnoringCase,
  "not like": (held, value) => !anywhere(held, value),
  "not ilike": (held, value) => !anywhereIgnoringCase(held, value),
  "=like": like((text) => `^${text}$`, "s"),
  "=ilike": like((text) => `^${text}$`, "is"),
};

/** `%` stands for any text, `_` for one character. */
function toRegExp(pattern: string): string {
  return pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("%", ".*").replaceAll("_", ".");
}
