import { Buffer } from "node:buffer";
import type { Context } from "hono";
import { GoogleError } from "./errors.ts";
import type { MailPart } from "./mail.ts";
import type { Message } from "./mailbox.ts";

/** A message as the answers to changes tell it. */
export function briefMessage({ id, threadId, labelIds }: Message): Record<string, unknown> {
  return { id, threadId, labelIds };
}

/** A message in the format that was asked for. @throws GoogleError `invalidArgument` */
export function showMessage(c: Context, message: Message): Record<string, unknown> {
  const format = (c.req.query("format") ?? "full").toLowerCase();
  const about = {
    ...briefMessage(message),
    snippet: message.snippet,
    historyId: String(message.historyId),
    internalDate: String(message.internalDate),
    sizeEstimate: message.raw.length,
  };
  if (format === "minimal") return about;
  if (format === "raw") return { ...about, raw: base64Url(message.raw) };
  if (format === "full") return { ...about, payload: describePart(message, message.payload, []) };
  if (format !== "metadata") {
    throw new GoogleError("invalidArgument", `Invalid value at 'format': "${format}"`);
  }
  const wanted = c.req.queries("metadataHeaders")?.map((name) => name.toLowerCase());
  const headers = message.payload.headers
    .filter(({ name }) => wanted?.includes(name.toLowerCase()) ?? true);
  return { ...about, payload: { mimeType: message.payload.mimeType, headers } };
}

function describePart(message: Message, part: MailPart, path: number[]): Record<string, unknown> {
  const { mimeType, filename, headers, bytes, parts } = part;
  const size = bytes.length;
  const body = filename !== ""
    ? { attachmentId: writeAttachmentId(message.id, path), size }
    : size === 0
    ? { size }
    : { size, data: base64Url(bytes) };
  return {
    partId: path.join("."),
    mimeType,
    filename,
    headers,
    body,
    ...(parts.length > 0 && {
      parts: parts.map((child, index) => describePart(message, child, [...path, index])),
    }),
  };
}

/** The part of a mail at the place that its id names. */
export function partAt(part: MailPart, path: readonly number[]): MailPart | undefined {
  const [first, ...rest] = path;
  if (first === undefined) return part;
  const child = part.parts[first];
  return child && partAt(child, rest);
}

/** Gmail gives an attachment another id each time; all of them work. */
function writeAttachmentId(messageId: string, path: readonly number[]): string {
  return base64Url(Buffer.from(`${crypto.randomUUID()}:${messageId}:${path.join(".")}`));
}

/** What {@linkcode writeAttachmentId} has written: a message and the place of a part. */
export function readAttachmentId(id: string): [messageId: string, path: number[]] {
  const [, messageId = "", path = ""] = Buffer.from(id, "base64url").toString().split(":");
  return [messageId, path.split(".").map(Number)];
}

/** Base64url as Gmail writes it. */
export function base64Url(bytes: Uint8Array): string {
  // Gmail pads, other than most who write base64url.
  const text = Buffer.from(bytes).toString("base64url");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}
