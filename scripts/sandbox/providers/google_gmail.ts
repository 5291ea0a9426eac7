import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { deterministicBytes, FixtureError } from "../core/fixtures.ts";
import { concat } from "../core/contents.ts";
import type { ObservedEnv, ProviderPart, Sandbox } from "../core/provider.ts";
import { DRIVE_USER } from "./google_drive_files.ts";
import { GoogleError } from "./google_errors.ts";
import { parseFields, selectFields } from "./google_fields.ts";
import { composeMail, type MailPart } from "./google_mail.ts";
import {
  headerOf,
  type HistoryRecord,
  type HistoryType,
  type Label,
  Mailbox,
  type Message,
} from "./google_mailbox.ts";
import type { PubSub } from "./google_pubsub.ts";
import { readBody } from "./google_requests.ts";

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

interface Watch {
  topicName: string;
  labelIds: string[];
  excludes: boolean;
  expiresAt: number;
}

const WATCH_MS = 7 * 24 * 60 * 60 * 1000;
const HISTORY_TYPES = ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"] as const;

/**
 * Gmail v1: one mailbox, its messages, labels and history, and pushes by Pub/Sub.
 *
 * @see https://developers.google.com/workspace/gmail/api/reference/rest
 */
export function createGmail(
  sandbox: Sandbox,
  pubsub: PubSub,
): ProviderPart {
  let watch: Watch | undefined;
  const mailbox = new Mailbox(DRIVE_USER.email, sandbox.clock, (record) => notify(record));
  const app = new Hono<ObservedEnv>();
  const at = "/gmail/v1/users/:user";

  app.use(`${at}/*`, async (c, next) => {
    const user = c.req.param("user");
    if (user !== "me" && user.toLowerCase() !== mailbox.address) {
      throw new GoogleError("forbidden", `Delegation denied for ${mailbox.address}`);
    }
    await next();
  });

  app.get(`${at}/profile`, (c) =>
    answer(c, {
      emailAddress: mailbox.address,
      messagesTotal: mailbox.messages().length,
      threadsTotal: new Set(mailbox.messages().map(({ threadId }) => threadId)).size,
      historyId: String(mailbox.historyId),
    }));

  app.post(`${at}/watch`, async (c) => {
    const wanted = await readBody(
      c,
      z.object({
        topicName: z.string().default(""),
        labelIds: z.array(z.string()).default([]),
        labelFilterBehavior: z.enum(["include", "exclude", "INCLUDE", "EXCLUDE"]).optional(),
        labelFilterAction: z.enum(["include", "exclude"]).optional(),
      }),
    );
    const { topicName, labelIds } = wanted;
    if (!/^projects\/[^/]+\/topics\/[^/]+$/.test(topicName)) {
      throw new GoogleError(
        "invalidArgument",
        "Invalid topicName does not match projects/*/topics/*",
      );
    }
    if (!pubsub.hasTopic(topicName)) {
      throw new GoogleError(
        "forbidden",
        `Error sending test message to Cloud PubSub ${topicName} : User not authorized to perform this action.`,
      );
    }
    for (const label of labelIds) mailbox.label(label);
    const behavior = wanted.labelFilterBehavior ?? wanted.labelFilterAction ?? "include";
    watch = {
      topicName,
      labelIds,
      excludes: behavior.toLowerCase() === "exclude",
      expiresAt: sandbox.clock.now() + WATCH_MS,
    };
    publish(watch);
    return answer(c, {
      historyId: String(mailbox.historyId),
      expiration: String(watch.expiresAt),
    });
  });

  app.post(`${at}/stop`, (c) => {
    watch = undefined;
    return c.body(null, 204);
  });

  app.get(`${at}/labels`, (c) => answer(c, { labels: mailbox.labels().map(describeLabel) }));

  app.get(`${at}/labels/:id`, (c) => {
    const label = mailbox.labels().find(({ id }) => id === c.req.param("id"));
    if (!label) throw new GoogleError("notFound", "Requested entity was not found.");
    const labelled = mailbox.messages().filter(({ labelIds }) => labelIds.includes(label.id));
    return answer(c, {
      ...describeLabel(label),
      messagesTotal: labelled.length,
      messagesUnread: labelled.filter(({ labelIds }) => labelIds.includes("UNREAD")).length,
    });
  });

  app.post(`${at}/labels`, async (c) => {
    const { name } = await readBody(c, z.object({ name: z.string().min(1) }));
    return answer(c, describeLabel(mailbox.addLabel(name)));
  });

  app.get(`${at}/messages`, (c) => {
    const found = search(c);
    const { items, nextPageToken } = paginate(c, found, 100);
    return answer(c, {
      ...(items.length > 0 && {
        messages: items.map(({ id, threadId }) => ({ id, threadId })),
      }),
      ...(nextPageToken && { nextPageToken }),
      resultSizeEstimate: found.length,
    });
  });

  app.post(`${at}/messages/batchModify`, async (c) => {
    const { ids, addLabelIds, removeLabelIds } = await readBody(c, BatchModify);
    for (const id of ids) mailbox.message(id);
    for (const id of ids) mailbox.modify(id, addLabelIds, removeLabelIds);
    return c.body(null, 204);
  });

  app.get(`${at}/messages/:id`, (c) => answer(c, show(c, mailbox.message(c.req.param("id")))));

  app.delete(`${at}/messages/:id`, (c) => {
    mailbox.remove(c.req.param("id"));
    return c.body(null, 204);
  });

  app.post(`${at}/messages/:id/modify`, async (c) => {
    const { addLabelIds, removeLabelIds } = await readBody(c, Modify);
    return answer(c, brief(mailbox.modify(c.req.param("id"), addLabelIds, removeLabelIds)));
  });
  app.post(
    `${at}/messages/:id/trash`,
    (c) => answer(c, brief(mailbox.modify(c.req.param("id"), ["TRASH"], ["INBOX"]))),
  );
  app.post(
    `${at}/messages/:id/untrash`,
    (c) => answer(c, brief(mailbox.modify(c.req.param("id"), [], ["TRASH"]))),
  );

  app.get(`${at}/messages/:message/attachments/:id`, (c) => {
    const [messageId, path] = readAttachmentId(c.req.param("id"));
    const message = mailbox.message(c.req.param("message"));
    const part = messageId === message.id ? partAt(message.payload, path) : undefined;
    if (!part) throw new GoogleError("invalidArgument", "Invalid attachment token");
    return answer(c, { size: part.bytes.length, data: base64Url(part.bytes) });
  });

  app.get(`${at}/threads`, (c) => {
    const latest = new Map<string, Message>();
    for (const message of search(c)) {
      if (!latest.has(message.threadId)) latest.set(message.threadId, message);
    }
    const { items, nextPageToken } = paginate(c, [...latest.values()], 100);
    return answer(c, {
      ...(items.length > 0 && {
        threads: items.map(({ threadId, snippet, historyId }) => ({
          id: threadId,
          snippet,
          historyId: String(historyId),
        })),
      }),
      ...(nextPageToken && { nextPageToken }),
      resultSizeEstimate: latest.size,
    });
  });

  app.get(`${at}/threads/:id`, (c) => {
    const messages = mailbox.messages().filter(({ threadId }) => threadId === c.req.param("id"));
    if (messages.length === 0) throw new GoogleError("notFound", "Requested entity was not found.");
    return answer(c, {
      id: messages[0]!.threadId,
      historyId: String(Math.max(...messages.map(({ historyId }) => historyId))),
      messages: messages.toReversed().map((message) => show(c, message)),
    });
  });

  app.get(`${at}/history`, (c) => {
    const start = c.req.query("startHistoryId");
    if (!start || !/^\d+$/.test(start)) {
      throw new GoogleError("invalidArgument", "Missing or invalid startHistoryId");
    }
    const types = c.req.queries("historyTypes") ?? c.req.queries("historyTypes[]") ?? [];
    for (const type of types) {
      if (HISTORY_TYPES.includes(type as HistoryType)) continue;
      throw new GoogleError("invalidArgument", `Invalid value at 'history_types': "${type}"`);
    }
    const labelId = c.req.query("labelId");
    const found = mailbox.since(Number(start)).filter(({ type, message, labelIds }) =>
      (types.length === 0 || types.includes(type)) &&
      (labelId === undefined || [...message.labelIds, ...labelIds].includes(labelId))
    );
    const { items, nextPageToken } = paginate(c, found, 100);
    return answer(c, {
      ...(items.length > 0 && { history: items.map(describeRecord) }),
      ...(nextPageToken && { nextPageToken }),
      historyId: String(mailbox.historyId),
    });
  });

  function search(c: Context): Message[] {
    const wanted = c.req.queries("labelIds") ?? [];
    const matches = parseSearch(c.req.query("q") ?? "", mailbox.labels());
    const hidden = c.req.query("includeSpamTrash") === "true" ? [] : ["SPAM", "TRASH"];
    return mailbox.messages().filter((message) =>
      wanted.every((label) => message.labelIds.includes(label)) &&
      (wanted.some((label) => hidden.includes(label)) ||
        !message.labelIds.some((label) => hidden.includes(label))) &&
      matches(message)
    );
  }

  function notify({ message, labelIds }: HistoryRecord): void {
    if (!watch || watch.expiresAt <= sandbox.clock.now()) return;
    const concerned = [...message.labelIds, ...labelIds];
    const isNamed = concerned.some((label) => watch!.labelIds.includes(label));
    if (watch.labelIds.length === 0 || isNamed !== watch.excludes) publish(watch);
  }

  function publish({ topicName }: Watch): void {
    const { address, historyId } = mailbox;
    pubsub.publish(topicName, { emailAddress: address, historyId });
  }

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
  control.get("/gmail/watch", (c) =>
    c.json({
      watch: watch && watch.expiresAt > sandbox.clock.now()
        ? { topic: watch.topicName, expires_at: new Date(watch.expiresAt).toISOString() }
        : null,
    }));

  return {
    app,
    control,
    reset() {
      watch = undefined;
      mailbox.clear();
    },
  };
}

const Modify = z.object({
  addLabelIds: z.array(z.string()).default([]),
  removeLabelIds: z.array(z.string()).default([]),
});
const BatchModify = Modify.extend({ ids: z.array(z.string()).default([]) });

function answer(c: Context, body: Record<string, unknown>): Response {
  const fields = c.req.query("fields");
  return c.json(fields ? selectFields(body, parseFields(fields)) as object : body);
}

function brief({ id, threadId, labelIds }: Message): Record<string, unknown> {
  return { id, threadId, labelIds };
}

function describeLabel({ id, name, type }: Label): Record<string, unknown> {
  return type === "system" ? { id, name, type } : {
    id,
    name,
    type,
    messageListVisibility: "show",
    labelListVisibility: "labelShow",
  };
}

function describeRecord({ id, type, message, labelIds }: HistoryRecord): Record<string, unknown> {
  const { id: messageId, threadId } = message;
  const change = type === "labelAdded" || type === "labelRemoved"
    ? { message, labelIds }
    : { message };
  const name = { messageAdded: "messagesAdded", messageDeleted: "messagesDeleted" } as const;
  const names = { ...name, labelAdded: "labelsAdded", labelRemoved: "labelsRemoved" } as const;
  return {
    id: String(id),
    messages: [{ id: messageId, threadId }],
    [names[type]]: [change],
  };
}

/** A message in the format that was asked for. @throws GoogleError `invalidArgument` */
function show(c: Context, message: Message): Record<string, unknown> {
  const format = (c.req.query("format") ?? "full").toLowerCase();
  const about = {
    ...brief(message),
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

function partAt(part: MailPart, path: readonly number[]): MailPart | undefined {
  const [first, ...rest] = path;
  if (first === undefined) return part;
  const child = part.parts[first];
  return child && partAt(child, rest);
}

/** Gmail gives an attachment another id each time; all of them work. */
function writeAttachmentId(messageId: string, path: readonly number[]): string {
  return base64Url(Buffer.from(`${crypto.randomUUID()}:${messageId}:${path.join(".")}`));
}

function readAttachmentId(id: string): [messageId: string, path: number[]] {
  const [, messageId = "", path = ""] = Buffer.from(id, "base64url").toString().split(":");
  return [messageId, path.split(".").map(Number)];
}

function base64Url(bytes: Uint8Array): string {
  // Gmail pads, other than most who write base64url.
  const text = Buffer.from(bytes).toString("base64url");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** @throws GoogleError `invalidArgument` when the token is none */
function paginate<T>(
  c: Context,
  all: readonly T[],
  usual: number,
): { items: T[]; nextPageToken: string | undefined } {
  const token = c.req.query("pageToken");
  if (token && !/^\d+$/.test(token)) throw new GoogleError("invalidArgument", "Invalid pageToken");
  const size = Math.min(Math.max(Number(c.req.query("maxResults") ?? usual) || usual, 1), 500);
  const start = Number(token ?? 0);
  const end = start + size;
  return {
    items: all.slice(start, end),
    nextPageToken: end < all.length ? String(end) : undefined,
  };
}

/** The part of Gmail's search that programs use; words are looked for in subject and text. */
function parseSearch(query: string, labels: readonly Label[]): (message: Message) => boolean {
  const terms = query.match(/(?:[a-z_]+:)?(?:"[^"]*"|\S+)/gi) ?? [];
  const tests = terms.map((term) => {
    const [, operator = "", value = ""] = /^(?:([a-z_]+):)?"?(.*?)"?$/i.exec(term) ?? [];
    const text = value.toLowerCase();
    const has = (where: string) => where.toLowerCase().includes(text);
    const labelled = (name: string) => {
      const id = labels.find((label) =>
        label.name.toLowerCase().replace(/[\s/]/g, "-") === name.replace(/[\s/]/g, "-")
      )?.id;
      return (message: Message) => id !== undefined && message.labelIds.includes(id);
    };
    const tests: Record<string, (message: Message) => boolean> = {
      from: ({ payload }) => has(headerOf(payload, "From")),
      to: ({ payload }) => has(headerOf(payload, "To")),
      subject: ({ payload }) => has(headerOf(payload, "Subject")),
      rfc822msgid: ({ payload }) => headerOf(payload, "Message-ID") === `<${value}>`,
      label: labelled(text),
      in: text === "anywhere" ? () => true : labelled(text),
      is: text === "read"
        ? (message) => !message.labelIds.includes("UNREAD")
        : labelled(text === "unread" || text === "important" ? text : "starred"),
      has: ({ payload }) => payload.parts.some(({ filename }) => filename !== ""),
      after: ({ internalDate }) => internalDate >= toTime(value),
      before: ({ internalDate }) => internalDate < toTime(value),
    };
    return tests[operator.toLowerCase()] ??
      ((message: Message) => has(`${headerOf(message.payload, "Subject")} ${message.snippet}`));
  });
  return (message) => tests.every((test) => test(message));
}

/** Seconds since the epoch, or a date such as `2026/01/31`. */
function toTime(text: string): number {
  return /^\d{9,}$/.test(text) ? Number(text) * 1000 : Date.parse(text.replaceAll("/", "-"));
}
