/**
 * A mail as Gmail takes it: RFC 2822, base64url. One part, or text beside HTML, with images inside
 * the HTML and attachments around it.
 * @see https://developers.google.com/workspace/gmail/api/guides/sending
 */
import { Buffer } from "node:buffer";
import type { Handler } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";
import type { FileValue } from "../request.ts";

/** What a mail is written from. */
export interface Mail {
  to: string | string[];
  cc?: string | string[];
  bcc?: string | string[];
  from?: string;
  reply_to?: string | string[];
  subject: string;
  text?: string;
  html?: string;
  in_reply_to?: string;
  references?: string[];
  attachments?: MailFile[];
}

/** An attachment; with a content id, an image inside the HTML. */
export interface MailFile {
  filename: string;
  content_type: string;
  content_id?: string;
  bytes: Uint8Array;
}

/** Gmail's limit, in bytes of the message as it travels. */
const MAX_MESSAGE = 35 * 1024 * 1024;

/** Writes the mail, and sends it or keeps it as a draft. */
export const gmailSend: Handler = async ({ begun, client, files, parameters, request }) => {
  const { attachments = [], thread_id, userId: _, ...mail } = parameters as unknown as
    & Omit<Mail, "attachments">
    & { attachments?: (FileValue & { content_id?: string })[]; thread_id?: string; userId: string };
  const opened: MailFile[] = [];
  for (const [index, value] of attachments.entries()) {
    const { bytes, content_type } = await files.bytes(value, `/attachments/${index}`);
    opened.push({
      filename: value.filename,
      content_type,
      bytes,
      ...(value.content_id ? { content_id: value.content_id } : {}),
    });
  }
  const raw = await writeMail({ ...mail, attachments: opened });
  if (raw.byteLength > MAX_MESSAGE) {
    throw new ExecutionError(
      "payload_too_large",
      413,
      `The mail is ${raw.byteLength} bytes with its attachments; Gmail takes ${MAX_MESSAGE}.`,
    );
  }
  const message = {
    raw: Buffer.from(raw).toString("base64url"),
    ...(thread_id ? { threadId: thread_id } : {}),
  };
  const { status, body } = await client.call({
    method: "POST",
    url: request.url,
    headers: { ...request.headers, "content-type": "application/json" },
    body: JSON.stringify(begun.action.slug === "drafts.create" ? { message } : message),
  });
  return { kind: "result", status, result: body };
};

/**
 * A mail as RFC 2822 text with CRLF line ends.
 *
 * Written by nodemailer's composer: encoded words, folding, quoted-printable and nested parts are its
 * trade, and a line end inside a header value does not make another header.
 */
export async function writeMail(mail: Mail): Promise<Uint8Array> {
  // 40 ms to load, for those who send mail.
  const { default: MailComposer } = await import("nodemailer/lib/mail-composer/index.js");
  const { in_reply_to, reply_to, attachments = [], ...rest } = mail;
  const message = new MailComposer({
    ...rest,
    ...(mail.text === undefined && mail.html === undefined ? { text: "" } : {}),
    inReplyTo: in_reply_to,
    replyTo: reply_to,
    newline: "\r\n",
    // Only bytes that were brought: a path or a URL is nobody's to read here.
    disableFileAccess: true,
    disableUrlAccess: true,
    attachments: attachments.map(({ filename, content_type, content_id, bytes }) => ({
      filename,
      contentType: content_type,
      content: Buffer.from(bytes),
      ...(content_id ? { cid: content_id.replace(/^<|>$/g, "") } : {}),
    })),
  }).compile();
  // Gmail reads the recipients from the message, and hides these from the others.
  message.keepBcc = true;
  return await message.build();
}
