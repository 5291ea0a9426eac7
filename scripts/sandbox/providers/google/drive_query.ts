import { GoogleError } from "./errors.ts";

/** The fields of a file that a search can look at. */
export interface Searchable {
  id: string;
  name: string;
  mimeType: string;
  parents: readonly string[];
  trashed: boolean;
  modifiedAt: number;
  createdAt: number;
  appProperties: Readonly<Record<string, string>>;
  properties: Readonly<Record<string, string>>;
}

/** Whether a file is found. */
export type Predicate = (file: Searchable) => boolean;

const TOKEN = /\s*('(?:\\.|[^'\\])*'|[()={}]|!=|<=|>=|<|>|[A-Za-z]+)/y;

/**
 * Compiles the part of Drive's search language that people use: `name`, `mimeType`, `trashed`,
 * `modifiedTime`, `createdTime`, `'<id>' in parents`, `appProperties has {…}`, joined by `and`,
 * `or`, `not` and parentheses.
 *
 * @throws GoogleError `invalid` for everything else
 * @see https://developers.google.com/workspace/drive/api/guides/ref-search-terms
 */
export function parseQuery(text: string): Predicate {
  const tokens = tokenize(text);
  let at = 0;
  const peek = () => tokens[at] ?? "";
  const take = (): string => tokens[at++] ?? "";
  const expect = (wanted: string) => {
    if (take() !== wanted) throw invalid(text);
  };

  const or = (): Predicate => {
    let left = and();
    while (peek() === "or") {
      take();
      const [first, second] = [left, and()];
      left = (file) => first(file) || second(file);
    }
    return left;
  };
  const and = (): Predicate => {
    let left = term();
    while (peek() === "and") {
      take();
      const [first, second] = [left, term()];
      left = (file) => first(file) && second(file);
    }
    return left;
  };
  const term = (): Predicate => {
    if (peek() === "not") {
      take();
      const negated = term();
      return (file) => !negated(file);
    }
    if (peek() === "(") {
      take();
      const inner = or();
      expect(")");
      return inner;
    }
    if (peek().startsWith("'")) {
      const id = unquote(take());
      expect("in");
      expect("parents");
      return (file) => file.parents.includes(id);
    }
    return comparison(take(), take());
  };
  const comparison = (field: string, operator: string): Predicate => {
    if (field === "appProperties" || field === "properties") return property(field, operator);
    const operand = take();
    if (field === "trashed" && /^(true|false)$/.test(operand)) {
      if (operator === "=") return (file) => file.trashed === (operand === "true");
      if (operator === "!=") return (file) => file.trashed !== (operand === "true");
    }
    if (!operand.startsWith("'")) throw invalid(text);
    const wanted = unquote(operand);
    if (field === "name" || field === "mimeType") return textTest(field, operator, wanted);
    if (field === "modifiedTime") return timeTest((file) => file.modifiedAt, operator, wanted);
    if (field === "createdTime") return timeTest((file) => file.createdAt, operator, wanted);
    throw invalid(text);
  };
  const property = (field: "appProperties" | "properties", operator: string): Predicate => {
    if (operator !== "has") throw invalid(text);
    for (const word of ["{", "key", "="]) expect(word);
    const key = unquote(take());
    for (const word of ["and", "value", "="]) expect(word);
    const value = unquote(take());
    expect("}");
    return (file) => file[field][key] === value;
  };
  const textTest = (field: "name" | "mimeType", operator: string, wanted: string): Predicate => {
    const lower = wanted.toLowerCase();
    if (operator === "=") return (file) => file[field] === wanted;
    if (operator === "!=") return (file) => file[field] !== wanted;
    // For names Drive's `contains` matches the beginnings of words only.
    if (operator === "contains" && field === "name") {
      return (file) =>
        ` ${file.name.toLowerCase().replace(/[._-]/g, " ")}`.includes(` ${lower}`) ||
        file.name.toLowerCase().startsWith(lower);
    }
    if (operator === "contains") return (file) => file.mimeType.toLowerCase().startsWith(lower);
    throw invalid(text);
  };
  const timeTest = (
    read: (file: Searchable) => number,
    operator: string,
    wanted: string,
  ): Predicate => {
    const limit = Date.parse(/[zZ]|[+-]\d\d:\d\d$/.test(wanted) ? wanted : `${wanted}Z`);
    if (Number.isNaN(limit)) throw invalid(text);
    const tests: Record<string, Predicate> = {
      "<": (file) => read(file) < limit,
      "<=": (file) => read(file) <= limit,
      "=": (file) => read(file) === limit,
      "!=": (file) => read(file) !== limit,
      ">": (file) => read(file) > limit,
      ">=": (file) => read(file) >= limit,
    };
    const test = tests[operator];
    if (!test) throw invalid(text);
    return test;
  };

  const predicate = or();
  if (at !== tokens.length) throw invalid(text);
  return predicate;
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    tokens.push(match[1]!);
    if (text.slice(TOKEN.lastIndex).trim() === "") return tokens;
  }
  throw invalid(text);
}

function unquote(token: string): string {
  if (!token.startsWith("'")) throw invalid(token);
  return token.slice(1, -1).replace(/\\(.)/g, "$1");
}

function invalid(_text: string): GoogleError {
  return new GoogleError("invalid", "Invalid Value", { location: "q", locationType: "parameter" });
}
