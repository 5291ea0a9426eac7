import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, ProviderPart } from "../../core/provider.ts";
import { baseUrl } from "../../core/requests.ts";
import type { GitCommit, GitFiles } from "./git.ts";
import type { Repositories, Repository } from "./repositories.ts";
import { GitHubError, nodeId, paginate, readBody } from "./responses.ts";

/** A person as requests name one. */
export const Person = z.object({
  name: z.string(),
  email: z.string(),
  date: z.string().optional(),
}).partial();
const SHA = z.string().regex(/^[0-9a-f]{40}$/);
const Tree = z.object({
  base_tree: z.string().optional(),
  tree: z.array(z.object({
    path: z.string().min(1),
    mode: z.enum(["100644", "100755", "040000", "120000"]).default("100644"),
    type: z.enum(["blob", "tree"]).default("blob"),
    sha: SHA.nullable().optional(),
    content: z.string().optional(),
  })),
});
const Commit = z.object({
  message: z.string(),
  tree: z.string(),
  parents: z.array(z.string()).default([]),
  author: Person.optional(),
  committer: Person.optional(),
});

/**
 * Git's own objects of repositories: blobs, trees, commits, and the references that lead to them.
 *
 * @see https://docs.github.com/en/rest/git
 */
export function createGitData(
  repositories: Repositories,
  mountedAt: string,
): ProviderPart {
  const app = new Hono<ObservedEnv>();
  const at = "/repos/:owner/:repo";
  const urlOf = (c: Context, repository: Repository) => repositoryUrl(c, mountedAt, repository);

  app.post(`${at}/git/blobs`, async (c) => {
    const repository = repositories.findForWriting(c);
    const { content, encoding } = await readBody(
      c,
      z.object({ content: z.string(), encoding: z.enum(["utf-8", "base64"]).default("utf-8") }),
    );
    const bytes = encoding === "base64" ? decodeBase64(content) : new TextEncoder().encode(content);
    if (!bytes) throw new GitHubError(422, "content is not valid Base64");
    const sha = repository.git.putBlob(bytes);
    return c.json({ sha, url: `${urlOf(c, repository)}/git/blobs/${sha}` }, 201);
  });

  app.get(`${at}/git/blobs/:sha`, (c) => {
    const repository = repositories.find(c);
    const sha = c.req.param("sha");
    const bytes = repository.git.blob(sha);
    if (!bytes) throw new GitHubError(404, "Not Found");
    return c.json({
      sha,
      node_id: nodeId("Blob", sha),
      size: bytes.length,
      url: `${urlOf(c, repository)}/git/blobs/${sha}`,
      content: base64Lines(bytes),
      encoding: "base64",
    });
  });

  app.post(`${at}/git/trees`, async (c) => {
    const repository = repositories.findForWriting(c);
    const { git } = repository;
    const { base_tree, tree } = await readBody(c, Tree);
    const base = base_tree === undefined ? undefined : git.commit(base_tree)?.tree ?? base_tree;
    if (base !== undefined && !git.tree(base)) throw new GitHubError(404, "Not Found");
    const files: GitFiles = base === undefined ? new Map() : git.files(base);
    for (const { path, mode, type, sha, content } of tree) {
      if (sha === null) {
        if (!files.delete(path)) throw new GitHubError(422, "GitRPC::BadObjectState");
      } else if (content !== undefined) {
        files.set(path, { mode, sha: git.putBlob(new TextEncoder().encode(content)) });
      } else if (type === "tree") {
        for (const [inner, file] of git.files(sha ?? "")) files.set(`${path}/${inner}`, file);
      } else {
        if (!git.blob(sha ?? "")) {
          throw new GitHubError(422, `tree.sha ${sha ?? ""} is not a valid blob`);
        }
        files.set(path, { mode, sha: sha! });
      }
    }
    const sha = git.putTree(files);
    return c.json(describeTree(repository, urlOf(c, repository), sha, false), 201);
  });

  app.get(`${at}/git/trees/:sha`, (c) => {
    const repository = repositories.find(c);
    const { git } = repository;
    const name = c.req.param("sha");
    const sha = git.tree(name) ? name : git.resolve(name)?.tree;
    if (!sha) throw new GitHubError(404, "Not Found");
    const isDeep = c.req.query("recursive") !== undefined;
    return c.json(describeTree(repository, urlOf(c, repository), sha, isDeep));
  });

  app.post(`${at}/git/commits`, async (c) => {
    const repository = repositories.findForWriting(c);
    const { git } = repository;
    const wanted = await readBody(c, Commit);
    if (!git.tree(wanted.tree)) throw new GitHubError(422, "Tree SHA does not exist");
    for (const parent of wanted.parents) {
      if (git.commit(parent)) continue;
      throw new GitHubError(422, "Parent SHA does not exist or is not a commit object");
    }
    const author = repositories.person(wanted.author);
    const committer = wanted.committer ? repositories.person(wanted.committer) : author;
    const { message, tree, parents } = wanted;
    const commit = git.putCommit({ message, tree, parents, author, committer });
    return c.json(describeGitCommit(urlOf(c, repository), commit), 201);
  });

  app.get(`${at}/git/commits/:sha`, (c) => {
    const repository = repositories.find(c);
    const commit = repository.git.commit(c.req.param("sha"));
    if (!commit) throw new GitHubError(404, "Not Found");
    return c.json(describeGitCommit(urlOf(c, repository), commit));
  });

  app.get(`${at}/git/ref/:ref{.+}`, (c) => {
    const repository = repositories.find(c);
    const ref = c.req.param("ref");
    if (repository.git.refs.size === 0) throw new GitHubError(409, "Git Repository is empty.");
    const sha = repository.git.refs.get(ref);
    if (!sha) throw new GitHubError(404, "Not Found");
    return c.json(describeRef(urlOf(c, repository), ref, sha));
  });

  app.get(`${at}/git/matching-refs/:ref{.+}`, (c) => {
    const repository = repositories.find(c);
    const matching = [...repository.git.refs]
      .filter(([ref]) => ref.startsWith(c.req.param("ref")));
    const url = urlOf(c, repository);
    return c.json(paginate(c, matching).map(([ref, sha]) => describeRef(url, ref, sha)));
  });

  app.post(`${at}/git/refs`, async (c) => {
    const repository = repositories.findForWriting(c);
    const { git } = repository;
    const { ref, sha } = await readBody(c, z.object({ ref: z.string(), sha: z.string() }));
    const name = /^refs\/((?:heads|tags)\/.+)$/.exec(ref)?.[1];
    if (!name) throw new GitHubError(422, "Reference name is not valid");
    if (git.refs.has(name)) throw new GitHubError(422, "Reference already exists");
    if (!git.commit(sha)) throw new GitHubError(422, "Object does not exist");
    git.refs.set(name, sha);
    return c.json(describeRef(urlOf(c, repository), name, sha), 201);
  });

  app.patch(`${at}/git/refs/:ref{.+}`, async (c) => {
    const repository = repositories.findForWriting(c);
    const { git } = repository;
    const ref = c.req.param("ref");
    const { sha, force } = await readBody(
      c,
      z.object({ sha: z.string(), force: z.boolean().default(false) }),
    );
    const before = git.refs.get(ref);
    if (!before) throw new GitHubError(422, "Reference does not exist");
    const commit = git.commit(sha);
    if (!commit) throw new GitHubError(422, "Object does not exist");
    if (!force && !git.history(commit).some((each) => each.sha === before)) {
      throw new GitHubError(422, "Update is not a fast forward");
    }
    git.refs.set(ref, sha);
    return c.json(describeRef(urlOf(c, repository), ref, sha));
  });

  app.delete(`${at}/git/refs/:ref{.+}`, (c) => {
    const { git } = repositories.findForWriting(c);
    if (!git.refs.delete(c.req.param("ref"))) {
      throw new GitHubError(422, "Reference does not exist");
    }
    return c.body(null, 204);
  });

  return { app };
}

/** Where a repository is, as answers name it. */
export function repositoryUrl(c: Context, mountedAt: string, { owner, name }: Repository): string {
  return `${baseUrl(c, mountedAt)}/repos/${owner}/${name}`;
}

function describeTree(
  { git }: Repository,
  url: string,
  sha: string,
  isDeep: boolean,
): Record<string, unknown> {
  const list = (tree: string, folder: string): Record<string, unknown>[] =>
    (git.tree(tree) ?? []).flatMap((entry) => {
      const { name, mode, type } = entry;
      const described = {
        path: folder + name,
        mode,
        type,
        sha: entry.sha,
        ...(type === "blob" && { size: git.blob(entry.sha)?.length ?? 0 }),
        url: `${url}/git/${type}s/${entry.sha}`,
      };
      const below = isDeep && type === "tree" ? list(entry.sha, `${folder}${name}/`) : [];
      return [described, ...below];
    });
  return { sha, url: `${url}/git/trees/${sha}`, tree: list(sha, ""), truncated: false };
}

function describeRef(url: string, ref: string, sha: string): Record<string, unknown> {
  return {
    ref: `refs/${ref}`,
    node_id: nodeId("Ref", ref),
    url: `${url}/git/refs/${ref}`,
    object: { type: "commit", sha, url: `${url}/git/commits/${sha}` },
  };
}

/** A commit as the git data API describes it. */
export function describeGitCommit(url: string, commit: GitCommit): Record<string, unknown> {
  const { sha, tree, parents, author, committer, message } = commit;
  const html = url.replace(/^.*\/repos\//, "https://github.com/");
  return {
    sha,
    node_id: nodeId("Commit", sha),
    url: `${url}/git/commits/${sha}`,
    html_url: `${html}/commit/${sha}`,
    author,
    committer,
    message,
    tree: { sha: tree, url: `${url}/git/trees/${tree}` },
    parents: parents.map((parent) => ({
      sha: parent,
      url: `${url}/git/commits/${parent}`,
      html_url: `${html}/commit/${parent}`,
    })),
    verification: { verified: false, reason: "unsigned", signature: null, payload: null },
  };
}

/** GitHub breaks base64 after 60 characters. */
export function base64Lines(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replace(/.{1,60}/g, "$&\n");
}

/** The bytes of a base64 text; `undefined` when it is none. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const compact = text.replace(/\s/g, "");
  const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/.test(compact) && compact.length % 4 !== 1;
  return isBase64 ? new Uint8Array(Buffer.from(compact, "base64")) : undefined;
}
