import { headerOf, type Label, type Message } from "./mailbox.ts";

/** The part of Gmail's search that programs use; words are looked for in subject and text. */
export function parseSearch(
  query: string,
  labels: readonly Label[],
): (message: Message) => boolean {
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
