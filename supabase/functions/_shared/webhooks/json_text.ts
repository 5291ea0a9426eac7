/**
 * JSON text on its way into a jsonb column.
 *
 * The database gets the provider's own text, so that numbers keep digits a double would lose. Three
 * things that JSON allows and jsonb refuses are changed, because an authentic delivery must not be
 * lost over them: `\u0000` and lone surrogates become U+FFFD, and numbers no double could hold
 * become strings with the same digits.
 * @see https://www.postgresql.org/docs/17/datatype-json.html
 */
import type { Bytes } from "./bytes.ts";

/** Deeper than any provider nests, far below what exhausts the database's stack. */
export const MAX_DEPTH = 200;

/** Digits and exponents beyond this are kept as text: jsonb would expand `1e131071` when read. */
const MAX_EXPONENT = 400;
const MAX_NUMBER_LENGTH = 1_000;

/** A number literal kept as written. @see https://github.com/tc39/proposal-json-parse-with-source */
interface RawJson {
  readonly rawJSON: string;
}

const exactJson = JSON as unknown as {
  rawJSON(text: string): RawJson;
  isRawJSON(value: unknown): value is RawJson;
  parse(
    text: string,
    reviver: (
      key: string,
      value: unknown,
      context: { source?: string },
    ) => unknown,
  ): unknown;
};

/** A parsed document; `text` is what may be cast to jsonb. */
export type JsonResult =
  | { ok: true; value: unknown; text: string }
  | { ok: false; code: "invalid_utf8" | "malformed_json" | "too_deep" };

/**
 * Decodes UTF-8; a byte order mark is dropped.
 *
 * @returns undefined when the bytes are not UTF-8
 */
export function decodeUtf8(bytes: Bytes): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Parses JSON bytes, see {@link readJsonText}. */
export function readJsonBytes(bytes: Bytes): JsonResult {
  const text = decodeUtf8(bytes);
  return text === undefined ? { ok: false, code: "invalid_utf8" } : readJsonText(text);
}

/**
 * Parses JSON strictly (RFC 8259) and says how it is to be stored.
 *
 * Numbers in `value` that a double cannot hold exactly are kept as written; {@link scalarText} reads
 * them and `JSON.stringify` writes them back unchanged.
 */
export function readJsonText(text: string): JsonResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return {
      ok: false,
      code: error instanceof RangeError ? "too_deep" : "malformed_json",
    };
  }
  const { depth, changes, inexact } = scan(text);
  if (depth > MAX_DEPTH) return { ok: false, code: "too_deep" };
  const stored = applyChanges(text, changes);
  if (changes.length > 0 || inexact) value = parseExactly(stored);
  return { ok: true, value, text: stored };
}

/**
 * A scalar as text: strings as they are, numbers with all their digits, booleans by name.
 *
 * @returns undefined for null, objects, arrays and the empty string
 */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  if (typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  return exactJson.isRawJSON(value) ? value.rawJSON : undefined;
}

/** Whether a value is a JSON object, and not an array, null or a number kept as written. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !exactJson.isRawJSON(value);
}

/**
 * The value a JSON pointer names; own members only, so that `__proto__` is a name like any other.
 *
 * @param pointer for example `/workflow_run/conclusion`; the empty text is the whole document
 * @see https://www.rfc-editor.org/rfc/rfc6901
 */
export function atPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointerTokens(pointer)) {
    if (Array.isArray(value)) {
      value = /^(0|[1-9]\d{0,8})$/.test(token) ? value[Number(token)] : undefined;
    } else if (isObject(value)) {
      value = Object.hasOwn(value, token) ? value[token] : undefined;
    } else {
      return undefined;
    }
  }
  return value;
}

/**
 * A copy of the document in which one place holds another value; the document itself when there is
 * no such place. `undefined` removes a member.
 */
export function withPointer(
  document: unknown,
  pointer: string,
  replacement: unknown,
): unknown {
  const [token, ...rest] = pointerTokens(pointer);
  if (token === undefined) return replacement;
  const below = rest.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  if (Array.isArray(document)) {
    const index = Number(token);
    if (!/^\d+$/.test(token) || index >= document.length) return document;
    return document.with(
      index,
      withPointer(document[index], below, replacement),
    );
  }
  if (!isObject(document) || !Object.hasOwn(document, token)) return document;
  const next = withPointer(document[token], below, replacement);
  // Entries, not assignment: a member named __proto__ must stay a member.
  return Object.fromEntries(
    Object.entries(document).flatMap(([name, value]) =>
      name !== token ? [[name, value]] : next === undefined ? [] : [[name, next]]
    ),
  );
}

function pointerTokens(pointer: string): string[] {
  const tokens = pointer.split("/").slice(1);
  if (!pointer.includes("~")) return tokens;
  return tokens.map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function parseExactly(text: string): unknown {
  return exactJson.parse(text, (_key, value, { source }) => {
    const inexact = typeof value === "number" && source !== undefined &&
      isInexact(source);
    return inexact ? exactJson.rawJSON(source) : value;
  });
}

function isInexact(literal: string): boolean {
  return literal.length > 15 || /[eE]/.test(literal);
}

interface Change {
  start: number;
  end: number;
  replacement: string;
}

/** Walks valid JSON once: how deep it is, what jsonb cannot hold, and whether doubles suffice. */
function scan(
  text: string,
): { depth: number; changes: Change[]; inexact: boolean } {
  const changes: Change[] = [];
  let inexact = false;
  let depth = 0;
  let deepest = 0;
  let escape = nextEscape(text, 0);
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x22) { // a string: jump to its end, looking at its escapes only
      let end = text.indexOf('"', i + 1);
      while (escape < end) {
        const after = readEscape(text, escape, changes);
        if (end < after) end = text.indexOf('"', after);
        escape = nextEscape(text, after);
      }
      i = end;
    } else if (char === 0x7b || char === 0x5b) {
      deepest = Math.max(deepest, ++depth);
    } else if (char === 0x7d || char === 0x5d) {
      depth--;
    } else if (char === 0x2d || (char >= 0x30 && char <= 0x39)) {
      const end = numberEnd(text, i);
      const literal = text.slice(i, end);
      if (isInexact(literal)) {
        inexact = true;
        if (isUnstorable(literal)) {
          changes.push({ start: i, end, replacement: `"${literal}"` });
        }
      }
      i = end - 1;
    }
  }
  return { depth: deepest, changes, inexact };
}

function nextEscape(text: string, from: number): number {
  const index = text.indexOf("\\", from);
  return index < 0 ? Infinity : index;
}

/** Notes an escape that jsonb refuses; returns where the text goes on. */
function readEscape(text: string, at: number, changes: Change[]): number {
  const code = unicodeEscape(text, at);
  if (code === undefined) return at + 2;
  if ((code & 0xfc00) === 0xd800) {
    const low = unicodeEscape(text, at + 6);
    if (low !== undefined && (low & 0xfc00) === 0xdc00) return at + 12;
  }
  if (code === 0 || (code & 0xf800) === 0xd800) {
    changes.push({ start: at, end: at + 6, replacement: "\ufffd" });
  }
  return at + 6;
}

function unicodeEscape(text: string, at: number): number | undefined {
  if (text[at] !== "\\" || text[at + 1] !== "u") return undefined;
  return parseInt(text.slice(at + 2, at + 6), 16);
}

function numberEnd(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && /[0-9.eE+-]/.test(text[end]!)) end++;
  return end;
}

function isUnstorable(literal: string): boolean {
  const exponent = /[eE](.*)$/.exec(literal)?.[1] ?? "0";
  return literal.length > MAX_NUMBER_LENGTH ||
    Math.abs(Number(exponent)) > MAX_EXPONENT;
}

function applyChanges(text: string, changes: Change[]): string {
  if (changes.length === 0) return text;
  const parts: string[] = [];
  let from = 0;
  for (const { start, end, replacement } of changes) {
    parts.push(text.slice(from, start), replacement);
    from = end;
  }
  parts.push(text.slice(from));
  return parts.join("");
}
