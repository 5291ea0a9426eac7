/**
 * A task's fields, from the rule's templates and a message.
 *
 * Templates are written by whoever configures the rule, messages by strangers: what a message says
 * is escaped for where it goes, so that it can neither add markup nor call people.
 */
import type { Markup, TaskProvider } from "./task_providers.ts";
import { marker } from "./task_providers.ts";

/** A message as the gateway's `messages.read` answers it, as far as a task tells of it. */
export interface TaskMessage {
  id: string;
  thread_id: string;
  subject: string;
  from: { name: string; email: string };
  to: { name: string; email: string }[];
  received_at: string;
  text: string;
  snippet: string;
  link: string;
}

/** An attachment, and where it was stored. */
export interface TaskAttachment {
  name: string;
  /** null: it was not stored. */
  location: string | null;
}

/** Texts longer than this are cut: trackers have limits of their own, 65,536 among them. */
const MAX_TEXT = 30_000;

/**
 * Fills the templates in.
 *
 * @param template the rule's `config.task`; title and text are added where it names none
 */
export function taskFields(
  { title, maxTitle, body, markup }: Pick<TaskProvider, "title" | "maxTitle" | "body" | "markup">,
  template: Record<string, unknown>,
  { message, label, attachments }: {
    message: TaskMessage;
    label: string;
    attachments: TaskAttachment[];
  },
): Record<string, unknown> {
  const values = valuesOf(message, label, attachments);
  const plain = (name: string) => String(values[name] ?? "").replace(/\s+/g, " ").trim();
  const marked = (name: string) => {
    if (name === "attachments") return listOf(attachments, markup);
    if (name === "link") return linkTo(message.link, "Open in Gmail", markup);
    return escape(values[name] ?? "", markup);
  };
  const fields = fill(
    { [title]: "{subject}", [body]: "{text}", ...template },
    [],
    (text, path) => {
      const isBody = path.length === 1 && path[0] === body;
      const filled = text.replace(
        /\{([a-z_]+)\}/g,
        (all, name: string) => Object.hasOwn(values, name) ? (isBody ? marked : plain)(name) : all,
      );
      return isBody ? filled + footer(message, label, attachments, markup, text) : filled;
    },
  ) as Record<string, unknown>;
  const named = String(fields[title] ?? "").trim() || "(no subject)";
  return {
    ...fields,
    [title]: named.length > maxTitle ? `${named.slice(0, maxTitle - 1)}…` : named,
  };
}

function valuesOf(
  message: TaskMessage,
  label: string,
  attachments: TaskAttachment[],
): Record<string, string> {
  const address = ({ name, email }: TaskMessage["from"]) => name ? `${name} <${email}>` : email;
  const { text } = message;
  return {
    subject: message.subject,
    from: address(message.from),
    from_name: message.from.name || message.from.email,
    from_email: message.from.email,
    to: message.to.map(address).join(", "),
    date: message.received_at.slice(0, 10),
    received_at: message.received_at,
    text: text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}\n[…]` : text,
    snippet: message.snippet,
    link: message.link,
    label,
    message_id: message.id,
    thread_id: message.thread_id,
    attachments: attachments.map(({ name }) => name).join(", "),
  };
}

/** Sender, attachments, thread, and the mark by which the task is found again. */
function footer(
  message: TaskMessage,
  label: string,
  attachments: TaskAttachment[],
  markup: Markup,
  template: string,
): string {
  const { name, email } = message.from;
  const from = escape(
    `From ${name ? `${name} <${email}>` : email || "nobody named"}, ${
      message.received_at.slice(0, 16).replace("T", " ")
    } UTC, ${label}`,
    markup,
  );
  const files = attachments.length > 0 && !template.includes("{attachments}")
    ? [listOf(attachments, markup)]
    : [];
  const link = linkTo(message.link, "Open in Gmail", markup);
  const last = `${link} · ${marker(message.id)}`;
  return markup === "html"
    ? `<hr/><p>${from}</p>${files.join("")}<p>${last}</p>`
    : `\n\n${markup === "markdown" ? "---" : "--"}\n${[from, ...files, last].join("\n\n")}\n`;
}

function listOf(attachments: TaskAttachment[], markup: Markup): string {
  const items = attachments.map(({ name, location }) =>
    location && /^https?:/.test(location) ? linkTo(location, name, markup) : escape(name, markup) +
      (location ? ` (${escape(location, markup)})` : "")
  );
  return markup === "html"
    ? `<ul>${items.map((item) => `<li>${item}</li>`).join("")}</ul>`
    : items.map((item) => `- ${item}`).join("\n");
}

function linkTo(url: string, text: string, markup: Markup): string {
  const label = escape(text, markup);
  if (markup === "html") return `<a href="${escape(url, "html")}">${label}</a>`;
  if (markup === "markdown") return `[${label}](<${url.replace(/[<>\s]/g, encodeURIComponent)}>)`;
  return `${label}: ${url}`;
}

/** A message's text where it is marked up: line ends stay, marks and mentions do not. */
function escape(text: string, markup: Markup): string {
  switch (markup) {
    case "html":
      return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
        .replace(/"/g, "&quot;").replace(/\n/g, "<br/>");
    case "markdown":
      return text.replace(/[\\`*_[\]<>#|~]/g, "\\$&")
        // A word joiner: people and issues are named, not called.
        .replace(/@(?=\w)/g, "@\u2060")
        .replace(/^(\s*)([-+]|\d+[.)])(?=\s)/gm, "$1\\$2");
    case "plain":
      return text;
  }
}

function fill(
  value: unknown,
  path: string[],
  render: (text: string, path: string[]) => string,
): unknown {
  if (typeof value === "string") return render(value, path);
  if (Array.isArray(value)) return value.map((item, i) => fill(item, [...path, String(i)], render));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, fill(each, [...path, name], render)]),
  );
}
