// Bytes in and out, and the handlers that data cannot say, against the sandbox and stand-ins.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { SandboxClient } from "../../../scripts/sandbox/client.ts";
import { FUNCTIONS_URL, stackEnv, useDatabase } from "./support_queue.ts";
import {
  connect,
  execute,
  FakeProvider,
  logOf,
  makeKey,
  makeTenant,
  type Received,
  register,
  type Tenant,
  useProvider,
} from "./support_execute.ts";

const sql = useDatabase();
const provider = useProvider(sql);
const sandbox = new SandboxClient(stackEnv("SANDBOX_URL"));
const GOOGLE = stackEnv("SANDBOX_GOOGLE_URL");

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
/** Bytes that differ everywhere. */
function noise(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, size)));
  }
  return bytes;
}
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(text);
}

interface Lane {
  tenant: Tenant;
  key: string;
  connection_id: string;
  run: (
    action: string,
    parameters: unknown,
    more?: Record<string, unknown>,
  ) => ReturnType<typeof execute>;
}

/** A tenant with a connection under an integration of a catalogue provider. */
async function makeLane(
  slug: string,
  config: Record<string, unknown>,
  { type = "bearer", ...credential }: { type?: string } & Record<string, string>,
  settings?: Record<string, string | number>,
): Promise<Lane> {
  const tenant = await makeTenant(sql, provider.url);
  const integration = `${tenant.slug}-${slug.replaceAll("_", "-")}`;
  await register(sql, {
    slug: integration,
    provider: slug,
    organization: tenant.slug,
    config: { allow_private_network: true, allow_private_sources: true, ...config },
  });
  const connection_id = await connect(sql, { slug: tenant.slug, integration }, {
    isShared: true,
    type,
    credential: credential as Record<string, string>,
    ...(settings ? { settings } : {}),
  });
  const { key } = await makeKey(sql, tenant);
  provider.reset();
  return {
    tenant,
    key,
    connection_id,
    run: (action, parameters, more = {}) =>
      execute(key, { connection_id, action, parameters, ...more }),
  };
}

/** Sends bytes as the body, the request in a header. */
async function send(
  { key, connection_id }: Lane,
  action: string,
  parameters: unknown,
  body: BodyInit,
  contentType = "application/octet-stream",
) {
  const response = await fetch(`${FUNCTIONS_URL}/marketplace-execute`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": contentType,
      "x-execute-request": JSON.stringify({ connection_id, action, parameters }),
    },
    body,
    ...(body instanceof ReadableStream ? { duplex: "half" } as RequestInit : {}),
  });
  return { status: response.status, body: await response.json() };
}

/** The raw answer. */
async function open({ key, connection_id }: Lane, action: string, parameters: unknown) {
  return await fetch(`${FUNCTIONS_URL}/marketplace-execute`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ connection_id, action, parameters }),
  });
}

const driveLane = () =>
  makeLane("google_drive", { api_base: `${GOOGLE}/drive/v3` }, {
    type: "oauth2",
    access_token: "sandbox-google-token",
  });

Deno.test("Drive: a small file goes in one request, from base64, a URL or the body", async () => {
  const lane = await driveLane();
  const bytes = noise(30_000);
  const source = new FakeProvider();
  source.answer(() => new Response(bytes, { headers: { "content-type": "image/png" } }));
  try {
    const made = [
      await lane.run("files.upload", { file: { filename: "a.bin", data: base64(bytes) } }),
      await lane.run("files.upload", { file: { filename: "b.png", url: `${source.url}/b` } }),
      await send(lane, "files.upload", { file: { filename: "c.bin" } }, bytes),
    ];
    const files = await sandbox.driveFiles();
    for (const { status, body } of made) {
      assert.equal(status, 200, JSON.stringify(body));
      const file = files.find(({ id }) => id === body.result.id)!;
      assert.equal(file.sha256, sha256(bytes));
    }
    assert.deepEqual(
      made.map(({ body }) => [body.result.name, body.result.mimeType]),
      [["a.bin", "application/octet-stream"], ["b.png", "image/png"], [
        "c.bin",
        "application/octet-stream",
      ]],
    );
    // New content of an existing file.
    const fileId = made[0]!.body.result.id;
    const other = noise(10_000);
    await lane.run("files.upload", { fileId, file: { filename: "x", data: base64(other) } });
    const updated = (await sandbox.driveFiles()).find(({ id }) => id === fileId)!;
    assert.deepEqual([updated.sha256, updated.path.split("/").at(-1)], [sha256(other), "a.bin"]);
  } finally {
    await source.stop();
  }
  const log = await logOf(sql, lane.tenant);
  assert.ok(log.every(({ outcome }) => outcome === "succeeded"));
  assert.ok(!JSON.stringify(log).includes(base64(bytes).slice(0, 100)));
});

Deno.test("Drive: a large file goes in pieces, and a lost piece is sent again", async () => {
  const lane = await driveLane();
  const bytes = noise(22 * 1024 * 1024);
  const stream = () =>
    new ReadableStream<Uint8Array>({
      async start(controller) {
        for (let at = 0; at < bytes.length; at += 100_000) {
          controller.enqueue(bytes.subarray(at, at + 100_000));
          if (at % 1_000_000 === 0) await new Promise((resolve) => setTimeout(resolve));
        }
        controller.close();
      },
    });
  const path = "/upload/drive/v3/files**";
  await sandbox.addFault({ provider: "google", method: "PUT", path, skip: 1, status: 503 });
  await sandbox.addFault({ provider: "google", method: "PUT", path, skip: 2, cut: "mid_upload" });
  await sandbox.addFault({ provider: "google", method: "PUT", path, skip: 4, cut: "before_body" });
  try {
    const { status, body } = await send(
      lane,
      "files.upload",
      { file: { filename: "big.bin" } },
      stream(),
    );
    assert.equal(status, 200, JSON.stringify(body));
    const file = (await sandbox.driveFiles()).find(({ id }) => id === body.result.id)!;
    assert.equal(file.size, bytes.length);
    assert.equal(file.sha256, sha256(bytes));
  } finally {
    await sandbox.clearFaults();
  }
  const [row] = await logOf(sql, lane.tenant);
  assert.ok(row!.attempt_count > 7);
});

Deno.test("a download streams, fits into JSON when it is small, or goes to the caller's link", async () => {
  const lane = await makeLane("github", { api_base: stackEnv("SANDBOX_GITHUB_URL") }, {
    api_token: "sandbox-github-token",
  });
  // The storage that GitHub redirects to refuses whoever shows it a credential.
  const run = await sandbox.createGitHubRun({ artifacts: [{ name: "logs", size: 300_000 }] });
  const [artifact] = run.artifacts;
  const parameters = { owner: "octo-org", repo: "octo-repo", artifact_id: artifact!.id };
  const digest = artifact!.digest.replace("sha256:", "");

  const response = await open(lane, "actions.downloadArtifact", parameters);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/zip");
  assert.equal(response.headers.get("content-length"), String(artifact!.size_in_bytes));
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.equal(sha256(bytes), digest);

  const inJson = await lane.run("actions.downloadArtifact", parameters, { output: "base64" });
  assert.equal(inJson.body.result.size_bytes, artifact!.size_in_bytes);
  assert.equal(inJson.body.result.data, base64(bytes));

  const link = new FakeProvider();
  try {
    const sent = await lane.run("actions.downloadArtifact", parameters, {
      output: { url: `${link.url}/put`, headers: { "x-mine": "1" } },
    });
    assert.equal(sent.status, 200, JSON.stringify(sent.body));
    const [received] = link.received;
    assert.equal(sha256(received!.body), digest);
    assert.deepEqual(
      [received!.method, received!.headers.get("x-mine"), received!.headers.get("authorization")],
      ["PUT", "1", null],
    );
  } finally {
    await link.stop();
  }
  const log = await logOf(sql, lane.tenant);
  assert.deepEqual(log.map((row) => [row.outcome, row.response.size_bytes]), [
    ["succeeded", bytes.length],
    ["succeeded", bytes.length],
    ["succeeded", bytes.length],
  ]);
});

Deno.test("a stream that breaks, or whose reader leaves, is in the log as that", async () => {
  const lane = await makeLane("github", {}, { api_token: "x" });
  const { tenant } = lane;
  const connection_id = await connect(sql, tenant, { isShared: true });
  const fakeLane = { ...lane, connection_id };
  const endless = (fail: boolean) => () => {
    let sent = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (fail && sent > 5) return controller.error(new Error("gone"));
          sent++;
          controller.enqueue(new Uint8Array(10_000));
        },
      }),
    );
  };
  provider.answer(endless(true));
  const broken = await open(fakeLane, "files.get", {});
  await assert.rejects(broken.arrayBuffer());
  provider.answer(endless(false));
  const left = await open(fakeLane, "files.get", {});
  const reader = left.body!.getReader();
  await reader.read();
  await reader.cancel();
  const deadline = Date.now() + 5_000;
  let codes: (string | null)[] = [];
  while (Date.now() < deadline && (codes.length < 2 || codes.includes(null))) {
    codes = (await logOf(sql, tenant)).map(({ error_code }) => error_code);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(codes, ["answer_broken", "client_closed"]);
});

Deno.test("multipart carries files from anywhere, and fields beside them", async () => {
  const lane = await makeLane("github", { allow_private_sources: true }, { api_token: "x" });
  await sql`
    update marketplace.integrations set config = config || '{"allow_private_sources": true}'
    where id = ${lane.tenant.integrationId}
  `;
  const connection_id = await connect(sql, lane.tenant, { isShared: true });
  const bytes = noise(5_000);
  const source = new FakeProvider();
  source.answer(() => new Response("from afar", { headers: { "content-type": "text/x-far" } }));
  try {
    const { status, body } = await execute(lane.key, {
      connection_id,
      action: "files.upload",
      parameters: {
        title: "Grüße",
        meta: { a: 1 },
        file: [
          { filename: "naïve.bin", content_type: "image/x", data: base64(bytes) },
          { filename: "far.txt", url: `${source.url}/x` },
        ],
      },
    });
    assert.equal(status, 200, JSON.stringify(body));
  } finally {
    await source.stop();
  }
  const [received] = provider.received;
  const form = await new Response(received!.body, { headers: received!.headers }).formData();
  assert.equal(form.get("title"), "Grüße");
  assert.equal(form.get("meta"), '{"a":1}');
  const [first, second] = form.getAll("file") as [File, File];
  assert.deepEqual([first.name, first.type], ["naïve.bin", "image/x"]);
  assert.equal(sha256(new Uint8Array(await first.arrayBuffer())), sha256(bytes));
  assert.deepEqual([second.name, second.type, await second.text()], [
    "far.txt",
    "text/x-far",
    "from afar",
  ]);
});

Deno.test("a binary body is the file's bytes; without any the pointer is named", async () => {
  const lane = await makeLane("github", {}, { api_token: "x" });
  const connection_id = await connect(sql, lane.tenant, { isShared: true });
  const fakeLane = { ...lane, connection_id };
  const bytes = noise(70_000);
  const { status } = await send(
    fakeLane,
    "files.put",
    { file: { filename: "f" } },
    bytes,
    "image/png",
  );
  assert.equal(status, 200);
  const [received] = provider.received;
  assert.equal(sha256(received!.body), sha256(bytes));
  assert.equal(received!.headers.get("content-type"), "image/png");
  const none = await execute(lane.key, {
    connection_id,
    action: "files.put",
    parameters: { file: { filename: "f" } },
  });
  assert.deepEqual([none.status, none.body.error.details[0].pointer], [422, "/file"]);
  const huge = await execute(lane.key, {
    connection_id,
    action: "files.put",
    parameters: { file: { data: "A".repeat(46_000_000) } },
  });
  assert.deepEqual([huge.status, huge.body.error.code], [413, "payload_too_large"]);
});

Deno.test("S3: put, head, list in pages, get, copy, delete, and links that work without a key", async () => {
  const lane = await makeLane(
    "aws_s3",
    { api_base: stackEnv("SANDBOX_S3_URL") },
    {
      type: "aws_sigv4",
      access_key_id: stackEnv("SANDBOX_S3_ACCESS_KEY_ID"),
      secret_access_key: stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY"),
    },
    { region: stackEnv("SANDBOX_S3_REGION") },
  );
  const bucket = `b-${crypto.randomUUID()}`;
  await sandbox.createBucket(bucket);
  const bytes = noise(40_000);
  const ok = async (action: string, parameters: unknown, more = {}) => {
    const answer = await lane.run(action, parameters, more);
    assert.equal(answer.status, 200, `${action} ${JSON.stringify(answer.body)}`);
    return answer.body.result;
  };
  const keys = ["a b/ü (1)+.txt", "c/d.bin", "c/e.bin", "c/f.bin"];
  for (const key of keys) {
    await ok("PutObject", {
      bucket,
      key,
      file: { data: base64(bytes), content_type: "image/png" },
      metadata: { origin: "test" },
    });
  }
  assert.deepEqual(
    (await sandbox.s3Objects(bucket)).map(({ key }) => key).sort(),
    [...keys].sort(),
  );
  const head = await ok("HeadObject", { bucket, key: keys[0] });
  assert.deepEqual([head.size_bytes, head.content_type, head.metadata], [40_000, "image/png", {
    origin: "test",
  }]);

  const listed = await ok("ListObjectsV2", { bucket, prefix: "c/", "max-keys": 2 });
  assert.deepEqual(
    listed.Contents.map(({ Key, Size }: { Key: string; Size: number }) => [Key, Size]),
    [
      ["c/d.bin", 40_000],
      ["c/e.bin", 40_000],
    ],
  );
  assert.equal(listed.IsTruncated, true);
  const all = await lane.run("ListObjectsV2", { bucket, "max-keys": 1 }, {
    paginate: { max_pages: 10 },
  });
  assert.equal(all.body.result.Contents.length, 4);
  assert.deepEqual([all.body.pages.page_count, all.body.pages.is_complete], [4, true]);
  assert.ok(
    (await ok("ListBuckets", {})).Buckets.some(({ Name }: { Name: string }) => Name === bucket),
  );

  const got = await open(lane, "GetObject", { bucket, key: keys[0] });
  assert.equal(sha256(new Uint8Array(await got.arrayBuffer())), sha256(bytes));
  await ok("DeleteObject", { bucket, key: keys[3] });
  assert.equal((await sandbox.s3Objects(bucket)).length, 3);

  const download = await ok("PresignGetObject", { bucket, key: keys[0], expires_in: 60 });
  assert.equal(
    sha256(new Uint8Array(await (await fetch(download.url)).arrayBuffer())),
    sha256(bytes),
  );
  const upload = await ok("PresignPutObject", {
    bucket,
    key: "new.txt",
    content_type: "text/plain",
  });
  const put = await fetch(upload.url, {
    method: upload.method,
    headers: upload.headers,
    body: "hello",
  });
  await put.body?.cancel();
  assert.equal(put.status, 200);
  assert.equal(new TextDecoder().decode(await sandbox.s3Content(bucket, "new.txt")), "hello");
  const other = await fetch(upload.url, {
    method: "PUT",
    headers: { "content-type": "text/html" },
    body: "x",
  });
  assert.equal(other.status, 403);
  await other.body?.cancel();

  const missing = await lane.run("GetObject", { bucket, key: "none" });
  assert.deepEqual([missing.status, missing.body.error.details.provider_status], [502, 404]);
  const log = JSON.stringify(await logOf(sql, lane.tenant));
  assert.ok(!log.includes(new URL(download.url).searchParams.get("X-Amz-Signature")!));
  assert.ok(!log.includes(stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY")));
});

Deno.test("Gmail: a mail in text and HTML, an image inside, attachments around", async () => {
  const lane = await makeLane("gmail", { api_base: provider.url }, {
    type: "oauth2",
    access_token: "gmail-token",
  });
  provider.answer(() => Response.json({ id: "m1", threadId: "t1", labelIds: ["SENT"] }));
  const pdf = noise(2_000);
  const { status, body } = await lane.run("messages.send", {
    to: ["Ada Lövelace <ada@example.com>", "b@example.com"],
    cc: "c@example.com",
    bcc: "hidden@example.com",
    subject: "Grüße aus Köln 🎉\r\nBcc: evil@example.com",
    text: "Hallo ☃",
    html: '<p>Hallo ☃ <img src="cid:logo"></p>',
    thread_id: "t1",
    in_reply_to: "<first@example.com>",
    attachments: [
      { filename: "Rechnung März.pdf", content_type: "application/pdf", data: base64(pdf) },
      {
        filename: "logo.png",
        content_type: "image/png",
        content_id: "logo",
        data: base64(noise(100)),
      },
    ],
  });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.result.id, "m1");
  const [received] = provider.received;
  assert.equal(received!.url, "/users/me/messages/send");
  assert.equal(received!.headers.get("authorization"), "Bearer gmail-token");
  const { raw, threadId } = JSON.parse(new TextDecoder().decode(received!.body));
  assert.equal(threadId, "t1");
  const mail = new TextDecoder().decode(
    Uint8Array.from(atob(raw.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)),
  );
  const [head] = mail.split("\r\n\r\n");
  const unfolded = head!.replace(/\r\n[ \t]/g, " ");
  assert.match(unfolded, /^To: =\?UTF-8\?.*<ada@example\.com>, b@example\.com$/m);
  assert.match(unfolded, /^Cc: c@example\.com$/m);
  assert.match(unfolded, /^Bcc: hidden@example\.com$/m);
  assert.match(unfolded, /^In-Reply-To: <first@example\.com>$/m);
  assert.equal(unfolded.match(/^Bcc:/gm)!.length, 1, "a line end in the subject makes no header");
  assert.match(unfolded, /^Subject: =\?UTF-8\?/m);
  assert.match(mail, /Content-Type: multipart\/mixed/);
  assert.match(mail, /Content-Type: multipart\/alternative/);
  assert.match(mail, /Content-Type: multipart\/related/);
  assert.match(mail, /Content-ID: <logo>/);
  assert.match(mail, /filename\*0\*=utf-8''Rechnung%20M%C3%A4rz\.pdf/);
  assert.ok(mail.replaceAll("\r\n", "").includes(base64(pdf)));
  assert.ok(mail.split("\r\n").every((line) => line.length <= 998));

  const draft = await lane.run("drafts.create", { to: "a@example.com", subject: "x", text: "y" });
  assert.equal(draft.status, 200);
  assert.ok(JSON.parse(new TextDecoder().decode(provider.received[1]!.body)).message.raw);
  const log = JSON.stringify(await logOf(sql, lane.tenant));
  assert.ok(!log.includes("Hallo"));
});

/** GitHub's git data API, as far as a commit needs it. */
class FakeGit {
  readonly refs = new Map<string, string>([["heads/main", "c0"]]);
  readonly trees: { base_tree: string; tree: Record<string, unknown>[] }[] = [];
  /** Somebody else moves the branch so often before we do. */
  races = 0;
  #made = 0;

  answer = ({ method, url, body }: Received): Response => {
    const path = url.replace("/repos/octo/app", "");
    const sent = body.length > 0 ? JSON.parse(new TextDecoder().decode(body)) : {};
    if (method === "GET" && path === "") return Response.json({ default_branch: "main" });
    if (method === "GET" && path.startsWith("/git/ref/")) {
      const sha = this.refs.get(decodeURIComponent(path.slice("/git/ref/".length)));
      return sha
        ? Response.json({ object: { sha } })
        : Response.json({ message: "Not Found" }, { status: 404 });
    }
    if (method === "GET" && path.startsWith("/git/commits/")) {
      return Response.json({ sha: path.slice(13), tree: { sha: `t-${path.slice(13)}` } });
    }
    const sha = `${path.slice(5, 9)}-${++this.#made}`;
    if (path === "/git/blobs") return Response.json({ sha }, { status: 201 });
    if (path === "/git/trees") {
      this.trees.push(sent);
      return Response.json({ sha }, { status: 201 });
    }
    if (path === "/git/commits") {
      return Response.json({ sha, html_url: `https://github.test/${sha}`, ...sent }, {
        status: 201,
      });
    }
    if (path === "/git/refs") {
      this.refs.set(sent.ref.replace("refs/", ""), sent.sha);
      return Response.json({ ref: sent.ref }, { status: 201 });
    }
    if (method === "PATCH") {
      if (this.races-- > 0) {
        this.refs.set("heads/main", `other-${this.races}`);
        return Response.json({ message: "Update is not a fast forward" }, { status: 422 });
      }
      this.refs.set(decodeURIComponent(path.slice("/git/refs/".length)), sent.sha);
      return Response.json({ object: { sha: sent.sha } });
    }
    return Response.json({ message: `unexpected ${method} ${url}` }, { status: 500 });
  };
}

Deno.test("GitHub: several files are one commit, on a new branch too, and a moved branch is met", async () => {
  const lane = await makeLane("github", { api_base: provider.url }, { api_token: "gh-token" });
  const git = new FakeGit();
  provider.answer(git.answer);
  const files = [
    { path: "docs/read me.md", text: "# Hi" },
    { path: "bin/run", text: "#!/bin/sh", is_executable: true },
    { path: "logo.png", content: base64(noise(500)) },
    { path: "old.txt", is_deleted: true },
  ];
  const commit = { owner: "octo", repo: "app", message: "feat: all of it", files };
  const { status, body } = await lane.run("git.commitFiles", { ...commit, branch: "main" });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(git.refs.get("heads/main"), body.result.commit.sha);
  assert.deepEqual([body.result.is_new_branch, body.result.file_count], [false, 4]);
  assert.equal(git.trees[0]!.base_tree, "t-c0");
  assert.deepEqual(
    git.trees[0]!.tree.map(({ path, mode, sha, content }) => [path, mode, typeof sha, content]),
    [
      ["docs/read me.md", "100644", "undefined", "# Hi"],
      ["bin/run", "100755", "undefined", "#!/bin/sh"],
      ["logo.png", "100644", "string", undefined],
      ["old.txt", "100644", "object", undefined],
    ],
  );
  const made = await lane.run("git.commitFiles", { ...commit, branch: "feature/new one" });
  assert.equal(made.body.result.is_new_branch, true);
  assert.equal(git.refs.get("heads/feature/new one"), made.body.result.commit.sha);

  git.races = 2;
  const raced = await lane.run("git.commitFiles", { ...commit, branch: "main" });
  assert.equal(raced.status, 200, JSON.stringify(raced.body));
  assert.equal(raced.body.result.commit.parent, "other-0");
  git.races = 9;
  const lost = await lane.run("git.commitFiles", { ...commit, branch: "main" });
  assert.deepEqual([lost.status, lost.body.error.details.provider_status], [502, 422]);
  assert.ok(!JSON.stringify(await logOf(sql, lane.tenant)).includes("# Hi"));
});

Deno.test("Slack: a file is uploaded without the token and then shared", async () => {
  const storage = new FakeProvider();
  const lane = await makeLane("slack", { api_base: provider.url }, {
    api_token: "xoxb-slack-token",
  });
  const bytes = noise(3_000);
  provider.answer(({ url }) =>
    Response.json(
      url === "/files.getUploadURLExternal"
        ? { ok: true, upload_url: `${storage.url}/upload/v1/abc`, file_id: "F1" }
        : { ok: true, files: [{ id: "F1" }] },
    )
  );
  try {
    const { status, body } = await lane.run("files.upload", {
      file: { filename: "r.csv", data: base64(bytes) },
      title: "Report",
      channel_id: "C1",
    });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.result.files, [{ id: "F1" }]);
    assert.equal(sha256(storage.received[0]!.body), sha256(bytes));
    assert.equal(storage.received[0]!.headers.get("authorization"), null);
    const asked = new URLSearchParams(new TextDecoder().decode(provider.received[0]!.body));
    assert.deepEqual([...asked], [["filename", "r.csv"], ["length", "3000"]]);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(provider.received[1]!.body)), {
      files: [{ id: "F1", title: "Report" }],
      channel_id: "C1",
    });
  } finally {
    await storage.stop();
  }
});

Deno.test("Docs: Markdown is text, PDF is bytes, and the token goes to Drive and nowhere else", async () => {
  const drive = new FakeProvider();
  drive.answer(({ url }) =>
    url.includes("markdown")
      ? new Response("# Title", { headers: { "content-type": "text/markdown" } })
      : new Response("%PDF-", { headers: { "content-type": "application/pdf" } })
  );
  const lane = await makeLane(
    "google_docs",
    { api_base: provider.url, drive_api_base: `${drive.url}/drive/v3` },
    { type: "oauth2", access_token: "docs-token" },
  );
  try {
    const markdown = await lane.run("documents.export", { documentId: "d/1" });
    assert.equal(markdown.body.result, "# Title");
    assert.equal(drive.received[0]!.url, "/drive/v3/files/d%2F1/export?mimeType=text%2Fmarkdown");
    assert.equal(drive.received[0]!.headers.get("authorization"), "Bearer docs-token");
    const pdf = await open(lane, "documents.export", { documentId: "d", format: "pdf" });
    assert.equal(pdf.headers.get("content-type"), "application/pdf");
    assert.equal(await pdf.text(), "%PDF-");
    assert.equal(provider.received.length, 0);
  } finally {
    await drive.stop();
  }
});
