/**
 * A message of Gmail as people read it: one text, its attachments by name, a link to its thread.
 * @see https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages#MessagePart
 */
import { Buffer } from "node:buffer";
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";

/** A part of a message, as Gmail has taken it apart. */
export interface MessagePart {
  partId?: string;
  mimeType?: string;
  filename?: string;
  headers?: { name: string; value: string }[];
  body?: { attachmentId?: string; size?: number; data?: string };
  parts?: MessagePart[];
}

/** An attachment; its `part_id` names it for good, Gmail's attachment ids do not. */
export interface Attachment {
  part_id: string;
  filename: string;
  content_type: string;
  size_bytes: number;
}

/** What the handler answers. */
export interface Message {
  id: string;
  thread_id: string;
  label_ids: string[];
  subject: string;
  from: { name: string; email: string };
  to: { name: string; email: string }[];
  cc: { name: string; email: string }[];
  /** RFC 5322 Message-ID; null: the message has none. */
  message_id: string | null;
  /** ISO 8601. */
  received_at: string;
  text: string;
  snippet: string;
  link: string;
  attachments: Attachment[];
}

interface GmailMessage {
  id: string;
  threadId: string;
  labelIds?: string[];
  snippet?: string;
  internalDate?: string;
  payload?: MessagePart;
}

/** Reads a message and makes a text of it. */
export const gmailMessage: Handler = async (context) => {
  const url = `${messageUrl(context)}?format=full`;
  const { status, body } = await context.client.call({ method: "GET", url });
  const message = body as GmailMessage;
  const header = (name: string) =>
    message.payload?.headers?.find((each) => each.name.toLowerCase() === name)?.value ?? "";
  // Line ends inside a header are folding.
  const subject = header("subject").replace(/\s+/g, " ").trim();
  const { default: parseAddresses } = await import("nodemailer/lib/addressparser/index.js");
  const addresses = (name: string) =>
    parseAddresses(header(name), { flatten: true })
      .map(({ name, address }) => ({ name, email: address }));
  const result: Message = {
    id: message.id,
    thread_id: message.threadId,
    label_ids: message.labelIds ?? [],
    subject,
    from: addresses("from")[0] ?? { name: "", email: "" },
    to: addresses("to"),
    cc: addresses("cc"),
    message_id: header("message-id") || null,
    received_at: new Date(Number(message.internalDate ?? 0)).toISOString(),
    text: await textOf(context, message),
    snippet: message.snippet ?? "",
    link: `https://mail.google.com/mail/u/0/#all/${message.threadId}`,
    attachments: attachmentsOf(message.payload ?? {}),
  };
  return { kind: "result", status, result };
};

/** Everything in a message that has a file name, images inside its HTML too. */
export function attachmentsOf(part: MessagePart): Attachment[] {
  const { partId, filename, mimeType, body } = part;
  const own = filename && partId !== undefined && partId !== ""
    ? [{
      part_id: partId,
      filename,
      content_type: mimeType ?? "application/octet-stream",
      size_bytes: body?.size ?? 0,
    }]
    : [];
  return [...own, ...(part.parts ?? []).flatMap(attachmentsOf)];
}

/** The plain text if the sender wrote one, else what remains of the HTML without its marks. */
async function textOf(context: HandlerContext, message: GmailMessage): Promise<string> {
  const bodies = bodiesOf(message.payload ?? {});
  const read = async (type: string) => {
    const texts: string[] = [];
    for (const part of bodies.filter(({ mimeType }) => mimeType === type)) {
      texts.push(decodeText(await bytesOf(context, message.id, part), charsetOf(part)));
    }
    return texts.join("\n\n").replace(/\r\n?/g, "\n").trim();
  };
  return await read("text/plain") || await htmlToText(await read("text/html"));
}

/** Text as an HTML mail shows it: paragraphs, lists, links with their address, no images. */
export async function htmlToText(html: string): Promise<string> {
  // 30 ms to load, for mails without a text of their own.
  const { convert } = await import("html-to-text");
  return convert(html, {
    wordwrap: false,
    selectors: [
      { selector: "img", format: "skip" },
      { selector: "a", options: { hideLinkHrefIfSameAsText: true, ignoreHref: false } },
      { selector: "table", format: "dataTable" },
    ],
    limits: { maxInputLength: 2_000_000 },
  }).trim();
}

function bodiesOf(part: MessagePart): MessagePart[] {
  if (part.filename) return [];
  if (part.mimeType?.startsWith("text/")) return [part];
  return (part.parts ?? []).flatMap(bodiesOf);
}

async function bytesOf(
  context: HandlerContext,
  messageId: string,
  { body }: MessagePart,
): Promise<Uint8Array> {
  if (body?.data !== undefined) return Buffer.from(body.data, "base64url");
  if (!body?.attachmentId) return new Uint8Array();
  // A text that is too long to stand in the message.
  const url = `${messagesUrl(context)}/${encodeURIComponent(messageId)}/attachments/${
    encodeURIComponent(body.attachmentId)
  }`;
  const answer = await context.client.call({ method: "GET", url });
  return Buffer.from((answer.body as { data?: string }).data ?? "", "base64url");
}

function charsetOf({ headers }: MessagePart): string | undefined {
  const type = headers?.find(({ name }) => name.toLowerCase() === "content-type")?.value ?? "";
  return /charset\s*=\s*"?([^\s";]+)/i.exec(type)?.[1];
}

/** In the charset the part names, unless its bytes are UTF-8 all the same. */
export function decodeText(bytes: Uint8Array, charset: string | undefined): string {
  const isSevenBit = /^iso-2022|^utf-7|^hz/i.test(charset ?? "");
  try {
    if (!isSevenBit) return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Not UTF-8.
  }
  try {
    return new TextDecoder(charset ?? "windows-1252").decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** `…/users/<user>/messages` */
function messagesUrl(context: HandlerContext): string {
  return messageUrl(context).replace(/\/[^/]+$/, "");
}

/** `…/users/<user>/messages/<id>` */
export function messageUrl({ request }: HandlerContext): string {
  return request.url.split("?")[0]!;
}

/** @throws ExecutionError `provider_error` (502) when the message has no such part */
export function requirePart(payload: MessagePart | undefined, partId: string): MessagePart {
  const find = (part: MessagePart): MessagePart | undefined =>
    part.partId === partId ? part : part.parts?.map(find).find((found) => found !== undefined);
  const part = payload && find(payload);
  if (part) return part;
  throw new ExecutionError("provider_error", 502, `The message has no part ${partId}.`, {
    effect: "none",
    details: { reason: "provider_not_found", retryable: false },
  });
}
