/**
 * Rendering `destination_template` into a path.
 *
 * The template is written by whoever configures the rule; the values come from events and artifact
 * names, which strangers may have chosen. So values can never add a slash, climb out of a folder or
 * smuggle in control characters, and a template that could is refused.
 */
import { createHash } from "node:crypto";
import { AppError } from "../errors.ts";
import type { Placeholders } from "./types.ts";

/** S3 keys end at 1,024 bytes of UTF-8; the destination's own prefix needs room too. */
const MAX_PATH_BYTES = 900;
/** File systems and Drive clients end at 255 bytes. */
const MAX_SEGMENT_BYTES = 240;

const PLACEHOLDER = /\{([^{}]*)\}/g;
/** Names that Windows, to which Drive folders are synchronised, cannot store. */
const RESERVED = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;
/** Slashes, what no Windows file name may hold, control and bidirectional-override characters. */
const UNSAFE = /[\p{Cc}/\\:*?"<>|\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;

const encoder = new TextEncoder();
const byteLength = (text: string) => encoder.encode(text).byteLength;

/** A value as one harmless piece of a file name. */
export function sanitizeValue(value: string): string {
  const clean = value.normalize("NFC").toWellFormed().replace(UNSAFE, "-").trim();
  return /^\.*$/.test(clean) ? "_".repeat(Math.max(1, clean.length)) : clean;
}

/**
 * Renders a template.
 *
 * @param template for example `CI-Artifacts/{date}/{workflow}/{name}`
 * @param values placeholder → value, a list for a path; null renders as `unknown`
 * @param extension appended to the path unless it ends so already, without a dot
 * @returns a relative path, NFC, segments joined by `/`
 * @throws AppError `template_invalid` (422): unknown placeholder, `..`, nothing left, too long
 */
export function renderPath(
  template: string,
  values: Placeholders,
  extension?: string,
): string {
  if (/[{}]/.test(template.replace(PLACEHOLDER, ""))) {
    throw invalid(template, "a brace has no partner");
  }
  const rendered = template.normalize("NFC").replaceAll("\\", "/").split("/").map((literal) => {
    if (/^\s*\.{1,2}\s*$/.test(literal)) {
      throw invalid(template, `the segment ${JSON.stringify(literal.trim())} leaves the folder`);
    }
    return literal.replace(PLACEHOLDER, (_, name: string) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      if (value === undefined) {
        const known = Object.keys(values).sort().map((key) => `{${key}}`).join(" ");
        throw invalid(template, `the placeholder {${name}} is unknown; known are ${known}`);
      }
      return typeof value === "object" && value !== null
        ? value.map(sanitizeValue).join("/")
        : sanitizeValue(value ?? "unknown");
    });
  });
  // A list of values may have added segments; a value alone cannot.
  const segments = rendered.flatMap((segment) => segment.split("/")).map(safeSegment).filter((
    segment,
  ) => segment !== "");
  const last = segments.pop();
  if (last === undefined) throw invalid(template, "it renders to nothing");
  const path = [...segments.map((segment) => shorten(segment)), withExtension(last, extension)]
    .join("/");
  if (byteLength(path) > MAX_PATH_BYTES) {
    throw invalid(template, `it renders to ${byteLength(path)} bytes; ${MAX_PATH_BYTES} fit`);
  }
  return path;
}

/**
 * Makes paths unique: of several artifacts that render to the same path, the first keeps it and the
 * others get their source's id, so that no copy overwrites another and a retry renders the same.
 *
 * @param artifacts in a stable order
 * @returns path by ref
 */
export function disambiguate(artifacts: { ref: string; path: string }[]): Map<string, string> {
  const taken = new Set<string>();
  const paths = new Map<string, string>();
  for (const { ref, path } of artifacts) {
    let unique = path;
    if (taken.has(unique.toLowerCase())) unique = besides(path, ref);
    for (let n = 2; taken.has(unique.toLowerCase()); n++) {
      unique = withSuffix(path, `${sanitizeValue(ref)}-${n}`);
    }
    // Some destinations do not tell upper from lower case.
    taken.add(unique.toLowerCase());
    paths.set(ref, unique);
  }
  return paths;
}

/** A path beside another that is taken: with the source's id in its name. */
export function besides(path: string, ref: string): string {
  return withSuffix(path, sanitizeValue(ref));
}

/** The extension of a file name, lower case and without the dot; `` when it has none. */
export function extensionOf(name: string): string {
  return /[^.]\.([A-Za-z0-9]{1,10})$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

function safeSegment(segment: string): string {
  // Windows drops trailing dots and spaces: two names would become one.
  const clean = segment.replace(UNSAFE, "-").trim().replace(/[. ]+$/, "");
  return RESERVED.test(clean) ? `_${clean}` : clean;
}

function withExtension(name: string, extension: string | undefined): string {
  if (!extension) return shorten(name, extensionOf(name));
  const ending = `.${extension}`;
  const stem = name.toLowerCase().endsWith(ending) && name.length > ending.length
    ? name.slice(0, -ending.length)
    : name;
  return stem === name ? shorten(name + ending, extension) : shorten(name, extension);
}

function withSuffix(path: string, suffix: string): string {
  const slash = path.lastIndexOf("/") + 1;
  const name = path.slice(slash);
  const extension = extensionOf(name);
  const stem = extension ? name.slice(0, -extension.length - 1) : name;
  const unique = `${stem}-${suffix}${extension ? `.${name.slice(-extension.length)}` : ""}`;
  return path.slice(0, slash) + shorten(unique, extension);
}

/** Cuts a segment that is too long, keeping its extension and telling cut names apart by a hash. */
function shorten(segment: string, extension = ""): string {
  if (byteLength(segment) <= MAX_SEGMENT_BYTES) return segment;
  const ending = extension ? segment.slice(-extension.length - 1) : "";
  const mark = `~${createHash("sha256").update(segment).digest("hex").slice(0, 8)}`;
  const stem = encoder.encode(segment.slice(0, segment.length - ending.length))
    .subarray(0, MAX_SEGMENT_BYTES - byteLength(mark + ending));
  // A character that was cut in half decodes as U+FFFD.
  return new TextDecoder().decode(stem).replace(/\ufffd+$/, "").trimEnd() + mark + ending;
}

function invalid(template: string, why: string): AppError {
  return new AppError(
    "template_invalid",
    422,
    `The rule's destination_template ${JSON.stringify(template)} cannot be used: ${why}.`,
  );
}
