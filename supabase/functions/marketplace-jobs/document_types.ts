/** Which of a rule's document types a document is, and where that type puts it. */
import { AppError } from "../_shared/errors.ts";
import { renderPath } from "../_shared/transfer/template.ts";
import type { ChangedFile } from "./drive_event.ts";
import type { DocumentType } from "./rule_config.ts";

/** A glob as a regular expression, as `marketplace._glob_to_regex` makes it. */
export type GlobRegex = (glob: string) => RegExp;

/** Globs that {@link findType} will ask for. */
export function globsOf(types: readonly DocumentType[]): string[] {
  return types.flatMap(({ folder, title }) => [
    ...(folder === undefined ? [] : [folder]),
    ...(title === undefined || asRegex(title) ? [] : [title]),
  ]);
}

/** The first type that a document fits; undefined: none. */
export function findType(
  types: readonly DocumentType[],
  { name, folder, properties }: Pick<ChangedFile, "name" | "folder" | "properties">,
  globRegex: GlobRegex,
): DocumentType | undefined {
  return types.find((type) =>
    // What is below a folder is in it, too: Product/** means Product itself.
    (type.folder === undefined ||
      [folder, `${folder}/`].some((path) => globRegex(type.folder!).test(path))) &&
    (type.title === undefined || (asRegex(type.title) ?? globRegex(type.title)).test(name)) &&
    Object.entries(type.property ?? {}).every(([key, value]) => properties[key] === value)
  );
}

/** A path for the document's Markdown. @throws AppError `template_invalid` (422) */
export function documentPath(
  { type, path }: Pick<DocumentType, "type" | "path">,
  file: Pick<ChangedFile, "id" | "name" | "folder">,
  moment: Record<string, string | null>,
): string {
  return renderPath(path, {
    ...moment,
    type,
    title: file.name,
    name: file.name,
    slug: slugOf(file.name) || file.id.toLowerCase(),
    folder: file.folder.split("/").filter((part) => part !== ""),
    document_id: file.id,
  }, "md");
}

/** A title as a part of a path: letters, digits and hyphens. */
export function slugOf(title: string): string {
  return title.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase()
    .replace(/ß/g, "ss").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 80)
    .replace(/-+$/, "");
}

/** `/…/` or `/…/i` as a regular expression; undefined: it is a glob. */
function asRegex(title: string): RegExp | undefined {
  const written = /^\/(.+)\/(i?)$/.exec(title);
  if (!written) return undefined;
  try {
    return new RegExp(written[1]!, `u${written[2]}`);
  } catch {
    throw new AppError(
      "rule_misconfigured",
      422,
      `config.document_types: ${title} is not a regular expression.`,
    );
  }
}
