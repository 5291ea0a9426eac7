import { GoogleError } from "./errors.ts";

/** A parsed field mask: `true` selects a value whole, a map selects below it. */
export type FieldMask = true | Map<string, FieldMask>;

/**
 * Reads a partial-response mask such as `nextPageToken,files(id,name)` or `files/id,*`.
 *
 * @throws GoogleError `invalidParameter`
 * @see https://developers.google.com/workspace/drive/api/guides/fields-parameter
 */
export function parseFields(text: string): FieldMask {
  const tokens = text.match(/[A-Za-z0-9_*]+|[(),/]/g) ?? [];
  if (tokens.join("") !== text.replace(/\s/g, "")) throw invalid(text);
  let at = 0;

  const list = (): FieldMask => {
    const mask = new Map<string, FieldMask>();
    do {
      const [name, below] = field();
      const known = mask.get(name);
      mask.set(
        name,
        known instanceof Map && below instanceof Map ? new Map([...known, ...below]) : below,
      );
    } while (tokens[at] === "," && ++at);
    return mask;
  };
  const field = (): [string, FieldMask] => {
    const name = tokens[at++] ?? "";
    if (!/^[A-Za-z0-9_*]+$/.test(name)) throw invalid(text);
    if (tokens[at] === "/") {
      at++;
      return [name, new Map([field()])];
    }
    if (tokens[at] !== "(") return [name, true];
    at++;
    const below = list();
    if (tokens[at++] !== ")") throw invalid(text);
    return [name, below];
  };

  const mask = list();
  if (at !== tokens.length) throw invalid(text);
  return mask;
}

/**
 * Applies a mask to an answer; arrays are masked element by element.
 *
 * @param known every field the resource can have, so that a misspelt one is refused; absent where
 * nobody has written them all down
 * @throws GoogleError `invalidParameter`
 */
export function selectFields(
  value: unknown,
  mask: FieldMask,
  known?: ReadonlySet<string>,
): unknown {
  if (mask === true || mask.has("*")) return value;
  for (const name of mask.keys()) if (known && !known.has(name)) throw invalid(name);
  if (Array.isArray(value)) return value.map((each) => selectFields(each, mask, known));
  if (typeof value !== "object" || value === null) return value;
  const source = value as Record<string, unknown>;
  const selected: Record<string, unknown> = {};
  for (const [name, below] of mask) {
    if (source[name] !== undefined) selected[name] = selectFields(source[name], below, known);
  }
  return selected;
}

function invalid(text: string): GoogleError {
  return new GoogleError("invalidParameter", `Invalid field selection ${text}`, {
    location: "fields",
    locationType: "parameter",
  });
}
