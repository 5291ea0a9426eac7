import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Refusal } from "../../core/faults.ts";
import { FixtureError } from "../../core/fixtures.ts";
import type { ObservedEnv, Provider, Sandbox } from "../../core/provider.ts";
import { JqlError, parseJql } from "./jql.ts";

/** The fixed, public ways into the sandbox's Jira, and the project it has. */
export const JIRA_CREDENTIALS = {
  email: "ada@example.com",
  apiToken: "sandbox-jira-token",
  accessToken: "sandbox-jira-access",
  project: "OPS",
} as const;

/** An issue as an assertion sees it. */
export interface JiraIssue {
  id: string;
  key: string;
  summary: string;
  /** The document, and the same as text: a line a paragraph. */
  description: unknown;
  text: string;
  labels: string[];
  attachments: { filename: string; size: number; sha256: string }[];
}

interface Issue {
  id: string;
  key: string;
  created: string;
  fields: {
    summary: string;
    description: AdfNode | null;
    labels: string[];
    issuetype: { id: string; name: string };
    priority: { id: string; name: string };
    status: { id: string; name: string };
    parent: { key: string } | null;
    attachment: { id: string; filename: string; size: number; sha256: string }[];
  };
}

interface AdfNode {
  type: string;
  version?: number;
  text?: string;
  content?: AdfNode[];
}

/** A refusal as Jira writes it: what is wrong with fields, and what is wrong otherwise. */
class JiraError extends Error {
  constructor(
    readonly status: number,
    readonly messages: string[],
    readonly errors: Record<string, string> = {},
  ) {
    super([...messages, ...Object.values(errors)].join(" "));
    this.name = "JiraError";
  }
}

const PROJECT = { id: "10000", key: JIRA_CREDENTIALS.project, name: "Operations" };
const ISSUE_TYPES = ["Task", "Bug", "Story"].map((name, i) => ({ id: String(10001 + i), name }));
const PRIORITIES = ["Highest", "High", "Medium", "Low", "Lowest"]
  .map((name, i) => ({ id: String(i + 1), name }));
const CLOUD_ID = "5a4db0c5-0000-4000-8000-000000000000";
const NOT_FOUND = "Issue does not exist or you do not have permission to see it.";
const LONGEST_DESCRIPTION = 32_767;

const Fields = z.looseObject({
  project: z.object({ key: z.string().optional(), id: z.string().optional() }).optional(),
  issuetype: z.object({ name: z.string().optional(), id: z.string().optional() }).optional(),
  summary: z.string().optional(),
  description: z.unknown().optional(),
  labels: z.array(z.string()).optional(),
  priority: z.object({ name: z.string().optional(), id: z.string().optional() }).optional(),
  parent: z.object({ key: z.string() }).optional(),
});

/**
 * Jira Cloud's REST API 3, as far as issues of one project go, below a site's own address and below
 * `/ex/jira/<cloud id>` as OAuth apps reach it.
 *
 * @see https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/
 */
export function createJira(sandbox: Sandbox): Provider {
  const issues: Issue[] = [];
  let files = 0;
  const api = new Hono<ObservedEnv>();

  api.use(async (c, next) => {
    const { email, apiToken, accessToken } = JIRA_CREDENTIALS;
    const basic = `Basic ${Buffer.from(`${email}:${apiToken}`).toString("base64")}`;
    const sent = c.req.header("authorization");
    if (sent !== basic && sent !== `Bearer ${accessToken}`) {
      return c.json({
        message: "Client must be authenticated to access this resource.",
        "status-code": 401,
      }, 401);
    }
    await next();
  });

  api.get("/myself", (c) =>
    c.json({
      self: `${baseOf(c)}/user?accountId=ada`,
      accountId: "ada",
      accountType: "atlassian",
      emailAddress: JIRA_CREDENTIALS.email,
      displayName: "Ada Lovelace",
      active: true,
    }));

  api.get(
    "/project/search",
    (c) => c.json({ values: [PROJECT], startAt: 0, maxResults: 50, total: 1, isLast: true }),
  );

  api.post("/issue", async (c) => {
    const body = await readBody(c, z.object({ fields: Fields }));
    const issue = create(body.fields);
    issues.push(issue);
    return c.json({ id: issue.id, key: issue.key, self: `${baseOf(c)}/issue/${issue.id}` }, 201);
  });

  api.get("/issue/:id", (c) => {
    const wanted = (c.req.query("fields") ?? "*all").split(",");
    return c.json(describe(c, find(c.req.param("id")), wanted));
  });

  // The newer search: no total, tokens instead of offsets, and nothing but ids unless fields are named.
  const search = (c: Context, { jql, fields = [], maxResults = 50, nextPageToken }: {
    jql: string;
    fields?: string[] | undefined;
    maxResults?: number | undefined;
    nextPageToken?: string | undefined;
  }) => {
    const test = parseJql(jql);
    const found = issues.filter((issue) =>
      test({
        project: PROJECT.key,
        key: issue.key,
        summary: issue.fields.summary,
        status: issue.fields.status.name,
        issuetype: issue.fields.issuetype.name,
        labels: issue.fields.labels,
      })
    ).toReversed();
    const start = Number(nextPageToken ?? 0);
    const end = start + Math.min(maxResults, 5000);
    const isLast = end >= found.length;
    return c.json({
      issues: found.slice(start, end).map((issue) =>
        fields.length > 0 ? describe(c, issue, fields) : { id: issue.id }
      ),
      isLast,
      ...(isLast ? {} : { nextPageToken: String(end) }),
    });
  };
  api.get("/search/jql", (c) => {
    const { jql = "", fields, maxResults, nextPageToken } = c.req.query();
    return search(c, {
      jql,
      fields: fields?.split(","),
      maxResults: maxResults === undefined ? undefined : Number(maxResults),
      nextPageToken,
    });
  });
  api.post("/search/jql", async (c) =>
    search(
      c,
      await readBody(
        c,
        z.object({
          jql: z.string(),
          fields: z.array(z.string()).optional(),
          maxResults: z.int().positive().optional(),
          nextPageToken: z.string().optional(),
        }),
      ),
    ));

  api.post("/issue/:id/attachments", async (c) => {
    if (c.req.header("x-atlassian-token") !== "no-check") {
      return c.text("XSRF check failed", 403);
    }
    const issue = find(c.req.param("id"));
    const form = await c.req.formData();
    const added = [];
    for (const file of form.getAll("file")) {
      if (typeof file === "string") throw new JiraError(400, ["The field file is no file."]);
      const bytes = new Uint8Array(await file.arrayBuffer());
      added.push({
        id: String(20000 + ++files),
        filename: file.name,
        size: bytes.length,
        sha256: createHash("sha256").update(bytes).digest("hex"),
      });
    }
    if (added.length === 0) throw new JiraError(400, ["There are no files in the request."]);
    issue.fields.attachment.push(...added);
    return c.json(added.map(({ sha256: _, ...each }) => ({
      ...each,
      self: `${baseOf(c)}/attachment/${each.id}`,
    })));
  });

  /** @throws JiraError */
  function create(fields: z.output<typeof Fields>): Issue {
    const errors: Record<string, string> = {};
    const { project, issuetype, summary, labels = [], priority, parent } = fields;
    if (project?.key !== PROJECT.key && project?.id !== PROJECT.id) {
      errors.project = "Specify a valid project ID or key";
    }
    const type = ISSUE_TYPES.find(({ id, name }) =>
      id === issuetype?.id || name === issuetype?.name
    );
    if (!type) errors.issuetype = "Specify a valid issue type";
    if (!summary?.trim()) errors.summary = "You must specify a summary of the issue.";
    else if (/[\r\n]/.test(summary)) {
      errors.summary = "The summary is invalid because it contains newline characters.";
    } else if (summary.length > 255) errors.summary = "Summary must be less than 255 characters.";
    const spaced = labels.find((label) => /\s/.test(label));
    if (spaced !== undefined) {
      errors.labels = `The label '${spaced}' contains spaces which is invalid.`;
    }
    const rank = priority === undefined
      ? PRIORITIES[2]
      : PRIORITIES.find(({ id, name }) => id === priority.id || name === priority.name);
    if (!rank) errors.priority = "The priority selected is invalid.";
    const description = readDescription(fields.description, errors);
    if (parent && !issues.some(({ key }) => key === parent.key)) {
      errors.parent = `Issue ${parent.key} does not exist or you do not have permission to see it.`;
    }
    if (Object.keys(errors).length > 0) throw new JiraError(400, [], errors);
    const number = issues.length + 1;
    return {
      id: String(10000 + number),
      key: `${PROJECT.key}-${number}`,
      created: new Date(sandbox.clock.now()).toISOString().replace("Z", "+0000"),
      fields: {
        summary: summary!.trim(),
        description,
        labels,
        issuetype: type!,
        priority: rank!,
        status: { id: "10100", name: "To Do" },
        parent: parent ?? null,
        attachment: [],
      },
    };
  }

  function find(idOrKey: string): Issue {
    const issue = issues.find(({ id, key }) => id === idOrKey || key === idOrKey.toUpperCase());
    if (!issue) throw new JiraError(404, [NOT_FOUND]);
    return issue;
  }

  const app = new Hono<ObservedEnv>();
  app.route("/rest/api/3", api);
  app.route(`/ex/jira/${CLOUD_ID}/rest/api/3`, api);
  app.onError((error, c) => {
    if (error instanceof JiraError) {
      const { status, messages, errors } = error;
      return c.json({ errorMessages: messages, errors }, status as 400);
    }
    if (error instanceof JqlError) {
      return c.json({ errorMessages: [error.message], errors: {} }, 400);
    }
    if (error instanceof FixtureError) throw error;
    console.error(error);
    return c.json({ errorMessages: ["Internal server error"], errors: {} }, 500);
  });

  const control = new Hono();
  control.get("/jira/issues", (c) =>
    c.json({
      issues: issues.map(({ id, key, fields }): JiraIssue => ({
        id,
        key,
        summary: fields.summary,
        description: fields.description,
        text: textOf(fields.description),
        labels: fields.labels,
        attachments: fields.attachment.map(({ filename, size, sha256 }) => ({
          filename,
          size,
          sha256,
        })),
      })),
    }));

  return {
    name: "jira",
    app,
    control,
    refuse({ status, error, retryAfter }: Refusal) {
      if (retryAfter !== undefined || status === 429) {
        const wait = retryAfter ?? 5;
        const resets = new Date(sandbox.clock.now() + wait * 1000).toISOString();
        return Response.json(
          { errorMessages: ["Rate limit exceeded."], errors: {} },
          {
            status: 429,
            headers: {
              // Some come with the reset alone.
              ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
              "x-ratelimit-limit": "100",
              "x-ratelimit-remaining": "0",
              "x-ratelimit-reset": `${resets.slice(0, 16)}Z`,
              "ratelimit-reason": "jira-burst-based",
            },
          },
        );
      }
      return Response.json({ errorMessages: [error ?? "A fault was asked for."], errors: {} }, {
        status: status ?? 500,
      });
    },
    reset() {
      issues.length = 0;
      files = 0;
    },
  };

  function describe(c: Context, { id, key, created, fields }: Issue, wanted: string[]) {
    const all: Record<string, unknown> = {
      ...fields,
      created,
      project: PROJECT,
      attachment: fields.attachment.map(({ sha256: _, ...each }) => each),
    };
    const isAll = wanted.some((name) => name === "*all" || name === "*navigable");
    return {
      id,
      key,
      self: `${baseOf(c)}/issue/${id}`,
      fields: isAll
        ? all
        : Object.fromEntries(Object.entries(all).filter(([name]) => wanted.includes(name))),
    };
  }
}

/** The API's address as the caller knows it. */
function baseOf(c: Context): string {
  const { origin, pathname } = new URL(c.req.url);
  return `${origin}${pathname.slice(0, pathname.indexOf("/rest/api/3"))}/rest/api/3`;
}

/** @throws JiraError */
async function readBody<S extends z.ZodType>(c: Context, schema: S): Promise<z.output<S>> {
  const parsed = schema.safeParse(await c.req.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  throw new JiraError(400, [
    "Invalid request payload. Refer to the REST API documentation and try again.",
  ]);
}

/** Texts are Atlassian documents; what is none is named in `errors`. */
function readDescription(value: unknown, errors: Record<string, string>): AdfNode | null {
  if (value === undefined || value === null) return null;
  const node = value as AdfNode;
  const isDocument = typeof value === "object" && node.type === "doc" && node.version === 1 &&
    Array.isArray(node.content) && node.content.every(isBlock);
  if (!isDocument) {
    errors.description =
      "Operation value must be an Atlassian Document (see the Atlassian Document Format)";
    return null;
  }
  if (
    JSON.stringify(node).length > 3 * LONGEST_DESCRIPTION ||
    textOf(node).length > LONGEST_DESCRIPTION
  ) {
    errors.description =
      `The entered text is too long. It exceeds the allowed limit of ${LONGEST_DESCRIPTION} characters.`;
  }
  return node;
}

const BLOCKS = new Set([
  "paragraph",
  "heading",
  "bulletList",
  "orderedList",
  "listItem",
  "codeBlock",
  "blockquote",
  "rule",
  "panel",
]);
const INLINES = new Set(["text", "hardBreak", "mention", "emoji", "inlineCard"]);

function isBlock({ type, content = [] }: AdfNode): boolean {
  return BLOCKS.has(type) && content.every((node) => isBlock(node) || isInline(node));
}

function isInline({ type, text }: AdfNode): boolean {
  // An empty text node is refused.
  return INLINES.has(type) && (type !== "text" || typeof text === "string" && text !== "");
}

function textOf(node: AdfNode | null): string {
  if (!node) return "";
  if (node.type === "text") return node.text ?? "";
  if (node.type === "hardBreak") return "\n";
  const separator = node.content?.some(({ type }) => BLOCKS.has(type)) ? "\n" : "";
  return (node.content ?? []).map(textOf).join(separator);
}
