/**
 * Where messages become tasks: which action makes one, which fields hold title and text, and how one
 * is found again.
 */
import { createHash } from "node:crypto";
import { AppError } from "../_shared/errors.ts";

/** How a text is marked up where it goes. */
export type Markup = "plain" | "markdown" | "html";

/** An action without its integration. */
export interface Call {
  action: string;
  parameters: Record<string, unknown>;
}

/** What a provider's tasks need beyond the rule's fields. */
export interface TaskOrigin {
  messageId: string;
  /** Rule and message, whatever the attempt. */
  key: string;
  /** `<owner>/<repository>`, for GitHub. */
  repository: string | undefined;
}

/** A provider of tasks. */
export interface TaskProvider {
  /** The field that holds a task's title, and the longest it may be. */
  title: string;
  maxTitle: number;
  /** The field that holds its text. */
  body: string;
  markup: Markup;
  create(fields: Record<string, unknown>, origin: TaskOrigin): Call;
  /** Looks for the task of a message, as an attempt whose report was lost may have left it. */
  find(fields: Record<string, unknown>, origin: TaskOrigin): Call;
  /** The task among what `find` found. */
  found(result: unknown, origin: TaskOrigin): string | null;
  /** The task's id in what `create` answered; null when it says none. */
  idOf(result: unknown): string | null;
  /** Reads a task, to see that it is there. */
  read(id: string, origin: TaskOrigin): Call;
  /** A link for people, if the answer to `read` tells one. */
  linkOf(result: unknown): string | null;
}

const PROVIDERS: Record<string, TaskProvider> = {
  odoo: {
    title: "name",
    maxTitle: 250,
    body: "description",
    markup: "html",
    create: (parameters) => ({ action: "project.task.create", parameters }),
    find: (_fields, { messageId }) => ({
      action: "search_read",
      parameters: {
        model: "project.task",
        domain: [["description", "ilike", marker(messageId)]],
        fields: ["id"],
        limit: 1,
      },
    }),
    found: (result) => text(member(first(result), "id")),
    idOf: (result) => text(Array.isArray(result) ? result[0] : result),
    read: (id) => ({
      action: "read",
      parameters: { model: "project.task", ids: [Number(id)], fields: ["id", "name"] },
    }),
    linkOf: () => null,
  },
  github: {
    title: "title",
    maxTitle: 250,
    body: "body",
    markup: "markdown",
    create: (parameters, origin) => ({
      action: "issues.create",
      parameters: { ...repositoryOf(origin), ...parameters },
    }),
    find: (_fields, origin) => ({
      action: "issues.listForRepo",
      parameters: { ...repositoryOf(origin), state: "all", sort: "created", per_page: 100 },
    }),
    found: (result, { messageId }) =>
      text(member(
        list(result).find((issue) =>
          // Not that of a message whose id goes on.
          `${member(issue, "body") ?? ""}\n`.split(marker(messageId)).slice(1)
            .some((rest) => /^\W/.test(rest))
        ),
        "number",
      )),
    idOf: (result) => text(member(result, "number")),
    read: (id, origin) => ({
      action: "issues.get",
      parameters: { ...repositoryOf(origin), issue_number: Number(id) },
    }),
    linkOf: (result) => text(member(result, "html_url")),
  },
  linear: {
    title: "title",
    maxTitle: 250,
    body: "description",
    markup: "markdown",
    // Linear takes an id from its caller: the second request of one id is refused.
    create: (parameters, { key }) => ({
      action: "issueCreate",
      parameters: { ...parameters, id: idFrom(key) },
    }),
    find: (_fields, { key }) => ({
      action: "issues",
      parameters: { filter: { id: { eq: idFrom(key) } }, includeArchived: true, first: 1 },
    }),
    found: (result) => text(member(first(member(result, "nodes")), "id")),
    idOf: (result) => text(member(result, "id")),
    read: (id) => ({ action: "issue", parameters: { id } }),
    linkOf: (result) => text(member(result, "url")),
  },
  jira: {
    title: "summary",
    maxTitle: 250,
    body: "description",
    markup: "plain",
    create: ({ labels, ...parameters }, { messageId }) => ({
      action: "createIssue",
      parameters: {
        ...parameters,
        labels: [...Array.isArray(labels) ? labels : [], `gmail-${messageId}`],
      },
    }),
    find: ({ project }, { messageId }) => ({
      action: "searchAndReconsileIssuesUsingJql",
      parameters: {
        jql: `project = "${
          String(project).replace(/["\\]/g, "")
        }" AND labels = "gmail-${messageId}"`,
        maxResults: 1,
      },
    }),
    found: (result) => text(member(first(member(result, "issues")), "id")),
    idOf: (result) => text(member(result, "key")) ?? text(member(result, "id")),
    read: (id) => ({ action: "getIssue", parameters: { issueIdOrKey: id, fields: ["summary"] } }),
    linkOf: (result) => {
      // An app reaches its site by an address that is nobody else's.
      const [, site] = /^(https?:\/\/(?!api\.atlassian\.com\/).*)\/rest\/api\/\d+\/issue\//
        .exec(text(member(result, "self")) ?? "") ?? [];
      const key = text(member(result, "key"));
      return site && key ? `${site}/browse/${key}` : null;
    },
  },
};

/** @throws AppError `destination_unsupported` (422) */
export function taskProvider(provider: string): TaskProvider {
  const found = Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider] : undefined;
  if (found) return found;
  throw new AppError(
    "destination_unsupported",
    422,
    `Messages become tasks at ${Object.keys(PROVIDERS).join(", ")}, not at ${provider}.`,
  );
}

/** What every task's text holds, so that the task of a message is found again. */
export function marker(messageId: string): string {
  return `Gmail message ${messageId}`;
}

/** A UUID that always comes out the same for a key, in the form of a random one: Linear takes no other. */
export function idFrom(key: string): string {
  const hex = createHash("sha256").update(key).digest("hex");
  const variant = ((parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${
    hex.slice(17, 20)
  }-${hex.slice(20, 32)}`;
}

function repositoryOf({ repository }: TaskOrigin): { owner: string; repo: string } {
  const [owner, repo] = repository?.split("/") ?? [];
  if (owner && repo) return { owner, repo };
  throw new AppError(
    "rule_misconfigured",
    422,
    "config.repository: issues need one, <owner>/<repository>.",
  );
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function first(value: unknown): unknown {
  return list(value)[0];
}

function text(value: unknown): string | null {
  return typeof value === "number" || typeof value === "string" && value !== ""
    ? String(value)
    : null;
}
