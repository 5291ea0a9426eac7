import { Buffer } from "node:buffer";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, Provider, Sandbox } from "../core/provider.ts";
import { bearerToken } from "../core/requests.ts";

/** The fixed, public bot token of the sandbox's Slack. */
export const SLACK_TOKEN = "xoxb-sandbox";

const MAX_TEXT_CHARACTERS = 40_000;
const TEAM = { id: "T0SANDBOX1", name: "Sandbox" };
const BOT = {
  user: "marketplace",
  user_id: "U0SANDBOX1",
  bot_id: "B0SANDBOX1",
  app_id: "A0SANDBOX1",
};
const FIRST_CHANNELS = ["general", "ci-artifacts", "alerts"];

/** A channel, as `POST /_control/slack/channels` takes it. */
export const SlackChannelFixture = z.strictObject({
  name: z.string().regex(/^[a-z0-9_-]{1,80}$/),
  is_private: z.boolean().default(false),
  is_archived: z.boolean().default(false),
  /** Whether the bot has been invited. */
  is_member: z.boolean().default(true),
});
/** The input form of {@linkcode SlackChannelFixture}. */
export type SlackChannelFixture = z.input<typeof SlackChannelFixture>;

/** A posted message, as an assertion sees it. */
export interface SlackMessage {
  ts: string;
  /** Channel id. */
  channel: string;
  channel_name: string;
  text: string;
  thread_ts: string | null;
  blocks: unknown[] | null;
  attachments: unknown[] | null;
}

interface Channel extends z.output<typeof SlackChannelFixture> {
  id: string;
  created: number;
}

type Arguments = Record<string, unknown>;
type Answer = { ok: true } & Record<string, unknown>;

/** A failure of Slack's own list; the HTTP status stays 200. */
class SlackError extends Error {
  constructor(readonly code: string, readonly details: Record<string, unknown> = {}) {
    super(code);
  }
}

/**
 * Slack's Web API: posting messages and listing channels.
 *
 * @see https://docs.slack.dev/reference/methods/chat.postMessage
 * @see https://docs.slack.dev/reference/methods/conversations.list
 * @see https://docs.slack.dev/apis/web-api/rate-limits
 */
export function createSlack(sandbox: Sandbox): Provider {
  const channels = new Map<string, Channel>();
  let messages: SlackMessage[] = [];
  let lastTs = 0;
  addFirstChannels();

  const methods: Record<string, (args: Arguments, c: Context) => Answer> = {
    "auth.test": (_args, c) => ({
      ok: true,
      url: `${new URL(c.req.url).origin}/`,
      team: TEAM.name,
      user: BOT.user,
      team_id: TEAM.id,
      user_id: BOT.user_id,
      bot_id: BOT.bot_id,
      is_enterprise_install: false,
    }),
    "chat.postMessage": postMessage,
    "conversations.list": listConversations,
  };

  const app = new Hono<ObservedEnv>();
  app.on(["GET", "POST"], "/api/:method", async (c) => {
    const name = c.req.param("method");
    const method = methods[name];
    if (!method) throw new SlackError("unknown_method", { req_method: name });
    const args = await readArguments(c);
    // A JSON body cannot carry the token: Slack reads it from the header only then.
    const token = bearerToken(c) || (isJson(c) ? "" : text(args.token));
    if (!token) throw new SlackError("not_authed");
    if (token !== SLACK_TOKEN) throw new SlackError("invalid_auth");
    c.header("x-oauth-scopes", "chat:write,channels:read,groups:read");
    return c.json(method(args, c));
  });
  app.onError((error, c) => {
    if (!(error instanceof SlackError)) {
      console.error(error);
      return c.json({ ok: false, error: "internal_error" }, 500);
    }
    return c.json({ ok: false, error: error.code, ...error.details });
  });

  function postMessage(args: Arguments): Answer {
    const wanted = text(args.channel).replace(/^#/, "");
    const channel = [...channels.values()].find(({ id, name }) => id === wanted || name === wanted);
    if (!channel || (channel.is_private && !channel.is_member)) {
      throw new SlackError("channel_not_found");
    }
    if (!channel.is_member) throw new SlackError("not_in_channel");
    if (channel.is_archived) throw new SlackError("is_archived");
    const blocks = list(args.blocks, "invalid_blocks_format");
    const attachments = list(args.attachments, "invalid_attachments");
    const body = text(args.text);
    if (!body && !blocks?.length && !attachments?.length) throw new SlackError("no_text");
    if ([...body].length > MAX_TEXT_CHARACTERS) throw new SlackError("msg_too_long");
    const message: SlackMessage = {
      ts: nextTs(),
      channel: channel.id,
      channel_name: channel.name,
      text: body,
      thread_ts: text(args.thread_ts) || null,
      blocks,
      attachments,
    };
    messages.push(message);
    return {
      ok: true,
      channel: channel.id,
      ts: message.ts,
      message: {
        type: "message",
        subtype: "bot_message",
        user: BOT.user_id,
        bot_id: BOT.bot_id,
        app_id: BOT.app_id,
        team: TEAM.id,
        text: body,
        ts: message.ts,
        ...(message.thread_ts ? { thread_ts: message.thread_ts } : {}),
        ...(blocks ? { blocks } : {}),
        ...(attachments ? { attachments } : {}),
      },
    };
  }

  function listConversations(args: Arguments): Answer {
    const types = (text(args.types) || "public_channel").split(",").map((type) => type.trim());
    const limit = Number(args.limit ?? 100);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
      throw new SlackError("invalid_limit");
    }
    const found = [...channels.values()].filter((channel) =>
      types.includes(channel.is_private ? "private_channel" : "public_channel") &&
      (channel.is_member || !channel.is_private) &&
      !(text(args.exclude_archived) === "true" && channel.is_archived)
    );
    const start = readCursor(text(args.cursor));
    const next = start + limit < found.length ? writeCursor(start + limit) : "";
    return {
      ok: true,
      channels: found.slice(start, start + limit).map(describe),
      response_metadata: { next_cursor: next },
    };
  }

  function nextTs(): string {
    lastTs = Math.max(lastTs + 1, sandbox.clock.now() * 1000);
    return `${Math.floor(lastTs / 1e6)}.${String(lastTs % 1e6).padStart(6, "0")}`;
  }

  function addChannel(fixture: z.output<typeof SlackChannelFixture>): Channel {
    const id = `C0SANDBOX${channels.size + 1}`;
    const channel = { ...fixture, id, created: Math.floor(sandbox.clock.now() / 1000) };
    channels.set(id, channel);
    return channel;
  }

  function addFirstChannels(): void {
    for (const name of FIRST_CHANNELS) addChannel(SlackChannelFixture.parse({ name }));
  }

  const control = new Hono();
  control.get("/slack/messages", (c) => c.json({ messages }));
  control.post("/slack/channels", async (c) => {
    const channel = addChannel(SlackChannelFixture.parse(await c.req.json()));
    return c.json(describe(channel), 201);
  });

  return {
    name: "slack",
    app,
    control,
    refuse({ status, error, retryAfter }) {
      if (retryAfter !== undefined) {
        return Response.json({ ok: false, error: "ratelimited" }, {
          status: status ?? 429,
          headers: { "retry-after": String(retryAfter) },
        });
      }
      return Response.json(
        { ok: false, error: error ?? "internal_error" },
        { status: status ?? 200 },
      );
    },
    reset() {
      channels.clear();
      addFirstChannels();
      messages = [];
    },
  };
}

async function readArguments(c: Context): Promise<Arguments> {
  if (c.req.method === "GET") return c.req.query();
  if (isJson(c)) {
    const body: unknown = await c.req.json().catch(() => undefined);
    if (typeof body !== "object" || body === null || Array.isArray(body)) {
      throw new SlackError("invalid_json");
    }
    return body as Arguments;
  }
  return { ...c.req.query(), ...await c.req.parseBody() };
}

function isJson(c: Context): boolean {
  return (c.req.header("content-type") ?? "").startsWith("application/json");
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

/** `blocks` and `attachments` come as JSON, or as JSON text in a form. */
function list(value: unknown, error: string): unknown[] | null {
  if (value === undefined || value === null || value === "") return null;
  try {
    const parsed: unknown = typeof value === "string" ? JSON.parse(value) : value;
    if (Array.isArray(parsed)) return parsed;
  } catch {
    // Not JSON: refused below.
  }
  throw new SlackError(error);
}

function describe(channel: Channel) {
  return {
    id: channel.id,
    name: channel.name,
    name_normalized: channel.name,
    is_channel: !channel.is_private,
    is_group: channel.is_private,
    is_im: false,
    is_mpim: false,
    is_private: channel.is_private,
    is_archived: channel.is_archived,
    is_general: channel.name === "general",
    is_member: channel.is_member,
    created: channel.created,
    creator: BOT.user_id,
    num_members: 1,
  };
}

function writeCursor(start: number): string {
  return Buffer.from(`next:${start}`).toString("base64");
}

function readCursor(cursor: string): number {
  if (cursor === "") return 0;
  const match = /^next:(\d+)$/.exec(Buffer.from(cursor, "base64").toString());
  if (!match) throw new SlackError("invalid_cursor");
  return Number(match[1]);
}
