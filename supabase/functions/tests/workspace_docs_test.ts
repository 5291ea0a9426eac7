// Docs' part of the Workspace events handler through real n8n (N8N_URL): documents become commits.
import assert from "node:assert/strict";
import { useDatabase } from "./support_queue.ts";
import {
  changed,
  finished,
  type Flow,
  makeFlow,
  removeFlows,
  sandbox,
  sync,
  syncsOf,
  uniqueName,
} from "./support_workspace.ts";

const sql = useDatabase();
Deno.test.afterEach(() => sandbox.clearFaults());
Deno.test.afterAll(() => removeFlows(sql));

const ADA = { name: "Ada Lovelace", email: "ada@example.com" };
const GRACE = { name: "Grace Hopper", email: "grace@example.com" };
const OWNER = "octo-org";

interface DocsFlow extends Flow {
  repo: string;
}

/** From the sandbox's Docs to a repository of its own. */
async function toRepository(
  config: Record<string, unknown> = {},
  files: Record<string, string> = { "README.md": "# Specs\n" },
): Promise<DocsFlow> {
  const repo = uniqueName("repo");
  await sandbox.createGitHubRepository({ owner: OWNER, repo, files });
  const flow = await makeFlow(sql, {
    source: "google_docs",
    destination: "github",
    rule: { source_pattern: "files/**", event_types: ["docs.document.*"] },
    config: {
      repository: `${OWNER}/${repo}`,
      document_types: [
        { type: "prd", folder: "Product/**", path: "docs/prd/{slug}.md" },
        { type: "spec", title: "/^spec:/i", path: "docs/specs/{slug}.md" },
        { type: "note", property: { publish: "yes" }, path: "notes/{folder}/{title}.md" },
      ],
      ...config,
    },
  });
  return { ...flow, repo };
}

/** Commits, oldest first: the first one made the repository. */
async function commitsOf({ repo }: DocsFlow) {
  const commits = await sandbox.gitHubCommits({ owner: OWNER, repo });
  return commits.reverse();
}

const login = () => ({
  title: "Login flow",
  folder: "Product/Web",
  content: [{ heading: "Login flow" }, "People log in.", {
    image: { seed: "sketch", alt: "a sketch" },
  }],
  author: ADA,
});

Deno.test("a document of a known type is one commit: its author, its link, its images beside it", async () => {
  const flow = await toRepository();
  const before = (await commitsOf(flow)).length;
  const document = await sandbox.createDocument(login());
  const { job, syncs } = await sync(sql, flow, "google_docs", document);
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  assert.deepEqual(
    syncs.map(({ kind, status, destination_path }) => [kind, status, destination_path]),
    [["document", "completed", "docs/prd/login-flow.md"]],
  );
  const commits = (await commitsOf(flow)).slice(before);
  assert.equal(commits.length, 1);
  const [commit] = commits;
  assert.deepEqual([commit!.author.name, commit!.author.email], [ADA.name, ADA.email]);
  assert.match(commit!.message, new RegExp(`^docs: Login flow\n\n.*${document.id}`, "s"));
  assert.deepEqual(Object.keys(commit!.files).sort(), [
    "docs/prd/login-flow.md",
    "docs/prd/login-flow/image1.png",
  ]);
  const markdown = commit!.files["docs/prd/login-flow.md"]!;
  assert.match(markdown, /^# Login flow/);
  assert.match(markdown, /\[image1\]: <login-flow\/image1\.png>/);
  assert.ok(!markdown.includes("base64"), "the image stands in the text");
  assert.equal(syncs[0]!.result.commit, commit!.sha);
});

Deno.test("a document edited twice is committed twice; unedited, not at all", async () => {
  const flow = await toRepository();
  const before = (await commitsOf(flow)).length;
  const document = await sandbox.createDocument(login());
  await sync(sql, flow, "google_docs", document);
  await sandbox.editDocument(document.id, {
    content: [{ heading: "Login flow" }, "Twice."],
    author: GRACE,
  });
  const second = await sync(sql, flow, "google_docs", document);
  assert.equal(second.syncs[0]!.status, "completed");

  // Told again of the same version, and of a newer one with the same text.
  const again = await sync(sql, flow, "google_docs", document, { key: crypto.randomUUID() });
  assert.deepEqual([again.job.status, again.syncs[0]!.status], ["completed", "skipped"]);
  await sandbox.editDriveFile(document.id, { properties: { reviewed: "yes" } });
  const touched = await sync(sql, flow, "google_docs", document);
  assert.deepEqual(touched.syncs.map(({ status, error_message }) => [status, error_message]), [
    ["skipped", "the Markdown is what it was"],
  ]);

  const commits = (await commitsOf(flow)).slice(before);
  assert.equal(commits.length, 2);
  const [, edited] = commits;
  assert.equal(edited!.author.email, GRACE.email);
  // The picture is gone from the document, and with it from the repository.
  assert.deepEqual(edited!.files, {
    "docs/prd/login-flow.md": "# Login flow\n\nTwice.\n",
    "docs/prd/login-flow/image1.png": null,
  });
});

Deno.test("a file that somebody changed in GitHub is not written over", async () => {
  const flow = await toRepository();
  const document = await sandbox.createDocument(login());
  await sync(sql, flow, "google_docs", document);
  const path = "docs/prd/login-flow.md";
  await sandbox.commitToGitHub({ owner: OWNER, repo: flow.repo, files: { [path]: "# By hand\n" } });
  const commits = (await commitsOf(flow)).length;

  await sandbox.editDocument(document.id, { content: ["From the document."], author: GRACE });
  const { job, syncs, correlationId } = await sync(sql, flow, "google_docs", document);
  assert.deepEqual([job.status, job.attempt_count], ["dead", 1]);
  assert.deepEqual([syncs[0]!.status, syncs[0]!.error_code, syncs[0]!.is_final], [
    "failed",
    "conflict",
    true,
  ]);
  assert.match(syncs[0]!.error_message!, /docs\/prd\/login-flow\.md was changed on main/);
  assert.equal((await commitsOf(flow)).length, commits);

  // Somebody undoes it there, and replays the job.
  const [, first] = await commitsOf(flow);
  await sandbox.commitToGitHub({
    owner: OWNER,
    repo: flow.repo,
    files: { [path]: first!.files[path]! },
  });
  await sql`select marketplace.replay_job(${job.id})`;
  const after = await finishedReplay(correlationId, job.id);
  assert.equal(after.status, "completed", after.error_message ?? "");
  assert.equal((await commitsOf(flow)).at(-1)!.files[path], "From the document.\n");
});

async function finishedReplay(correlationId: string, of: string) {
  for (let waited = 0; waited < 60_000; waited += 100) {
    const [job] = await sql<{ status: string; error_message: string | null }[]>`
      select status, error_message from marketplace.sync_jobs
      where correlation_id = ${correlationId}::uuid and replay_of = ${of}`;
    if (job && !["pending", "running"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("waited in vain for the replay to end");
}

Deno.test("types are found by folder, title and property; a document of none is left alone", async () => {
  const flow = await toRepository();
  const documents = [
    await sandbox.createDocument({ title: "Spec: Über-Suche", folder: "Misc", content: ["s"] }),
    await sandbox.createDocument({
      title: "Minutes",
      folder: "Team/May",
      content: ["m"],
      properties: { publish: "yes" },
    }),
    await sandbox.createDocument({ title: "Diary", folder: "Team", content: ["d"] }),
  ];
  const found = [];
  for (const document of documents) {
    const { syncs } = await sync(sql, flow, "google_docs", document);
    found.push([syncs[0]!.status, syncs[0]!.destination_path]);
  }
  assert.deepEqual(found, [
    ["completed", "docs/specs/spec-uber-suche.md"],
    ["completed", "notes/Team/May/Minutes.md"],
    ["skipped", ""],
  ]);
});

Deno.test("a document that is renamed takes its file along", async () => {
  const flow = await toRepository();
  const document = await sandbox.createDocument(login());
  await sync(sql, flow, "google_docs", document);
  await sandbox.editDocument(document.id, { title: "Sign-in" });
  const { job, syncs } = await sync(sql, flow, "google_docs", {
    ...document,
    path: "Product/Web/Sign-in",
  });
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  const last = (await commitsOf(flow)).at(-1)!;
  assert.deepEqual(Object.entries(last.files).map(([path, text]) => [path, text === null]).sort(), [
    ["docs/prd/login-flow.md", true],
    ["docs/prd/login-flow/image1.png", true],
    ["docs/prd/sign-in.md", false],
    ["docs/prd/sign-in/image1.png", false],
  ]);
});

Deno.test("two jobs about one document at once are no conflict", async () => {
  const flow = await toRepository();
  const document = await sandbox.createDocument(login());
  await sync(sql, flow, "google_docs", document);
  await sandbox.editDocument(document.id, { content: ["Now."] });
  const stories = await Promise.all(
    [1, 2, 3].map((n) =>
      changed(sql, flow, "google_docs", document, { key: `${document.id}:${n}` })
    ),
  );
  for (const { correlation_id } of stories) {
    const job = await finished(sql, correlation_id);
    assert.equal(job.status, "completed", `${job.error_message}`);
  }
  const statuses = [];
  for (const { correlation_id } of stories) {
    statuses.push((await syncsOf(sql, correlation_id))[0]!.status);
  }
  assert.equal((await commitsOf(flow)).length, 3);
  assert.equal(statuses.filter((status) => status === "skipped").length, 2, String(statuses));
});

Deno.test("a branch that moves meanwhile is committed upon, GitHub's outages are waited out", async () => {
  const flow = await toRepository();
  const document = await sandbox.createDocument(login());
  await sandbox.addFault({
    provider: "github",
    path: `/repos/${OWNER}/${flow.repo}/git/trees`,
    status: 502,
    times: 4,
  });
  const { job, syncs } = await sync(sql, flow, "google_docs", document);
  assert.equal(job.status, "completed", `${job.error_message} ${JSON.stringify(syncs)}`);
  assert.equal((await commitsOf(flow)).length, 2);
});

Deno.test("a document larger than Google exports fails once, and says so", async () => {
  const flow = await toRepository();
  const document = await sandbox.createDocument({
    title: "Huge",
    folder: "Product",
    content: ["x".repeat(11 * 1024 * 1024)],
  });
  const { job, syncs } = await sync(sql, flow, "google_docs", document);
  assert.deepEqual([job.status, job.attempt_count], ["dead", 1]);
  assert.equal(syncs[0]!.error_code, "export_too_large");
});
