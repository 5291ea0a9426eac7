/**
 * Files in a repository, brought up to date without overwriting what others wrote there.
 *
 * Whoever syncs remembers the blobs of the last time. A file that is something else by now was
 * changed in the repository: then nothing is written. The look and the commit belong together: the
 * commit's parent is the commit that was looked at, and when the branch has moved, both are repeated.
 * @see https://docs.github.com/en/rest/git
 */
import { Buffer } from "node:buffer";
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { ExecutionError } from "../../execution/types.ts";
import {
  blobSha,
  defaultBranch,
  headOf,
  makeBlob,
  makeCommit,
  moveBranch,
  send,
  type TreeEntry,
  TRIES,
  WIDTH,
} from "./github_git.ts";

interface Parameters {
  branch?: string;
  message: string;
  author?: { name: string; email: string; date?: string };
  /** `content` is base64. */
  files: { path: string; text?: string; content?: string }[];
  /** Path → blob SHA, as it was left last time. */
  expected: Record<string, string>;
}

interface Wanted {
  path: string;
  /** null: it shall not be there. */
  bytes: Uint8Array | null;
  isText: boolean;
  sha: string | null;
}

/** A file that is not as it was left. */
interface Conflict {
  path: string;
  /** null: it was not there. */
  expected: string | null;
  found: string;
}

/** Commits what differs; nothing when nothing does, and nothing when there is a conflict. */
export const githubSyncFiles: Handler = async (context) => {
  const { branch: named, message, author, files, expected } = context
    .parameters as unknown as Parameters;
  const branch = named ?? await defaultBranch(context);
  const wanted = [
    ...files.map(toWanted),
    ...Object.keys(expected)
      .filter((path) => !files.some((file) => file.path === path))
      .map((path): Wanted => ({ path, bytes: null, isText: true, sha: null })),
  ];
  for (let attempt = 1;; attempt++) {
    const head = await headOf(context, branch);
    const parent = head ?? await headOf(context, await defaultBranch(context));
    if (!parent) throw new ExecutionError("validation_failed", 422, `There is no ${branch}.`);
    const found = await inParallel(wanted, ({ path }) => blobAt(context, path, parent));
    const changes = wanted.filter(({ sha }, index) => sha !== found[index]);
    const conflicts = changes.flatMap(({ path }): Conflict[] => {
      const there = found[wanted.findIndex((file) => file.path === path)] ?? null;
      const left = expected[path] ?? null;
      // What is gone is written again.
      return there === null || there === left ? [] : [{ path, expected: left, found: there }];
    });
    if (conflicts.length > 0) throw conflict(context, branch, conflicts);
    const result = {
      branch,
      files: wanted.flatMap(({ path, sha, bytes }) =>
        bytes ? [{ path, sha, size_bytes: bytes.byteLength }] : []
      ),
    };
    if (changes.length === 0) {
      return {
        kind: "result",
        status: 200,
        result: { outcome: "unchanged", commit: null, ...result },
      };
    }
    const tree = await inParallel(changes, (file) => toEntry(context, file));
    const commit = await makeCommit(context, { parent, tree, message, author });
    const moved = await moveBranch(context, { branch, sha: commit.sha, isNew: head === null });
    if (moved.ok) {
      const { sha, html_url } = commit;
      return {
        kind: "result",
        status: moved.status,
        result: { outcome: "committed", commit: { sha, html_url, parent }, ...result },
      };
    }
    if (attempt >= TRIES) throw moved.error;
  }
};

function toWanted({ path, text, content }: Parameters["files"][number]): Wanted {
  const isText = content === undefined;
  const bytes = isText ? new TextEncoder().encode(text ?? "") : Buffer.from(content, "base64");
  return { path, bytes, isText, sha: blobSha(bytes) };
}

/** The blob at a path; null: there is no file. */
async function blobAt(
  context: HandlerContext,
  path: string,
  commit: string,
): Promise<string | null> {
  const { status, body } = await send(context, {
    method: "GET",
    path: `/contents/${path.split("/").map(encodeURIComponent).join("/")}?ref=${commit}`,
    isRepeatable: true,
    accept: [404],
  });
  if (status === 404) return null;
  const { sha, type } = body as { sha?: string; type?: string };
  // A folder is a list.
  return type === "file" && sha ? sha : "not a file";
}

async function toEntry(context: HandlerContext, { path, bytes, isText }: Wanted) {
  const entry: TreeEntry = { path, mode: "100644", type: "blob" };
  if (!bytes) return { ...entry, sha: null };
  return isText
    ? { ...entry, content: new TextDecoder().decode(bytes) }
    : { ...entry, sha: await makeBlob(context, Buffer.from(bytes).toString("base64")) };
}

async function inParallel<T, R>(items: T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += WIDTH) {
    results.push(...await Promise.all(items.slice(at, at + WIDTH).map(work)));
  }
  return results;
}

function conflict(
  { begun }: HandlerContext,
  branch: string,
  conflicts: Conflict[],
): ExecutionError {
  const paths = conflicts.map(({ path }) => path).join(", ");
  return new ExecutionError(
    "conflict",
    409,
    `${paths} was changed on ${branch} since the last sync: nothing was written. Take the change ` +
      "over into the source, or undo it on the branch, then replay the job.",
    {
      effect: "refused",
      retryable: false,
      details: { integration: begun.integration.slug, conflicts, retryable: false },
    },
  );
}
