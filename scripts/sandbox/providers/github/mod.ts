import { createHmac, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Content } from "../../core/contents.ts";
import type { Refusal } from "../../core/faults.ts";
import { FixtureError } from "../../core/fixtures.ts";
import type { ObservedEnv, Provider, ProviderPart, Sandbox } from "../../core/provider.ts";
import { baseUrl, bearerToken } from "../../core/requests.ts";
import { serveContent } from "../../core/serve_content.ts";
import { Budgets, setBudgetHeaders } from "./budgets.ts";
import { createContents } from "./contents.ts";
import { createGitData } from "./git_data.ts";
import { artifactBytes, contentType, GitHubRunFixture } from "./artifact_fixtures.ts";
import { createHooks } from "./hooks.ts";
import { createIssues } from "./issues.ts";
import { GITHUB_USER, Repositories, type Repository } from "./repositories.ts";
import { DOCS, GitHubError, nodeId, paginate, problem, time } from "./responses.ts";

/** The fixed, public token of the sandbox's GitHub; it reads every repository. */
export const GITHUB_TOKEN = "sandbox-github-token";

const ARTIFACT_DOCS = `${DOCS}/actions/artifacts`;
const DOWNLOAD_TTL_MS = 60_000;
const RETENTION_MS = 90 * 24 * 60 * 60 * 1000;

/** An artifact as GitHub's API describes it. */
export interface GitHubArtifact {
  id: number;
  node_id: string;
  name: string;
  size_in_bytes: number;
  url: string;
  archive_download_url: string;
  expired: boolean;
  created_at: string;
  updated_at: string;
  expires_at: string;
  digest: string;
  workflow_run: {
    id: number;
    repository_id: number;
    head_repository_id: number;
    head_branch: string;
    head_sha: string;
  };
}

/** What the fixture made. */
export interface GitHubRun {
  repository: { id: number; full_name: string; private: boolean };
  run_id: number;
  artifacts: GitHubArtifact[];
}

interface Run {
  id: number;
  repository: Repository;
  branch: string;
  sha: string;
  createdAt: number;
}

interface Artifact {
  id: number;
  name: string;
  run: Run;
  content: Content;
  archive: boolean;
  expired: boolean;
  createdAt: number;
}

/** GitHub's REST API, and the blob storage its downloads redirect to. */
export interface GitHubProvider extends Provider {
  /** Routes of the storage host, below {@linkcode DOWNLOADS_AT} on the storage port. */
  readonly downloads: Hono<ObservedEnv>;
}

/**
 * GitHub: artifacts of workflow runs, files, issues and webhooks of repositories, behind its
 * authentication and rate limits.
 *
 * @see https://docs.github.com/en/rest/actions/artifacts
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 * @see https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
 */
export function createGitHub(sandbox: Sandbox, mountedAt: string): GitHubProvider {
  const repositories = new Repositories(sandbox.clock);
  const runs = new Map<number, Run>();
  const artifacts = new Map<number, Artifact>();
  const budgets = new Budgets(sandbox.clock);
  const signingKey = crypto.randomUUID();
  const parts: ProviderPart[] = [
    createContents(repositories, mountedAt),
    createGitData(repositories, mountedAt),
    createHooks(sandbox, repositories, mountedAt),
    createIssues(repositories, mountedAt),
  ];

  const app = new Hono<ObservedEnv>();

  app.use(async (c, next) => {
    c.header("x-github-request-id", crypto.randomUUID().toUpperCase());
    if (!c.req.header("user-agent")) {
      return c.text(NO_USER_AGENT, 403);
    }
    const token = bearerToken(c);
    if (c.req.header("authorization") && token !== GITHUB_TOKEN) {
      return problem(c, new GitHubError(401, "Bad credentials"));
    }
    // Asking for the limits costs nothing.
    const cost = c.req.path === `${mountedAt}/rate_limit` ? 0 : 1;
    const { allowed, budget } = budgets.spend(token, cost);
    if (!allowed) {
      const exceeded = new GitHubError(403, token ? EXCEEDED : EXCEEDED_ANONYMOUSLY);
      const response = problem(c, exceeded, LIMIT_DOCS);
      setBudgetHeaders(response.headers, budget);
      return response;
    }
    await next();
    setBudgetHeaders(c.res.headers, budget);
    c.header("x-github-api-version-selected", c.req.header("x-github-api-version") ?? "2022-11-28");
    c.header("x-github-media-type", "github.v3; format=json");
    if (token) c.header("x-oauth-scopes", "repo, workflow");
  });

  app.get("/", (c) => {
    const base = baseUrl(c, mountedAt);
    return c.json({
      current_user_url: `${base}/user`,
      rate_limit_url: `${base}/rate_limit`,
      repository_url: `${base}/repos/{owner}/{repo}`,
    });
  });

  app.get("/rate_limit", (c) => {
    const core = budgets.spend(bearerToken(c), 0).budget;
    return c.json({ resources: { core }, rate: core });
  });

  app.get("/user", (c) => {
    if (!bearerToken(c)) {
      const refusal = new GitHubError(401, "Requires authentication");
      return problem(c, refusal, `${DOCS}/users/users#get-the-authenticated-user`);
    }
    return c.json({ ...GITHUB_USER, node_id: nodeId("User", GITHUB_USER.id) });
  });

  app.get("/repos/:owner/:repo/actions/runs/:id/artifacts", (c) => {
    const repository = repositories.visible(c);
    const run = runs.get(Number(c.req.param("id")));
    if (!repository || run?.repository !== repository) {
      return notFound(c, "#list-workflow-run-artifacts");
    }
    return listArtifacts(c, [...artifacts.values()].filter((artifact) => artifact.run === run));
  });

  app.get("/repos/:owner/:repo/actions/artifacts", (c) => {
    const repository = repositories.visible(c);
    if (!repository) return notFound(c, "#list-artifacts-for-a-repository");
    const own = [...artifacts.values()].filter((each) => each.run.repository === repository);
    return listArtifacts(c, own);
  });

  app.get("/repos/:owner/:repo/actions/artifacts/:id", (c) => {
    const artifact = findArtifact(c);
    if (!artifact) return notFound(c, "#get-an-artifact");
    return c.json(describe(artifact, baseUrl(c, mountedAt)));
  });

  app.get("/repos/:owner/:repo/actions/artifacts/:id/:format", (c) => {
    const artifact = findArtifact(c);
    if (!artifact || c.req.param("format") !== "zip") return notFound(c, "#download-an-artifact");
    const documentation = `${ARTIFACT_DOCS}#download-an-artifact`;
    if (!bearerToken(c)) {
      return problem(c, new GitHubError(401, "Requires authentication"), documentation);
    }
    if (isExpired(artifact)) {
      return problem(c, new GitHubError(410, "Artifact has expired"), documentation);
    }
    return c.redirect(signedUrl(artifact), 302);
  });

  for (const part of parts) app.route("/", part.app);
  app.all("*", (c) => problem(c, new GitHubError(404, "Not Found")));
  app.onError((error, c) => {
    if (error instanceof GitHubError) return problem(c, error);
    console.error(error);
    return c.json({ message: "Server Error" }, 500);
  });

  // GitHub redirects to Azure Blob Storage: another origin, which takes no GitHub token.
  const downloads = new Hono<ObservedEnv>();
  downloads.get(`${DOWNLOADS_AT}/:id/:file`, (c) => {
    if (c.req.header("authorization")) {
      return azureError(
        400,
        "InvalidAuthenticationInfo",
        "Authentication information is not given in the correct format. Check the value of Authorization header.",
      );
    }
    const { se = "", sig = "" } = c.req.query();
    const artifact = artifacts.get(Number(c.req.param("id")));
    const valid = artifact && equal(sig, sign(artifact.id, se)) &&
      sandbox.clock.now() <= Date.parse(se);
    if (!valid) {
      return azureError(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
      );
    }
    const filename = artifact.archive ? `${artifact.name}.zip` : artifact.name;
    const answer = serveContent(artifact.content, c.req.header("range"), {
      "content-type": artifact.archive ? "application/zip" : contentType(artifact.name),
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`,
      etag: `"0x${artifact.content.digests.md5.slice(0, 15).toUpperCase()}"`,
      "x-ms-blob-type": "BlockBlob",
    });
    return c.req.method === "HEAD" ? new Response(null, answer) : answer;
  });

  function findArtifact(c: Context): Artifact | undefined {
    const repository = repositories.visible(c);
    const artifact = artifacts.get(Number(c.req.param("id")));
    return repository && artifact?.run.repository === repository ? artifact : undefined;
  }

  function listArtifacts(c: Context, all: Artifact[]): Response {
    const named = c.req.query("name");
    const found = all.filter((artifact) => named === undefined || artifact.name === named)
      .sort((a, b) => b.id - a.id);
    const base = baseUrl(c, mountedAt);
    const page = paginate(c, found).map((artifact) => describe(artifact, base));
    return c.json({ total_count: found.length, artifacts: page });
  }

  function describe(artifact: Artifact, base: string): GitHubArtifact {
    const { run } = artifact;
    const url =
      `${base}/repos/${run.repository.owner}/${run.repository.name}/actions/artifacts/${artifact.id}`;
    return {
      id: artifact.id,
      node_id: nodeId("Artifact", artifact.id),
      name: artifact.name,
      size_in_bytes: artifact.content.size,
      url,
      archive_download_url: `${url}/zip`,
      expired: isExpired(artifact),
      created_at: time(artifact.createdAt),
      updated_at: time(artifact.createdAt),
      expires_at: time(artifact.createdAt + RETENTION_MS),
      digest: `sha256:${artifact.content.digests.sha256}`,
      workflow_run: {
        id: run.id,
        repository_id: run.repository.id,
        head_repository_id: run.repository.id,
        head_branch: run.branch,
        head_sha: run.sha,
      },
    };
  }

  function isExpired(artifact: Artifact): boolean {
    return artifact.expired || sandbox.clock.now() > artifact.createdAt + RETENTION_MS;
  }

  function signedUrl(artifact: Artifact): string {
    const expires = new Date(sandbox.clock.now() + DOWNLOAD_TTL_MS).toISOString();
    const query = new URLSearchParams({
      se: expires,
      sp: "r",
      sr: "b",
      sig: sign(artifact.id, expires),
    });
    const file = artifact.archive ? "artifact.zip" : encodeURIComponent(artifact.name);
    return `${sandbox.storageOrigin()}${DOWNLOADS_AT}/${artifact.id}/${file}?${query}`;
  }

  function sign(artifactId: number, expires: string): string {
    return createHmac("sha256", signingKey).update(`${artifactId}\n${expires}`).digest("base64");
  }

  async function createRun(
    fixture: z.output<typeof GitHubRunFixture>,
    base: string,
  ): Promise<GitHubRun> {
    const name = `${fixture.owner}/${fixture.repo}`;
    const repository = repositories.ensure(fixture);
    const id = fixture.run_id ?? repositories.newId();
    const run = runs.get(id) ?? {
      id,
      repository,
      branch: fixture.head_branch,
      sha: fixture.head_sha,
      createdAt: sandbox.clock.now(),
    };
    if (run.repository !== repository) {
      throw new FixtureError(
        `The run ${id} belongs to ${run.repository.owner}/${run.repository.name}; choose another run_id.`,
      );
    }
    runs.set(id, run);

    const created: Artifact[] = [];
    for (const wanted of fixture.artifacts) {
      const artifact: Artifact = {
        id: repositories.newId(),
        name: wanted.name,
        run,
        content: await sandbox.contents.store(asAsync(artifactBytes(wanted))),
        archive: wanted.archive,
        expired: wanted.expired,
        createdAt: sandbox.clock.now(),
      };
      artifacts.set(artifact.id, artifact);
      created.push(artifact);
    }
    return {
      repository: { id: repository.id, full_name: name, private: repository.private },
      run_id: run.id,
      artifacts: created.map((artifact) => describe(artifact, base)),
    };
  }

  const control = new Hono();
  control.post("/github/artifacts", async (c) => {
    const fixture = GitHubRunFixture.parse(await c.req.json());
    return c.json(await createRun(fixture, baseUrl(c, mountedAt)), 201);
  });
  control.post("/github/rate_limit", async (c) => {
    const { limit } = z.strictObject({ limit: z.int().min(0) }).parse(await c.req.json());
    budgets.setLimit(limit);
    return c.json({ limit });
  });

  for (const part of parts) if (part.control) control.route("/", part.control);

  return {
    name: "github",
    app,
    downloads,
    control,
    refuse,
    async reset() {
      for (const artifact of artifacts.values()) await artifact.content.release();
      for (const map of [repositories, runs, artifacts]) map.clear();
      for (const part of parts) part.reset?.();
      budgets.reset();
    },
  };
}

/** Where the storage port serves artifact downloads; no bucket can have this name. */
export const DOWNLOADS_AT = "/_actions-results";

const LIMIT_DOCS = `${DOCS}/overview/rate-limits-for-the-rest-api`;
const EXCEEDED = "API rate limit exceeded for user ID 1.";
const EXCEEDED_ANONYMOUSLY =
  "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated requests get a higher rate limit. Check out the documentation for more details.)";
const EXCEEDED_SECONDARY =
  "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID.";
const NO_USER_AGENT =
  "Request forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check https://developer.github.com for other possible causes.";

const MESSAGES: Record<number, string> = {
  401: "Bad credentials",
  403: "Resource not accessible by integration",
  404: "Not Found",
  422: "Validation Failed",
  502: "Server Error",
  503: "Service unavailable",
};

async function* asAsync<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

function refuse({ status, error, retryAfter }: Refusal): Response {
  const limited = retryAfter !== undefined;
  const code = status ?? (limited ? 403 : 500);
  return Response.json({
    message: limited ? EXCEEDED_SECONDARY : error ?? MESSAGES[code] ?? "Server Error",
    documentation_url: limited ? `${LIMIT_DOCS}#about-secondary-rate-limits` : DOCS,
    status: String(code),
  }, {
    status: code,
    headers: limited ? { "retry-after": String(retryAfter) } : {},
  });
}

function notFound(c: Context, anchor: string): Response {
  return problem(c, new GitHubError(404, "Not Found"), `${ARTIFACT_DOCS}${anchor}`);
}

/** @see https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes */
function azureError(status: number, code: string, message: string): Response {
  return new Response(
    `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
    { status, headers: { "content-type": "application/xml", "x-ms-error-code": code } },
  );
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
