/**
 * Validation of parameters against an action's JSON Schema, through `z.fromJSONSchema`.
 *
 * The converter covers most of draft 2020-12. What it refuses, and what it silently passes over,
 * {@link schemaFaults} finds, so that a row never promises a check that is not made:
 *
 * - `not` (but for `{"not": {}}`), `if`/`then`/`else`, `unevaluatedProperties`, `unevaluatedItems`,
 *   `dependentSchemas`, `dependentRequired`, `$anchor`, `$dynamicRef` and references to anything
 *   but `#/$defs/…`
 * - keywords beside a `$ref`, and keywords without the `type` they are about
 * - names in `required` that `properties` does not list
 * - objects and lists in `enum` and `const`
 * - a schema for `additionalProperties` beside `patternProperties`
 * - `minItems` and `maxItems` without `items` or `prefixItems`
 * - unknown formats, `uri-reference`, and patterns that need the `u` flag
 */
import { z } from "zod";
import type { JsonSchema } from "./catalogue.ts";
import { atPointer, toPointer } from "./pointer.ts";

/** What is wrong, and where: a JSON pointer into the parameters or into the schema. */
export interface Fault {
  pointer: string;
  message: string;
}

export type Validated =
  /** `parameters` are the caller's with the schema's defaults filled in. */
  | { ok: true; parameters: Record<string, unknown> }
  | { ok: false; errors: Fault[] };

/** Compiled schemas kept. */
const KEPT = 256;
const compiled = new Map<string, z.ZodType>();

/**
 * Validates parameters.
 *
 * @param schema an action's `request_schema`
 * @throws Error when the schema cannot be compiled, which catalogue:check would have told
 */
export function validate(schema: JsonSchema, parameters: unknown): Validated {
  const parsed = compile(schema).safeParse(parameters);
  if (parsed.success) return { ok: true, parameters: parsed.data as Record<string, unknown> };
  const errors = parsed.error.issues.flatMap((issue) => toFaults(issue, parameters, []));
  return { ok: false, errors };
}

function compile(schema: JsonSchema): z.ZodType {
  const key = JSON.stringify(schema);
  let known = compiled.get(key);
  if (known) compiled.delete(key);
  // A registry of its own: the global one would keep every schema's annotations for ever.
  known ??= z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0], {
    registry: z.registry<Record<string, unknown>>(),
  });
  compiled.set(key, known);
  if (compiled.size > KEPT) compiled.delete(compiled.keys().next().value!);
  return known;
}

type Issue = z.core.$ZodIssue;

/** Errors in the words of somebody who sent JSON; values are never repeated. */
function toFaults(issue: Issue, parameters: unknown, above: PropertyKey[]): Fault[] {
  const path = [...above, ...issue.path];
  const pointer = toPointer(path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      pointer: toPointer([...path, key]),
      message: "is not known here",
    }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // The branches that came furthest say it best.
    const furthest = Math.max(...issue.errors.map(depth));
    const best = issue.errors.filter((branch) => depth(branch) === furthest)
      .map((branch) => branch.flatMap((inner) => toFaults(inner, parameters, path)));
    if (best.length === 1) return best[0]!;
    const said = best.map((faults) =>
      faults.map((fault) => `${fault.pointer.slice(pointer.length)} ${fault.message}`.trim())
        .join(", ")
    );
    return [{ pointer, message: [...new Set(said)].join(" or ") }];
  }
  if (issue.code === "invalid_key") {
    const [inner] = issue.issues;
    return [{ pointer, message: `has a name that is not allowed: ${inner?.message ?? "invalid"}` }];
  }
  const isMissing = issue.code === "invalid_type" || issue.code === "invalid_value";
  if (isMissing && atPointer(parameters, pointer) === undefined) {
    return [{ pointer, message: "is required" }];
  }
  const message = issue.message.replace(/^Invalid (input|option|string): /, "");
  return [{ pointer, message: message.charAt(0).toLowerCase() + message.slice(1) }];
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

const ANYWHERE = [
  "type",
  "enum",
  "const",
  "anyOf",
  "oneOf",
  "allOf",
  "not",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "$comment",
];
const AT_ROOT = ["$schema", "$id", "$defs"];
const BY_TYPE: Record<string, string[]> = {
  string: ["minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  array: [
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
  ],
  object: [
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
  ],
  boolean: [],
  null: [],
};
BY_TYPE.integer = BY_TYPE.number!;

const FORMATS = new Set([
  "email",
  "uri",
  "uuid",
  "date-time",
  "date",
  "time",
  "duration",
  "hostname",
  "ipv4",
  "ipv6",
  "base64",
  "base64url",
  "e164",
]);

/** What in a schema would not be checked as written; pointers are into the schema. */
export function schemaFaults(schema: unknown): Fault[] {
  const faults = [...walk(schema, [], schema)];
  if (faults.length > 0) return faults;
  try {
    compile(schema as JsonSchema);
    return [];
  } catch (thrown) {
    return [{ pointer: "", message: thrown instanceof Error ? thrown.message : String(thrown) }];
  }
}

function* walk(schema: unknown, path: PropertyKey[], root: unknown): Generator<Fault> {
  if (typeof schema === "boolean") return;
  const fault = (message: string, ...below: PropertyKey[]): Fault => ({
    pointer: toPointer([...path, ...below]),
    message,
  });
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
    yield fault("is not a schema");
    return;
  }
  const node = schema as Record<string, unknown>;

  if (node.$ref !== undefined) {
    const beside = Object.keys(node).filter((key) => key !== "$ref" && key !== "description");
    for (const key of beside) yield fault("stands beside $ref and would not be checked", key);
    const isKnown = typeof node.$ref === "string" && /^#\/\$defs\/[^/]+$/.test(node.$ref) &&
      atPointer(root, node.$ref.slice(1)) !== undefined;
    if (!isKnown) yield fault("does not name a schema in #/$defs", "$ref");
    return;
  }

  const types = [node.type ?? []].flat();
  const unknown = types.find((type) => typeof type !== "string" || !Object.hasOwn(BY_TYPE, type));
  if (unknown !== undefined) yield fault("is not a JSON Schema type", "type");
  const allowed = new Set([
    ...ANYWHERE,
    ...(path.length === 0 ? AT_ROOT : []),
    ...types.flatMap((type) => BY_TYPE[type as string] ?? []),
  ]);
  const ofOtherTypes = new Set(Object.values(BY_TYPE).flat());
  for (const key of Object.keys(node)) {
    if (allowed.has(key) || key.startsWith("x-")) continue;
    yield fault(
      ofOtherTypes.has(key)
        ? "needs the type it is about beside it, or it would not be checked"
        : "is not supported",
      key,
    );
  }

  if (node.not !== undefined && JSON.stringify(node.not) !== "{}") {
    yield fault("is not supported", "not");
  }
  for (const value of [node.enum ?? [], node.const ?? []].flat()) {
    if (typeof value !== "object" || value === null) continue;
    yield fault("may hold plain values only", node.enum === undefined ? "const" : "enum");
  }
  const properties = node.properties as Record<string, unknown> | undefined;
  for (const name of (node.required ?? []) as string[]) {
    if (properties && Object.hasOwn(properties, name)) continue;
    yield fault(`names ${name}, which properties does not describe`, "required");
  }
  if (node.patternProperties !== undefined && typeof node.additionalProperties === "object") {
    yield fault("may only be true or false beside patternProperties", "additionalProperties");
  }
  for (const key of ["minItems", "maxItems"]) {
    if (node[key] === undefined || "items" in node || "prefixItems" in node) continue;
    yield fault("needs items beside it, or it would not be checked", key);
  }
  if (node.format !== undefined && !FORMATS.has(node.format as string)) {
    yield fault("is not a format that is checked", "format");
  }
  for (const pattern of [node.pattern ?? [], Object.keys(node.patternProperties ?? {})].flat()) {
    const message = patternFault(pattern as string);
    if (message) yield fault(message, node.pattern === undefined ? "patternProperties" : "pattern");
  }

  for (const key of ["properties", "patternProperties", "$defs"]) {
    for (const [name, member] of Object.entries(node[key] ?? {})) {
      yield* walk(member, [...path, key, name], root);
    }
  }
  for (const key of ["anyOf", "oneOf", "allOf", "prefixItems"]) {
    for (const [index, member] of ((node[key] ?? []) as unknown[]).entries()) {
      yield* walk(member, [...path, key, index], root);
    }
  }
  for (const key of ["items", "additionalProperties", "contains"]) {
    if (node[key] !== undefined) yield* walk(node[key], [...path, key], root);
  }
  if (typeof node.propertyNames === "object" && node.propertyNames !== null) {
    // Names are strings whether or not the schema says so.
    const names = { type: "string", ...node.propertyNames };
    yield* walk(names, [...path, "propertyNames"], root);
  }
}

/** What is wrong with a pattern that callers' texts are matched with. */
export function patternFault(pattern: string): string | undefined {
  if (/\\[pPu]\{/.test(pattern)) return "needs the u flag, which is not set";
  try {
    new RegExp(pattern);
  } catch {
    return "is not a regular expression";
  }
  return isExplosive(pattern)
    ? "repeats what is repeated, or may match the same text in several ways: matching it could take for ever"
    : undefined;
}

interface Group {
  /** Something in it is repeated without end. */
  repeats: boolean;
  /** How its branches begin. */
  starts: string[];
  atStart: boolean;
}

/**
 * Whether matching may take exponential time: a repeated group that repeats something itself, or
 * two of whose branches begin alike, or a back reference. It errs on the side of suspicion.
 */
function isExplosive(pattern: string): boolean {
  if (/(?<!\\)(\\\\)*\\(?:[1-9]|k<)/.test(pattern)) return true;
  const tokens = pattern.match(TOKEN) ?? [];
  const open: Group[] = [{ repeats: false, starts: [], atStart: true }];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!;
    const group = open.at(-1)!;
    const isEndless = ENDLESS.test(tokens[at + 1] ?? "");
    if (token.startsWith("(")) {
      open.push({ repeats: false, starts: [], atStart: true });
    } else if (token === ")") {
      const closed = open.pop()!;
      const isAmbiguous = new Set(closed.starts).size < closed.starts.length ||
        closed.starts.length > 1 && closed.starts.some((start) => /^[.[\\(]/.test(start));
      if (isEndless && (closed.repeats || isAmbiguous)) return true;
      const around = open.at(-1);
      if (!around) return true;
      around.repeats ||= closed.repeats || isEndless;
      if (around.atStart) around.starts.push("(");
      around.atStart = false;
    } else if (token === "|") {
      group.atStart = true;
    } else if (!QUANTIFIER.test(token)) {
      if (group.atStart) group.starts.push(token);
      group.atStart = false;
      group.repeats ||= isEndless;
    }
  }
  return false;
}

const TOKEN =
  /\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?(?:[:=!]|<[=!]|<\w+>))?|\)|\||[*+?]\??|\{\d+(?:,\d*)?\}\??|[^]/g;
const QUANTIFIER = /^(?:[*+?]\??|\{\d+(?:,\d*)?\}\??)$/;
/** Without end, or so far that it makes no difference. */
const ENDLESS = /^(?:[*+]|\{\d+,\}|\{\d*,?\d{3,}\})/;
