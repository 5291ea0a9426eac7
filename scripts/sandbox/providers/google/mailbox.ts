import type { Clock } from "../../core/clock.ts";
import { GoogleError } from "./errors.ts";
import { findPart, type MailHeader, type MailPart, writeMail } from "./mail.ts";

/** A label: Gmail's own ones have their name as id. */
export interface Label {
  id: string;
  name: string;
  type: "system" | "user";
}

/** A mail in a mailbox. */
export interface Message {
  id: string;
  threadId: string;
  labelIds: string[];
  payload: MailPart;
  /** The mail as it came over the wire. */
  raw: Uint8Array;
  snippet: string;
  /** Of the last change. */
  historyId: number;
  /** Milliseconds since the epoch. */
  internalDate: number;
}

/** What history tells of a message. */
export type HistoryType = "messageAdded" | "messageDeleted" | "labelAdded" | "labelRemoved";

/** One entry of a mailbox's history. */
export interface HistoryRecord {
  id: number;
  type: HistoryType;
  /** As the message was then. */
  message: { id: string; threadId: string; labelIds: string[] };
  /** The labels that came or went. */
  labelIds: string[];
}

const SYSTEM_LABELS = [
  "CHAT",
  "SENT",
  "INBOX",
  "IMPORTANT",
  "TRASH",
  "DRAFT",
  "SPAM",
  "CATEGORY_FORUMS",
  "CATEGORY_UPDATES",
  "CATEGORY_PERSONAL",
  "CATEGORY_PROMOTIONS",
  "CATEGORY_SOCIAL",
  "STARRED",
  "UNREAD",
];
const FIRST_HISTORY_ID = 4711;
const FIRST_MESSAGE_ID = 0x1900_0000_0000_0000n;

/**
 * One mailbox with its labels and its history. Ids of history grow with gaps, as Gmail's do.
 *
 * @see https://developers.google.com/workspace/gmail/api/guides/sync
 */
export class Mailbox {
  historyId = FIRST_HISTORY_ID;
  #messages = new Map<string, Message>();
  #labels = new Map<string, Label>();
  #history: HistoryRecord[] = [];
  /** Ids below it have been forgotten. */
  #oldest = 0;
  #nextMessage = FIRST_MESSAGE_ID;
  #nextLabel = 1;

  /** @param changed is told each change once it is done */
  constructor(
    readonly address: string,
    readonly clock: Clock,
    readonly changed: (record: HistoryRecord) => void,
  ) {
    this.#addSystemLabels();
  }

  /** Newest first. */
  messages(): Message[] {
    return [...this.#messages.values()].reverse();
  }

  /** @throws GoogleError `notFound` */
  message(id: string): Message {
    const message = this.#messages.get(id);
    if (message) return message;
    throw new GoogleError("notFound", "Requested entity was not found.");
  }

  labels(): Label[] {
    return [...this.#labels.values()];
  }

  /** The label of an id. @throws GoogleError `invalidArgument` */
  label(id: string): Label {
    const label = this.#labels.get(id);
    if (label) return label;
    throw new GoogleError("invalidArgument", `Invalid label: ${id}`);
  }

  /** The label of a name, made when there is none. */
  labelNamed(name: string): Label {
    const known = this.labels().find((label) => label.name.toLowerCase() === name.toLowerCase());
    return known ?? this.addLabel(name);
  }

  /** @throws GoogleError `aborted` when the name is taken */
  addLabel(name: string): Label {
    if (this.labels().some((label) => label.name.toLowerCase() === name.toLowerCase())) {
      throw new GoogleError("aborted", "Label name exists or conflicts");
    }
    const label: Label = { id: `Label_${this.#nextLabel++}`, name, type: "user" };
    this.#labels.set(label.id, label);
    return label;
  }

  /** Puts a mail into the mailbox; a thread that is not there begins with it. */
  deliver(payload: MailPart, labelIds: readonly string[], threadId?: string): Message {
    const id = (this.#nextMessage++).toString(16);
    const isThread = this.messages().some((message) => message.threadId === threadId);
    const message: Message = {
      id,
      threadId: threadId !== undefined && isThread ? threadId : id,
      labelIds: [...labelIds],
      payload,
      raw: writeMail(payload),
      snippet: snippetOf(payload),
      historyId: 0,
      internalDate: this.clock.now(),
    };
    this.#messages.set(id, message);
    this.#record(message, "messageAdded", []);
    return message;
  }

  /** Puts labels on a message and takes others off. @throws GoogleError */
  modify(id: string, add: readonly string[], remove: readonly string[]): Message {
    const message = this.message(id);
    for (const label of [...add, ...remove]) this.label(label);
    const added = add.filter((label) => !message.labelIds.includes(label));
    const removed = remove.filter((label) => message.labelIds.includes(label));
    message.labelIds = [
      ...message.labelIds.filter((label) => !removed.includes(label)),
      ...added,
    ];
    if (added.length > 0) this.#record(message, "labelAdded", added);
    if (removed.length > 0) this.#record(message, "labelRemoved", removed);
    return message;
  }

  /** Deletes a message for good. @throws GoogleError `notFound` */
  remove(id: string): void {
    const message = this.message(id);
    this.#messages.delete(id);
    this.#record(message, "messageDeleted", []);
  }

  /**
   * What happened after an id, oldest first.
   *
   * @throws GoogleError `notFound` when that has been forgotten
   */
  since(startHistoryId: number): HistoryRecord[] {
    if (startHistoryId < this.#oldest) {
      throw new GoogleError("notFound", "Requested entity was not found.");
    }
    return this.#history.filter(({ id }) => id > startHistoryId);
  }

  /** Forgets the history until now: every id that was given is too old. */
  expireHistory(): void {
    this.#advance();
    this.#oldest = this.historyId;
  }

  clear(): void {
    this.#messages.clear();
    this.#labels.clear();
    this.#history = [];
    this.historyId = FIRST_HISTORY_ID;
    this.#oldest = 0;
    this.#nextMessage = FIRST_MESSAGE_ID;
    this.#nextLabel = 1;
    this.#addSystemLabels();
  }

  #record(message: Message, type: HistoryType, labelIds: string[]): void {
    message.historyId = this.#advance();
    const { id, threadId } = message;
    const record: HistoryRecord = {
      id: this.historyId,
      type,
      message: { id, threadId, labelIds: [...message.labelIds] },
      labelIds,
    };
    this.#history.push(record);
    this.changed(record);
  }

  #advance(): number {
    this.historyId += 1 + this.historyId % 7;
    return this.historyId;
  }

  #addSystemLabels(): void {
    for (const id of SYSTEM_LABELS) this.#labels.set(id, { id, name: id, type: "system" });
  }
}

/** The value of a mail's header, `""` when it has none of that name. */
export function headerOf({ headers }: { headers: readonly MailHeader[] }, name: string): string {
  return headers.find((header) => header.name.toLowerCase() === name.toLowerCase())?.value ?? "";
}

/** The beginning of the text, written as HTML would write it. */
function snippetOf(payload: MailPart): string {
  const plain = findPart(payload, "text/plain");
  const html = findPart(payload, "text/html");
  const text = new TextDecoder().decode((plain ?? html)?.bytes);
  return (plain ? text : text.replace(/<[^>]*>/g, " ")).replace(/\s+/g, " ").trim().slice(0, 200)
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}
