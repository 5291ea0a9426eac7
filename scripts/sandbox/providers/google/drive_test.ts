import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { drive, type drive_v3 } from "@googleapis/drive";
import { GOOGLE_CREDENTIALS } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";
import { googleAuth, type GoogleRefusal, refusal } from "./testing.ts";

const { control, url } = useSandbox();
const QUANTUM = 256 * 1024;
const FOLDER = "application/vnd.google-apps.folder";
const api = `${url}/google/drive/v3`;
const authorization = { authorization: `Bearer ${GOOGLE_CREDENTIALS.accessToken}` };

function connect(): drive_v3.Drive {
  return drive({ version: "v3", auth: googleAuth(url), retry: false });
}

// Given with each call: the client-wide rootUrl loses its path and is not used for uploads.
const at = { rootUrl: `${url}/google/` };

const bytes = (size: number) => new Uint8Array(size).map((_, index) => index * 13 % 241);
const hex = (algorithm: string, content: Uint8Array) =>
  createHash(algorithm).update(content).digest("hex");

async function refusalOf(response: Response): Promise<GoogleRefusal> {
  const { error } = await response.json();
  return { status: response.status, message: error.message, reason: error.errors[0].reason };
}

async function openSession(
  metadata: Record<string, unknown>,
  query = "fields=id,size,md5Checksum",
): Promise<string> {
  const response = await fetch(
    `${url}/google/upload/drive/v3/files?uploadType=resumable&${query}`,
    {
      method: "POST",
      headers: { ...authorization, "content-type": "application/json; charset=UTF-8" },
      body: JSON.stringify(metadata),
    },
  );
  assert.equal(response.status, 200, await response.text());
  return response.headers.get("location")!;
}

function put(session: string, body: Uint8Array<ArrayBuffer>, range?: string): Promise<Response> {
  return fetch(session, {
    method: "PUT",
    body,
    ...(range ? { headers: { "content-range": range } } : {}),
  });
}

Deno.test("Google's client makes a folder, uploads into it, finds the file and reads it back", async () => {
  const client = connect();
  const { data: folder } = await client.files.create({
    requestBody: { name: "CI-Artifacts", mimeType: FOLDER },
    fields: "id,webViewLink",
  }, at);
  assert.match(folder.webViewLink!, /^https:\/\/drive\.google\.com\/drive\/folders\//);

  const content = bytes(300_000);
  const { data: file } = await client.files.create({
    requestBody: { name: "it's.zip", parents: [folder.id!], appProperties: { job: "1" } },
    media: { mimeType: "application/zip", body: Readable.from([content]) },
    fields: "id,name,size,md5Checksum,sha256Checksum,sha1Checksum,parents,appProperties,mimeType",
  }, at);
  assert.deepEqual(file, {
    id: file.id,
    name: "it's.zip",
    mimeType: "application/zip",
    parents: [folder.id],
    appProperties: { job: "1" },
    size: "300000",
    md5Checksum: hex("md5", content),
    sha1Checksum: hex("sha1", content),
    sha256Checksum: hex("sha256", content),
  });

  const { data: list } = await client.files.list({
    q: `name = 'it\\'s.zip' and '${folder.id}' in parents and mimeType = 'application/zip' and trashed = false`,
    fields: "files(id)",
  }, at);
  assert.deepEqual(list, { files: [{ id: file.id }] });

  const media = await client.files.get({ fileId: file.id!, alt: "media" }, {
    ...at,
    responseType: "arraybuffer",
  });
  assert.deepEqual(new Uint8Array(media.data as unknown as ArrayBuffer), content);
  const [, uploaded] = await control.driveFiles();
  assert.equal(uploaded?.path, "CI-Artifacts/it's.zip");
  assert.deepEqual(await control.driveContent(file.id!), content);
});

Deno.test("a file without asked fields answers kind, id, name and type only", async () => {
  const { data } = await connect().files.create({ requestBody: { name: "a" } }, at);
  assert.deepEqual(Object.keys(data), ["kind", "id", "name", "mimeType"]);
  const { data: fields } = await connect().files.get({ fileId: data.id!, fields: "*" }, at);
  assert(fields.createdTime && fields.version && fields.parents);
  const wrong = await refusal(connect().files.get({ fileId: data.id!, fields: "id,nope" }, at));
  assert.deepEqual([wrong.status, wrong.reason], [400, "invalidParameter"]);
});

Deno.test("a generated id is used once, a second use answers 409, a foreign id 400", async () => {
  const client = connect();
  const { data } = await client.files.generateIds({ count: 2 }, at);
  assert.equal(data.ids?.length, 2);
  const create = (id: string) =>
    client.files.create({ requestBody: { id, name: "once", mimeType: FOLDER } }, at);
  const [id] = data.ids!;
  assert.equal((await create(id!)).data.id, id);
  const again = await refusal(create(id!));
  assert.deepEqual([again.status, again.reason], [409, "fileIdInUse"]);
  const foreign = await refusal(create("my-own-id"));
  assert.deepEqual([foreign.status, foreign.message], [400, "The provided file ID is not usable."]);
});

Deno.test("a generated id also answers 409 when a session for it is opened late or finished late", async () => {
  const { data } = await connect().files.generateIds({ count: 1 }, at);
  const id = data.ids![0]!;
  const [first, second] = [
    await openSession({ id, name: "a" }),
    await openSession({ id, name: "a" }),
  ];
  assert.equal((await put(first, bytes(10))).status, 200);
  assert.equal((await refusalOf(await put(second, bytes(10)))).status, 409);
  const third = await fetch(`${url}/google/upload/drive/v3/files?uploadType=resumable`, {
    method: "POST",
    headers: authorization,
    body: JSON.stringify({ id }),
  });
  assert.equal((await refusalOf(third)).reason, "fileIdInUse");
  assert.equal((await control.driveFiles()).length, 1);
});

Deno.test("names may repeat; metadata, parents and the bin are updated", async () => {
  const client = connect();
  const ids = [];
  for (const name of ["a", "a", "b"]) {
    ids.push((await client.files.create({ requestBody: { name, mimeType: FOLDER } }, at)).data.id!);
  }
  const same = await client.files.list({ q: "name = 'a' and 'root' in parents" }, at);
  assert.equal(same.data.files?.length, 2);

  const [first, , target] = ids;
  await client.files.update({
    fileId: first!,
    addParents: target!,
    removeParents: "root",
    requestBody: { name: "moved", appProperties: { a: "1" } },
  }, at);
  await client.files.update({ fileId: ids[1]!, requestBody: { trashed: true } }, at);
  const found = async (q: string) =>
    (await client.files.list({ q, orderBy: "name" }, at)).data.files?.map(({ name }) => name);
  assert.deepEqual(await found("trashed = true"), ["a"]);
  assert.deepEqual(await found(`'${target}' in parents`), ["moved"]);
  assert.deepEqual(await found("appProperties has { key='a' and value='1' }"), ["moved"]);
  assert.deepEqual(await found("not trashed = true and (name = 'b' or name contains 'mov')"), [
    "b",
    "moved",
  ]);
  const wrong = await refusal(client.files.list({ q: "nome = 'a'" }, at));
  assert.deepEqual([wrong.status, wrong.reason], [400, "invalid"]);

  await client.files.delete({ fileId: target! }, at);
  assert.deepEqual((await control.driveFiles()).map(({ name }) => name), ["a"]);
});

Deno.test("a list is paged until there is no token", async () => {
  const client = connect();
  for (const name of ["1", "2", "3"]) await client.files.create({ requestBody: { name } }, at);
  const names: string[] = [];
  let pageToken: string | undefined;
  do {
    const { data } = await client.files.list({ pageSize: 2, orderBy: "name", pageToken }, at);
    names.push(...data.files!.map(({ name }) => name!));
    pageToken = data.nextPageToken ?? undefined;
  } while (pageToken);
  assert.deepEqual(names, ["1", "2", "3"]);
});

Deno.test("an unknown file or parent is notFound", async () => {
  const unknown = await refusal(connect().files.get({ fileId: "nope" }, at));
  assert.deepEqual(unknown, { status: 404, reason: "notFound", message: "File not found: nope." });
  const orphan = connect().files.create({ requestBody: { name: "a", parents: ["nope"] } }, at);
  assert.equal((await refusal(orphan)).status, 404);
});

Deno.test("a resumable upload takes the whole content in one PUT, without any credential", async () => {
  const session = await openSession({ name: "a.bin" });
  const content = bytes(700_001);
  const response = await put(session, content);
  assert.equal(response.status, 200);
  const file = await response.json();
  assert.deepEqual(file, { id: file.id, size: "700001", md5Checksum: hex("md5", content) });
  assert.deepEqual(await control.driveContent(file.id), content);
  const [, entry] = await control.journal({ provider: "google", path: "/upload/**" });
  assert.equal(entry?.query.upload_id, "[redacted]");
});

Deno.test("a resumable upload goes in chunks, tells where it is, and answers the file at the end", async () => {
  const session = await openSession({ name: "a.bin" });
  const content = bytes(2 * QUANTUM + 5);
  const total = content.length;
  const empty = await put(session, bytes(0), `bytes */${total}`);
  assert.deepEqual([empty.status, empty.headers.get("range")], [308, null]);

  const first = await put(session, content.slice(0, QUANTUM), `bytes 0-${QUANTUM - 1}/${total}`);
  assert.deepEqual([first.status, first.headers.get("range")], [308, `bytes=0-${QUANTUM - 1}`]);

  const gap = await put(
    session,
    content.slice(2 * QUANTUM),
    `bytes ${2 * QUANTUM}-${total - 1}/${total}`,
  );
  assert.equal(gap.status, 400);
  assert.match(await gap.text(), /exceeds already uploaded size of 262144/);

  const small = await put(
    session,
    content.slice(0, 100),
    `bytes ${QUANTUM}-${QUANTUM + 99}/${total}`,
  );
  assert.equal(small.status, 400);
  const lying = await put(session, content.slice(0, 100), `bytes ${QUANTUM}-${total - 1}/${total}`);
  assert.match(await lying.text(), /There were 100 byte\(s\) in the request body/);

  // What the server has already is skipped.
  const last = await put(session, content.slice(5), `bytes 5-${total - 1}/${total}`);
  assert.equal(last.status, 200);
  const file = await last.json();
  assert.equal(file.md5Checksum, hex("md5", content));
  const again = await put(session, bytes(0), `bytes */${total}`);
  assert.deepEqual([again.status, await again.json()], [200, file]);
});

Deno.test("of an uneven chunk only whole quanta are kept", async () => {
  const session = await openSession({ name: "a.bin" });
  const size = QUANTUM + 1000;
  const uneven = await put(session, bytes(size), `bytes 0-${size - 1}/*`);
  assert.equal(uneven.headers.get("range"), `bytes=0-${QUANTUM - 1}`);
});

Deno.test("an interrupted upload is resumed from where it broke", async () => {
  const session = await openSession({ name: "a.bin" });
  const content = bytes(4 * QUANTUM);
  await control.addFault({ provider: "google", method: "PUT", cut: "mid_upload" });
  await assert.rejects(async () => await (await put(session, content)).arrayBuffer());

  const state = await put(session, bytes(0), `bytes */${content.length}`);
  assert.equal(state.status, 308);
  const kept = Number(/-(\d+)$/.exec(state.headers.get("range") ?? "")?.[1]) + 1;
  assert.equal(kept, 2 * QUANTUM);
  const range = `bytes ${kept}-${content.length - 1}/${content.length}`;
  const rest = await put(session, content.slice(kept), range);
  assert.equal((await rest.json()).md5Checksum, hex("md5", content));
});

Deno.test("a session ends after a week, or when it is given up", async () => {
  const late = await openSession({ name: "a" });
  const dropped = await openSession({ name: "b" });
  const gone = await fetch(dropped, { method: "DELETE" });
  assert.deepEqual([gone.status, await gone.text()], [499, ""]);
  assert.equal((await refusalOf(await put(dropped, bytes(1)))).status, 404);
  await control.advanceClock(7 * 24 * 3600_000 + 1);
  assert.equal((await refusalOf(await put(late, bytes(1)))).status, 404);
});

Deno.test("a session can replace the content of a file", async () => {
  const client = connect();
  const { data } = await client.files.create({
    requestBody: { name: "a" },
    media: { mimeType: "text/plain", body: "old" },
  }, at);
  const response = await fetch(
    `${url}/google/upload/drive/v3/files/${data.id}?uploadType=resumable&fields=md5Checksum,name`,
    { method: "PATCH", headers: authorization },
  );
  await response.text();
  const done = await put(response.headers.get("location")!, new TextEncoder().encode("new"));
  assert.deepEqual(await done.json(), {
    name: "a",
    md5Checksum: hex("md5", new TextEncoder().encode("new")),
  });
});

Deno.test("a media upload takes the bare content", async () => {
  const response = await fetch(`${url}/google/upload/drive/v3/files?uploadType=media&fields=*`, {
    method: "POST",
    headers: { ...authorization, "content-type": "text/csv" },
    body: "a,b",
  });
  const file = await response.json();
  assert.deepEqual([file.name, file.mimeType, file.size], ["Untitled", "text/csv", "3"]);
});

Deno.test("access tokens come from the refresh token, differ, and end", async () => {
  const refresh = async () => {
    const response = await fetch(`${url}/google/oauth2/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: GOOGLE_CREDENTIALS.refreshToken,
        client_id: GOOGLE_CREDENTIALS.clientId,
        client_secret: GOOGLE_CREDENTIALS.clientSecret,
      }),
    });
    return { status: response.status, ...await response.json() };
  };
  const list = async (token: string) => {
    const response = await fetch(`${api}/files`, { headers: { authorization: `Bearer ${token}` } });
    await response.body?.cancel();
    return response.status;
  };
  const [first, second] = [await refresh(), await refresh()];
  assert.equal(first.expires_in, 3599);
  assert.equal(first.token_type, "Bearer");
  assert.notEqual(first.access_token, second.access_token);
  assert.equal(await list(first.access_token), 200);
  await control.advanceClock(3600_000);
  assert.equal(await list(first.access_token), 401);

  await control.setGoogleOAuth({ expires_in: 60 });
  assert.equal((await refresh()).expires_in, 60);
  await control.setGoogleOAuth({ invalid_grant: true });
  assert.deepEqual(await refresh(), {
    status: 400,
    error: "invalid_grant",
    error_description: "Token has been expired or revoked.",
  });
});

Deno.test("a wrong client is refused before anything else", async () => {
  const response = await fetch(`${url}/google/oauth2/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "refresh_token", client_id: "x", client_secret: "y" }),
  });
  assert.deepEqual([response.status, (await response.json()).error], [401, "invalid_client"]);
});

Deno.test("a wrong token is told as 401 with authError, a missing one as 403", async () => {
  const wrong = await fetch(`${api}/files`, { headers: { authorization: "Bearer nope" } });
  assert.deepEqual([wrong.status, (await refusalOf(wrong)).reason], [401, "authError"]);
  const missing = await fetch(`${api}/files`);
  assert.deepEqual((await refusalOf(missing)).status, 403);
});

Deno.test("a full Drive refuses the upload with storageQuotaExceeded", async () => {
  await control.setDriveQuota(5);
  const session = await openSession({ name: "a" });
  const full = await refusalOf(await put(session, bytes(6)));
  assert.deepEqual([full.status, full.reason], [403, "storageQuotaExceeded"]);
  const about = await connect().about.get({ fields: "storageQuota(limit)" }, at);
  assert.deepEqual(about.data, { storageQuota: { limit: "5" } });
});

for (const error of ["rateLimitExceeded", "userRateLimitExceeded", "storageQuotaExceeded"]) {
  Deno.test(`${error} can be had on demand, once`, async () => {
    await control.addFault({ provider: "google", path: "/drive/v3/files", error });
    const refused = await refusal(connect().files.list({}, at));
    assert.deepEqual([refused.status, refused.reason], [403, error]);
    assert.equal((await connect().files.list({}, at)).status, 200);
  });
}

Deno.test("a download has ranges, and a folder has none", async () => {
  const client = connect();
  const { data } = await client.files.create({
    requestBody: { name: "a" },
    media: { mimeType: "text/plain", body: "0123456789" },
  }, at);
  const part = await fetch(`${api}/files/${data.id}?alt=media`, {
    headers: { ...authorization, range: "bytes=3-5" },
  });
  assert.deepEqual([part.status, await part.text()], [206, "345"]);
  const folder = await client.files.create({ requestBody: { name: "f", mimeType: FOLDER } }, at);
  const media = await refusal(client.files.get({ fileId: folder.data.id!, alt: "media" }, at));
  assert.deepEqual([media.status, media.reason], [403, "fileNotDownloadable"]);
});
