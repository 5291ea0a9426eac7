import { Buffer } from "node:buffer";

/** A header field of a mail. */
export interface MailHeader {
  name: string;
  value: string;
}

/** A part of a mail: either it has parts, or it has bytes. */
export interface MailPart {
  mimeType: string;
  headers: MailHeader[];
  /** `""` for what is no attachment. */
  filename: string;
  bytes: Uint8Array;
  parts: MailPart[];
}

/** A file that comes with a mail. */
export interface Attachment {
  name: string;
  contentType: string;
  bytes: Uint8Array;
  /** Set for a picture that the HTML shows by `cid:`. */
  contentId?: string | undefined;
}

/** What a mail is made of. */
export interface MailText {
  headers: MailHeader[];
  text: string | undefined;
  html: string | undefined;
  attachments: Attachment[];
}

/** Makes the tree of parts that mail programs make: text beside HTML, both beside attachments. */
export function composeMail({ headers, text, html, attachments }: MailText): MailPart {
  const bodies = [
    ...(text === undefined && html !== undefined ? [] : [textPart("text/plain", text ?? "")]),
    ...(html === undefined ? [] : [textPart("text/html", html)]),
  ];
  const body = bodies.length === 1 ? bodies[0]! : multipart("alternative", bodies);
  const root = attachments.length === 0
    ? body
    : multipart("mixed", [body, ...attachments.map(attachmentPart)]);
  const top = [...headers, { name: "MIME-Version", value: "1.0" }, ...root.headers];
  return { ...root, headers: top };
}

/** Writes a mail as it goes over the wire. */
export function writeMail(part: MailPart): Uint8Array {
  return new Uint8Array(Buffer.from(write(part)));
}

/** The first part of a type, such as `text/plain`. */
export function findPart(part: MailPart, mimeType: string): MailPart | undefined {
  if (part.mimeType === mimeType && part.filename === "") return part;
  for (const child of part.parts) {
    const found = findPart(child, mimeType);
    if (found) return found;
  }
  return undefined;
}

function write({ headers, parts, bytes, mimeType }: MailPart): string {
  const head = headers.map(({ name, value }) => `${name}: ${encodeHeader(value)}\r\n`).join("");
  if (parts.length === 0) {
    const lines = Buffer.from(bytes).toString("base64").match(/.{1,76}/g) ?? [];
    return `${head}\r\n${lines.join("\r\n")}`;
  }
  const boundary = boundaryOf(mimeType);
  const body = parts.map((part) => `--${boundary}\r\n${write(part)}\r\n`).join("");
  return `${head}\r\n${body}--${boundary}--\r\n`;
}

function textPart(mimeType: string, text: string): MailPart {
  return {
    mimeType,
    headers: [
      { name: "Content-Type", value: `${mimeType}; charset="UTF-8"` },
      { name: "Content-Transfer-Encoding", value: "base64" },
    ],
    filename: "",
    bytes: new TextEncoder().encode(text),
    parts: [],
  };
}

function attachmentPart({ name, contentType, bytes, contentId }: Attachment): MailPart {
  const disposition = contentId === undefined ? "attachment" : "inline";
  return {
    mimeType: contentType,
    headers: [
      { name: "Content-Type", value: `${contentType}; name="${name}"` },
      { name: "Content-Disposition", value: `${disposition}; filename="${name}"` },
      { name: "Content-Transfer-Encoding", value: "base64" },
      ...(contentId === undefined ? [] : [{ name: "Content-ID", value: `<${contentId}>` }]),
    ],
    filename: name,
    bytes,
    parts: [],
  };
}

function multipart(kind: string, parts: MailPart[]): MailPart {
  const mimeType = `multipart/${kind}`;
  return {
    mimeType,
    headers: [{ name: "Content-Type", value: `${mimeType}; boundary="${boundaryOf(mimeType)}"` }],
    filename: "",
    bytes: new Uint8Array(0),
    parts,
  };
}

/** Base64 has no hyphen: the boundary cannot be in a body. One of each kind is in a mail. */
function boundaryOf(mimeType: string): string {
  return `=-sandbox-${mimeType.slice("multipart/".length)}`;
}

/** @see https://www.rfc-editor.org/rfc/rfc2047 */
function encodeHeader(value: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  return `=?UTF-8?B?${Buffer.from(value).toString("base64")}?=`;
}
