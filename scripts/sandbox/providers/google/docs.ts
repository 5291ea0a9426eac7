import { Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, ProviderPart } from "../../core/provider.ts";
import {
  type Inline,
  lengthOf,
  makeParagraphs,
  type Paragraph,
  ParagraphFixture,
} from "./document.ts";
import { DOCUMENT, type DriveFile, type DriveFiles } from "./drive_files.ts";
import { DriveAuthor, type DriveFixtures, findFile } from "./drive_fixtures.ts";
import { GoogleError } from "./errors.ts";
import { answer, readBody } from "./requests.ts";

/** A new document, as `POST /_control/docs/documents` takes it. */
export const DocumentFixture = z.strictObject({
  title: z.string().min(1),
  /** Names from Drive's root folder down, joined by `/`; made when they are not there. */
  folder: z.string().default(""),
  content: z.array(ParagraphFixture).default([]),
  author: DriveAuthor.optional(),
  properties: z.record(z.string(), z.string()).optional(),
});
/** The input form of {@linkcode DocumentFixture}. */
export type DocumentFixture = z.input<typeof DocumentFixture>;

/** What changes with a document; all else of it is edited as a file of Drive. */
export const DocumentEdit = z.strictObject({
  title: z.string().min(1).optional(),
  /** Replaces the whole text. */
  content: z.array(ParagraphFixture).optional(),
  author: DriveAuthor.optional(),
});
/** The input form of {@linkcode DocumentEdit}. */
export type DocumentEdit = z.input<typeof DocumentEdit>;

const Requests = z.object({
  requests: z.array(z.object({
    insertText: z.object({
      text: z.string(),
      location: z.object({ index: z.int() }).optional(),
      endOfSegmentLocation: z.object({}).optional(),
    }).optional(),
    replaceAllText: z.object({
      replaceText: z.string().default(""),
      containsText: z.object({ text: z.string(), matchCase: z.boolean().default(false) }),
    }).optional(),
  })).default([]),
});

/**
 * Docs v1: reads and makes documents, inserts and replaces text. The documents themselves are
 * files of Drive.
 *
 * @see https://developers.google.com/workspace/docs/api/reference/rest
 */
export function createDocs(
  files: DriveFiles,
  fixtures: DriveFixtures,
): ProviderPart {
  const app = new Hono<ObservedEnv>();

  app.post("/docs/v1/documents", async (c) => {
    const { title } = await readBody(c, z.object({ title: z.string().optional() }));
    return c.json(describe(files.create({ name: title ?? "", mimeType: DOCUMENT })));
  });

  app.get("/docs/v1/documents/:id", (c) => answer(c, describe(find(c.req.param("id")))));

  app.post("/docs/v1/documents/:call", async (c) => {
    const [id = "", verb] = c.req.param("call").split(":");
    if (verb !== "batchUpdate") throw new GoogleError("notFound", "Not Found");
    const file = find(id);
    const { requests } = await readBody(c, Requests);
    // All or nothing: the document is replaced when every request has worked.
    let { paragraphs } = file.native;
    const replies: Record<string, unknown>[] = [];
    for (const [index, { insertText, replaceAllText }] of requests.entries()) {
      if (insertText) {
        const at = insertText.location?.index ?? endIndex(paragraphs) - 1;
        paragraphs = insert(paragraphs, at, insertText.text, `requests[${index}].insertText`);
        replies.push({});
      } else if (replaceAllText) {
        const replaced = replaceAll(paragraphs, replaceAllText);
        paragraphs = replaced.paragraphs;
        replies.push({ replaceAllText: { occurrencesChanged: replaced.count } });
      } else {
        throw new GoogleError(
          "badRequest",
          `Invalid requests[${index}]: the sandbox knows insertText and replaceAllText.`,
        );
      }
    }
    await files.update(id, {}, { native: { kind: "document", paragraphs } });
    const requiredRevisionId = revisionId(file);
    return c.json({ documentId: id, replies, writeControl: { requiredRevisionId } });
  });

  /** @throws GoogleError `notFound` */
  function find(id: string) {
    const file = files.all().find((each) => each.id === id);
    if (!file) throw new GoogleError("notFound", "Requested entity was not found.");
    const { native } = file;
    if (native?.kind !== "document") {
      throw new GoogleError("badRequest", "This operation is not supported for this document");
    }
    return Object.assign(file, { native });
  }

  const control = new Hono();
  control.post("/docs/documents", async (c) => {
    const wanted = DocumentFixture.parse(await c.req.json());
    const native = { kind: "document" as const, paragraphs: makeParagraphs(wanted.content) };
    const file = files.create({
      name: wanted.title,
      mimeType: DOCUMENT,
      parents: [files.folder(wanted.folder).id],
      ...(wanted.properties && { properties: wanted.properties }),
    }, { native, author: wanted.author });
    return c.json(fixtures.describe(file), 201);
  });
  control.patch("/docs/documents/:id", async (c) => {
    const { id } = findFile(files, c.req.param("id"), DOCUMENT);
    const { title, content, author } = DocumentEdit.parse(await c.req.json());
    const file = await files.update(id, title === undefined ? {} : { name: title }, {
      author,
      ...(content && { native: { kind: "document", paragraphs: makeParagraphs(content) } }),
    });
    return c.json(fixtures.describe(file));
  });

  return { app, control };
}

type Document = DriveFile & { native: { paragraphs: Paragraph[] } };

function describe(file: DriveFile): Record<string, unknown> {
  const { native: { paragraphs } } = file as Document;
  const content: Record<string, unknown>[] = [{
    endIndex: 1,
    sectionBreak: {
      sectionStyle: {
        columnSeparatorStyle: "NONE",
        contentDirection: "LEFT_TO_RIGHT",
        sectionType: "CONTINUOUS",
      },
    },
  }];
  const inlineObjects: Record<string, unknown> = {};
  let index = 1;
  // A document without text is one empty paragraph.
  for (const paragraph of paragraphs.length > 0 ? paragraphs : [EMPTY]) {
    const startIndex = index;
    const elements = withLineEnd(paragraph.inlines).map((inline) => {
      const place = { startIndex: index, endIndex: index += lengthOf(inline) };
      if (!("image" in inline)) return { ...place, textRun: describeRun(inline) };
      const { id, contentType, alt, base64 } = inline.image;
      inlineObjects[id] = {
        objectId: id,
        inlineObjectProperties: {
          embeddedObject: {
            ...(alt && { description: alt }),
            imageProperties: { contentUri: `data:${contentType};base64,${base64}` },
          },
        },
      };
      return { ...place, inlineObjectElement: { inlineObjectId: id, textStyle: {} } };
    });
    const { heading, list } = paragraph;
    content.push({
      startIndex,
      endIndex: index,
      paragraph: {
        elements,
        paragraphStyle: {
          ...(heading > 0 && { headingId: `h.sandbox${startIndex}` }),
          namedStyleType: heading > 0 ? `HEADING_${heading}` : "NORMAL_TEXT",
          direction: "LEFT_TO_RIGHT",
        },
        ...(list && {
          bullet: {
            listId: list.ordered ? "kix.numbered" : "kix.bulleted",
            ...(list.level > 0 && { nestingLevel: list.level }),
            textStyle: {},
          },
        }),
      },
    });
  }
  return {
    title: file.name,
    body: { content },
    ...(Object.keys(inlineObjects).length > 0 && { inlineObjects }),
    revisionId: revisionId(file),
    suggestionsViewMode: "SUGGESTIONS_INLINE",
    documentId: file.id,
  };
}

const EMPTY: Paragraph = { heading: 0, list: undefined, inlines: [] };

function describeRun({ text, bold, italic, link }: Exclude<Inline, { image: unknown }>) {
  const textStyle = {
    ...(bold && { bold }),
    ...(italic && { italic }),
    ...(link && { link: { url: link } }),
  };
  return { content: text, textStyle };
}

/** The last run of a paragraph holds its line end. */
function withLineEnd(inlines: readonly Inline[]): Inline[] {
  const last = inlines.at(-1);
  if (!last || "image" in last) return [...inlines, { text: "\n" }];
  return [...inlines.slice(0, -1), { ...last, text: `${last.text}\n` }];
}

function endIndex(paragraphs: readonly Paragraph[]): number {
  const length = (paragraph: Paragraph) =>
    withLineEnd(paragraph.inlines).reduce((sum, inline) => sum + lengthOf(inline), 0);
  return Math.max(2, paragraphs.reduce((sum, paragraph) => sum + length(paragraph), 1));
}

/** @throws GoogleError `badRequest` when the index lies outside of the text */
function insert(
  paragraphs: readonly Paragraph[],
  index: number,
  text: string,
  where: string,
): Paragraph[] {
  const end = endIndex(paragraphs);
  if (index < 1 || index >= end) {
    throw new GoogleError(
      "badRequest",
      index < 1
        ? `Invalid ${where}: The insertion index must be inside the bounds of an existing paragraph. You can still create new paragraphs by inserting newlines.`
        : `Invalid ${where}: Index ${index} must be less than the end index of the referenced segment, ${end}.`,
    );
  }
  let left = index - 1;
  const changed: Paragraph[] = [];
  for (const paragraph of paragraphs.length > 0 ? paragraphs : [EMPTY]) {
    const size = paragraph.inlines.reduce((sum, inline) => sum + lengthOf(inline), 0);
    if (left < 0 || left > size) {
      changed.push(paragraph);
    } else {
      const [before, after] = split(paragraph.inlines, left);
      const style = before.at(-1);
      const lines = text.split("\n").map((line): Inline[] => [
        { ...(style && !("image" in style) ? style : {}), text: line },
      ]);
      lines[0] = [...before, ...lines[0]!];
      lines[lines.length - 1] = [...lines.at(-1)!, ...after];
      changed.push(...lines.map((inlines) => ({ ...paragraph, inlines: tidy(inlines) })));
    }
    left -= size + 1;
  }
  return changed;
}

function split(inlines: readonly Inline[], at: number): [Inline[], Inline[]] {
  const before: Inline[] = [];
  const after: Inline[] = [];
  let left = at;
  for (const inline of inlines) {
    const size = lengthOf(inline);
    if (left >= size) before.push(inline);
    else if (left <= 0 || "image" in inline) after.push(inline);
    else {
      before.push({ ...inline, text: inline.text.slice(0, left) });
      after.push({ ...inline, text: inline.text.slice(left) });
    }
    left -= size;
  }
  return [before, after];
}

/** Joins neighbours of one style and drops empty ones. */
function tidy(inlines: readonly Inline[]): Inline[] {
  const tidied: Inline[] = [];
  for (const inline of inlines) {
    const last = tidied.at(-1);
    if ("image" in inline) tidied.push(inline);
    else if (inline.text === "") continue;
    else if (last && !("image" in last) && sameStyle(last, inline)) {
      tidied[tidied.length - 1] = { ...last, text: last.text + inline.text };
    } else tidied.push(inline);
  }
  return tidied;
}

function sameStyle(a: Exclude<Inline, { image: unknown }>, b: typeof a): boolean {
  return a.bold === b.bold && a.italic === b.italic && a.link === b.link;
}

function replaceAll(
  paragraphs: readonly Paragraph[],
  { replaceText, containsText }: {
    replaceText: string;
    containsText: { text: string; matchCase: boolean };
  },
): { paragraphs: Paragraph[]; count: number } {
  const wanted = containsText.text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = new RegExp(wanted, containsText.matchCase ? "g" : "gi");
  let count = 0;
  const changed = paragraphs.map((paragraph) => ({
    ...paragraph,
    inlines: paragraph.inlines.map((inline) =>
      "image" in inline
        ? inline
        : { ...inline, text: inline.text.replace(pattern, () => (count++, replaceText)) }
    ),
  }));
  return { paragraphs: changed, count };
}

function revisionId(file: DriveFile): string {
  return `ALm37B${file.id.slice(-12)}${file.version}`;
}
