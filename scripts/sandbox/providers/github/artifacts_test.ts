import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { unzipSync } from "fflate";
import { Octokit } from "@octokit/rest";
import { GITHUB_TOKEN } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";

const { control, url, s3Url } = useSandbox();
const repository = { owner: "octo-org", repo: "octo-repo" };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const connect = (auth?: string) => new Octokit({ auth, baseUrl: `${url}/github`, log: quiet });
const octokit = connect(GITHUB_TOKEN);

interface Refusal extends Error {
  status: number;
  response: { headers: Record<string, string> };
}

async function refusal(promise: Promise<unknown>): Promise<Refusal> {
  const error = await promise.then(() => undefined, (error: unknown) => error) as Refusal;
  assert.equal(error?.name, "HttpError", `expected GitHub's refusal, got ${error}`);
  return error;
}

/** Asks for a download without following it. */
async function askDownload(artifactId: number): Promise<Response> {
  const response = await fetch(
    `${url}/github/repos/octo-org/octo-repo/actions/artifacts/${artifactId}/zip`,
    { headers: { authorization: `Bearer ${GITHUB_TOKEN}` }, redirect: "manual" },
  );
  await response.body?.cancel();
  return response;
}

Deno.test("Octokit pages through all artifacts of a run and of no other", async () => {
  const names = Array.from({ length: 7 }, (_, index) => `artifact-${index}`);
  const run = await control.createGitHubRun({ artifacts: names.map((name) => ({ name })) });
  await control.createGitHubRun({ artifacts: [{ name: "of another run" }] });
  const route = octokit.actions.listWorkflowRunArtifacts;
  const listed = await octokit.paginate(route, { ...repository, run_id: run.run_id, per_page: 3 });
  assert.deepEqual(listed.map(({ name }) => name).sort(), names);

  const { data, headers } = await route({
    ...repository,
    run_id: run.run_id,
    per_page: 3,
    page: 2,
  });
  assert.equal(data.total_count, 7);
  assert.equal(data.artifacts.length, 3);
  assert.deepEqual(
    headers.link?.match(/page=\d+>; rel="\w+"/g),
    ['page=1>; rel="prev"', 'page=3>; rel="next"', 'page=3>; rel="last"', 'page=1>; rel="first"'],
  );
  const all = await route({ ...repository, run_id: run.run_id, per_page: 1000 });
  assert.equal(all.headers.link, undefined);
  const named = await octokit.actions.listArtifactsForRepo({
    ...repository,
    name: "of another run",
  });
  assert.equal(named.data.total_count, 1);
});

Deno.test("an artifact is described as documented and downloads to the bytes of its digest", async () => {
  const run = await control.createGitHubRun({
    head_branch: "main",
    artifacts: [{ name: "report", files: { "a/b.txt": "hello" } }],
  });
  const id = run.artifacts[0]!.id;
  const { data: artifact } = await octokit.actions.getArtifact({ ...repository, artifact_id: id });
  assert.equal(artifact.expired, false);
  assert.equal(artifact.workflow_run?.id, run.run_id);
  assert.equal(artifact.workflow_run?.head_branch, "main");
  assert.equal(
    artifact.archive_download_url,
    `${url}/github/repos/octo-org/octo-repo/actions/artifacts/${id}/zip`,
  );

  const download = await octokit.actions.downloadArtifact({
    ...repository,
    artifact_id: id,
    archive_format: "zip",
  });
  const bytes = new Uint8Array(download.data as ArrayBuffer);
  assert.equal(bytes.length, artifact.size_in_bytes);
  assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, artifact.digest);
  const files = unzipSync(bytes);
  assert.equal(new TextDecoder().decode(files["a/b.txt"]), "hello");
});

Deno.test("a fixture has exactly the size it was given and the same bytes for the same seed", async () => {
  const { artifacts } = await control.createGitHubRun({
    artifacts: [
      { name: "a", size: 3_000_000, seed: "s" },
      { name: "a", size: 3_000_000, seed: "s" },
      { name: "a", size: 3_000_000, seed: "t" },
      { name: "plain.pdf", size: 10, archive: false },
    ],
  });
  assert.deepEqual(artifacts.map((each) => each.size_in_bytes), [
    3_000_000,
    3_000_000,
    3_000_000,
    10,
  ]);
  assert.equal(artifacts[0]!.digest, artifacts[1]!.digest);
  assert.notEqual(artifacts[0]!.digest, artifacts[2]!.digest);
  const plain = await fetch((await askDownload(artifacts[3]!.id)).headers.get("location")!);
  assert.equal(plain.headers.get("content-type"), "application/pdf");
  assert.equal((await plain.arrayBuffer()).byteLength, 10);
  await assert.rejects(
    control.createGitHubRun({ artifacts: [{ name: "a", size: 20 }] }),
    /at least/,
  );
});

Deno.test("a download URL is on another origin, lives 60 seconds, and cannot be altered", async () => {
  const run = await control.createGitHubRun({ artifacts: [{ name: "a", size: 500 }] });
  const redirect = await askDownload(run.artifacts[0]!.id);
  assert.equal(redirect.status, 302);
  const location = redirect.headers.get("location")!;
  assert.equal(new URL(location).origin, s3Url);

  const ok = await fetch(location);
  assert.equal(ok.headers.get("content-length"), "500");
  assert.equal(ok.headers.get("content-type"), "application/zip");
  await ok.body?.cancel();
  const part = await fetch(location, { headers: { range: "bytes=490-" } });
  assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength], [206, 10]);

  const longer = location.replace(/se=\d{4}/, "se=2999");
  const altered = await fetch(longer);
  assert.equal(altered.status, 403);
  assert.match(await altered.text(), /<Code>AuthenticationFailed<\/Code>/);
  const [entry] = await control.journal({ provider: "github", path: "/_actions-results/*/*.zip" });
  assert.equal(entry?.query.sig, "[redacted]");
  assert.equal(entry.response_bytes, 500);
  await control.advanceClock(61_000);
  const late = await fetch(location);
  assert.equal(late.status, 403);
  await late.body?.cancel();
});

Deno.test("storage refuses a request that brings the GitHub token along", async () => {
  const run = await control.createGitHubRun({ artifacts: [{ name: "a" }] });
  const location = (await askDownload(run.artifacts[0]!.id)).headers.get("location")!;
  const response = await fetch(location, { headers: { authorization: `Bearer ${GITHUB_TOKEN}` } });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /InvalidAuthenticationInfo/);
});

Deno.test("an expired artifact is listed as such and its download is gone", async () => {
  const run = await control.createGitHubRun({
    artifacts: [{ name: "old", expired: true }, { name: "fresh" }],
  });
  const [old, fresh] = run.artifacts;
  assert.deepEqual([old!.expired, fresh!.expired], [true, false]);
  assert.equal((await askDownload(old!.id)).status, 410);
  assert.equal((await askDownload(fresh!.id)).status, 302);
  await control.advanceClock(91 * 24 * 3600_000);
  assert.equal((await askDownload(fresh!.id)).status, 410);
});

Deno.test("wrong credentials are 401, a private repository is 404 to strangers", async () => {
  const run = await control.createGitHubRun({ artifacts: [{ name: "a" }] });
  const list = (client: Octokit, owner = "octo-org") =>
    client.actions.listWorkflowRunArtifacts({ owner, repo: "octo-repo", run_id: run.run_id });
  const wrong = await refusal(list(connect("ghp_wrong")));
  assert.equal(wrong.status, 401);
  assert.match(wrong.message, /^Bad credentials/);
  assert.equal((await refusal(list(connect()))).status, 404);
  assert.equal((await refusal(list(octokit, "nobody"))).status, 404);

  await control.createGitHubRun({ repo: "hidden", readable: false });
  const hidden = octokit.actions.listArtifactsForRepo({ owner: "octo-org", repo: "hidden" });
  assert.match((await refusal(hidden)).message, /^Not Found/);
  await control.createGitHubRun({ repo: "open", private: false, artifacts: [{ name: "a" }] });
  const open = await connect().actions.listArtifactsForRepo({ owner: "octo-org", repo: "open" });
  assert.equal(open.data.total_count, 1);
  const download = connect().actions.downloadArtifact({
    owner: "octo-org",
    repo: "open",
    artifact_id: open.data.artifacts[0]!.id,
    archive_format: "zip",
  });
  assert.equal((await refusal(download)).status, 401);
});

Deno.test("the token's user and the index of the API are there", async () => {
  assert.equal((await octokit.users.getAuthenticated()).data.login, "sandbox");
  assert.equal((await refusal(connect().users.getAuthenticated())).status, 401);
  assert.equal((await octokit.request("GET /")).status, 200);
});

Deno.test("the hourly budget counts down, refuses, and starts anew", async () => {
  await control.setGitHubRateLimit(2);
  const remaining = async () =>
    (await octokit.users.getAuthenticated()).headers["x-ratelimit-remaining"];
  assert.equal(await remaining(), "1");
  assert.equal((await octokit.rateLimit.get()).data.rate.remaining, 1);
  assert.equal(await remaining(), "0");
  const refused = await refusal(octokit.users.getAuthenticated());
  assert.equal(refused.status, 403);
  assert.match(refused.message, /^API rate limit exceeded/);
  assert.equal(refused.response.headers["x-ratelimit-remaining"], "0");
  await control.advanceClock(3600_000);
  assert.equal(await remaining(), "1");
});

Deno.test("the secondary limit answers 403 with retry-after", async () => {
  await control.addFault({ provider: "github", path: "/user", rate_limit: { retry_after: 7 } });
  const refused = await refusal(octokit.users.getAuthenticated());
  assert.equal(refused.status, 403);
  assert.equal(refused.response.headers["retry-after"], "7");
  assert.match(refused.message, /^You have exceeded a secondary rate limit/);
  assert.equal((await octokit.users.getAuthenticated()).status, 200);
});

Deno.test("a request without a User-Agent is refused", async () => {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET /github/ HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  assert.match(answer, /^HTTP\/1\.1 403 [\s\S]*User-Agent header/);
});
