import { Buffer } from "node:buffer";
import { Hono } from "hono";
import { z } from "zod";
import { concat } from "../../core/contents.ts";
import { deterministicBytes, FixtureError } from "../../core/fixtures.ts";
import type { Sandbox } from "../../core/provider.ts";
import { DRIVE_USER } from "./drive_files.ts";
import { composeMail } from "./mail.ts";
import { headerOf, type Mailbox, type Message } from "./mailbox.ts";

/** A mail that comes in, as `POST /_control/gmail/messages` takes it. */
export const MailFixture = z.strictObject({
  from: z.string().default("Ada Lovelace <ada@example.com>"),
  to: z.string().default(DRIVE_USER.email),
  subject: z.string().default("(no subject)"),
  text: z.string().optional(),
  html: z.string().optional(),
  /** Names of labels; a user's label is made when it is not there. */
  labels: z.array(z.string()).default(["INBOX", "UNREAD"]),
  attachments: z.array(z.strictObject({
    name: z.string().min(1),
    content_type: z.string().default("application/octet-stream"),
    text: z.string().optional(),
    base64: z.string().optional(),
    /** Or so many bytes that look random; equal seeds make equal bytes. */
    size: z.int().min(0).default(0),
    seed: z.string().default("mail"),
    /** Set for a picture that the HTML shows by `cid:`. */
    content_id: z.string().optional(),
  })).default([]),
  /** Answers in the thread of this message. */
  thread_id: z.string().optional(),
  /** `Message-ID` without its brackets. */
  message_id: z.string().optional(),
});
/** The input form of {@linkcode MailFixture}. */
export type MailFixture = z.input<typeof MailFixture>;

/** Labels that come and go, as `PATCH /_control/gmail/messages/<id>` takes them, by name. */
export const MailLabels = z.strictObject({
  add: z.array(z.string()).default([]),
  remove: z.array(z.string()).default([]),
});
/** The input form of {@linkcode MailLabels}. */
export type MailLabels = z.input<typeof MailLabels>;

/** A mail as an assertion sees it. */
export interface MailInfo {
  id: string;
  thread_id: string;
  history_id: string;
  subject: string;
  /** Names, not ids. */
  labels: string[];
}

/** Gmail's part of `/_control`: mails that come, change and go, and what is in the mailbox. */
export function createMailFixtures(sandbox: Sandbox, mailbox: Mailbox): Hono {
  const inform = (message: Message): MailInfo => ({
    id: message.id,
    thread_id: message.threadId,
    history_id: String(message.historyId),
    subject: headerOf(message.payload, "Subject"),
    labels: message.labelIds.map((id) => mailbox.label(id).name),
  });
  const find = (id: string): Message => {
    const message = mailbox.messages().find((each) => each.id === id);
    if (!message) throw new FixtureError(`There is no message ${id} in the mailbox.`);
    return message;
  };

  const control = new Hono();
  control.get("/gmail/messages", (c) => c.json({ messages: mailbox.messages().map(inform) }));
  control.post("/gmail/messages", async (c) => {
    const wanted = MailFixture.parse(await c.req.json());
    const labels = wanted.labels.map((name) => mailbox.labelNamed(name).id);
    const id = wanted.message_id ?? `${crypto.randomUUID()}@mail.example.com`;
    const payload = composeMail({
      headers: [
        { name: "Delivered-To", value: mailbox.address },
        { name: "Date", value: new Date(sandbox.clock.now()).toUTCString() },
        { name: "Message-ID", value: `<${id}>` },
        { name: "Subject", value: wanted.subject },
        { name: "From", value: wanted.from },
        { name: "To", value: wanted.to },
      ],
      text: wanted.text,
      html: wanted.html,
      attachments: wanted.attachments.map((each) => ({
        name: each.name,
        contentType: each.content_type,
        contentId: each.content_id,
        bytes: each.base64 !== undefined
          ? new Uint8Array(Buffer.from(each.base64, "base64"))
          : each.text !== undefined
          ? new TextEncoder().encode(each.text)
          : concat([...deterministicBytes(each.seed, each.size)]),
      })),
    });
    return c.json(inform(mailbox.deliver(payload, labels, wanted.thread_id)), 201);
  });
  control.patch("/gmail/messages/:id", async (c) => {
    const { id } = find(c.req.param("id"));
    const { add, remove } = MailLabels.parse(await c.req.json());
    const ids = (names: string[]) => names.map((name) => mailbox.labelNamed(name).id);
    return c.json(inform(mailbox.modify(id, ids(add), ids(remove))));
  });
  control.delete("/gmail/messages/:id", (c) => {
    mailbox.remove(find(c.req.param("id")).id);
    return c.body(null, 204);
  });
  control.post("/gmail/expire_history", (c) => {
    mailbox.expireHistory();
    return c.body(null, 204);
  });
  return control;
}
