import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gmail, type gmail_v1 } from "@googleapis/gmail";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { useReceiver, useSandbox } from "../../testing.ts";
import { googleAuth, refusal } from "./testing.ts";

const { control, url } = useSandbox();
const receiver = useReceiver();
const at = { rootUrl: `${url}/google/` };
const userId = "me";
const topicName = "projects/sandbox/topics/gmail";

function connect(): gmail_v1.Resource$Users {
  return gmail({ version: "v1", auth: googleAuth(url), retry: false }).users;
}

async function history(
  options: Record<string, unknown>,
): Promise<gmail_v1.Schema$ListHistoryResponse> {
  return (await connect().history.list({ userId, ...options }, at)).data;
}

async function historyId(): Promise<string> {
  return (await connect().getProfile({ userId }, at)).data.historyId!;
}

const text = (data: string | null | undefined) => Buffer.from(data ?? "", "base64url").toString();

Deno.test("a mail is read whole, with its parts, headers and attachments", async () => {
  const { id } = await control.deliverMail({
    subject: "Grüße & mehr",
    text: "Please <look> at this",
    html: "<p>Please look at <b>this</b></p>",
    labels: ["INBOX", "Tasks"],
    attachments: [{ name: "a.txt", content_type: "text/plain", text: "attached" }],
  });
  const { data } = await connect().messages.get({ userId, id }, at);
  assert.equal(data.snippet, "Please &lt;look&gt; at this");
  assert.deepEqual(data.labelIds, ["INBOX", "Label_1"]);
  assert.equal(data.threadId, id);
  const header = (name: string) => data.payload?.headers?.find((each) => each.name === name)?.value;
  assert.equal(header("Subject"), "Grüße & mehr");
  assert.equal(header("From"), "Ada Lovelace <ada@example.com>");
  const [body, file] = data.payload!.parts!;
  assert.deepEqual([data.payload?.mimeType, body?.mimeType], [
    "multipart/mixed",
    "multipart/alternative",
  ]);
  assert.deepEqual(body?.parts?.map(({ partId, mimeType }) => `${partId} ${mimeType}`), [
    "0.0 text/plain",
    "0.1 text/html",
  ]);
  assert.equal(text(body?.parts?.[1]?.body?.data), "<p>Please look at <b>this</b></p>");
  assert.deepEqual([file?.filename, file?.body?.size, file?.body?.data], ["a.txt", 8, undefined]);
  const attachmentId = file!.body!.attachmentId!;
  const attachment = await connect().messages.attachments.get(
    { userId, messageId: id, id: attachmentId },
    at,
  );
  assert.deepEqual([attachment.data.size, text(attachment.data.data)], [8, "attached"]);
  const again = await connect().messages.get({ userId, id }, at);
  assert.notEqual(again.data.payload?.parts?.[1]?.body?.attachmentId, attachmentId);
});

Deno.test("a mail is read in part, or as it came over the wire", async () => {
  const { id } = await control.deliverMail({
    subject: "Grüße",
    text: "text",
    message_id: "m1@example.com",
  });
  const get = async (options: Record<string, unknown>) =>
    (await connect().messages.get({ userId, id, ...options }, at)).data;
  const metadata = await get({ format: "metadata", metadataHeaders: ["subject"] });
  assert.deepEqual(metadata.payload, {
    mimeType: "text/plain",
    headers: [{ name: "Subject", value: "Grüße" }],
  });
  assert.equal((await get({ format: "minimal" })).payload, undefined);
  assert.deepEqual(await get({ fields: "id" }), { id });
  const raw = text((await get({ format: "raw" })).raw);
  assert.match(raw, /^Subject: =\?UTF-8\?B\?R3LDvMOfZQ==\?=\r\n/m);
  assert.match(raw, /^Message-ID: <m1@example\.com>\r\n/m);
  assert(raw.endsWith(`\r\n\r\n${Buffer.from("text").toString("base64")}`));
});

Deno.test("messages are listed newest first, by label, by search, in pages", async () => {
  const ids: string[] = [];
  for (const subject of ["one", "two", "three"]) {
    ids.push((await control.deliverMail({ subject })).id);
  }
  await control.labelMail(ids[1]!, { add: ["Tasks", "STARRED"], remove: ["UNREAD"] });
  const found = async (options: Record<string, unknown>) => {
    const { data } = await connect().messages.list({ userId, ...options }, at);
    return { ids: data.messages?.map(({ id }) => ids.indexOf(id!)), next: data.nextPageToken };
  };
  assert.deepEqual((await found({})).ids, [2, 1, 0]);
  assert.deepEqual((await found({ labelIds: ["INBOX", "Label_1"] })).ids, [1]);
  assert.deepEqual((await found({ q: "is:unread subject:o" })).ids, [0]);
  assert.deepEqual((await found({ q: "label:tasks is:starred from:ada" })).ids, [1]);
  const first = await found({ maxResults: 2 });
  assert.deepEqual(first.ids, [2, 1]);
  const second = await found({ maxResults: 2, pageToken: first.next });
  assert.deepEqual(second, { ids: [0], next: undefined });
  await connect().messages.trash({ userId, id: ids[0]! }, at);
  assert.deepEqual((await found({ q: "subject:one" })).ids, undefined);
  assert.deepEqual((await found({ labelIds: ["TRASH"] })).ids, [0]);
});

Deno.test("history tells what happened after an id, by type, by label, in pages", async () => {
  const start = await historyId();
  const { id, thread_id } = await control.deliverMail({ subject: "one" });
  await control.labelMail(id, { add: ["Tasks"], remove: ["UNREAD"] });
  await control.deliverMail({ subject: "two", thread_id });
  await control.removeMail(id);
  const all = await history({ startHistoryId: start });
  const changes = all.history?.flatMap((record) =>
    Object.keys(record).filter((name) => name !== "id" && name !== "messages")
  );
  assert.deepEqual(changes, [
    "messagesAdded",
    "labelsAdded",
    "labelsRemoved",
    "messagesAdded",
    "messagesDeleted",
  ]);
  assert.deepEqual(all.history?.[1]?.labelsAdded, [{
    message: { id, threadId: id, labelIds: ["INBOX", "Label_1"] },
    labelIds: ["Label_1"],
  }]);
  assert.equal(all.history?.[3]?.messages?.[0]?.threadId, thread_id);
  const numbers = all.history!.map((record) => Number(record.id));
  assert(numbers.every((number, index) => index === 0 || number > numbers[index - 1]!));
  assert(numbers.some((number, index) => index > 0 && number > numbers[index - 1]! + 1));
  assert.equal(all.historyId, await historyId());
  assert.deepEqual(await history({ startHistoryId: all.historyId }), { historyId: all.historyId });

  const labelled = await history({
    startHistoryId: start,
    labelId: "Label_1",
    historyTypes: ["labelAdded", "messageAdded"],
  });
  assert.equal(labelled.history?.length, 1);
  const page = await history({ startHistoryId: start, maxResults: 4 });
  assert.equal(page.history?.length, 4);
  const rest = await history({
    startHistoryId: start,
    maxResults: 4,
    pageToken: page.nextPageToken,
  });
  assert.equal(rest.history?.length, 1);
  assert.equal(rest.nextPageToken, undefined);
});

Deno.test("a history id that is too old is 404, one that is none is 400", async () => {
  const old = await historyId();
  await control.deliverMail({});
  await control.expireGmailHistory();
  const expired = await refusal(history({ startHistoryId: old }));
  assert.deepEqual(expired, {
    status: 404,
    reason: "notFound",
    message: "Requested entity was not found.",
  });
  assert.equal((await refusal(history({ startHistoryId: "x" }))).status, 400);
  assert.deepEqual((await history({ startHistoryId: await historyId() })).history, undefined);
});

Deno.test("labels are listed and made once; unknown ones, messages and users are refused", async () => {
  const { data } = await connect().labels.create({ userId, requestBody: { name: "Tasks" } }, at);
  assert.equal(data.type, "user");
  const { data: list } = await connect().labels.list({ userId }, at);
  assert(list.labels?.some(({ id, type }) => id === "INBOX" && type === "system"));
  assert(list.labels?.some(({ id, name }) => id === data.id && name === "Tasks"));
  const twice = connect().labels.create({ userId, requestBody: { name: "tasks" } }, at);
  assert.deepEqual(await refusal(twice), {
    status: 409,
    reason: "aborted",
    message: "Label name exists or conflicts",
  });
  const { id } = await control.deliverMail({});
  const requestBody = { addLabelIds: ["Label_99"] };
  assert.equal(
    (await refusal(connect().messages.modify({ userId, id, requestBody }, at))).status,
    400,
  );
  assert.equal((await refusal(connect().messages.get({ userId, id: "nope" }, at))).status, 404);
  const other = await refusal(connect().getProfile({ userId: "bob@example.com" }, at));
  assert.deepEqual([other.status, other.message], [
    403,
    "Delegation denied for sandbox@example.com",
  ]);
});

Deno.test("a watched mailbox pushes its history id by Pub/Sub with a token that verifies", async () => {
  await control.createSubscription({
    endpoint: `${receiver.url}/hook`,
    audience: "https://example.com/hook",
  });
  const { data } = await connect().watch({
    userId,
    requestBody: { topicName, labelIds: ["INBOX"], labelFilterBehavior: "include" },
  }, at);
  assert(Math.abs(Number(data.expiration) - Date.now() - 7 * 86_400_000) < 60_000);
  await receiver.until(1);

  const mail = await control.deliverMail({});
  const [, push] = await receiver.until(2);
  const body = JSON.parse(push!.body);
  assert.equal(body.subscription, "projects/sandbox/subscriptions/gmail");
  assert.equal(body.message.messageId, body.message.message_id);
  assert.deepEqual(JSON.parse(Buffer.from(body.message.data, "base64").toString()), {
    emailAddress: "sandbox@example.com",
    historyId: Number(mail.history_id),
  });
  const keys = createRemoteJWKSet(new URL(`${url}/google/oauth2/v3/certs`));
  const token = push!.headers.authorization!.slice("Bearer ".length);
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer: "https://accounts.google.com",
    audience: "https://example.com/hook",
  });
  assert.equal(protectedHeader.alg, "RS256");
  assert.equal(payload.email, "push@sandbox.iam.gserviceaccount.com");
  assert.equal(payload.email_verified, true);
  assert(!JSON.stringify(await control.pushes()).includes(token));

  await control.deliverMail({ labels: ["SPAM"] });
  await connect().stop({ userId }, at);
  await control.deliverMail({});
  assert.equal((await control.pushes()).length, 2);
  assert.equal(await control.gmailWatch(), null);
});

Deno.test("a watch ends after a week, and needs a topic that somebody may publish to", async () => {
  const watch = (name: string) => connect().watch({ userId, requestBody: { topicName: name } }, at);
  assert.equal((await refusal(watch("gmail"))).status, 400);
  const unknown = await refusal(watch(topicName));
  assert.equal(unknown.status, 403);
  assert.match(unknown.message, /Error sending test message to Cloud PubSub/);

  await control.createSubscription({ endpoint: receiver.url });
  await watch(topicName);
  assert.equal((await control.gmailWatch())?.topic, topicName);
  await receiver.until(1);
  await control.advanceClock(8 * 86_400_000);
  await control.deliverMail({});
  assert.equal((await control.pushes()).length, 1);
  await assert.rejects(control.createSubscription({ endpoint: "https://example.com" }), /endpoint/);
});
