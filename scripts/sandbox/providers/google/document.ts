import { Buffer } from "node:buffer";
import { z } from "zod";
import { pngImage } from "../../core/fixtures.ts";

/** A piece of a paragraph's text with one style. */
export interface TextRun {
  text: string;
  bold?: boolean | undefined;
  italic?: boolean | undefined;
  link?: string | undefined;
}

/** A picture that stands in the text like one character. */
export interface InlineImage {
  /** As the Docs API names it: `kix.…`. */
  id: string;
  contentType: string;
  base64: string;
  alt: string;
}

/** A paragraph's elements in their order. */
export type Inline = TextRun | { image: InlineImage };

/** A paragraph: text, heading or item of a list. */
export interface Paragraph {
  /** 0 for normal text, 1 to 6 for a heading. */
  heading: number;
  list: { ordered: boolean; level: number } | undefined;
  inlines: Inline[];
}

const Run = z.union([
  z.string(),
  z.strictObject({
    text: z.string(),
    bold: z.boolean().optional(),
    italic: z.boolean().optional(),
    link: z.string().optional(),
  }),
  z.strictObject({
    image: z.strictObject({
      /** Equal seeds make equal pictures; instead of `base64`. */
      seed: z.string().default("image"),
      base64: z.string().optional(),
      content_type: z.string().default("image/png"),
      alt: z.string().default(""),
    }),
  }),
]);
const Text = z.union([Run, z.array(Run)]);

/**
 * A paragraph of a document fixture: a text, a heading, or an item of a list. Texts are strings,
 * styled runs and images, alone or several.
 */
export const ParagraphFixture = z.union([
  z.strictObject({ heading: Text, level: z.int().min(1).max(6).default(1) }),
  z.strictObject({ bullet: Text, level: z.int().min(0).max(8).default(0) }),
  z.strictObject({ number: Text, level: z.int().min(0).max(8).default(0) }),
  Text,
]);
/** The input form of {@linkcode ParagraphFixture}. */
export type ParagraphFixture = z.input<typeof ParagraphFixture>;

/** Makes the paragraphs of a document from its fixture. */
export function makeParagraphs(content: z.output<typeof ParagraphFixture>[]): Paragraph[] {
  let images = 0;
  const inlines = (text: z.output<typeof Text>): Inline[] =>
    (Array.isArray(text) ? text : [text]).map((run): Inline => {
      if (typeof run === "string") return { text: run };
      if (!("image" in run)) return run;
      const { seed, base64, content_type, alt } = run.image;
      return {
        image: {
          id: `kix.sandbox${++images}`,
          contentType: content_type,
          base64: base64 ?? Buffer.from(pngImage(seed)).toString("base64"),
          alt,
        },
      };
    });
  return content.map((block) => {
    if (typeof block === "string" || Array.isArray(block) || "text" in block || "image" in block) {
      return { heading: 0, list: undefined, inlines: inlines(block) };
    }
    if ("heading" in block) {
      return { heading: block.level, list: undefined, inlines: inlines(block.heading) };
    }
    const ordered = "number" in block;
    return {
      heading: 0,
      list: { ordered, level: block.level },
      inlines: inlines(ordered ? block.number : block.bullet),
    };
  });
}

/** How many indexes of the Docs API an element takes: UTF-16 units, and one for an image. */
export function lengthOf(inline: Inline): number {
  return "image" in inline ? 1 : inline.text.length;
}

/** The text of a document, as Drive exports it to `text/plain`. */
export function toPlainText(paragraphs: readonly Paragraph[]): string {
  const lines = paragraphs.map(({ inlines, list }) => {
    const text = inlines.map((inline) => "image" in inline ? "" : inline.text).join("");
    return list ? `${"   ".repeat(list.level)}${list.ordered ? "1." : "*"} ${text}` : text;
  });
  // Google begins a text with a byte order mark and ends its lines as Windows does.
  return `\uFEFF${lines.join("\r\n")}`;
}

/**
 * The Markdown of a document, as Drive exports it to `text/markdown`: images become references
 * whose data stands at the end.
 */
export function toMarkdown(paragraphs: readonly Paragraph[]): string {
  const images: InlineImage[] = [];
  const write = (inline: Inline): string => {
    if (!("image" in inline)) return writeRun(inline);
    images.push(inline.image);
    return `![${inline.image.alt}][image${images.length}]`;
  };
  let text = "";
  let previous: Paragraph | undefined;
  for (const paragraph of paragraphs) {
    const line = paragraph.inlines.map(write).join("");
    if (line.trim() === "") continue;
    if (previous) text += previous.list && paragraph.list ? "\n" : "\n\n";
    text += prefix(paragraph) + line;
    previous = paragraph;
  }
  const references = images.map(({ contentType, base64 }, index) =>
    `\n\n[image${index + 1}]: <data:${contentType};base64,${base64}>`
  );
  return `${text}${references.join("")}\n`;
}

function prefix({ heading, list }: Paragraph): string {
  if (list) return `${"  ".repeat(list.level)}${list.ordered ? "1." : "*"} `;
  return heading === 0 ? "" : `${"#".repeat(heading)} `;
}

function writeRun({ text, bold, italic, link }: TextRun): string {
  const mark = `${bold ? "**" : ""}${italic ? "*" : ""}`;
  // A mark must touch the text it is about.
  const [, before = "", inner = "", after = ""] = /^(\s*)(.*?)(\s*)$/s.exec(text) ?? [];
  if (inner === "") return text;
  const marked = `${mark}${escape(inner)}${mark.split("").reverse().join("")}`;
  return `${before}${link ? `[${marked}](${link})` : marked}${after}`;
}

/** Google escapes what could be Markdown: hyphens and dots only where they could begin a list. */
function escape(text: string): string {
  return text
    .replace(/[\\`*_[\]#+<>~=|]/g, "\\$&")
    .replace(/(^|\s)-(?=\s|$)/g, "$1\\-")
    .replace(/(\d)\.(?=\s|$)/g, "$1\\.")
    .replaceAll("\v", "  \n");
}
