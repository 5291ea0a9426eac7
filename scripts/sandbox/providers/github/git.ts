import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** Who made a commit, and when (ISO time without milliseconds). */
export interface GitPerson {
  name: string;
  email: string;
  date: string;
}

/** A commit; its parents first to last. */
export interface GitCommit {
  sha: string;
  tree: string;
  parents: string[];
  author: GitPerson;
  committer: GitPerson;
  message: string;
}

/** A file of a tree. */
export interface GitFile {
  mode: string;
  sha: string;
}

/** An entry of one tree: a file, or a tree below it. */
export interface GitEntry extends GitFile {
  name: string;
  type: "blob" | "tree";
}

/** The files of a tree by their whole paths. */
export type GitFiles = Map<string, GitFile>;

const TREE_MODE = "040000";

/**
 * The objects and references of one repository. Objects have the names that git gives them, so that
 * a client may compute them beforehand.
 *
 * @see https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
 */
export class GitStore {
  /** Commits by reference, without the leading `refs/`. */
  readonly refs = new Map<string, string>();
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #trees = new Map<string, GitEntry[]>();
  readonly #commits = new Map<string, GitCommit>();

  blob(sha: string): Uint8Array | undefined {
    return this.#blobs.get(sha);
  }

  tree(sha: string): GitEntry[] | undefined {
    return this.#trees.get(sha);
  }

  commit(sha: string): GitCommit | undefined {
    return this.#commits.get(sha);
  }

  putBlob(bytes: Uint8Array): string {
    const sha = hash("blob", bytes);
    this.#blobs.set(sha, bytes);
    return sha;
  }

  /** Makes a tree, and the trees below it, of files by their paths. */
  putTree(files: GitFiles): string {
    const below = new Map<string, GitFiles>();
    const entries: GitEntry[] = [];
    for (const [path, file] of files) {
      const slash = path.indexOf("/");
      if (slash < 0) {
        entries.push({ ...file, name: path, type: "blob" });
        continue;
      }
      const name = path.slice(0, slash);
      const inner = below.get(name) ?? new Map();
      below.set(name, inner.set(path.slice(slash + 1), file));
    }
    for (const [name, inner] of below) {
      entries.push({ name, mode: TREE_MODE, type: "tree", sha: this.putTree(inner) });
    }
    // Git sorts trees as if their names ended with a slash.
    const key = ({ name, type }: GitEntry) => type === "tree" ? `${name}/` : name;
    entries.sort((a, b) => Buffer.compare(Buffer.from(key(a)), Buffer.from(key(b))));
    const sha = hash(
      "tree",
      Buffer.concat(
        entries.flatMap(({ mode, name, sha }) => [
          Buffer.from(`${mode.replace(/^0/, "")} ${name}\0`),
          Buffer.from(sha, "hex"),
        ]),
      ),
    );
    this.#trees.set(sha, entries);
    return sha;
  }

  putCommit(commit: Omit<GitCommit, "sha">): GitCommit {
    const stamp = ({ name, email, date }: GitPerson) =>
      `${name} <${email}> ${Math.floor(Date.parse(date) / 1000)} +0000`;
    const text = [
      `tree ${commit.tree}`,
      ...commit.parents.map((parent) => `parent ${parent}`),
      `author ${stamp(commit.author)}`,
      `committer ${stamp(commit.committer)}`,
      "",
      commit.message,
    ].join("\n");
    const made = { ...commit, sha: hash("commit", Buffer.from(text)) };
    this.#commits.set(made.sha, made);
    return made;
  }

  /** Every file below a tree. */
  files(tree: string): GitFiles {
    const files: GitFiles = new Map();
    for (const { name, type, sha, mode } of this.#trees.get(tree) ?? []) {
      if (type === "blob") files.set(name, { mode, sha });
      else for (const [path, file] of this.files(sha)) files.set(`${name}/${path}`, file);
    }
    return files;
  }

  /** What lies at a path of a tree; `""` is the tree itself. */
  entryAt(tree: string, path: string): GitEntry | undefined {
    let found: GitEntry | undefined = { name: "", mode: TREE_MODE, type: "tree", sha: tree };
    for (const name of path.split("/").filter(Boolean)) {
      found = this.#trees.get(found.sha)?.find((entry) => entry.name === name);
      if (!found) return undefined;
    }
    return found;
  }

  /** The commit of a branch, a tag or a name in hex. */
  resolve(name: string): GitCommit | undefined {
    const sha = this.refs.get(name.replace(/^refs\//, "")) ?? this.refs.get(`heads/${name}`) ??
      this.refs.get(`tags/${name}`) ?? name;
    return this.#commits.get(sha);
  }

  /** A commit and all before it, latest first. */
  history(from: GitCommit): GitCommit[] {
    const seen = new Map<string, GitCommit>();
    const waiting = [from];
    for (let commit = waiting.shift(); commit; commit = waiting.shift()) {
      if (seen.has(commit.sha)) continue;
      seen.set(commit.sha, commit);
      for (const parent of commit.parents) {
        const before = this.#commits.get(parent);
        if (before) waiting.push(before);
      }
    }
    return [...seen.values()];
  }
}

function hash(type: string, bytes: Uint8Array): string {
  return createHash("sha1").update(`${type} ${bytes.length}\0`).update(bytes).digest("hex");
}
