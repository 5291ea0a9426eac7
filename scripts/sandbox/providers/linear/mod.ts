import { graphql, GraphQLError } from "graphql";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Refusal } from "../../core/faults.ts";
import type { ObservedEnv, Provider, Sandbox } from "../../core/provider.ts";
import { type Filter, matches } from "./filter.ts";
import { schema } from "./schema.ts";

/** The fixed, public ways into the sandbox's Linear, and the team whose issues it has. */
export const LINEAR_CREDENTIALS = {
  apiKey: "lin_api_sandbox",
  accessToken: "sandbox-linear-token",
  teamId: "0f0e0d0c-0b0a-4908-8706-050403020100",
} as const;

/** An issue as an assertion sees it. */
export interface LinearIssue {
  id: string;
  identifier: string;
  title: string;
  description: string | null;
  priority: number;
  archived: boolean;
}

interface Issue extends Record<string, unknown> {
  id: string;
  identifier: string;
  number: number;
  title: string;
  description: string | null;
  priority: number;
  createdAt: string;
  updatedAt: string;
  archivedAt: string | null;
}

const BORN = "2026-01-01T00:00:00.000Z";
const TEAM = {
  id: LINEAR_CREDENTIALS.teamId,
  key: "ENG",
  name: "Engineering",
  displayName: "Engineering",
  createdAt: BORN,
  updatedAt: BORN,
};
const STATES = ["backlog", "unstarted", "started", "completed"].map((type, index) => ({
  id: `5a5a5a5a-0000-4000-8000-00000000000${index}`,
  name: ["Backlog", "Todo", "In Progress", "Done"][index]!,
  type,
  team: TEAM,
}));
const VIEWER = {
  id: "ada00000-0000-4000-8000-000000000000",
  name: "Ada Lovelace",
  displayName: "ada",
  email: "ada@example.com",
  initials: "AL",
  url: "https://linear.app/sandbox/profiles/ada",
  avatarBackgroundColor: "#5e6ad2",
  inviteHash: "",
  createdIssueCount: 0,
  createdAt: BORN,
  updatedAt: BORN,
  active: true,
  isAssignable: true,
  isMentionable: true,
  guest: false,
  admin: true,
  owner: true,
  app: false,
  isMe: true,
  supportsAgentSessions: false,
  canAccessAnyPublicTeam: true,
  organization: { id: "0e0e0e0e-0000-4000-8000-000000000000", name: "Sandbox", urlKey: "sandbox" },
};
const PRIORITIES = ["No priority", "Urgent", "High", "Medium", "Low"];
const REQUESTS_AN_HOUR = 5_000;
const COMPLEXITY_AN_HOUR = 3_000_000;
const LONGEST_PAGE = 250;
const USUAL_PAGE = 50;
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

const GraphQLRequest = z.object({
  query: z.string(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
});

/**
 * Linear's GraphQL API, as far as issues go: failures are errors in an answer of status 200, save
 * what was not understood (400), who was not known (401), and what came too often (400, `RATELIMITED`).
 *
 * @see https://linear.app/developers/graphql
 * @see https://linear.app/developers/rate-limiting
 */
export function createLinear(sandbox: Sandbox): Provider {
  const issues = new Map<string, Issue>();
  let spent = 0;
  const app = new Hono<ObservedEnv>();

  const limits = (remaining: number, resetMs: number) => ({
    "x-complexity": "10",
    "x-ratelimit-requests-limit": String(REQUESTS_AN_HOUR),
    "x-ratelimit-requests-remaining": String(remaining),
    "x-ratelimit-requests-reset": String(resetMs),
    "x-ratelimit-complexity-limit": String(COMPLEXITY_AN_HOUR),
    "x-ratelimit-complexity-remaining": String(COMPLEXITY_AN_HOUR - 10 * spent),
    "x-ratelimit-complexity-reset": String(sandbox.clock.now() + 3_600_000),
  });

  app.post("/graphql", async (c) => {
    const refused = refuseCredential(c);
    if (refused) return refused;
    const request = GraphQLRequest.safeParse(await c.req.json().catch(() => undefined));
    if (!request.success) {
      return errorsResponse(400, "GraphQL operations must contain a `query`.", {
        type: "graphql error",
        code: "BAD_REQUEST",
      });
    }
    const { query: source, variables, operationName } = request.data;
    const { data, errors } = await graphql({
      schema,
      source,
      rootValue: resolvers,
      variableValues: variables ?? {},
      operationName: operationName ?? null,
    });
    spent++;
    for (const [name, value] of Object.entries(limits(REQUESTS_AN_HOUR - spent, resetAt()))) {
      c.header(name, value);
    }
    const isUnderstood = data !== undefined;
    return c.json(
      {
        ...(errors
          ? {
            errors: errors.map((error) => ({
              message: error.message,
              ...(error.path ? { path: error.path } : {}),
              extensions: "code" in error.extensions ? error.extensions : {
                type: "graphql error",
                code: "GRAPHQL_VALIDATION_FAILED",
                statusCode: 400,
                userError: true,
              },
            })),
          }
          : {}),
        ...(isUnderstood ? { data } : {}),
      },
      isUnderstood ? 200 : 400,
    );
  });

  const resetAt = () => sandbox.clock.now() + 3_600_000;
  const stamp = () => new Date(sandbox.clock.now()).toISOString();

  const resolvers = {
    viewer: () => VIEWER,
    issue: ({ id }: { id: string }) => find(id),
    issues: (
      { filter, includeArchived, orderBy = "createdAt", ...page }: Page & {
        filter?: Filter;
        includeArchived?: boolean;
        orderBy?: "createdAt" | "updatedAt";
      },
    ) => {
      const found = [...issues.values()]
        .filter((issue) => includeArchived || issue.archivedAt === null)
        .filter((issue) => matches(issue, filter))
        // The latest first.
        .sort((a, b) => b[orderBy].localeCompare(a[orderBy]) || b.number - a.number);
      return connection(found, page);
    },
    teams: ({ filter, ...page }: Page & { filter?: Filter }) =>
      connection([TEAM].filter((team) => matches(team, filter)), page),
    workflowStates: ({ filter, ...page }: Page & { filter?: Filter }) =>
      connection(STATES.filter((state) => matches(state, filter)), page),
    issueCreate: ({ input }: { input: Record<string, unknown> }) => {
      const issue = create(input);
      issues.set(issue.id, issue);
      return { success: true, lastSyncId: issue.number, issue };
    },
    issueArchive: ({ id, trash }: { id: string; trash?: boolean }) => {
      const issue = find(id);
      Object.assign(issue, { archivedAt: stamp(), ...(trash ? { trashed: true } : {}) });
      return { success: true, lastSyncId: issue.number, entity: issue };
    },
  };

  function find(id: string): Issue {
    const issue = issues.get(id) ?? [...issues.values()].find((each) => each.identifier === id);
    if (!issue) throw inputError("Entity not found: Issue", "Could not find referenced Issue.");
    return issue;
  }

  /** @throws GraphQLError */
  function create(input: Record<string, unknown>): Issue {
    const { id = crypto.randomUUID(), title, description = null, priority = 0 } = input;
    const invalid = (message: string) => inputError("Argument Validation Error", message);
    if (typeof id !== "string" || !UUID_V4.test(id)) throw invalid("id must be a UUID.");
    if (issues.has(id)) {
      throw inputError("Conflict on insert of Issue", `An Issue with the id ${id} exists already.`);
    }
    if (typeof title !== "string" || title.trim() === "") {
      throw invalid("title should not be empty.");
    }
    if (title.length > 255) throw invalid("title must be shorter than or equal to 255 characters.");
    if (!UUID_V4.test(String(input.teamId))) throw invalid("teamId must be a UUID.");
    if (input.teamId !== TEAM.id) {
      throw inputError("Entity not found: Team", "Could not find referenced Team.");
    }
    if (typeof priority !== "number" || !(priority in PRIORITIES)) {
      throw invalid("priority must be one of the following values: 0, 1, 2, 3, 4.");
    }
    const state = input.stateId === undefined
      ? STATES[0]
      : STATES.find((each) => each.id === input.stateId);
    if (!state) throw inputError("Entity not found: WorkflowState", "Could not find the state.");
    const number = issues.size + 1;
    const identifier = `${TEAM.key}-${number}`;
    const slug = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);
    const now = stamp();
    return {
      id,
      identifier,
      number,
      title: title.trim(),
      description: description as string | null,
      priority,
      priorityLabel: PRIORITIES[priority],
      estimate: input.estimate ?? null,
      dueDate: input.dueDate ?? null,
      url: `https://linear.app/sandbox/issue/${identifier}/${slug}`,
      branchName: `ada/${identifier.toLowerCase()}-${slug}`,
      createdAt: now,
      updatedAt: now,
      archivedAt: null,
      team: TEAM,
      state,
      creator: VIEWER,
      assignee: input.assigneeId === VIEWER.id ? VIEWER : null,
      labelIds: input.labelIds ?? [],
      labels: connection([], {}),
      comments: connection([], {}),
      boardOrder: 0,
      sortOrder: -number,
      prioritySortOrder: -number,
      previousIdentifiers: [],
      customerTicketCount: 0,
      reactionData: {},
      reactions: [],
      inheritsSharedAccess: false,
      sharedAccess: {
        isShared: false,
        sharedWithCount: 0,
        sharedWithUsers: [],
        viewerHasOnlySharedAccess: false,
        disallowedIssueFields: [],
      },
    };
  }

  const control = new Hono();
  control.get("/linear/issues", (c) =>
    c.json({
      issues: [...issues.values()].map((
        { id, identifier, title, description, priority, archivedAt },
      ): LinearIssue => ({
        id,
        identifier,
        title,
        description,
        priority,
        archived: archivedAt !== null,
      })),
    }));

  return {
    name: "linear",
    app,
    control,
    refuse({ status, error, retryAfter }: Refusal) {
      if (retryAfter !== undefined || status === 429 || error === "RATELIMITED") {
        const wait = retryAfter ?? 60;
        const refused = errorsResponse(400, "Rate limit exceeded", {
          type: "ratelimited",
          code: "RATELIMITED",
          statusCode: 429,
          userError: true,
          userPresentableMessage: `Rate limit exceeded. Only ${REQUESTS_AN_HOUR} requests an hour.`,
        });
        const reset = sandbox.clock.now() + wait * 1000;
        for (const [name, value] of Object.entries(limits(0, reset))) {
          refused.headers.set(name, value);
        }
        return refused;
      }
      return errorsResponse(status ?? 200, error ?? "Internal server error", {
        type: "internal error",
        code: error ?? "INTERNAL_SERVER_ERROR",
      });
    },
    reset() {
      issues.clear();
      spent = 0;
    },
  };
}

interface Page {
  first?: number | null;
  after?: string | null;
}

/** @throws GraphQLError */
function connection<T extends object>(all: readonly T[], { first, after }: Page) {
  if (first && first > LONGEST_PAGE) {
    throw inputError(
      "Argument Validation Error",
      `first must not be greater than ${LONGEST_PAGE}.`,
    );
  }
  const cursorOf = (node: T) => String((node as { id?: unknown }).id);
  const start = after ? all.findIndex((node) => cursorOf(node) === after) + 1 : 0;
  const nodes = all.slice(start, start + (first ?? USUAL_PAGE));
  return {
    nodes,
    pageInfo: {
      hasPreviousPage: start > 0,
      hasNextPage: start + nodes.length < all.length,
      startCursor: nodes[0] ? cursorOf(nodes[0]) : null,
      endCursor: nodes.at(-1) ? cursorOf(nodes.at(-1)!) : null,
    },
  };
}

function inputError(message: string, userPresentableMessage: string): GraphQLError {
  return new GraphQLError(message, {
    extensions: {
      type: "invalid input",
      code: "INPUT_ERROR",
      statusCode: 400,
      userError: true,
      userPresentableMessage,
    },
  });
}

/** API keys come as they are, access tokens as `Bearer`. */
function refuseCredential(c: Context): Response | undefined {
  const { apiKey, accessToken } = LINEAR_CREDENTIALS;
  const sent = c.req.header("authorization");
  if (sent === apiKey || sent === `Bearer ${accessToken}`) return undefined;
  const extensions = { type: "authentication error", code: "AUTHENTICATION_ERROR" };
  if (sent?.startsWith("Bearer lin_api_")) {
    const message = "It looks like you're trying to use an API key as a Bearer token. " +
      "Remove the Bearer prefix from the Authorization header.";
    return errorsResponse(400, message, { ...extensions, statusCode: 400 });
  }
  return errorsResponse(401, "Authentication required, not authenticated", {
    ...extensions,
    statusCode: 401,
  });
}

function errorsResponse(
  status: number,
  message: string,
  extensions: Record<string, unknown>,
): Response {
  return Response.json({ errors: [{ message, extensions }] }, { status });
}
