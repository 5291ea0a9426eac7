import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Octokit } from "@octokit/rest";
import { GITHUB_TOKEN } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";

const { control, url } = useSandbox();
const place = { owner: "octo-org", repo: "octo-repo" };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const octokit = new Octokit({ auth: GITHUB_TOKEN, baseUrl: `${url}/github`, log: quiet });
const { repos, git, issues } = octokit;
const encode = (text: string) => Buffer.from(text).toString("base64");

/** `<status> <message>` of what Octokit was refused with. */
async function refused(call: Promise<unknown>): Promise<string> {
  const error = await call.then(() => undefined, (error: unknown) => error) as {
    status: number;
    response: { data: { message: string } };
  };
  assert(error?.response, `expected GitHub's refusal, got ${error}`);
  return `${error.status} ${error.response.data.message}`;
}

async function read(path: string, ref?: string): Promise<{ sha: string; text: string }> {
  const { data } = await repos.getContent({ ...place, path, ...(ref ? { ref } : {}) });
  assert(!Array.isArray(data) && data.type === "file");
  return { sha: data.sha, text: Buffer.from(data.content, "base64").toString() };
}

Deno.test("a file is created, read, updated and deleted by its blob's sha", async () => {
  await control.createGitHubRepository();
  const path = "docs/prd/plan a.md";
  const author = { name: "Ada", email: "ada@example.com" };
  const write = (text: string, sha?: string) =>
    repos.createOrUpdateFileContents({
      ...place,
      path,
      message: `write ${text}`,
      content: encode(text),
      author,
      ...(sha ? { sha } : {}),
    });
  const created = await write("one");
  assert.equal(created.status, 201);
  assert.equal(created.data.commit.author?.name, "Ada");
  assert.equal(created.data.content?.path, path);
  const file = await read(path);
  assert.equal(file.text, "one");
  assert.equal(file.sha, createHash("sha1").update("blob 3\0one").digest("hex"));

  const updated = await write("two", file.sha);
  assert.equal(updated.status, 200);
  assert.equal(await refused(write("three")), '422 Invalid request.\n\n"sha" wasn\'t supplied.');
  assert.equal(await refused(write("three", file.sha)), `409 ${path} does not match ${file.sha}`);
  const raw = await repos.getContent({ ...place, path, mediaType: { format: "raw" } });
  assert.equal(raw.data as unknown, "two");

  const { sha } = await read(path);
  await repos.deleteFile({ ...place, path, sha, message: "remove" });
  assert.equal(await refused(read(path)), "404 Not Found");
  const commits = await control.gitHubCommits();
  assert.deepEqual(commits.map(({ message, files }) => [message, files]), [
    ["remove", { [path]: null }],
    ["write two", { [path]: "two" }],
    ["write one", { [path]: "one" }],
    ["Initial commit", { "README.md": "# octo-repo\n" }],
  ]);
});

Deno.test("folders are listed, and other branches are read and written", async () => {
  await control.createGitHubRepository({
    files: { "a.txt": "a", "b/c.txt": "c", "b/d/e.txt": "e" },
  });
  const { data } = await repos.getContent({ ...place, path: "b" });
  assert(Array.isArray(data));
  assert.deepEqual(data.map(({ path, type }) => `${type} ${path}`), ["file b/c.txt", "dir b/d"]);
  const { data: main } = await git.getRef({ ...place, ref: "heads/main" });
  await git.createRef({ ...place, ref: "refs/heads/next", sha: main.object.sha });
  await repos.createOrUpdateFileContents({
    ...place,
    path: "new.txt",
    branch: "next",
    message: "new",
    content: encode("new"),
  });
  assert.equal((await read("new.txt", "next")).text, "new");
  assert.equal(await refused(read("new.txt")), "404 Not Found");
  assert.equal(await refused(read("a.txt", "nope")), "404 No commit found for the ref nope");
  const onNope = repos.createOrUpdateFileContents({
    ...place,
    path: "x",
    branch: "nope",
    message: "x",
    content: "",
  });
  assert.equal(await refused(onNope), "404 Branch nope not found");
});

Deno.test("several files become one commit by blobs, a tree, a commit and the branch", async () => {
  const { head } = await control.createGitHubRepository({
    files: { "a.txt": "a", "b/c.txt": "c" },
  });
  const { data: blob } = await git.createBlob({
    ...place,
    content: encode("\x00\xff"),
    encoding: "base64",
  });
  const entry = { mode: "100644", type: "blob" } as const;
  const { data: base } = await git.getCommit({ ...place, commit_sha: head! });
  const { data: tree } = await git.createTree({
    ...place,
    base_tree: base.tree.sha,
    tree: [
      { ...entry, path: "b/image.png", sha: blob.sha },
      { ...entry, path: "b/text.md", content: "text" },
      { ...entry, path: "a.txt", sha: null },
    ],
  });
  const commit = async (parent: string) =>
    (await git.createCommit({
      ...place,
      message: "all at once",
      tree: tree.sha,
      parents: [parent],
      author: { name: "Ada", email: "ada@example.com" },
    })).data;
  const made = await commit(head!);
  const moved = await git.updateRef({ ...place, ref: "heads/main", sha: made.sha });
  assert.equal(moved.data.object.sha, made.sha);
  const { data: whole } = await git.getTree({ ...place, tree_sha: "main", recursive: "1" });
  assert.deepEqual(whole.tree.map(({ path }) => path), [
    "b",
    "b/c.txt",
    "b/image.png",
    "b/text.md",
  ]);
  const [latest] = await control.gitHubCommits();
  assert.deepEqual([latest?.author.name, latest?.author.email], ["Ada", "ada@example.com"]);

  await control.commitToGitHub({ files: { "b/text.md": "by hand" } });
  const late = await commit(made.sha);
  const move = git.updateRef({ ...place, ref: "heads/main", sha: late.sha });
  assert.equal(await refused(move), "422 Update is not a fast forward");
  await git.updateRef({ ...place, ref: "heads/main", sha: late.sha, force: true });
  assert.equal((await read("b/text.md")).text, "text");
});

Deno.test("objects have the names that git gives them", async () => {
  const { head } = await control.createGitHubRepository({ files: { "hello.txt": "hello\n" } });
  const { data: commit } = await git.getCommit({ ...place, commit_sha: head! });
  const { data: tree } = await git.getTree({ ...place, tree_sha: commit.tree.sha });
  assert.equal(tree.tree[0]?.sha, "ce013625030ba8dba906f756967f9e9ca394464a");
  assert.equal(tree.sha, "aaa96ced2d9a1c8e72c56b253a0e2fe78393feb7");
});

Deno.test("what git refuses is told as 404, 409 and 422", async () => {
  const { head } = await control.createGitHubRepository();
  await control.createGitHubRepository({ repo: "empty", files: {} });
  const nowhere = "0".repeat(40);
  const ref = { ...place, ref: "refs/heads/main", sha: head! };
  assert.equal(await refused(git.createRef(ref)), "422 Reference already exists");
  assert.equal(
    await refused(git.createRef({ ...ref, ref: "refs/heads/x", sha: nowhere })),
    "422 Object does not exist",
  );
  assert.equal(
    await refused(git.updateRef({ ...ref, ref: "heads/nope" })),
    "422 Reference does not exist",
  );
  assert.equal(
    await refused(git.createCommit({ ...place, message: "x", tree: nowhere })),
    "422 Tree SHA does not exist",
  );
  assert.equal(
    await refused(git.createTree({
      ...place,
      tree: [{ path: "x", mode: "100644", type: "blob", sha: nowhere }],
    })),
    `422 tree.sha ${nowhere} is not a valid blob`,
  );
  assert.equal(
    await refused(git.getRef({ ...place, repo: "empty", ref: "heads/main" })),
    "409 Git Repository is empty.",
  );
  assert.equal(
    await refused(repos.getContent({ ...place, repo: "empty", path: "a" })),
    "404 This repository is empty.",
  );
  assert.equal(await refused(repos.get({ ...place, repo: "nope" })), "404 Not Found");
  const anonymous = new Octokit({ baseUrl: `${url}/github`, log: quiet });
  assert.equal(
    await refused(anonymous.git.createBlob({ ...place, content: "" })),
    "401 Requires authentication",
  );
});

Deno.test("an empty repository begins with its first file", async () => {
  await control.createGitHubRepository({ files: {} });
  const { status } = await repos.createOrUpdateFileContents({
    ...place,
    path: "README.md",
    message: "first",
    content: encode("first"),
  });
  assert.equal(status, 201);
  assert.equal((await repos.listCommits(place)).data.length, 1);
});

Deno.test("commits are listed by branch and by path", async () => {
  await control.createGitHubRepository({ files: { "a.txt": "1", "b.txt": "1" } });
  await control.commitToGitHub({ files: { "a.txt": "2" }, message: "change a" });
  await control.commitToGitHub({ files: { "b.txt": "2" }, message: "change b" });
  const messages = async (path?: string) =>
    (await repos.listCommits({ ...place, ...(path ? { path } : {}) })).data
      .map(({ commit }) => commit.message);
  assert.deepEqual(await messages(), ["change b", "change a", "Initial commit"]);
  assert.deepEqual(await messages("a.txt"), ["change a", "Initial commit"]);
  assert.deepEqual((await repos.listBranches(place)).data.map(({ name }) => name), ["main"]);
});

Deno.test("issues are opened, labelled, commented on and closed", async () => {
  await control.createGitHubRepository();
  const { data: issue } = await issues.create({
    ...place,
    title: "Answer Ada",
    body: "text",
    labels: ["mail"],
    assignees: ["mona"],
  });
  assert.equal(issue.number, 1);
  assert.equal(issue.html_url, "https://github.com/octo-org/octo-repo/issues/1");
  await issues.createComment({ ...place, issue_number: 1, body: "done" });
  await issues.update({ ...place, issue_number: 1, state: "closed" });
  assert.deepEqual(await control.gitHubIssues(), [{
    number: 1,
    title: "Answer Ada",
    body: "text",
    state: "closed",
    labels: ["mail"],
    assignees: ["mona"],
    comments: ["done"],
  }]);
  assert.deepEqual((await issues.listForRepo(place)).data, []);
  assert.equal(
    (await issues.listForRepo({ ...place, state: "all", labels: "mail" })).data.length,
    1,
  );
  assert.equal(await refused(issues.create({ ...place, title: "" })), "422 Validation Failed");
  assert.equal(await refused(issues.get({ ...place, issue_number: 9 })), "404 Not Found");
});
