/**
 * GitHub's git data API, as far as commits of several files need it.
 * @see https://docs.github.com/en/rest/git
 */
import { createHash } from "node:crypto";
import type { HandlerContext } from "../../execution/handler.ts";
import type { TextAnswer } from "../../execution/provider_client.ts";
import { ExecutionError } from "../../execution/types.ts";

/** A file in a new tree; `sha: null` takes it out. */
export interface TreeEntry {
  path: string;
  mode: "100644" | "100755";
  type: "blob";
  sha?: string | null;
  content?: string;
}

/** How often the branch may be moved by others while we commit. */
export const TRIES = 3;
/** Requests that are made side by side. */
export const WIDTH = 4;

// deno-lint-ignore no-explicit-any -- GitHub's answers, of which a few members are read
type Json = any;

/** Where a branch stands; null: there is none of that name. */
export async function headOf(context: HandlerContext, branch: string): Promise<string | null> {
  const { status, body } = await send(context, {
    method: "GET",
    path: `/git/ref/${refOf(branch)}`,
    isRepeatable: true,
    accept: [404],
  });
  return status === 404 ? null : (body as { object: { sha: string } }).object.sha;
}

/** Name of the repository's default branch. */
export async function defaultBranch(context: HandlerContext): Promise<string> {
  return (await ask(context, "GET", "")).default_branch;
}

/** A blob of its own, for bytes that are no text. @param content base64 */
export async function makeBlob(context: HandlerContext, content: string): Promise<string> {
  return (await ask(context, "POST", "/git/blobs", { content, encoding: "base64" })).sha;
}

/** Makes a commit, which shows nowhere yet. */
export async function makeCommit(
  context: HandlerContext,
  { parent, tree, message, author }: {
    parent: string;
    tree: TreeEntry[];
    message: string;
    author?: { name: string; email: string; date?: string } | undefined;
  },
): Promise<{ sha: string; html_url: string }> {
  const base = await ask(context, "GET", `/git/commits/${parent}`);
  const made = await ask(context, "POST", "/git/trees", { base_tree: base.tree.sha, tree });
  return await ask(context, "POST", "/git/commits", {
    message,
    tree: made.sha,
    parents: [parent],
    ...(author ? { author } : {}),
  });
}

/** Moves or makes the branch; when GitHub refuses, it may have moved meanwhile. */
export async function moveBranch(
  context: HandlerContext,
  { branch, sha, isNew }: { branch: string; sha: string; isNew: boolean },
): Promise<{ ok: true; status: number } | { ok: false; error: ExecutionError }> {
  try {
    const { status } = await send(
      context,
      isNew
        ? {
          method: "POST",
          path: "/git/refs",
          body: { ref: `refs/heads/${branch}`, sha },
          isRepeatable: false,
        }
        // Moving a branch twice to one commit is moving it once.
        : {
          method: "PATCH",
          path: `/git/refs/${refOf(branch)}`,
          body: { sha, force: false },
          isRepeatable: true,
        },
    );
    return { ok: true, status };
  } catch (error) {
    const isRace = error instanceof ExecutionError && error.providerStatus === 422;
    if (!isRace) throw error;
    return { ok: false, error };
  }
}

/** GitHub's answer, read; only for what may be repeated. */
export async function ask(
  context: HandlerContext,
  method: "GET" | "POST",
  path: string,
  body?: unknown,
): Promise<Json> {
  return (await send(context, { method, path, body, isRepeatable: true })).body;
}

/** A request below the repository's URL. */
export function send(
  context: HandlerContext,
  { method, path, body, isRepeatable, accept }: {
    method: "GET" | "POST" | "PATCH";
    path: string;
    body?: unknown;
    isRepeatable: boolean;
    accept?: number[];
  },
): Promise<TextAnswer> {
  return context.client.call({
    method,
    url: `${repository(context)}${path}`,
    headers: { ...context.request.headers, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }, { isRepeatable, ...(accept ? { accept } : {}) });
}

/** The id that git gives to a file's bytes. @see https://git-scm.com/book/en/v2/Git-Internals-Git-Objects */
export function blobSha(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.byteLength}\0`).update(bytes).digest("hex");
}

/** `…/repos/<owner>/<repo>`, as the row's path has been filled. */
function repository({ request }: HandlerContext): string {
  return request.url.replace(/\/git\/commits$/, "");
}

function refOf(branch: string): string {
  return `heads/${branch.split("/").map(encodeURIComponent).join("/")}`;
}
