/** JSON pointers (RFC 6901); own members only, so that `__proto__` is a name like any other. */

/** A pointer's reference tokens, unescaped. */
export function pointerTokens(pointer: string): string[] {
  return pointer.split("/").slice(1).map((token) =>
    token.replaceAll("~1", "/").replaceAll("~0", "~")
  );
}

/** A pointer from names and indices. */
export function toPointer(path: readonly PropertyKey[]): string {
  return path.map((token) => `/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
}

/**
 * The value a pointer names, undefined when there is none.
 *
 * @param pointer for example `/paging/next/after`; the empty text is the whole document
 * @see https://www.rfc-editor.org/rfc/rfc6901
 */
export function atPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointerTokens(pointer)) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, token)) {
      return undefined;
    }
    if (Array.isArray(value) && token === "length") return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
}

/**
 * A copy in which every value a pointer names is replaced.
 *
 * @param pointer the token `*` stands for every member: `/items/*`
 */
export function replaceAt(
  document: unknown,
  pointer: string,
  replace: (value: unknown) => unknown,
): unknown {
  return replaceTokens(document, pointerTokens(pointer), replace);
}

function replaceTokens(
  value: unknown,
  [token, ...rest]: string[],
  replace: (value: unknown) => unknown,
): unknown {
  if (token === undefined) return replace(value);
  if (typeof value !== "object" || value === null) return value;
  const change = (name: string, member: unknown) =>
    token === "*" || name === token ? replaceTokens(member, rest, replace) : member;
  if (Array.isArray(value)) return value.map((member, index) => change(String(index), member));
  // Entries, not assignment: a member named __proto__ must stay a member.
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, change(name, member)]),
  );
}
