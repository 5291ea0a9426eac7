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
import {
  defaultBranch,
  headOf,
  makeBlob,
  makeCommit,
  moveBranch,
  type TreeEntry,
  TRIES,
  WIDTH,
} from "./github_git.ts";

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
    const commit = await makeCommit(context, { parent, tree, message });
    const moved = await moveBranch(context, { branch, sha: commit.sha, isNew: head === null });
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
      return { ...entry, sha: await makeBlob(context, content) };
    });
    entries.push(...await Promise.all(some));
  }
  return entries;
}
