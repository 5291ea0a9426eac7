import { XMLBuilder, XMLParser } from "fast-xml-parser";

const LISTS = new Set([
  "Part",
  "TopicConfiguration",
  "QueueConfiguration",
  "CloudFunctionConfiguration",
  "Event",
  "FilterRule",
]);
const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "@" });
const parser = new XMLParser({
  parseTagValue: false,
  isArray: (name) => LISTS.has(name),
});

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

/** Writes an answer: `root` with a namespace around `content`; arrays repeat their element. */
export function writeXml(
  root: string,
  content: Record<string, unknown> | string,
  namespace = NAMESPACE,
): string {
  const body = typeof content === "string"
    ? { "@xmlns": namespace, "#text": content }
    : { "@xmlns": namespace, ...content };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ [root]: body })}`;
}

/** Writes an error document, which has no namespace. */
export function writeErrorXml(content: Record<string, string>): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ Error: content })}`;
}

/** Reads an XML document; `undefined` when it is not well-formed. */
export function readXml(text: string): Record<string, unknown> | undefined {
  try {
    return parser.parse(text, true) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
