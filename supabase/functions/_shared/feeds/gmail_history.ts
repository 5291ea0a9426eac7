/**
 * Gmail's history: an event for each message and each label that it got.
 * @see https://developers.google.com/workspace/gmail/api/guides/sync
 */
import { type Call, CallError } from "./call.ts";
import { untoldSince } from "./listing.ts";
import {
  CursorExpired,
  type Feed,
  type FeedAccount,
  type FeedEvent,
  type Page,
  type PullContext,
} from "./types.ts";

interface Message {
  id: string;
  threadId: string;
  labelIds?: string[];
  historyId?: string;
  /** Milliseconds since the epoch, in digits. */
  internalDate?: string;
}

interface HistoryRecord {
  id: string;
  messagesAdded?: { message: Message }[];
  labelsAdded?: { message: Message; labelIds: string[] }[];
}

interface Label {
  id: string;
  name: string;
  type?: "system" | "user";
}

/** Of the labels that Gmail gives by itself, those that mean something to people. */
const SYSTEM_LABELS = new Set(["INBOX", "STARRED", "IMPORTANT"]);
const LABELS_KEPT_MS = 5 * 60_000;
/** A history that has expired tells no more which older mails got a label. So far back it is looked. */
const OLDER_DAYS = 90;
/** And at so many of a label's latest mails, since each is a request. */
const OLDER_PER_LABEL = 100;

/** Gmail's history. */
export const gmailHistory: Feed = {
  async start(context) {
    const { emailAddress, historyId } = await profile(context);
    return { events: [], cursor: historyId, hasMore: false, account: emailAddress };
  },

  async pull(context) {
    switch (context.cursor.progress?.mode) {
      case "listing":
        return await list(context);
      case "labels":
        return await listLabel(context);
      default:
        return await readHistory(context);
    }
  },

  async restart(context) {
    // Taken first: what comes while messages are listed is told by the history again.
    const { emailAddress, historyId } = await profile(context);
    return {
      events: [],
      cursor: historyId,
      hasMore: true,
      account: emailAddress,
      progress: {
        mode: "listing",
        since: untoldSince(context.cursor),
        ...(context.cursor.cursor ? { expired: context.cursor.cursor } : {}),
      },
    };
  },

  async open(task, call) {
    const { pubsub_topic, watch_label_ids } = task.integration.config;
    const { result } = await call<{ historyId: string; expiration: string }>("users.watch", {
      userId: userOf(task),
      topicName: pubsub_topic,
      ...(Array.isArray(watch_label_ids)
        ? { labelIds: watch_label_ids, labelFilterBehavior: "include" }
        : {}),
    });
    return {
      resource_id: task.account ?? userOf(task),
      expires_at: new Date(Number(result.expiration)),
    };
  },

  async stop(task, call) {
    await call("users.stop", { userId: userOf(task) });
  },
};

function userOf({ scope }: Pick<FeedAccount, "scope">): string {
  return scope || "me";
}

async function profile({ call, cursor }: PullContext) {
  return (await call<{ emailAddress: string; historyId: string }>("users.getProfile", {
    userId: userOf(cursor),
  })).result;
}

async function readHistory(context: PullContext): Promise<Page> {
  const { call, cursor } = context;
  const page = cursor.progress?.page;
  let answer: { history?: HistoryRecord[]; nextPageToken?: string; historyId: string };
  try {
    answer = (await call<typeof answer>("history.list", {
      userId: userOf(cursor),
      startHistoryId: cursor.cursor,
      historyTypes: ["messageAdded", "labelAdded"],
      maxResults: 200,
      ...(page ? { pageToken: page } : {}),
    })).result;
  } catch (error) {
    const isOld = error instanceof CallError &&
      (error.status === 404 || page !== undefined && error.status === 400);
    throw isOld ? new CursorExpired(error.message) : error;
  }
  const { history = [], nextPageToken, historyId } = answer;
  const labelled = history.flatMap(({ id, messagesAdded = [], labelsAdded = [] }) => [
    ...messagesAdded.map(({ message }) => ({
      message: { ...message, historyId: id },
      labelIds: message.labelIds ?? [],
    })),
    ...labelsAdded.map(({ message, labelIds }) => ({
      message: { ...message, historyId: id },
      labelIds,
    })),
  ]);
  return {
    events: await toEvents(context, labelled),
    // The cursor stays until the last page: pages are counted from it.
    cursor: nextPageToken ? cursor.cursor : historyId,
    hasMore: nextPageToken !== undefined,
    ...(nextPageToken ? { progress: { mode: "pages", page: nextPageToken } } : {}),
  };
}

/** The messages that came since all was known, newest first. */
async function list(context: PullContext): Promise<Page> {
  const { cursor } = context;
  const progress = cursor.progress!;
  const { messages, next } = await listed(context, {
    q: `after:${seconds(progress.since!)}`,
    maxResults: 50,
    ...(progress.page ? { pageToken: progress.page } : {}),
  });
  return {
    events: await toEvents(context, messages),
    cursor: cursor.cursor,
    hasMore: true,
    progress: next === undefined
      ? { ...progress, mode: "labels", page: undefined, labels: await followedLabels(context) }
      : { ...progress, page: next },
  };
}

/**
 * Older messages that bear a label and were changed since the history that is lost: among them are
 * those that got it meanwhile. What was told of them before has the same key.
 */
async function listLabel(context: PullContext): Promise<Page> {
  const { cursor } = context;
  const { labels = [], since, expired } = cursor.progress!;
  const [label, ...rest] = labels;
  // The history goes on from where it was when the listing began.
  if (label === undefined) return { events: [], cursor: cursor.cursor, hasMore: true };
  const { messages } = await listed(context, {
    labelIds: [label],
    q: `after:${seconds(since!) - OLDER_DAYS * 86_400} before:${seconds(since!)}`,
    maxResults: OLDER_PER_LABEL,
  });
  const isChanged = ({ historyId }: Message) =>
    expired === undefined || historyId === undefined || BigInt(historyId) > BigInt(expired);
  return {
    events: await toEvents(
      context,
      messages.filter(({ message }) => isChanged(message))
        .map(({ message }) => ({ message, labelIds: [label] })),
    ),
    cursor: cursor.cursor,
    hasMore: true,
    progress: { ...cursor.progress!, labels: rest },
  };
}

/** A page of messages with their labels. */
async function listed({ call, cursor }: PullContext, parameters: Record<string, unknown>) {
  const userId = userOf(cursor);
  const { messages = [], nextPageToken } = (await call<{
    messages?: { id: string }[];
    nextPageToken?: string;
  }>("messages.list", { userId, ...parameters })).result;
  const labelled = [];
  for (const { id } of messages) {
    try {
      const { result } = await call<Message>("messages.get", { userId, id, format: "minimal" });
      labelled.push({ message: result, labelIds: result.labelIds ?? [] });
    } catch (error) {
      // Deleted since it was listed.
      if (!(error instanceof CallError) || error.status !== 404) throw error;
    }
  }
  return { messages: labelled, next: nextPageToken };
}

/** The labels that people put on mails; INBOX comes with their arrival. */
async function followedLabels({ call, cursor }: PullContext): Promise<string[]> {
  const { result } = await call<{ labels?: Label[] }>("labels.list", { userId: userOf(cursor) });
  const own = (result.labels ?? []).filter(({ type }) => type === "user").map(({ id }) => id);
  return [...own, "STARRED", "IMPORTANT"];
}

function seconds(iso: string): number {
  return Math.floor(Date.parse(iso) / 1000);
}

async function toEvents(
  { cursor, call }: PullContext,
  labelled: { message: Message; labelIds: string[] }[],
): Promise<FeedEvent[]> {
  const mailbox = cursor.account ?? cursor.scope;
  const wanted = labelled.flatMap(({ message, labelIds }) =>
    labelIds.map((labelId) => ({ message, labelId }))
  );
  const names = await labelNames(cursor, call, wanted.map(({ labelId }) => labelId));
  return wanted.flatMap(({ message, labelId }) => {
    const name = names.get(labelId);
    if (name === undefined) return [];
    const { id, threadId, historyId = null, labelIds = [], internalDate } = message;
    return [{
      dedupe_key: `gmail:${id}:${labelId}`,
      event_type: "gmail.message.labeled",
      resource_path: `labels/${name}`,
      account: mailbox || null,
      occurred_at: internalDate ? new Date(Number(internalDate)).toISOString() : null,
      payload: {
        message: { id, threadId, historyId, labelIds },
        label: { id: labelId, name },
        mailbox,
      },
    }];
  });
}

const labels = new Map<string, { names: Map<string, string>; until: number }>();

/** Names of the labels that events are made of; people's own are asked for. */
async function labelNames(
  { integration, connection_id, scope }: FeedAccount,
  call: Call,
  ids: string[],
): Promise<Map<string, string>> {
  const own = ids.filter((id) => id.startsWith("Label_"));
  const system = [...SYSTEM_LABELS].map((name) => [name, name] as const);
  if (own.length === 0) return new Map(system);
  const key = `${integration.id}/${connection_id}/${scope}`;
  let kept = labels.get(key);
  const isComplete = kept && kept.until > Date.now() && own.every((id) => kept!.names.has(id));
  if (!isComplete) {
    const { result } = await call<{ labels?: Label[] }>("labels.list", {
      userId: userOf({ scope }),
    });
    const users = (result.labels ?? []).filter(({ type }) => type === "user");
    kept = {
      names: new Map(users.map(({ id, name }) => [id, name])),
      until: Date.now() + LABELS_KEPT_MS,
    };
    labels.set(key, kept);
  }
  return new Map([...system, ...kept!.names]);
}
