/**
 * Compiles a path glob: `*` matches within one segment, `**` across segments, `?` one character.
 * The whole path has to match.
 */
export function globToRegExp(glob: string): RegExp {
  const source = glob.replace(/\*\*|\*|\?|[\\^$.|+()[\]{}]/g, (token) => {
    if (token === "**") return ".*";
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    return `\\${token}`;
  });
  return new RegExp(`^${source}$`, "s");
}
