import assert from "node:assert/strict";
import { ErrorCode, LogLevel, WebClient, type WebClientOptions } from "@slack/web-api";
import { SLACK_TOKEN } from "../mod.ts";
import { useSandbox } from "../testing.ts";

const { control, url } = useSandbox();
const connect = (token: string | undefined = SLACK_TOKEN, options: WebClientOptions = {}) =>
  new WebClient(token, {
    slackApiUrl: `${url}/slack/api/`,
    retryConfig: { retries: 0 },
    logLevel: LogLevel.ERROR,
    ...options,
  });
const slack = connect();

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => undefined, (error: unknown) => error) as {
    code?: string;
    data?: { error?: string };
  };
  assert.equal(error?.code, ErrorCode.PlatformError);
  return error.data?.error ?? "";
}

Deno.test("Slack's client posts a message by channel name and by id", async () => {
  const blocks = [{ type: "section", text: { type: "mrkdwn", text: "*hi*" } }];
  const first = await slack.chat.postMessage({ channel: "#ci-artifacts", text: "hi", blocks });
  assert.match(first.ts!, /^\d{10}\.\d{6}$/);
  assert.equal(first.message?.text, "hi");
  const reply = await slack.chat.postMessage({
    channel: first.channel!,
    text: "reply",
    thread_ts: first.ts,
  });
  assert.notEqual(reply.ts, first.ts);
  assert.deepEqual(await control.slackMessages(), [
    {
      ts: first.ts,
      channel: first.channel,
      channel_name: "ci-artifacts",
      text: "hi",
      thread_ts: null,
      blocks,
      attachments: null,
    },
    {
      ts: reply.ts,
      channel: first.channel,
      channel_name: "ci-artifacts",
      text: "reply",
      thread_ts: first.ts,
      blocks: null,
      attachments: null,
    },
  ]);
});

Deno.test("a JSON body is taken, with the token in the header only", async () => {
  const post = async (headers: Record<string, string>) => {
    const response = await fetch(`${url}/slack/api/chat.postMessage`, {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-8", ...headers },
      body: JSON.stringify({ channel: "general", text: "hi", token: SLACK_TOKEN }),
    });
    return { status: response.status, ...await response.json() };
  };
  assert.equal((await post({ authorization: `Bearer ${SLACK_TOKEN}` })).ok, true);
  assert.deepEqual(await post({}), { status: 200, ok: false, error: "not_authed" });
});

Deno.test("what Slack refuses is refused with its error and status 200", async () => {
  await control.createSlackChannel({ name: "old", is_archived: true });
  await control.createSlackChannel({ name: "strangers", is_member: false });
  const post = (channel: string, text: string, client = slack) =>
    refusal(client.chat.postMessage({ channel, text }));
  assert.equal(await post("general", "x", connect("xoxb-wrong")), "invalid_auth");
  assert.equal(await post("nowhere", "x"), "channel_not_found");
  assert.equal(await post("old", "x"), "is_archived");
  assert.equal(await post("strangers", "x"), "not_in_channel");
  assert.equal(await post("general", ""), "no_text");
  assert.equal(await post("general", "x".repeat(40_001)), "msg_too_long");
  assert.equal(await refusal(slack.apiCall("chat.nope")), "unknown_method");
  assert.deepEqual(await control.slackMessages(), []);
});

Deno.test("auth.test tells whose token it is", async () => {
  const { team, bot_id, user_id } = await slack.auth.test();
  assert(team && bot_id && user_id);
});

Deno.test("conversations are paged by cursor", async () => {
  await control.createSlackChannel({ name: "private", is_private: true });
  const names: string[] = [];
  for await (const page of slack.paginate("conversations.list", { limit: 2 })) {
    const { channels } = page as unknown as { channels: { name: string }[] };
    assert(channels.length <= 2);
    names.push(...channels.map(({ name }) => name));
  }
  assert.deepEqual(names, ["general", "ci-artifacts", "alerts"]);
  const groups = await slack.conversations.list({ types: "private_channel" });
  assert.deepEqual(groups.channels?.map(({ name }) => name), ["private"]);
  assert.equal(await refusal(slack.conversations.list({ cursor: "x" })), "invalid_cursor");
});

Deno.test("too many calls are answered 429 with Retry-After, which Slack's client understands", async () => {
  await control.addFault({ provider: "slack", rate_limit: { retry_after: 30 } });
  const client = connect(SLACK_TOKEN, { rejectRateLimitedCalls: true });
  const error = await client.auth.test().then(() => undefined, (error) => error);
  assert.equal(error.code, ErrorCode.RateLimitedError);
  assert.equal(error.retryAfter, 30);
  assert.equal((await client.auth.test()).ok, true);
});

Deno.test("any error of Slack's list can be had on demand", async () => {
  await control.addFault({ provider: "slack", path: "/api/chat.*", error: "token_revoked" });
  assert.equal(
    await refusal(slack.chat.postMessage({ channel: "general", text: "x" })),
    "token_revoked",
  );
});
