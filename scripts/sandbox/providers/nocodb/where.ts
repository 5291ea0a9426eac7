/** A record of a table. */
export type NocoRecord = Record<string, unknown> & { Id: number };

/** An expected failure that becomes NocoDB's JSON error. */
export class NocoError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
    this.name = "NocoError";
  }
}

/** Whether a record is found. */
export type Matches = (record: NocoRecord) => boolean;

/**
 * Compiles a `where`: `(field,operator,value)` joined by `~and`, `~or` and `~not`, in groups of
 * parentheses.
 *
 * @param fields the titles that the table has
 * @throws NocoError `INVALID_FILTER`, `FIELD_NOT_FOUND`
 * @see https://nocodb.com/docs/product-docs/developer-resources/rest-apis/overview#v2-where-query-params
 */
export function compileWhere(where: string, fields: ReadonlySet<string>): Matches {
  let at = 0;
  const invalid = () => new NocoError(422, "INVALID_FILTER", `Invalid filter expression: ${where}`);
  const take = (token: string): boolean => {
    const found = where.startsWith(token, at);
    if (found) at += token.length;
    return found;
  };

  const all = (): Matches => {
    let left = one();
    for (;;) {
      const or = take("~or");
      if (!or && !take("~and")) return left;
      const [first, second] = [left, one()];
      left = or
        ? (record) => first(record) || second(record)
        : (record) => first(record) && second(record);
    }
  };
  const one = (): Matches => {
    if (take("~not")) {
      const negated = one();
      return (record) => !negated(record);
    }
    if (!take("(")) throw invalid();
    if (where[at] === "(" || where.startsWith("~not", at)) {
      const inner = all();
      if (!take(")")) throw invalid();
      return inner;
    }
    const end = closing();
    const [field = "", operator = "", ...values] = where.slice(at, end).split(",");
    at = end + 1;
    if (!fields.has(field)) {
      throw new NocoError(404, "FIELD_NOT_FOUND", `Field '${field}' not found`);
    }
    const test = OPERATORS[operator];
    if (!test) throw invalid();
    const operand = values.join(",").replace(/^"(.*)"$/s, "$1");
    return (record) => test(record[field] ?? null, operand);
  };
  // A value may hold balanced parentheses, or anything in quotes.
  const closing = (): number => {
    let depth = 0;
    let isQuoted = false;
    for (let index = at; index < where.length; index++) {
      const character = where[index];
      if (character === '"') isQuoted = !isQuoted;
      else if (isQuoted) continue;
      else if (character === "(") depth++;
      else if (character === ")" && depth-- === 0) return index;
    }
    throw invalid();
  };

  const matches = all();
  if (at !== where.length) throw invalid();
  return matches;
}

type Test = (held: unknown, value: string) => boolean;

const isBlank = (held: unknown) => held === null || held === "";
const equals: Test = (held, value) =>
  typeof held === "number" ? held === Number(value) : String(held ?? "") === value;
const like: Test = (held, value) => {
  const pattern = value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("%", ".*");
  const source = value.includes("%") ? `^${pattern}$` : pattern;
  return held !== null && new RegExp(source, "is").test(String(held));
};
const anyOf: Test = (held, value) => value.split(",").some((each) => equals(held, each));
const allOf: Test = (held, value) => {
  const values = String(held ?? "").split(",");
  return value.split(",").every((each) => values.includes(each));
};
const is: Test = (held, value) =>
  value === "null"
    ? held === null
    : value === "notnull"
    ? held !== null
    : value === "true"
    ? held === true
    : !held;

function compare(accepts: (order: number) => boolean): Test {
  return (held, value) => {
    if (held === null) return false;
    const [a, b] = typeof held === "number" ? [held, Number(value)] : [String(held), value];
    return accepts(a < b ? -1 : a > b ? 1 : 0);
  };
}

const OPERATORS: Readonly<Record<string, Test>> = {
  eq: equals,
  neq: (held, value) => !equals(held, value),
  not: (held, value) => !equals(held, value),
  gt: compare((order) => order > 0),
  ge: compare((order) => order >= 0),
  gte: compare((order) => order >= 0),
  lt: compare((order) => order < 0),
  le: compare((order) => order <= 0),
  lte: compare((order) => order <= 0),
  like,
  nlike: (held, value) => !like(held, value),
  in: anyOf,
  anyof: anyOf,
  nanyof: (held, value) => !anyOf(held, value),
  allof: allOf,
  is,
  isnot: (held, value) => !is(held, value),
  blank: isBlank,
  notblank: (held) => !isBlank(held),
  null: (held) => held === null,
  notnull: (held) => held !== null,
  checked: (held) => held === true,
  notchecked: (held) => held !== true,
  btw: (held, value) => {
    const [low = "", high = ""] = value.split(",");
    return OPERATORS.ge!(held, low) && OPERATORS.le!(held, high);
  },
};
