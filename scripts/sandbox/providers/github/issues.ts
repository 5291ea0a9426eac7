import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, ProviderPart } from "../../core/provider.ts";
import { baseUrl } from "../../core/requests.ts";
import { GITHUB_USER, type Repositories, type Repository } from "./repositories.ts";
import { GitHubError, invalid, nodeId, paginate, readBody, time } from "./responses.ts";

interface Comment {
  id: number;
  body: string;
  createdAt: number;
}

interface Issue {
  id: number;
  number: number;
  title: string;
  body: string | null;
  state: "open" | "closed";
  labels: string[];
  assignees: string[];
  comments: Comment[];
  createdAt: number;
  updatedAt: number;
}

/** An issue as an assertion sees it. */
export interface GitHubIssueInfo {
  number: number;
  title: string;
  body: string | null;
  state: "open" | "closed";
  labels: string[];
  assignees: string[];
  /** The texts, oldest first. */
  comments: string[];
}

const Name = z.union([z.string(), z.object({ name: z.string() }).transform(({ name }) => name)]);
const Changes = z.object({
  title: z.string().optional(),
  body: z.string().nullable().optional(),
  labels: z.array(Name).optional(),
  assignees: z.array(z.string()).optional(),
  state: z.enum(["open", "closed"]).optional(),
});

/**
 * Issues of repositories and their comments.
 *
 * @see https://docs.github.com/en/rest/issues
 */
export function createIssues(
  repositories: Repositories,
  mountedAt: string,
): ProviderPart {
  const issues = new Map<Repository, Issue[]>();
  const app = new Hono<ObservedEnv>();
  const at = "/repos/:owner/:repo/issues";
  const { clock } = repositories;
  const of = (repository: Repository) => issues.get(repository) ?? [];

  app.get(at, (c) => {
    const repository = repositories.find(c);
    const { state = "open", labels } = c.req.query();
    const wanted = labels?.split(",") ?? [];
    const found = of(repository).filter((issue) =>
      (state === "all" || issue.state === state) &&
      wanted.every((label) => issue.labels.includes(label))
    );
    return c.json(paginate(c, found.toReversed()).map((issue) => describe(c, repository, issue)));
  });

  app.post(at, async (c) => {
    const repository = repositories.findForWriting(c);
    const { title, body, labels, assignees } = await readBody(c, Changes);
    if (!title) {
      throw invalid({ resource: "Issue", code: "missing_field", field: "title" });
    }
    const issue: Issue = {
      id: repositories.newId(),
      number: of(repository).length + 1,
      title,
      body: body ?? null,
      state: "open",
      labels: labels ?? [],
      assignees: assignees ?? [],
      comments: [],
      createdAt: clock.now(),
      updatedAt: clock.now(),
    };
    issues.set(repository, [...of(repository), issue]);
    return c.json(describe(c, repository, issue), 201);
  });

  app.get(`${at}/:number`, (c) => {
    const repository = repositories.find(c);
    return c.json(describe(c, repository, find(c, repository)));
  });

  app.patch(`${at}/:number`, async (c) => {
    const repository = repositories.findForWriting(c);
    const issue = find(c, repository);
    const changes = await readBody(c, Changes);
    const given = Object.entries(changes).filter(([, value]) => value !== undefined);
    Object.assign(issue, Object.fromEntries(given), { updatedAt: clock.now() });
    return c.json(describe(c, repository, issue));
  });

  app.post(`${at}/:number/labels`, async (c) => {
    const repository = repositories.findForWriting(c);
    const issue = find(c, repository);
    const { labels } = await readBody(c, z.object({ labels: z.array(Name).min(1) }));
    issue.labels = [...new Set([...issue.labels, ...labels])];
    issue.updatedAt = clock.now();
    return c.json(issue.labels.map(describeLabel));
  });

  app.get(`${at}/:number/comments`, (c) => {
    const repository = repositories.find(c);
    const issue = find(c, repository);
    const page = paginate(c, issue.comments);
    return c.json(page.map((comment) => describeComment(c, repository, { issue, comment })));
  });

  app.post(`${at}/:number/comments`, async (c) => {
    const repository = repositories.findForWriting(c);
    const issue = find(c, repository);
    const { body } = await readBody(c, z.object({ body: z.string() }));
    const comment = { id: repositories.newId(), body, createdAt: clock.now() };
    issue.comments.push(comment);
    issue.updatedAt = clock.now();
    return c.json(describeComment(c, repository, { issue, comment }), 201);
  });

  function find(c: Context, repository: Repository): Issue {
    const issue = of(repository)[Number(c.req.param("number")) - 1];
    if (issue) return issue;
    throw new GitHubError(404, "Not Found");
  }

  function urlOf(c: Context, { owner, name }: Repository): string {
    return `${baseUrl(c, mountedAt)}/repos/${owner}/${name}`;
  }

  function describe(c: Context, repository: Repository, issue: Issue): Record<string, unknown> {
    const { id, number, title, body, state } = issue;
    const url = `${urlOf(c, repository)}/issues/${number}`;
    return {
      id,
      node_id: nodeId("Issue", id),
      url,
      comments_url: `${url}/comments`,
      html_url: `https://github.com/${repository.owner}/${repository.name}/issues/${number}`,
      number,
      state,
      title,
      body,
      user: USER,
      labels: issue.labels.map(describeLabel),
      assignees: issue.assignees.map((login) => ({ login, type: "User" })),
      comments: issue.comments.length,
      created_at: time(issue.createdAt),
      updated_at: time(issue.updatedAt),
      closed_at: state === "closed" ? time(issue.updatedAt) : null,
    };
  }

  function describeComment(
    c: Context,
    repository: Repository,
    { issue, comment }: { issue: Issue; comment: Comment },
  ): Record<string, unknown> {
    const { id, body, createdAt } = comment;
    const { owner, name } = repository;
    return {
      id,
      node_id: nodeId("IssueComment", id),
      url: `${urlOf(c, repository)}/issues/comments/${id}`,
      html_url: `https://github.com/${owner}/${name}/issues/${issue.number}#issuecomment-${id}`,
      body,
      user: USER,
      created_at: time(createdAt),
      updated_at: time(createdAt),
    };
  }

  const control = new Hono();
  control.get("/github/issues", (c) => {
    const { owner = "octo-org", repo = "octo-repo" } = c.req.query();
    const repository = repositories.get(owner, repo);
    const listed = (repository ? of(repository) : []).map((issue): GitHubIssueInfo => ({
      number: issue.number,
      title: issue.title,
      body: issue.body,
      state: issue.state,
      labels: issue.labels,
      assignees: issue.assignees,
      comments: issue.comments.map(({ body }) => body),
    }));
    return c.json({ issues: listed });
  });

  return { app, control, reset: () => issues.clear() };
}

const USER = { login: GITHUB_USER.login, id: GITHUB_USER.id, type: GITHUB_USER.type };

function describeLabel(name: string): Record<string, unknown> {
  return { name, color: "ededed", default: false, description: null };
}
