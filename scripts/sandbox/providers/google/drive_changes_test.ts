import assert from "node:assert/strict";
import { drive, type drive_v3 } from "@googleapis/drive";
import { useReceiver, useSandbox } from "../../testing.ts";
import { googleAuth, refusal } from "./testing.ts";

const { control, url } = useSandbox();
const receiver = useReceiver();
const at = { rootUrl: `${url}/google/` };
const HOUR_MS = 60 * 60 * 1000;
const AUTHOR = { name: "Ada Lovelace", email: "ada@example.com" };

function connect(): drive_v3.Drive {
  return drive({ version: "v3", auth: googleAuth(url), retry: false });
}

async function startToken(): Promise<string> {
  return (await connect().changes.getStartPageToken({}, at)).data.startPageToken!;
}

async function watchChanges(
  channel: Record<string, string> = {},
): Promise<drive_v3.Schema$Channel> {
  const requestBody = { id: "channel-1", type: "web_hook", address: receiver.url, ...channel };
  const pageToken = await startToken();
  return (await connect().changes.watch({ pageToken, requestBody }, at)).data;
}

Deno.test("changes are listed from a token on, each file once at its latest, with who made it", async () => {
  const before = await startToken();
  const { id } = await control.createDriveFile({ name: "a.txt", folder: "Specs", text: "1" });
  await control.createDriveFile({ name: "b.txt" });
  await control.editDriveFile(id, { text: "22", author: AUTHOR });

  const { data } = await connect().changes.list({
    pageToken: before,
    fields:
      "newStartPageToken,nextPageToken,changes(changeType,removed,fileId,file(name,version,size,lastModifyingUser(displayName,emailAddress)))",
  }, at);
  assert.deepEqual(data.changes?.map(({ file }) => file?.name), ["Specs", "b.txt", "a.txt"]);
  assert.deepEqual(data.changes?.[2], {
    changeType: "file",
    removed: false,
    fileId: id,
    file: {
      name: "a.txt",
      version: "2",
      size: "2",
      lastModifyingUser: { displayName: AUTHOR.name, emailAddress: AUTHOR.email },
    },
  });
  assert.equal(data.nextPageToken, undefined);
  const after = await connect().changes.list({ pageToken: data.newStartPageToken! }, at);
  assert.deepEqual(after.data.changes, []);
  assert.equal(after.data.newStartPageToken, data.newStartPageToken);
});

Deno.test("pages have a next token until the last one has a new start token", async () => {
  let pageToken: string | undefined = await startToken();
  for (const name of ["1", "2", "3"]) await control.createDriveFile({ name });
  const pages: string[][] = [];
  let newStart: string | undefined;
  while (pageToken) {
    const { data }: { data: drive_v3.Schema$ChangeList } = await connect().changes.list(
      { pageToken, pageSize: 2 },
      at,
    );
    pages.push(data.changes!.map(({ file }) => file!.name!));
    assert.equal(data.nextPageToken === undefined, data.newStartPageToken !== undefined);
    newStart = data.newStartPageToken ?? undefined;
    pageToken = data.nextPageToken ?? undefined;
  }
  assert.deepEqual(pages, [["1", "2"], ["3"]]);
  assert.equal(newStart, await startToken());
});

Deno.test("a deleted file is a removal without a file, unless removals are not wanted", async () => {
  const pageToken = await startToken();
  const { id } = await control.createDriveFile({ name: "a", folder: "f" });
  const folder = (await control.driveFiles())[0]!;
  await control.editDriveFile(id, { trashed: true });
  const trashed = await connect().changes.list({ pageToken, fields: "*" }, at);
  assert.equal(trashed.data.changes?.[1]?.file?.trashed, true);
  await control.removeDriveFile(folder.id);
  const { data } = await connect().changes.list({ pageToken }, at);
  assert.deepEqual(data.changes?.map(({ fileId, removed, file }) => [fileId, removed, file]), [
    [id, true, undefined],
    [folder.id, true, undefined],
  ]);
  const kept = await connect().changes.list({ pageToken, includeRemoved: false }, at);
  assert.deepEqual(kept.data.changes, []);
});

Deno.test("a token that is none, missing or expired is refused with 400", async () => {
  const wrong = await refusal(connect().changes.list({ pageToken: "nope" }, at));
  assert.deepEqual([wrong.status, wrong.reason], [400, "invalid"]);
  const missing = await refusal(connect().changes.list({ pageToken: "" }, at));
  assert.deepEqual([missing.status, missing.reason], [400, "required"]);
  const old = await startToken();
  await control.createDriveFile({ name: "a" });
  await control.expireDrivePageTokens();
  const expired = await refusal(connect().changes.list({ pageToken: old }, at));
  assert.deepEqual([expired.status, expired.reason], [400, "invalid"]);
  const fresh = await connect().changes.list({ pageToken: await startToken() }, at);
  assert.deepEqual(fresh.data.changes, []);
});

Deno.test("a channel gets sync first, then one push for each change, until it is stopped", async () => {
  const channel = await watchChanges({ token: "secret-token" });
  assert.equal(channel.kind, "api#channel");
  assert.equal(channel.token, "secret-token");
  const [sync] = await receiver.until(1);
  assert.equal(sync!.headers["x-goog-resource-state"], "sync");
  assert.equal(sync!.headers["x-goog-message-number"], "1");
  assert.equal(sync!.headers["content-length"], "0");

  await control.createDriveFile({ name: "a" });
  const [, push] = await receiver.until(2);
  const { headers } = push!;
  assert.equal(headers["x-goog-channel-id"], "channel-1");
  assert.equal(headers["x-goog-channel-token"], "secret-token");
  assert.equal(headers["x-goog-resource-id"], channel.resourceId);
  assert.equal(headers["x-goog-resource-state"], "change");
  assert.equal(headers["x-goog-message-number"], "2");
  assert.match(headers["x-goog-resource-uri"]!, /^https:\/\/www\.googleapis\.com\/drive\/v3\/ch/);
  assert.equal(Date.parse(headers["x-goog-channel-expiration"]!), Number(channel.expiration));
  assert.deepEqual(JSON.parse(push!.body), { kind: "drive#changes" });
  assert(!JSON.stringify(await control.pushes()).includes("secret-token"));
  assert.equal((await control.googleChannels())[0]?.message_number, 2);

  const { id, resourceId } = channel;
  const stopped = await connect().channels.stop({ requestBody: { id, resourceId } }, at);
  assert.equal(stopped.status, 204);
  await control.createDriveFile({ name: "b" });
  assert.equal((await control.pushes()).length, 2);
  const again = await refusal(connect().channels.stop({ requestBody: { id, resourceId } }, at));
  assert.deepEqual(again, {
    status: 404,
    reason: "notFound",
    message: "Channel 'channel-1' not found for project '000000000000'",
  });
});

Deno.test("a channel ends when it was asked to, and lives an hour or a week at most", async () => {
  const usual = await watchChanges({ id: "usual" });
  const week = await watchChanges({ id: "week", expiration: String(Date.now() + 1000 * HOUR_MS) });
  const lifetime = (channel: drive_v3.Schema$Channel) =>
    Math.round((Number(channel.expiration) - Date.now()) / HOUR_MS);
  assert.deepEqual([lifetime(usual), lifetime(week)], [1, 168]);
  await receiver.until(2);
  await control.advanceClock(2 * HOUR_MS);
  assert.deepEqual((await control.googleChannels()).map(({ id }) => id), ["week"]);
  await control.createDriveFile({ name: "a" });
  const [, , push] = await receiver.until(3);
  assert.equal(push!.headers["x-goog-channel-id"], "week");
  const past = watchChanges({ id: "past", expiration: "1000" });
  assert.equal((await refusal(past)).reason, "invalid");
});

Deno.test("a channel with a used id, no type, or an address elsewhere is refused", async () => {
  await watchChanges();
  const cases = [
    [{}, 400, "channelIdNotUnique"],
    [{ id: "2", type: "email" }, 400, "channelUnknownType"],
    [{ id: "2", address: "https://example.com/hook" }, 401, "push.webhookUrlUnauthorized"],
    [{ id: "2", address: "http://10.0.0.1/hook" }, 401, "push.webhookUrlUnauthorized"],
    [{ id: "" }, 400, "required"],
  ] as const;
  for (const [channel, status, reason] of cases) {
    const refused = await refusal(watchChanges(channel));
    assert.deepEqual([refused.status, refused.reason], [status, reason]);
  }
});

Deno.test("a watched file tells what happened to it, a watched folder of its children", async () => {
  const file = await control.createDriveFile({ name: "a", folder: "f" });
  const [folder] = file.parents;
  for (const [id, fileId] of [["file", file.id], ["folder", folder!]] as const) {
    const requestBody = { id, type: "web_hook", address: receiver.url };
    await connect().files.watch({ fileId, requestBody }, at);
  }
  await receiver.until(2);
  const next = async (count: number) =>
    (await receiver.until(count)).slice(2).map(({ headers }) =>
      ["channel-id", "resource-state", "changed"].map((name) => headers[`x-goog-${name}`] ?? "")
        .join(" ").trim()
    );
  await control.editDriveFile(file.id, { text: "new", name: "b" });
  assert.deepEqual(await next(3), ["file update content,properties"]);
  await control.editDriveFile(file.id, { folder: "" });
  await control.editDriveFile(file.id, { trashed: true });
  assert.deepEqual((await next(5)).slice(1).toSorted(), ["file trash", "file update parents"]);
  await control.createDriveFile({ name: "c", folder: "f" });
  assert.deepEqual((await next(6)).slice(3), ["folder update children"]);
});

Deno.test("a refused push is repeated after 5xx only, and given up in the end", async () => {
  await watchChanges();
  await receiver.until(1);
  await control.setPushes({ retry_ms: 1, attempts: 3 });
  receiver.answer(503, 500);
  await control.createDriveFile({ name: "a" });
  await receiver.until(4);
  receiver.answer(404);
  await control.createDriveFile({ name: "b" });
  await receiver.until(5);
  receiver.answer(502, 502, 502);
  await control.createDriveFile({ name: "c" });
  await receiver.until(8);
  await new Promise((done) => setTimeout(done, 20));
  const tried = (await control.pushes()).slice(1)
    .map(({ state, attempts }) => [state, ...attempts.map(({ status }) => status)]);
  assert.deepEqual(tried, [
    ["delivered", 503, 500, 204],
    ["failed", 404],
    ["failed", 502, 502, 502],
  ]);
});

Deno.test("pushes are held and released in either order, lost, or sent several times", async () => {
  await control.setPushes({ provider: "google", sync_before_answer: true });
  await watchChanges();
  assert.equal(receiver.received.length, 1);

  await control.setPushes({ delivery: "hold" });
  for (const name of ["a", "b"]) await control.createDriveFile({ name });
  assert.equal(receiver.received.length, 1);
  await control.setPushes({ delivery: "now" });
  assert.equal(await control.releasePushes({ reverse: true }), 2);
  const numbers = receiver.received.map(({ headers }) => headers["x-goog-message-number"]);
  assert.deepEqual(numbers, ["1", "3", "2"]);

  await control.setPushes({ delivery: "drop" });
  await control.createDriveFile({ name: "c" });
  await control.setPushes({ delivery: "now", copies: 25 });
  await control.createDriveFile({ name: "d" });
  await receiver.until(28);
  const copies = receiver.received.slice(3);
  assert(copies.every(({ headers }) => headers["x-goog-message-number"] === "5"));
  const states = (await control.pushes()).map(({ state }) => state);
  assert.deepEqual(states.filter((state) => state === "dropped").length, 1);
});

Deno.test("too many calls are refused with Google's reasons", async () => {
  for (const error of ["rateLimitExceeded", "userRateLimitExceeded"]) {
    await control.addFault({ provider: "google", path: "/drive/v3/changes/**", error });
    const refused = await refusal(connect().changes.getStartPageToken({}, at));
    assert.deepEqual([refused.status, refused.reason], [403, error]);
  }
});
