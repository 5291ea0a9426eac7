/**
 * JSONata transforms, bounded.
 *
 * The library is loaded when the first action needs it; an expression is compiled once per isolate.
 * Expressions come from the catalogue, values from callers: time, depth and sizes have limits, and
 * expressions that would evaluate a caller's text are refused when compiled.
 * @see https://docs.jsonata.org
 */
import type { Expression } from "jsonata";

/** One evaluation, in milliseconds: far from what any needs, so that a busy machine fails none. */
const TIMEOUT_MS = 1_000;
/** Nested evaluations. */
const DEPTH = 200;
/** Items of one sequence. */
const SEQUENCE = 50_000;
/** Input and output, in characters of JSON. */
const MAX_JSON = 2 * 1024 * 1024;
/** Compiled expressions kept. */
const KEPT = 256;

export type Transformed =
  /** Null when the expression yields nothing. */
  | { ok: true; value: unknown }
  /** `transform_invalid`: the row's fault; `transform_failed`: this input's; `too_large`. */
  | {
    ok: false;
    code: "transform_invalid" | "transform_failed" | "too_large";
    message: string;
  };

type Compiled = { expression: Expression } | { fault: string };

const compiled = new Map<string, Promise<Compiled>>();

/**
 * Applies an expression to a value.
 *
 * @param source a JSONata expression
 * @param bindings variables and functions, `$name` in the expression
 */
export async function transform(
  source: string,
  input: unknown,
  bindings: Record<string, unknown> = {},
): Promise<Transformed> {
  const ready = await compile(source);
  if ("fault" in ready) return { ok: false, code: "transform_invalid", message: ready.fault };
  if ((JSON.stringify(input)?.length ?? 0) > MAX_JSON) return tooLarge("input");
  let output: unknown;
  try {
    output = await ready.expression.evaluate(input, bindings);
  } catch (thrown) {
    return { ok: false, code: "transform_failed", message: describe(thrown) };
  }
  // Through JSON: sequences become plain lists, functions disappear.
  const text = JSON.stringify(output) ?? "null";
  if (text.length > MAX_JSON) return tooLarge("output");
  return { ok: true, value: JSON.parse(text) };
}

/** What is wrong with an expression, undefined when nothing is. */
export async function transformFault(source: string): Promise<string | undefined> {
  const ready = await compile(source);
  return "fault" in ready ? ready.fault : undefined;
}

function compile(source: string): Promise<Compiled> {
  const known = compiled.get(source);
  if (known) {
    compiled.delete(source);
    compiled.set(source, known); // the youngest again
    return known;
  }
  const pending = load(source);
  compiled.set(source, pending);
  if (compiled.size > KEPT) compiled.delete(compiled.keys().next().value!);
  return pending;
}

async function load(source: string): Promise<Compiled> {
  const { default: jsonata } = await import("jsonata");
  let expression: Expression;
  try {
    expression = jsonata(source, { timeout: TIMEOUT_MS, stack: DEPTH, sequence: SEQUENCE });
  } catch (thrown) {
    return { fault: describe(thrown) };
  }
  return reads(expression.ast(), "eval")
    ? { fault: "$eval is not allowed: it would run a caller's text" }
    : { expression };
}

/** Whether an expression names a variable or function, given without the dollar sign. */
function reads(node: unknown, name: string): boolean {
  if (typeof node !== "object" || node === null) return false;
  const { type, value } = node as { type?: unknown; value?: unknown };
  return type === "variable" && value === name ||
    Object.values(node).some((member) => reads(member, name));
}

function tooLarge(which: "input" | "output"): Transformed {
  const message = `the transform's ${which} is larger than ${MAX_JSON} characters of JSON`;
  return { ok: false, code: "too_large", message };
}

/** The library throws plain objects with code and message; values may be in neither. */
function describe(thrown: unknown): string {
  const { code, message, position } = (thrown ?? {}) as Record<string, unknown>;
  // D3137 is $error("…"): the row's own words.
  if (code === "D3137") return String(message);
  const at = typeof position === "number" ? ` at position ${position}` : "";
  return `${code ?? "error"}${at}: ${firstWords(message)}`;
}

function firstWords(message: unknown): string {
  return typeof message === "string" ? message.replace(/\s+/g, " ").slice(0, 200) : "unknown";
}
