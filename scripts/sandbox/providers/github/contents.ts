import { type Context, Hono } from "hono";
import { z } from "zod";
import { FixtureError } from "../../core/fixtures.ts";
import type { ObservedEnv, ProviderPart } from "../../core/provider.ts";
import type { GitCommit, GitEntry, GitFiles, GitPerson } from "./git.ts";
import { base64Lines, decodeBase64, describeGitCommit, Person, repositoryUrl } from "./git_data.ts";
import { GITHUB_USER, type Repositories, type Repository } from "./repositories.ts";
import { GitHubError, nodeId, paginate, readBody, time } from "./responses.ts";

/** A repository with files, as `POST /_control/github/repositories` takes it. */
export const GitHubRepositoryFixture = z.strictObject({
  owner: z.string().min(1).default("octo-org"),
  repo: z.string().min(1).default("octo-repo"),
  private: z.boolean().default(true),
  /** `false`: the sandbox token may not read it. */
  readable: z.boolean().default(true),
  default_branch: z.string().default("main"),
  /** Texts by path, in a first commit; without any the repository is empty. */
  files: z.record(z.string(), z.string()).default({ "README.md": "# octo-repo\n" }),
});
/** The input form of {@linkcode GitHubRepositoryFixture}. */
export type GitHubRepositoryFixture = z.input<typeof GitHubRepositoryFixture>;

/** What somebody commits, as `POST /_control/github/commits` takes it. */
export const GitHubCommitFixture = z.strictObject({
  owner: z.string().min(1).default("octo-org"),
  repo: z.string().min(1).default("octo-repo"),
  /** The default branch when absent. */
  branch: z.string().optional(),
  /** Texts by path; `null` deletes a file. */
  files: z.record(z.string(), z.string().nullable()),
  message: z.string().default("Edit by hand"),
  author: z.strictObject({ name: z.string(), email: z.string() })
    .default({ name: "Monalisa Octocat", email: "mona@example.com" }),
});
/** The input form of {@linkcode GitHubCommitFixture}. */
export type GitHubCommitFixture = z.input<typeof GitHubCommitFixture>;

/** A commit as an assertion sees it. */
export interface GitHubCommitInfo {
  sha: string;
  message: string;
  author: GitPerson;
  /** Paths that differ from the first parent, with the texts after it; `null` where it is gone. */
  files: Record<string, string | null>;
}

const Write = z.object({
  message: z.string(),
  content: z.string(),
  sha: z.string().optional(),
  branch: z.string().optional(),
  author: Person.optional(),
  committer: Person.optional(),
});
const Delete = Write.omit({ content: true }).extend({ sha: z.string() });

/** Above this size the contents API leaves the content out. */
const INLINE_BYTES = 1024 * 1024;

/**
 * Repositories, their commits, and their files by path.
 *
 * @see https://docs.github.com/en/rest/repos/contents
 */
export function createContents(
  repositories: Repositories,
  mountedAt: string,
): ProviderPart {
  const app = new Hono<ObservedEnv>();
  const at = "/repos/:owner/:repo";
  const urlOf = (c: Context, repository: Repository) => repositoryUrl(c, mountedAt, repository);

  app.get(at, (c) => {
    const repository = repositories.find(c);
    const { id, name, owner, defaultBranch } = repository;
    const html_url = `https://github.com/${owner}/${name}`;
    return c.json({
      id,
      node_id: nodeId("Repository", id),
      name,
      full_name: `${owner}/${name}`,
      private: repository.private,
      owner: { login: owner, type: "Organization" },
      html_url,
      url: urlOf(c, repository),
      default_branch: defaultBranch,
      created_at: time(repository.createdAt),
    });
  });

  app.get(`${at}/branches`, (c) => {
    const { git } = repositories.find(c);
    const branches = [...git.refs].filter(([ref]) => ref.startsWith("heads/"))
      .map(([ref, sha]) => ({
        name: ref.slice("heads/".length),
        commit: { sha },
        protected: false,
      }));
    return c.json(paginate(c, branches));
  });

  app.get(`${at}/commits`, (c) => {
    const repository = repositories.find(c);
    const { git } = repository;
    const head = headOf(repository, c.req.query("sha"));
    const path = c.req.query("path");
    const blobAt = (commit: GitCommit | undefined) =>
      commit && git.entryAt(commit.tree, path ?? "")?.sha;
    const commits = git.history(head).filter((commit) =>
      path === undefined || blobAt(commit) !== blobAt(git.commit(commit.parents[0] ?? ""))
    );
    return c.json(
      paginate(c, commits).map((commit) => describeCommit(urlOf(c, repository), commit)),
    );
  });

  app.get(`${at}/commits/:ref{.+}`, (c) => {
    const repository = repositories.find(c);
    const commit = repository.git.resolve(c.req.param("ref"));
    if (!commit) throw new GitHubError(422, `No commit found for SHA: ${c.req.param("ref")}`);
    return c.json({
      ...describeCommit(urlOf(c, repository), commit),
      files: Object.keys(changesOf(repository, commit)).map((filename) => ({ filename })),
    });
  });

  app.get(`${at}/contents/:path{.*}`, (c) => {
    const repository = repositories.find(c);
    const { git } = repository;
    const path = c.req.param("path").replace(/\/$/, "");
    const ref = c.req.query("ref") ?? repository.defaultBranch;
    const commit = git.resolve(ref);
    if (git.refs.size === 0) throw new GitHubError(404, "This repository is empty.");
    if (!commit) throw new GitHubError(404, `No commit found for the ref ${ref}`);
    const entry = git.entryAt(commit.tree, path);
    if (!entry) throw new GitHubError(404, "Not Found");
    const url = urlOf(c, repository);
    if (entry.type === "tree") {
      return c.json(
        (git.tree(entry.sha) ?? []).map((child) =>
          describeEntry(repository, url, { entry: child, path: `${path}/${child.name}`, ref })
        ),
      );
    }
    const bytes = git.blob(entry.sha) ?? new Uint8Array(0);
    if (/application\/vnd\.github(\.v3)?\.raw/.test(c.req.header("accept") ?? "")) {
      return c.body(new Uint8Array(bytes), 200, {
        "content-type": "application/vnd.github.raw+json; charset=utf-8",
      });
    }
    const isInline = bytes.length <= INLINE_BYTES;
    return c.json({
      ...describeEntry(repository, url, { entry, path, ref }),
      content: isInline ? base64Lines(bytes) : "",
      encoding: isInline ? "base64" : "none",
    });
  });

  app.put(`${at}/contents/:path{.+}`, async (c) => {
    const repository = repositories.findForWriting(c);
    const path = c.req.param("path");
    const wanted = await readBody(c, Write);
    const bytes = decodeBase64(wanted.content);
    if (!bytes) throw new GitHubError(422, "content is not valid Base64");
    const known = checkSha(repository, path, wanted);
    const { branch, commit } = writeFile(repository, { path, bytes, wanted });
    const entry = repository.git.entryAt(commit.tree, path)!;
    const url = urlOf(c, repository);
    return c.json({
      content: describeEntry(repository, url, { entry, path, ref: branch }),
      commit: describeGitCommit(url, commit),
    }, known ? 200 : 201);
  });

  app.delete(`${at}/contents/:path{.+}`, async (c) => {
    const repository = repositories.findForWriting(c);
    const path = c.req.param("path");
    const wanted = await readBody(c, Delete);
    if (!checkSha(repository, path, wanted)) throw new GitHubError(404, "Not Found");
    const { commit } = writeFile(repository, { path, bytes: null, wanted });
    return c.json({ content: null, commit: describeGitCommit(urlOf(c, repository), commit) });
  });

  function writeFile(
    repository: Repository,
    { path, bytes, wanted }: {
      path: string;
      bytes: Uint8Array | null;
      wanted: Omit<z.output<typeof Write>, "content">;
    },
  ): { branch: string; commit: GitCommit } {
    const branch = wanted.branch ?? repository.defaultBranch;
    const { message } = wanted;
    const committer = repositories.person(wanted.committer ?? wanted.author);
    const author = wanted.author ? repositories.person(wanted.author) : committer;
    const changes = [{ path, bytes }];
    return {
      branch,
      commit: repositories.commit(repository, branch, { changes, message, author, committer }),
    };
  }

  const control = new Hono();
  control.post("/github/repositories", async (c) => {
    const wanted = GitHubRepositoryFixture.parse(await c.req.json());
    const repository = repositories.ensure({ ...wanted, defaultBranch: wanted.default_branch });
    const changes = Object.entries(wanted.files).map(toChange);
    const head = changes.length === 0
      ? null
      : repositories.commit(repository, wanted.default_branch, {
        changes,
        message: "Initial commit",
        author: repositories.person(),
      }).sha;
    return c.json({ id: repository.id, full_name: `${wanted.owner}/${wanted.repo}`, head }, 201);
  });
  control.post("/github/commits", async (c) => {
    const wanted = GitHubCommitFixture.parse(await c.req.json());
    const repository = findFixture(wanted.owner, wanted.repo);
    const commit = repositories.commit(repository, wanted.branch ?? repository.defaultBranch, {
      changes: Object.entries(wanted.files).map(toChange),
      message: wanted.message,
      author: repositories.person(wanted.author),
    });
    return c.json(inform(repository, commit), 201);
  });
  control.get("/github/commits", (c) => {
    const { owner = "octo-org", repo = "octo-repo", branch } = c.req.query();
    const repository = findFixture(owner, repo);
    const head = repository.git.resolve(`heads/${branch ?? repository.defaultBranch}`);
    const commits = head ? repository.git.history(head) : [];
    return c.json({ commits: commits.map((commit) => inform(repository, commit)) });
  });

  function findFixture(owner: string, repo: string): Repository {
    const repository = repositories.get(owner, repo);
    if (repository) return repository;
    throw new FixtureError(`There is no repository ${owner}/${repo}; create it first.`);
  }

  return { app, control };
}

function inform(repository: Repository, commit: GitCommit): GitHubCommitInfo {
  const { sha, message, author } = commit;
  return { sha, message, author, files: changesOf(repository, commit) };
}

function changesOf({ git }: Repository, commit: GitCommit): Record<string, string | null> {
  const [before, after] = [git.commit(commit.parents[0] ?? "")?.tree, commit.tree]
    .map((tree) => tree === undefined ? new Map() as GitFiles : git.files(tree));
  const paths = new Set([...before!.keys(), ...after!.keys()]);
  const changed = [...paths].filter((path) => before!.get(path)?.sha !== after!.get(path)?.sha);
  return Object.fromEntries(
    changed.sort().map((path) => {
      const file = after!.get(path);
      return [path, file ? new TextDecoder().decode(git.blob(file.sha)) : null];
    }),
  );
}

function toChange([path, text]: [string, string | null]) {
  return { path, bytes: text === null ? null : new TextEncoder().encode(text) };
}

/** @throws GitHubError 404, 409 when there is no such branch, or nothing at all */
function headOf({ git, defaultBranch }: Repository, name: string | undefined): GitCommit {
  if (git.refs.size === 0) throw new GitHubError(409, "Git Repository is empty.");
  const commit = git.resolve(name ?? defaultBranch);
  if (commit) return commit;
  throw new GitHubError(404, "Not Found");
}

/**
 * Whether a file is there already, and the one that the writer has seen.
 *
 * @throws GitHubError 404, 409, 422
 */
function checkSha(
  { git, defaultBranch }: Repository,
  path: string,
  { sha, branch = defaultBranch }: { sha?: string | undefined; branch?: string | undefined },
): boolean {
  const head = git.resolve(`heads/${branch}`);
  if (!head && git.refs.size > 0) throw new GitHubError(404, `Branch ${branch} not found`);
  const known = head && git.entryAt(head.tree, path);
  if (known && sha === undefined) {
    throw new GitHubError(422, `Invalid request.\n\n"sha" wasn't supplied.`);
  }
  if (sha !== undefined && known?.sha !== sha) {
    throw new GitHubError(409, `${path} does not match ${sha}`);
  }
  return known !== undefined;
}

function describeEntry(
  { git, owner, name }: Repository,
  url: string,
  { entry, path, ref }: { entry: GitEntry; path: string; ref: string },
): Record<string, unknown> {
  const { sha, type } = entry;
  const whole = path.replace(/^\//, "");
  const html = `https://github.com/${owner}/${name}`;
  const self = `${url}/contents/${encodeURI(whole)}?ref=${encodeURIComponent(ref)}`;
  const git_url = `${url}/git/${type}s/${sha}`;
  const html_url = `${html}/${type}/${ref}/${encodeURI(whole)}`;
  const isFile = type === "blob";
  return {
    name: entry.name,
    path: whole,
    sha,
    size: isFile ? git.blob(sha)?.length ?? 0 : 0,
    url: self,
    html_url,
    git_url,
    download_url: isFile
      ? `https://raw.githubusercontent.com/${owner}/${name}/${ref}/${encodeURI(whole)}`
      : null,
    type: isFile ? "file" : "dir",
    _links: { self, git: git_url, html: html_url },
  };
}

function describeCommit(url: string, commit: GitCommit): Record<string, unknown> {
  const { sha, node_id, html_url, parents, ...described } = describeGitCommit(url, commit);
  const account = ({ email }: GitPerson) =>
    email === GITHUB_USER.email ? { login: GITHUB_USER.login, id: GITHUB_USER.id } : null;
  return {
    sha,
    node_id,
    url: `${url}/commits/${sha}`,
    html_url,
    commit: described,
    author: account(commit.author),
    committer: account(commit.committer),
    parents,
  };
}
