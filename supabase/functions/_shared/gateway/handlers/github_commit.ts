/**
 * Several files in one commit, through GitHub's git data API.
 *
 * Blobs, tree and commit are found by their content and show nowhere until the branch is moved, so
 * that every step but the last may be repeated; a branch that somebody else has moved meanwhile is
 * read again and committed upon anew.
 * @see https://docs.github.com/en/rest/git
 */
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";

interface Parameters {
  branch: string;
  base_branch?: string;
  message: string;
  files: {
    path: string;
    text?: string;
    /** Base64. */
    content?: string;
    is_executable?: boolean;
    is_deleted?: boolean;
  }[];
}

interface TreeEntry {
  path: string;
  mode: "100644" | "100755";
  type: "blob";
  sha?: string | null;
  content?: string;
}

/** How often the branch may be moved by others while we commit. */
const TRIES = 3;
/** Blobs that are uploaded side by side. */
const WIDTH = 4;

/** Commits files to a branch, which is made when it does not exist. */
export const githubCommit: Handler = async (context) => {
  const { branch, base_branch, message, files } = context.parameters as unknown as Parameters;
  const tree = await toTree(context, files);
  for (let attempt = 1;; attempt++) {
    const head = await headOf(context, branch);
    const parent = head ?? await headOf(context, base_branch ?? await defaultBranch(context));
    if (!parent) {
      throw new ExecutionError("validation_failed", 422, `There is no branch ${base_branch}.`);
    }
    const base = await ask(context, "GET", `/git/commits/${parent}`);
    const made = await ask(context, "POST", "/git/trees", { base_tree: base.tree.sha, tree });
    const commit = await ask(context, "POST", "/git/commits", {
      message,
      tree: made.sha,
      parents: [parent],
    });
    const moved = head
      ? await move(context, "PATCH", `/git/refs/${refOf(branch)}`, {
        sha: commit.sha,
        force: false,
      })
      : await move(context, "POST", "/git/refs", {
        ref: `refs/heads/${branch}`,
        sha: commit.sha,
      });
    if (moved.ok) {
      return {
        kind: "result",
        status: moved.status,
        result: {
          branch,
          is_new_branch: head === null,
          commit: { sha: commit.sha, html_url: commit.html_url, message, parent },
          file_count: files.length,
        },
      };
    }
    if (attempt >= TRIES) throw moved.error;
  }
};

/** Texts travel inside the tree; what is not text needs a blob of its own. */
async function toTree(context: HandlerContext, files: Parameters["files"]): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < files.length; at += WIDTH) {
    const some = files.slice(at, at + WIDTH).map(async (file): Promise<TreeEntry> => {
      const { path, text, content, is_executable, is_deleted } = file;
      const entry = { path, mode: is_executable ? "100755" : "100644", type: "blob" } as const;
      if (is_deleted) return { ...entry, sha: null };
      if (content === undefined) return { ...entry, content: text ?? "" };
      const blob = await ask(context, "POST", "/git/blobs", { content, encoding: "base64" });
      return { ...entry, sha: blob.sha };
    });
    entries.push(...await Promise.all(some));
  }
  return entries;
}

async function headOf(context: HandlerContext, branch: string): Promise<string | null> {
  const { status, body } = await context.client.call({
    method: "GET",
    url: `${repository(context)}/git/ref/${refOf(branch)}`,
    headers: context.request.headers,
  }, { accept: [404] });
  return status === 404 ? null : (body as { object: { sha: string } }).object.sha;
}

async function defaultBranch(context: HandlerContext): Promise<string> {
  return (await ask(context, "GET", "")).default_branch;
}

/** Moves or makes the branch; when GitHub refuses, it may have moved meanwhile. */
async function move(
  context: HandlerContext,
  method: "POST" | "PATCH",
  path: string,
  body: unknown,
): Promise<{ ok: true; status: number } | { ok: false; error: ExecutionError }> {
  try {
    // Moving a branch twice to one commit is moving it once.
    const { status } = await send(context, {
      method,
      path,
      body,
      isRepeatable: method === "PATCH",
    });
    return { ok: true, status };
  } catch (error) {
    const isRace = error instanceof ExecutionError && error.providerStatus === 422;
    if (!isRace) throw error;
    return { ok: false, error };
  }
}

// deno-lint-ignore no-explicit-any -- GitHub's answers, of which a few members are read
type Json = any;

async function ask(
  context: HandlerContext,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<Json> {
  return (await send(context, { method, path, body, isRepeatable: true })).body;
}

function send(
  context: HandlerContext,
  { method, path, body, isRepeatable }: {
    method: "GET" | "POST" | "PATCH";
    path: string;
    body: unknown;
    isRepeatable: boolean;
  },
) {
  return context.client.call({
    method,
    url: `${repository(context)}${path}`,
    headers: { ...context.request.headers, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }, { isRepeatable });
}

/** `…/repos/<owner>/<repo>`, as the row's path has been filled. */
function repository({ request }: HandlerContext): string {
  return request.url.replace(/\/git\/commits$/, "");
}

function refOf(branch: string): string {
  return `heads/${branch.split("/").map(encodeURIComponent).join("/")}`;
}
