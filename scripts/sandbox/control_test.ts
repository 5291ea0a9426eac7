import assert from "node:assert/strict";
import { GOOGLE_CREDENTIALS, startSandbox } from "./mod.ts";
import { SandboxClient } from "./client.ts";
import { useSandbox } from "./testing.ts";

const { control, url } = useSandbox();
const drive = `${url}/google/drive/v3`;
const authorization = { authorization: `Bearer ${GOOGLE_CREDENTIALS.accessToken}` };

async function upload(body: Uint8Array<ArrayBuffer>, method = "POST", id = ""): Promise<Response> {
  return await fetch(`${url}/google/upload/drive/v3/files${id}?uploadType=media&fields=id,size`, {
    method,
    headers: { ...authorization, "content-type": "application/octet-stream" },
    body,
  });
}

async function uploaded(size: number): Promise<{ id: string; content: Uint8Array<ArrayBuffer> }> {
  const content = new Uint8Array(size).fill(7);
  const { id } = await (await upload(content)).json();
  return { id, content };
}

async function download(id: string): Promise<Uint8Array> {
  const response = await fetch(`${drive}/files/${id}?alt=media`, { headers: authorization });
  return new Uint8Array(await response.arrayBuffer());
}

const list = async () => {
  const response = await fetch(`${drive}/files?q=trashed%3Dfalse&access_token=secret`, {
    headers: authorization,
  });
  await response.body?.cancel();
  return response.status;
};

Deno.test("the journal tells what was asked, without credentials", async () => {
  await list();
  await upload(new Uint8Array(300_000)).then((response) => response.body?.cancel());
  const [listed, posted] = await control.journal({ provider: "google" });
  assert(listed && posted);
  assert.equal(listed.path, "/drive/v3/files");
  assert.deepEqual(listed.query, { q: "trashed=false", access_token: "[redacted]" });
  assert.equal(listed.status, 200);
  assert.equal(listed.headers.authorization, undefined);
  assert.equal(posted.request_bytes, 300_000);
  assert.equal(posted.headers["content-type"], "application/octet-stream");
  assert(posted.response_bytes > 0 && posted.duration_ms > 0);
  assert(!JSON.stringify([listed, posted]).includes(GOOGLE_CREDENTIALS.accessToken));

  assert.deepEqual((await control.journal({ method: "post" })).map(({ seq }) => seq), [posted.seq]);
  assert.deepEqual((await control.journal({ path: "/upload/**" })).map(({ seq }) => seq), [
    posted.seq,
  ]);
  assert.deepEqual(await control.journal({ path: "/upload/*" }), []);
  assert.deepEqual((await control.journal({ after: listed.seq })).map(({ seq }) => seq), [
    posted.seq,
  ]);
});

Deno.test("a status fault is answered instead of the work, as often as asked, after what is skipped", async () => {
  const fault = await control.addFault({
    provider: "google",
    method: "get",
    path: "/drive/v3/*",
    status: 503,
    times: 2,
    skip: 1,
    headers: { "retry-after": "3" },
  });
  assert.deepEqual([await list(), await list(), await list(), await list()], [200, 503, 503, 200]);
  assert.equal((await control.faults())[0]?.applied, 2);
  const entries = await control.journal({ provider: "google" });
  assert.deepEqual(entries.map(({ fault_id }) => fault_id), [null, fault.id, fault.id, null]);
});

Deno.test("a fault hits its provider, method and path only, and can be withdrawn", async () => {
  await control.addFault({ provider: "slack", status: 500, times: 9 });
  await control.addFault({ provider: "google", method: "DELETE", status: 500, times: 9 });
  await control.addFault({ provider: "google", path: "/drive/v3/files/*", status: 500, times: 9 });
  assert.equal(await list(), 200);
  await control.addFault({ provider: "google", status: 500, times: 9 });
  assert.equal(await list(), 500);
  await control.clearFaults();
  assert.equal(await list(), 200);
});

Deno.test("a fault can answer any body with any header", async () => {
  await control.addFault({
    provider: "google",
    status: 502,
    body: "<html>bad gateway</html>",
    headers: { "content-type": "text/html" },
  });
  const response = await fetch(`${drive}/files`, { headers: authorization });
  assert.equal(response.status, 502);
  assert.equal(response.headers.get("content-type"), "text/html");
  assert.equal(await response.text(), "<html>bad gateway</html>");
});

Deno.test("a delay lets the client give up first", async () => {
  await control.addFault({ provider: "google", delay_ms: 300 });
  const started = performance.now();
  assert.equal(await list(), 200);
  assert(performance.now() - started >= 300);
});

Deno.test("cut before the body: the work is done, the answer is lost", async () => {
  await control.addFault({ provider: "google", method: "POST", cut: "before_body" });
  await assert.rejects(async () => await (await upload(new Uint8Array(10))).text());
  assert.equal((await control.driveFiles()).length, 1);
});

Deno.test("cut in the body: half of the bytes arrive, then the connection ends", async () => {
  const { id, content } = await uploaded(1_000_000);
  await control.addFault({ provider: "google", path: "/drive/v3/files/*", cut: "mid_body" });
  const response = await fetch(`${drive}/files/${id}?alt=media`, { headers: authorization });
  assert.equal(response.headers.get("content-length"), "1000000");
  let received = 0;
  await assert.rejects(async () => {
    for await (const chunk of response.body!) received += chunk.length;
  });
  assert(received > 0 && received <= 500_000, `${received}`);
  assert.deepEqual(await download(id), content);
});

Deno.test("cut in the upload: nothing is stored of a simple upload", async () => {
  await control.addFault({ provider: "google", method: "POST", cut: "mid_upload" });
  await assert.rejects(async () => await (await upload(new Uint8Array(1_000_000))).text());
  assert.deepEqual(await control.driveFiles(), []);
});

Deno.test("corrupt: one byte is altered on the way in, or on the way out", async () => {
  await control.addFault({ provider: "google", method: "POST", corrupt: true });
  const stored = await uploaded(100);
  assert.notDeepEqual(await control.driveContent(stored.id), stored.content);
  assert.equal((await control.driveContent(stored.id)).length, 100);

  const { id, content } = await uploaded(100);
  await control.addFault({ provider: "google", method: "GET", corrupt: true });
  assert.notDeepEqual(await download(id), content);
  assert.deepEqual(await download(id), content);

  await control.addFault({ provider: "google", method: "GET", corrupt: true });
  const document = await fetch(`${drive}/files/${id}`, { headers: authorization });
  assert.notEqual((await document.text())[0], "{");
});

Deno.test("a reset forgets contents, faults, journal and clock", async () => {
  await uploaded(10);
  await control.addFault({ provider: "google", status: 500 });
  await control.advanceClock(86_400_000);
  await control.reset();
  assert.deepEqual(await control.driveFiles(), []);
  assert.deepEqual(await control.faults(), []);
  assert.deepEqual(await control.journal(), []);
  await list();
  const [entry] = await control.journal();
  assert(Math.abs(Date.parse(entry!.at) - Date.now()) < 60_000);
});

Deno.test("a wrong request to the control interface names its mistake", async () => {
  await assert.rejects(control.addFault({ provider: "gitlab" }), /no provider gitlab; use one of/);
  await assert.rejects(control.addFault({ provider: "s3", times: 0 }), /400.*times/s);
  const response = await fetch(`${url}/_control/faults`, { method: "POST", body: "{" });
  assert.match((await response.json()).error.message, /not JSON/);
});

Deno.test("a content that exceeds the sandbox's limit is refused in the provider's own words", async () => {
  const small = startSandbox({ port: 0, s3Port: 0, storageLimitBytes: 1000 });
  try {
    const response = await fetch(`${small.url}/google/upload/drive/v3/files?uploadType=media`, {
      method: "POST",
      headers: authorization,
      body: new Uint8Array(1001),
    });
    const { error } = await response.json();
    assert.deepEqual([response.status, error.errors[0].reason], [403, "storageQuotaExceeded"]);
    assert.deepEqual(await new SandboxClient(small.url).driveFiles(), []);
  } finally {
    await small.stop();
  }
});

Deno.test("what the sandbox stored in files is gone after it stops", async () => {
  const before = temporaryFolders();
  const other = startSandbox({ port: 0, s3Port: 0 });
  const response = await fetch(`${other.url}/google/upload/drive/v3/files?uploadType=media`, {
    method: "POST",
    headers: authorization,
    body: new Uint8Array(3_000_000),
  });
  await response.body?.cancel();
  const added = [...temporaryFolders()].filter((name) => !before.has(name));
  assert.equal(added.length, 1);
  await other.stop();
  assert(!temporaryFolders().has(added[0]!));
});

function temporaryFolders(): Set<string> {
  const folder = Deno.makeTempDirSync();
  Deno.removeSync(folder);
  const parent = folder.slice(0, folder.lastIndexOf("/"));
  const names = [...Deno.readDirSync(parent)].map(({ name }) => name);
  return new Set(names.filter((name) => name.startsWith("marketplace-sandbox-")));
}
