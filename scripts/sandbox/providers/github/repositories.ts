import type { Context } from "hono";
import { bearerToken } from "../../core/requests.ts";
import type { Clock } from "../../core/clock.ts";
import { type GitCommit, type GitPerson, GitStore } from "./git.ts";
import { GitHubError, time } from "./responses.ts";

/** A repository and what is in it. */
export interface Repository {
  id: number;
  owner: string;
  name: string;
  private: boolean;
  /** `false`: the sandbox token may not read it. */
  readable: boolean;
  defaultBranch: string;
  git: GitStore;
  createdAt: number;
}

/** How a repository is to be; what is not said stays, or is as usual. */
export interface RepositoryWish {
  owner: string;
  repo: string;
  private?: boolean | undefined;
  readable?: boolean | undefined;
  defaultBranch?: string | undefined;
}

/** A file to be committed; `null` deletes it. */
export interface FileChange {
  path: string;
  bytes: Uint8Array | null;
}

/** The account that the sandbox's token belongs to. */
export const GITHUB_USER = {
  login: "sandbox",
  id: 1,
  type: "User",
  name: "Sandbox",
  email: "sandbox@users.noreply.github.com",
} as const;

/** The repositories of the sandbox's GitHub, and ids for everything in it. */
export class Repositories {
  #byName = new Map<string, Repository>();
  #nextId = 1_000_001;

  constructor(readonly clock: Clock) {}

  /** An id that nothing else has. */
  newId(): number {
    return this.#nextId++;
  }

  /** Makes a repository, or changes one that is there. */
  ensure(wanted: RepositoryWish): Repository {
    const key = `${wanted.owner}/${wanted.repo}`.toLowerCase();
    const repository: Repository = this.#byName.get(key) ?? {
      id: this.newId(),
      owner: wanted.owner,
      name: wanted.repo,
      private: true,
      readable: true,
      defaultBranch: "main",
      git: new GitStore(),
      createdAt: this.clock.now(),
    };
    repository.private = wanted.private ?? repository.private;
    repository.readable = wanted.readable ?? repository.readable;
    repository.defaultBranch = wanted.defaultBranch ?? repository.defaultBranch;
    this.#byName.set(key, repository);
    return repository;
  }

  get(owner: string, repo: string): Repository | undefined {
    return this.#byName.get(`${owner}/${repo}`.toLowerCase());
  }

  /** The repository that a request's path names, when its token may know of it. */
  visible(c: Context): Repository | undefined {
    const repository = this.get(c.req.param("owner") ?? "", c.req.param("repo") ?? "");
    if (!repository?.private) return repository;
    return bearerToken(c) && repository.readable ? repository : undefined;
  }

  /** The same for a handler that throws. @throws GitHubError 404 */
  find(c: Context): Repository {
    const repository = this.visible(c);
    if (repository) return repository;
    throw new GitHubError(404, "Not Found");
  }

  /** The same for a handler that changes something. @throws GitHubError 401, 404 */
  findForWriting(c: Context): Repository {
    if (!bearerToken(c)) throw new GitHubError(401, "Requires authentication");
    return this.find(c);
  }

  /** Commits files on top of a branch, which is made when it is not there. */
  commit(
    { git }: Repository,
    branch: string,
    { changes, message, author, committer = author }: {
      changes: readonly FileChange[];
      message: string;
      author: GitPerson;
      committer?: GitPerson;
    },
  ): GitCommit {
    const parent = git.resolve(`heads/${branch}`);
    const files = parent ? git.files(parent.tree) : new Map();
    for (const { path, bytes } of changes) {
      if (bytes === null) files.delete(path);
      else files.set(path, { mode: files.get(path)?.mode ?? "100644", sha: git.putBlob(bytes) });
    }
    const commit = git.putCommit({
      tree: git.putTree(files),
      parents: parent ? [parent.sha] : [],
      author,
      committer,
      message,
    });
    git.refs.set(`heads/${branch}`, commit.sha);
    return commit;
  }

  /** A person of a request, filled up with the token's own account and the time. */
  person(wanted: { name?: string; email?: string; date?: string } = {}): GitPerson {
    return {
      name: wanted.name ?? GITHUB_USER.name,
      email: wanted.email ?? GITHUB_USER.email,
      date: time(wanted.date ? Date.parse(wanted.date) : this.clock.now()),
    };
  }

  clear(): void {
    this.#byName.clear();
  }
}
