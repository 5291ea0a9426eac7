import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, ProviderPart, Sandbox } from "../../core/provider.ts";
import { DRIVE_USER } from "./drive_files.ts";
import { GoogleError } from "./errors.ts";
import { createMailFixtures } from "./gmail_fixtures.ts";
import {
  base64Url,
  briefMessage,
  partAt,
  readAttachmentId,
  showMessage,
} from "./gmail_messages.ts";
import { parseSearch } from "./gmail_search.ts";
import {
  type HistoryRecord,
  type HistoryType,
  type Label,
  Mailbox,
  type Message,
} from "./mailbox.ts";
import type { PubSub } from "./pubsub.ts";
import { answer, readBody } from "./requests.ts";

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

  app.get(
    `${at}/messages/:id`,
    (c) => answer(c, showMessage(c, mailbox.message(c.req.param("id")))),
  );

  app.delete(`${at}/messages/:id`, (c) => {
    mailbox.remove(c.req.param("id"));
    return c.body(null, 204);
  });

  app.post(`${at}/messages/:id/modify`, async (c) => {
    const { addLabelIds, removeLabelIds } = await readBody(c, Modify);
    return answer(c, briefMessage(mailbox.modify(c.req.param("id"), addLabelIds, removeLabelIds)));
  });
  app.post(
    `${at}/messages/:id/trash`,
    (c) => answer(c, briefMessage(mailbox.modify(c.req.param("id"), ["TRASH"], ["INBOX"]))),
  );
  app.post(
    `${at}/messages/:id/untrash`,
    (c) => answer(c, briefMessage(mailbox.modify(c.req.param("id"), [], ["TRASH"]))),
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
      messages: messages.toReversed().map((message) => showMessage(c, message)),
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

  const control = createMailFixtures(sandbox, mailbox);
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
