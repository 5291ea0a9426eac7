/**
 * Every provider of the catalogue: deliveries signed by the provider's own library where there is
 * one, else by node's crypto, through the app, with the row that the migrations insert.
 */
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import { sign as signGitHub, verify as verifyGitHub } from "@octokit/webhooks-methods";
import { EventWebhook } from "@sendgrid/eventwebhook";
import { shopifyApi } from "@shopify/shopify-api";
import "@shopify/shopify-api/adapters/node";
import { isValidSlackRequest } from "@slack/bolt";
import { verifyKey } from "discord-interactions";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, createHmac, generateKeyPairSync, sign as signWithKey } from "node:crypto";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";
import { resetEnv } from "../_shared/env.ts";
import { readCatalogue } from "../_shared/webhooks/testing.ts";
import { openProvider, type ProviderOptions, publicUrlOf, type SentDelivery } from "./testing.ts";

Deno.env.set("MARKETPLACE_LOG_LEVEL", "error");
resetEnv();

/** How one provider's deliveries are made, and what becomes of them. */
interface ProviderCase {
  provider: string;
  /** When a provider has several schemes or formats. */
  variant?: string;
  /** The secret as it is set, and another of the same form. */
  secrets: [string, string];
  /** Makes a delivery at a time (ms since 1970), signed with one of the secrets. */
  make: (secret: string, at: number) => SentDelivery | Promise<SentDelivery>;
  /** The header that proves it. */
  proof: string;
  /** Seconds after which it is refused; absent where the scheme signs no time. */
  window?: number;
  /** Whether the proof says nothing about the body. */
  isBearer?: boolean;
  /** What the provider's own library says of a delivery, now. */
  sdk?: (sent: SentDelivery, secret: string) => boolean | Promise<boolean>;
  settings?: ProviderOptions["settings"];
  /** Type, path, account, and delivery id of each event. */
  events: [type: string, path: string, account: string | null, dedupe: string | RegExp][];
  /** What the provider is answered; default: our JSON. */
  ack?: { status: number; text: string };
}

const hmac = (
  algorithm: string,
  key: string,
  message: string,
  encoding: "hex" | "base64" = "hex",
) => createHmac(algorithm, key).update(message).digest(encoding);

const seconds = (at: number) => String(Math.floor(at / 1_000));
const text = ({ body }: SentDelivery) => String(body);
const header = ({ headers }: SentDelivery, name: string) => headers?.[name] ?? "";

/** Whether a library accepts: some answer, others throw. */
async function accepts(verify: () => unknown): Promise<boolean> {
  try {
    return await verify() !== false;
  } catch {
    return false;
  }
}

/** A signature over the raw body and nothing else. */
function overBody(
  proof: string,
  { algorithm = "sha256", encoding = "hex", prefix = "" }: {
    algorithm?: string;
    encoding?: "hex" | "base64";
    prefix?: string;
  } = {},
) {
  return (body: unknown, headers: Record<string, string> = {}) => (secret: string) => {
    const raw = JSON.stringify(body);
    return {
      body: raw,
      headers: { ...headers, [proof]: prefix + hmac(algorithm, secret, raw, encoding) },
    };
  };
}

const WHSEC: [string, string] = [
  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
];

const SLACK_EVENT = {
  token: "z26uFbvR1xHJEdHE1OQiO6t8",
  team_id: "T123ABC456",
  type: "event_callback",
  event_id: "Ev123ABC456",
  event_time: 1355517523,
  event: {
    type: "message",
    channel: "C123ABC456",
    channel_type: "channel",
    text: "hi",
    ts: "1355517523.000005",
  },
};

function slack(body: string, contentType: string) {
  return (secret: string, at: number): SentDelivery => ({
    body,
    headers: {
      "content-type": contentType,
      "x-slack-request-timestamp": seconds(at),
      "x-slack-signature": `v0=${hmac("sha256", secret, `v0:${seconds(at)}:${body}`)}`,
    },
  });
}

const slackSdk = (sent: SentDelivery, signingSecret: string) =>
  isValidSlackRequest({
    signingSecret,
    body: text(sent),
    headers: {
      "x-slack-signature": header(sent, "x-slack-signature"),
      "x-slack-request-timestamp": Number(header(sent, "x-slack-request-timestamp")),
    },
  });

const shopify = (secret: string) =>
  shopifyApi({
    apiKey: "key",
    apiSecretKey: secret,
    hostName: "example.com",
    isEmbeddedApp: false,
    apiVersion: "2026-07",
    logger: { level: 0 },
    // deno-lint-ignore no-explicit-any
  } as any);

const stripe = new Stripe("sk_test_not_used");

const TWILIO_FORM = {
  AccountSid: "AC123",
  MessageSid: "SM123",
  MessageStatus: "delivered",
  To: "+14155551212",
  Body: "a & b = ü",
};

const GOOGLE_HEADERS = {
  "x-goog-channel-id": "4ba78bf0-6a47-11e2-bcfd-0800200c9a66",
  "x-goog-resource-id": "ret08u3rv24htgh289g",
  "x-goog-resource-state": "changed",
  "x-goog-message-number": "10",
};

const google = (resourceUri: string) => (secret: string): SentDelivery => ({
  headers: {
    ...GOOGLE_HEADERS,
    "x-goog-resource-uri": resourceUri,
    "x-goog-channel-token": secret,
  },
});

/** The same key pair in the spellings that providers use. */
function ed25519Keys() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  return { hex: raw.toString("hex"), base64: raw.toString("base64"), privateKey };
}

const DISCORD = [ed25519Keys(), ed25519Keys()] as const;
const STANDARD_1A = [ed25519Keys(), ed25519Keys()] as const;

const SENDGRID = [0, 1].map(() => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { spki: publicKey.export({ type: "spki", format: "der" }).toString("base64"), privateKey };
});

function sendgrid(secret: string, at: number): SentDelivery {
  const { privateKey } = SENDGRID.find(({ spki }) => spki === secret)!;
  const body = JSON.stringify([
    {
      email: "a@example.com",
      event: "delivered",
      sg_event_id: "ZGVs-1",
      sg_message_id: "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
      timestamp: 1513299569,
    },
    {
      email: "a@example.com",
      event: "open",
      sg_event_id: "b3Bl-2",
      sg_message_id: "14c5d75ce93.dfd",
      timestamp: 1513299570,
    },
  ]) + "\r\n";
  return {
    body,
    headers: {
      "x-twilio-email-event-webhook-timestamp": seconds(at),
      "x-twilio-email-event-webhook-signature": signWithKey(
        "sha256",
        Buffer.from(seconds(at) + body),
        privateKey,
      )
        .toString("base64"),
    },
  };
}

const ASANA_BODY = {
  events: [
    {
      action: "changed",
      resource: { gid: "1337", resource_type: "task" },
      parent: null,
      user: { gid: "1" },
      created_at: "2026-01-01T00:00:00.123Z",
    },
    {
      action: "added",
      resource: { gid: "99", resource_type: "story" },
      parent: { gid: "1337" },
      created_at: "2026-01-01T00:00:01.000Z",
    },
  ],
};

const CASES: ProviderCase[] = [
  {
    provider: "github",
    secrets: ["github-secret", "another-secret"],
    proof: "x-hub-signature-256",
    make: async (secret) => {
      const body = JSON.stringify({
        ref: "refs/heads/main",
        repository: { full_name: "octo/repo" },
      });
      return {
        body,
        headers: {
          "x-github-event": "push",
          "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
          "x-hub-signature-256": await signGitHub(secret, body),
        },
      };
    },
    sdk: (sent, secret) => verifyGitHub(secret, text(sent), header(sent, "x-hub-signature-256")),
    events: [["push", "refs/heads/main", "octo/repo", "72d3162e-cc78-11e3-81ab-4c9367dc0958"]],
  },
  {
    provider: "github",
    variant: "form",
    secrets: ["github-secret", "another-secret"],
    proof: "x-hub-signature-256",
    make: async (secret) => {
      const payload = JSON.stringify({ action: "published", release: { tag_name: "v1+2" } });
      const body = new URLSearchParams({ payload }).toString();
      return {
        body,
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          "x-github-event": "release",
          "x-github-delivery": "guid",
          "x-hub-signature-256": await signGitHub(secret, body),
        },
      };
    },
    events: [["release.published", "releases/v1+2", null, "guid"]],
  },
  {
    provider: "gitlab",
    variant: "signed",
    secrets: WHSEC,
    proof: "webhook-signature",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify({
        object_kind: "push",
        ref: "refs/heads/main",
        project: { path_with_namespace: "mike/diaspora" },
      });
      return {
        body,
        headers: {
          "webhook-id": "msg_1",
          "idempotency-key": "f5e5f430-f57b-4e6e-9fac-d9128cd7232f",
          "webhook-timestamp": seconds(at),
          "webhook-signature": new StandardWebhook(secret).sign("msg_1", new Date(at), body),
        },
      };
    },
    events: [["push", "refs/heads/main", "mike/diaspora", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f"]],
  },
  {
    provider: "gitlab",
    variant: "token",
    secrets: ["gitlab token", "another token"],
    proof: "x-gitlab-token",
    isBearer: true,
    make: (secret) => ({
      body: JSON.stringify({
        object_kind: "merge_request",
        object_attributes: { iid: 7, action: "open" },
        project: { path_with_namespace: "mike/diaspora" },
      }),
      headers: { "x-gitlab-token": secret, "idempotency-key": "f5e5f430" },
    }),
    events: [["merge_request.open", "merge_requests/7", "mike/diaspora", "f5e5f430"]],
  },
  {
    provider: "bitbucket",
    secrets: ["bitbucket", "other"],
    proof: "x-hub-signature",
    make: overBody("x-hub-signature", { prefix: "sha256=" })(
      {
        push: { changes: [{ new: { type: "tag", name: "v1" } }] },
        repository: { full_name: "team/repo" },
      },
      { "x-request-uuid": "1dbb4ee9", "x-event-key": "repo:push" },
    ),
    events: [["repo:push", "refs/tags/v1", "team/repo", "1dbb4ee9"]],
  },
  {
    provider: "jira",
    secrets: ["jira", "other"],
    proof: "x-hub-signature",
    make: overBody("x-hub-signature", { prefix: "sha256=" })(
      {
        timestamp: 1760000000000,
        webhookEvent: "jira:issue_updated",
        issue: { key: "ABC-1", fields: { project: { key: "ABC" } } },
      },
      { "x-atlassian-webhook-identifier": "de1a" },
    ),
    events: [["jira:issue_updated", "issues/ABC-1", "ABC", "de1a"]],
  },
  {
    provider: "slack",
    secrets: ["8f742231b10e8888abcd99yyyzzz85a5", "other"],
    proof: "x-slack-signature",
    window: 300,
    make: slack(JSON.stringify(SLACK_EVENT), "application/json"),
    sdk: slackSdk,
    events: [["message.channels", "channels/C123ABC456", "T123ABC456", "Ev123ABC456"]],
    ack: { status: 200, text: "" },
  },
  {
    provider: "slack",
    variant: "command",
    secrets: ["8f742231b10e8888abcd99yyyzzz85a5", "other"],
    proof: "x-slack-signature",
    window: 300,
    make: slack(
      "token=x&team_id=T1&channel_id=C1&command=%2Fdeploy&text=now+please&trigger_id=13345224609.738474920.8088930838",
      "application/x-www-form-urlencoded",
    ),
    sdk: slackSdk,
    events: [["command.deploy", "channels/C1", "T1", "13345224609.738474920.8088930838"]],
    ack: { status: 200, text: "" },
  },
  {
    provider: "slack",
    variant: "interaction",
    secrets: ["8f742231b10e8888abcd99yyyzzz85a5", "other"],
    proof: "x-slack-signature",
    window: 300,
    make: slack(
      new URLSearchParams({
        payload: JSON.stringify({
          type: "block_actions",
          token: "x",
          trigger_id: "1.2.a",
          team: { id: "T1" },
          channel: { id: "C9" },
        }),
      }).toString(),
      "application/x-www-form-urlencoded",
    ),
    events: [["interaction.block_actions", "channels/C9", "T1", "1.2.a"]],
    ack: { status: 200, text: "" },
  },
  ...([
    [
      "google_drive",
      "https://www.googleapis.com/drive/v3/changes?pageToken=1",
      "drive.change",
      "files/",
    ],
    [
      "google_docs",
      "https://www.googleapis.com/drive/v3/files/1AbC?alt=json",
      "docs.change",
      "files/1AbC",
    ],
    [
      "google_sheets",
      "https://www.googleapis.com/drive/v3/files/1AbC?alt=json",
      "sheets.change",
      "files/1AbC",
    ],
    [
      "google_calendar",
      "https://www.googleapis.com/calendar/v3/calendars/me%40example.com/events?alt=json",
      "calendar.change",
      "calendars/me@example.com/events/",
    ],
  ] as const).map(([provider, uri, type, path]): ProviderCase => ({
    provider,
    secrets: ["channel secret", "another secret"],
    proof: "x-goog-channel-token",
    isBearer: true,
    make: google(uri),
    events: [[
      type,
      path,
      GOOGLE_HEADERS["x-goog-channel-id"],
      "4ba78bf0-6a47-11e2-bcfd-0800200c9a66:10",
    ]],
  })),
  {
    provider: "aws_s3",
    variant: "EventBridge",
    secrets: ["api destination key", "other"],
    proof: "x-api-key",
    isBearer: true,
    make: (secret) => ({
      body: JSON.stringify({
        id: "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        source: "aws.s3",
        time: "2021-11-12T00:00:00Z",
        detail: {
          bucket: { name: "my-bucket" },
          object: { key: "a+b/c%20d.txt" },
          reason: "CompleteMultipartUpload",
        },
      }),
      headers: { "x-api-key": secret },
    }),
    events: [[
      "s3.ObjectCreated:CompleteMultipartUpload",
      "objects/a+b/c%20d.txt", // EventBridge does not encode keys
      "my-bucket",
      "17793124-05d4-b198-2fde-7ededc63b103",
    ]],
  },
  {
    provider: "shopify",
    secrets: ["hush", "other"],
    proof: "x-shopify-hmac-sha256",
    make: overBody("x-shopify-hmac-sha256", { encoding: "base64" })({
      id: 820982911946154508n.toString(),
      note: "é",
    }, {
      "x-shopify-topic": "orders/create",
      "x-shopify-webhook-id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
      "x-shopify-shop-domain": "my.myshopify.com",
      "x-shopify-api-version": "2026-01",
    }),
    sdk: async (sent, secret) => {
      const rawRequest = new Request("https://hooks.example.com/", {
        method: "POST",
        headers: sent.headers,
      });
      const { method, url } = rawRequest;
      const { valid } = await shopify(secret).webhooks.validate({
        rawBody: text(sent),
        rawRequest: { method, url, headers: sent.headers },
        rawResponse: {},
      });
      return valid;
    },
    events: [[
      "orders/create",
      "orders/820982911946154508",
      "my.myshopify.com",
      "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
    ]],
  },
  {
    provider: "stripe",
    secrets: ["whsec_stripe_literal", "whsec_other"],
    proof: "stripe-signature",
    window: 300,
    make: async (secret, at) => {
      const payload = JSON.stringify({
        id: "evt_1",
        object: "event",
        type: "invoice.paid",
        created: 1760000000,
        account: "acct_1",
        data: { object: { object: "invoice", id: "in_1" } },
      });
      const timestamp = Number(seconds(at));
      return {
        body: payload,
        headers: {
          "stripe-signature": await stripe.webhooks.generateTestHeaderStringAsync({
            payload,
            secret,
            timestamp,
          }),
        },
      };
    },
    sdk: (sent, secret) =>
      accepts(() =>
        stripe.webhooks.constructEventAsync(text(sent), header(sent, "stripe-signature"), secret)
      ),
    events: [["invoice.paid", "invoice/in_1", "acct_1", "evt_1"]],
  },
  {
    provider: "svix",
    secrets: WHSEC,
    proof: "svix-signature",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify({ type: "endpoint.disabled", data: { id: "ep_1" } });
      return {
        body,
        headers: {
          "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
          "svix-timestamp": seconds(at),
          "svix-signature": new SvixWebhook(secret).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            new Date(at),
            body,
          ),
        },
      };
    },
    sdk: (sent, secret) => accepts(() => new SvixWebhook(secret).verify(text(sent), sent.headers!)),
    events: [["endpoint.disabled", "endpoint/ep_1", null, "msg_p5jXN8AQM9LWM0D4loKWxJek"]],
  },
  {
    provider: "standard_webhooks",
    variant: "v1",
    secrets: WHSEC,
    proof: "webhook-signature",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify({
        type: "contact.created",
        timestamp: "2026-01-01T00:00:00Z",
        data: { id: "1" },
      });
      return {
        body,
        headers: {
          "webhook-id": "msg_1",
          "webhook-timestamp": seconds(at),
          "webhook-signature": new StandardWebhook(secret).sign("msg_1", new Date(at), body),
        },
      };
    },
    sdk: (sent, secret) =>
      accepts(() => new StandardWebhook(secret).verify(text(sent), sent.headers!)),
    events: [["contact.created", "contact/1", null, "msg_1"]],
  },
  {
    provider: "standard_webhooks",
    variant: "v1a",
    secrets: [`whpk_${STANDARD_1A[0].base64}`, `whpk_${STANDARD_1A[1].base64}`],
    proof: "webhook-signature",
    window: 300,
    make: (secret, at) => {
      const { privateKey } = STANDARD_1A.find(({ base64 }) => secret === `whpk_${base64}`)!;
      const body = JSON.stringify({ type: "contact.created", data: { id: "1" } });
      const signature = signWithKey(null, Buffer.from(`msg_1.${seconds(at)}.${body}`), privateKey);
      return {
        body,
        headers: {
          "webhook-id": "msg_1",
          "webhook-timestamp": seconds(at),
          "webhook-signature": `v1a,${signature.toString("base64")}`,
        },
      };
    },
    events: [["contact.created", "contact/1", null, "msg_1"]],
  },
  {
    provider: "linear",
    secrets: ["linear", "other"],
    proof: "linear-signature",
    window: 60,
    make: (secret, at) =>
      overBody("linear-signature")(
        {
          action: "create",
          type: "Issue",
          data: { id: "2174add1", identifier: "ENG-1" },
          organizationId: "org",
          webhookTimestamp: at,
        },
        { "linear-delivery": "234d1a4e-b617-4388-90fe-adc3633d6b72" },
      )(secret),
    sdk: (sent, secret) =>
      accepts(() =>
        new LinearWebhookClient(secret).verify(
          Buffer.from(text(sent)),
          header(sent, "linear-signature"),
          JSON.parse(text(sent)).webhookTimestamp,
        )
      ),
    events: [["Issue.create", "issue/ENG-1", "org", "234d1a4e-b617-4388-90fe-adc3633d6b72"]],
  },
  {
    provider: "notion",
    secrets: ["secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl", "secret_other_token_of_notion"],
    proof: "x-notion-signature",
    make: overBody("x-notion-signature", { prefix: "sha256=" })({
      id: "367cba44",
      timestamp: "2024-12-05T23:55:34.285Z",
      workspace_id: "13950b26",
      type: "page.created",
      entity: { id: "153104cd", type: "page" },
    }),
    events: [["page.created", "pages/153104cd", "13950b26", "367cba44"]],
  },
  {
    provider: "zoom",
    secrets: ["zoom", "other"],
    proof: "x-zm-signature",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify({
        event: "meeting.started",
        event_ts: 1626230691572,
        payload: { account_id: "acc", object: { id: "1234567890" } },
      });
      return {
        body,
        headers: {
          "x-zm-request-timestamp": seconds(at),
          "x-zm-signature": `v0=${hmac("sha256", secret, `v0:${seconds(at)}:${body}`)}`,
        },
      };
    },
    events: [["meeting.started", "meeting/1234567890", "acc", /^sha256:[0-9a-f]{64}$/]],
  },
  {
    provider: "discord",
    secrets: [DISCORD[0].hex, DISCORD[1].hex],
    proof: "x-signature-ed25519",
    window: 300,
    make: (secret, at) => {
      const { privateKey } = DISCORD.find(({ hex }) => hex === secret)!;
      const body = JSON.stringify({
        type: 2,
        id: "786008729715212338",
        token: "t",
        guild_id: "290926798626357999",
        channel_id: "645027906669510667",
      });
      return {
        body,
        headers: {
          "x-signature-timestamp": seconds(at),
          "x-signature-ed25519": signWithKey(null, Buffer.from(seconds(at) + body), privateKey)
            .toString("hex"),
        },
      };
    },
    sdk: (sent, secret) =>
      verifyKey(
        text(sent),
        header(sent, "x-signature-ed25519"),
        header(sent, "x-signature-timestamp"),
        secret,
      ),
    events: [[
      "interaction.application_command",
      "channels/645027906669510667",
      "290926798626357999",
      "786008729715212338",
    ]],
    ack: { status: 200, text: '{"type":5}' },
  },
  {
    provider: "twilio",
    variant: "form",
    secrets: ["12345", "other"],
    proof: "x-twilio-signature",
    make: (secret) => ({
      query: "?foo=1&bar=2",
      body: new URLSearchParams(TWILIO_FORM).toString(),
      headers: {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "i-twilio-idempotency-token": "4ab5-1",
        "x-twilio-signature": twilio.getExpectedTwilioSignature(
          secret,
          `${publicUrlOf("twilio")}?foo=1&bar=2`,
          TWILIO_FORM,
        ),
      },
    }),
    sdk: (sent, secret) =>
      twilio.validateRequest(
        secret,
        header(sent, "x-twilio-signature"),
        publicUrlOf("twilio") + sent.query,
        Object.fromEntries(new URLSearchParams(text(sent))),
      ),
    events: [["message.delivered", "messages/SM123", "AC123", "4ab5-1"]],
    ack: { status: 200, text: "<Response/>" },
  },
  {
    provider: "twilio",
    variant: "JSON",
    secrets: ["12345", "other"],
    proof: "x-twilio-signature",
    make: (secret) => {
      const body = JSON.stringify({
        EventType: "onMessageAdded",
        ConversationSid: "CH1",
        AccountSid: "AC1",
      });
      const query = `?bodySHA256=${createHash("sha256").update(body).digest("hex")}`;
      return {
        query,
        body,
        headers: {
          "content-type": "application/json",
          "i-twilio-idempotency-token": "4ab5-2",
          "x-twilio-signature": twilio.getExpectedTwilioSignature(
            secret,
            publicUrlOf("twilio") + query,
            {},
          ),
        },
      };
    },
    sdk: (sent, secret) =>
      twilio.validateRequestWithBody(
        secret,
        header(sent, "x-twilio-signature"),
        publicUrlOf("twilio") + sent.query,
        text(sent),
      ),
    events: [["onMessageAdded", "conversations/CH1", "AC1", "4ab5-2"]],
    ack: { status: 200, text: "<Response/>" },
  },
  {
    provider: "sendgrid",
    secrets: [SENDGRID[0]!.spki, SENDGRID[1]!.spki],
    proof: "x-twilio-email-event-webhook-signature",
    window: 86_400,
    make: sendgrid,
    sdk: (sent, secret) => {
      const webhook = new EventWebhook();
      return webhook.verifySignature(
        webhook.convertPublicKeyToECDSA(secret),
        text(sent),
        header(sent, "x-twilio-email-event-webhook-signature"),
        header(sent, "x-twilio-email-event-webhook-timestamp"),
      );
    },
    events: [
      ["delivered", "messages/14c5d75ce93", null, "ZGVs-1"],
      ["open", "messages/14c5d75ce93", null, "b3Bl-2"],
    ],
  },
  {
    provider: "hubspot",
    secrets: ["hubspot-secret", "other"],
    proof: "x-hubspot-signature-v3",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify([
        {
          eventId: 1,
          subscriptionId: 12345,
          portalId: 62515,
          occurredAt: 1760000000000,
          subscriptionType: "contact.creation",
          attemptNumber: 0,
          objectId: 123,
        },
        {
          eventId: 1,
          subscriptionId: 12346,
          portalId: 62515,
          occurredAt: 1760000000000,
          subscriptionType: "deal.creation",
          attemptNumber: 0,
          objectId: 9,
        },
      ]);
      return {
        query: "?a=b%3Ac%20d",
        body,
        headers: {
          "x-hubspot-request-timestamp": String(at),
          // Of the escapes in the URL, %3A is decoded before signing and %20 is not.
          "x-hubspot-signature-v3": hmac(
            "sha256",
            secret,
            `POST${publicUrlOf("hubspot")}?a=b:c%20d${body}${at}`,
            "base64",
          ),
        },
      };
    },
    events: [
      ["contact.creation", "contact/123", "62515", "62515:12345:1"],
      ["deal.creation", "deal/9", "62515", "62515:12346:1"],
    ],
  },
  {
    provider: "meta",
    secrets: ["app secret", "other"],
    proof: "x-hub-signature-256",
    make: async (secret) => {
      // Meta escapes everything beyond ASCII; the signature is over those very bytes.
      const body = String
        .raw`{"object":"page","entry":[{"id":"1","time":1760000000,"changes":[{"field":"feed","value":"\u00e9"}]},` +
        `{"id":"2","time":1760000000123,"messaging":[{"timestamp":1}]}]}`;
      return { body, headers: { "x-hub-signature-256": await signGitHub(secret, body) } };
    },
    events: [
      ["page.feed", "page/1", "1", /^sha256:[0-9a-f]{64}:0$/],
      ["page.messaging", "page/2", "2", /^sha256:[0-9a-f]{64}:1$/],
    ],
  },
  {
    provider: "typeform",
    secrets: ["typeform", "other"],
    proof: "typeform-signature",
    make: overBody("typeform-signature", { encoding: "base64", prefix: "sha256=" })({
      event_id: "LtWXD3crgy",
      event_type: "form_response",
      form_response: { form_id: "lT4Z3j", token: "a3a12ec6", submitted_at: "2026-01-18T18:17:02Z" },
    }),
    events: [["form_response", "forms/lT4Z3j/responses/a3a12ec6", "lT4Z3j", "LtWXD3crgy"]],
  },
  {
    provider: "calendly",
    secrets: ["calendly", "other"],
    proof: "calendly-webhook-signature",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify({
        event: "invitee.created",
        created_at: "2026-01-01T00:00:00.000000Z",
        created_by: "https://api.calendly.com/users/AAA",
        payload: { uri: "https://api.calendly.com/scheduled_events/EEE/invitees/III" },
      });
      return {
        body,
        headers: {
          "calendly-webhook-signature": `t=${seconds(at)},v1=${
            hmac("sha256", secret, `${seconds(at)}.${body}`)
          }`,
        },
      };
    },
    events: [[
      "invitee.created",
      "scheduled_events/EEE/invitees/III",
      "AAA",
      "invitee.created:III:2026-01-01T00:00:00.000000Z",
    ]],
  },
  {
    provider: "pagerduty",
    secrets: ["pagerduty", "other"],
    proof: "x-pagerduty-signature",
    make: overBody("x-pagerduty-signature", { prefix: `v1=${"0".repeat(64)},v1=` })({
      event: {
        id: "5ac64822",
        event_type: "incident.triggered",
        resource_type: "incident",
        occurred_at: "2026-01-01T00:00:00Z",
        data: { id: "PGR0VU2", service: { id: "PF9KMXH" } },
      },
    }),
    events: [["incident.triggered", "incidents/PGR0VU2", "PF9KMXH", "5ac64822"]],
  },
  {
    provider: "sentry",
    secrets: ["sentry", "other"],
    proof: "sentry-hook-signature",
    make: overBody("sentry-hook-signature")(
      {
        action: "created",
        data: { issue: { id: "1170820242" } },
        installation: { uuid: "a8e5d37a" },
      },
      {
        "request-id": "ed89ed",
        "sentry-hook-resource": "issue",
        "sentry-hook-timestamp": "1760000000",
      },
    ),
    events: [["issue.created", "issues/1170820242", "a8e5d37a", "ed89ed"]],
  },
  {
    provider: "intercom",
    secrets: ["intercom", "other"],
    proof: "x-hub-signature",
    make: overBody("x-hub-signature", { algorithm: "sha1", prefix: "sha1=" })({
      type: "notification_event",
      id: "notif_1",
      app_id: "a86dr8yl",
      topic: "conversation.user.created",
      data: { item: { type: "conversation", id: "21" } },
      created_at: 1760000000,
    }),
    events: [["conversation.user.created", "conversations/21", "a86dr8yl", "notif_1"]],
  },
  {
    provider: "dropbox",
    secrets: ["dropbox", "other"],
    proof: "x-dropbox-signature",
    make: overBody("x-dropbox-signature")({
      list_folder: { accounts: ["dbid:AAH4f99", "dbid:BBH4f99"] },
      delta: { users: [12345678, 23456789] },
    }),
    events: [
      ["files.changed", "files/", "dbid:AAH4f99", /^[0-9a-f-]{36}$/],
      ["files.changed", "files/", "dbid:BBH4f99", /^[0-9a-f-]{36}$/],
    ],
  },
  {
    provider: "asana",
    secrets: ["asana-hook-secret-1", "asana-hook-secret-2"],
    proof: "x-hook-signature",
    make: overBody("x-hook-signature")(ASANA_BODY),
    events: [
      ["task.changed", "task/1337", "1", /^sha256:[0-9a-f]{64}:0$/],
      ["story.added", "story/99", "1337", /^sha256:[0-9a-f]{64}:1$/],
    ],
  },
  {
    provider: "square",
    secrets: ["square-signature-key", "other"],
    proof: "x-square-hmacsha256-signature",
    make: (secret) => {
      const body = JSON.stringify({
        merchant_id: "6SSW7HV8K2ST5",
        type: "payment.created",
        event_id: "13b867cf",
        created_at: "2020-02-06T21:27:34.308Z",
        data: { type: "payment", id: "KkAk" },
      });
      return {
        body,
        headers: {
          "x-square-hmacsha256-signature": hmac(
            "sha256",
            secret,
            publicUrlOf("square") + body,
            "base64",
          ),
        },
      };
    },
    events: [["payment.created", "payment/KkAk", "6SSW7HV8K2ST5", "13b867cf"]],
  },
  {
    provider: "cloudflare",
    variant: "notification",
    secrets: ["cloudflare", "other"],
    proof: "cf-webhook-auth",
    isBearer: true,
    make: (secret) => ({
      body: JSON.stringify({
        alert_type: "load_balancing_health_alert",
        account_id: "acc",
        ts: 1760000000,
        text: "t",
      }),
      headers: { "cf-webhook-auth": secret },
    }),
    events: [[
      "load_balancing_health_alert",
      "alerts/load_balancing_health_alert",
      "acc",
      /^sha256:[0-9a-f]{64}$/,
    ]],
  },
  {
    provider: "cloudflare",
    variant: "Stream",
    secrets: ["cloudflare", "other"],
    proof: "webhook-signature",
    window: 300,
    make: (secret, at) => {
      const body = JSON.stringify({ uid: "6b9e68b0", creator: "c", status: { state: "ready" } });
      return {
        body,
        headers: {
          "webhook-signature": `time=${seconds(at)},sig1=${
            hmac("sha256", secret, `${seconds(at)}.${body}`)
          }`,
        },
      };
    },
    events: [["stream.ready", "videos/6b9e68b0", "c", /^sha256:[0-9a-f]{64}$/]],
  },
  {
    provider: "vercel",
    secrets: ["vercel", "other"],
    proof: "x-vercel-signature",
    make: overBody("x-vercel-signature", { algorithm: "sha1" })({
      id: "uev_1",
      type: "deployment.succeeded",
      createdAt: 1760000000000,
      payload: { team: { id: "team_1" }, deployment: { id: "dpl_1" } },
    }),
    events: [["deployment.succeeded", "deployments/dpl_1", "team_1", "uev_1"]],
  },
  {
    provider: "generic",
    variant: "HMAC",
    secrets: ["generic", "other"],
    proof: "x-signature-256",
    make: overBody("x-signature-256", { prefix: "sha256=" })({ type: "thing.made" }, {
      "x-delivery-id": "d-1",
    }),
    events: [["thing.made", "events/", null, "d-1"]],
  },
  {
    provider: "generic",
    variant: "bearer",
    secrets: ["generic", "other"],
    proof: "authorization",
    isBearer: true,
    make: (secret) => ({
      body: '{"event":"made"}',
      headers: { authorization: `bearer ${secret}`, "x-delivery-id": "d-2" },
    }),
    events: [["made", "events/", null, "d-2"]],
  },
  {
    provider: "generic",
    variant: "basic",
    secrets: ["user:password", "user:other"],
    proof: "authorization",
    isBearer: true,
    make: (secret) => ({
      body: "{}",
      headers: { authorization: `Basic ${btoa(secret)}`, "x-delivery-id": "d-3" },
    }),
    events: [["event", "events/", null, "d-3"]],
  },
];

for (const providerCase of CASES) {
  const { provider, variant, secrets: [secret, other], make, proof, settings } = providerCase;
  const name = variant ? `${provider} (${variant})` : provider;
  const now = Date.now();
  const open = (secrets: string[]) => openProvider(provider, { secrets, settings, now: () => now });

  Deno.test(`${name}: an authentic delivery is stored once and named`, async () => {
    const { send, rows } = await open([secret]);
    const sent = await make(secret, now);
    const first = await send(sent);
    assert.equal(first.status, providerCase.ack?.status ?? 200, first.text);
    assert.deepEqual(
      rows.map(({ eventType, resourcePath, account }) => [eventType, resourcePath, account]),
      providerCase.events.map(([type, path, account]) => [type, path, account]),
    );
    rows.forEach(({ dedupeKey, payload, headers }, index) => {
      const expected = providerCase.events[index]![3];
      if (typeof expected === "string") assert.equal(dedupeKey, expected);
      else assert.match(dedupeKey, expected);
      assert.equal(typeof JSON.parse(payload), "object");
      assert.ok(!headers.includes(sent.headers![proof]!), "the proof is not stored");
    });
    const again = await send(sent);
    assert.equal(again.status, first.status);
    if (providerCase.ack) {
      assert.equal(first.text, providerCase.ack.text);
      assert.equal(again.text, first.text);
    } else {
      assert.equal(JSON.parse(first.text).received, true);
    }
    const isUnique = provider !== "dropbox"; // says only that something changed, each time anew
    assert.equal(rows.length, providerCase.events.length * (isUnique ? 1 : 2));
  });

  Deno.test(`${name}: nothing but an authentic delivery is accepted`, async () => {
    const { send, rows } = await open([secret]);
    const sent = await make(secret, now);
    const refused = async (what: string, delivery: SentDelivery) => {
      const { status } = await send(delivery);
      assert.equal(status, 401, what);
    };
    if (!providerCase.isBearer) {
      await refused("tampered body", {
        ...sent,
        body: text(sent).replace(/[a-z](?=[^a-z]*$)/, "Z"),
      });
      await refused("longer body", { ...sent, body: `${text(sent)} ` });
    }
    await refused("wrong secret", await make(other, now));
    const { [proof]: signature, ...bare } = sent.headers!;
    await refused("missing header", { ...sent, headers: bare });
    await refused("empty header", { ...sent, headers: { ...bare, [proof]: "" } });
    await refused("short signature", {
      ...sent,
      headers: { ...bare, [proof]: signature!.slice(0, -4) },
    });
    await refused("garbage", { ...sent, headers: { ...bare, [proof]: "garbage" } });
    if (providerCase.window !== undefined) {
      await refused("stale", await make(secret, now - (providerCase.window + 2) * 1_000));
      await refused("future", await make(secret, now + 302_000));
    }
    assert.deepEqual(rows, []);
  });

  Deno.test(`${name}: secrets overlap while they rotate, and without one nothing is accepted`, async () => {
    const sent = await make(secret, now);
    assert.notEqual((await (await open([other, secret])).send(sent)).status, 401);
    assert.notEqual((await (await open([secret, other])).send(sent)).status, 401);
    assert.equal((await (await open([other])).send(sent)).status, 401);
    assert.equal((await (await open([])).send(sent)).status, 401);
  });

  const { sdk } = providerCase;
  if (sdk) {
    Deno.test(`${name}: the provider's own library agrees`, async () => {
      const sent = await make(secret, now);
      assert.equal(await sdk(sent, secret), true);
      assert.equal(await sdk({ ...sent, body: `${text(sent)} ` }, secret), false);
      assert.equal(await sdk(sent, other), false);
    });
  }
}

Deno.test("twilio: a signature over a URL alone proves no form", async () => {
  const { send } = await openProvider("twilio", { secrets: ["12345"] });
  const query = `?bodySHA256=${createHash("sha256").update("{}").digest("hex")}`;
  const signature = twilio.getExpectedTwilioSignature("12345", publicUrlOf("twilio") + query, {});
  for (const body of ["", "&", "&&"]) {
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "x-twilio-signature": signature,
    };
    assert.equal((await send({ query, body, headers })).status, 401);
  }
});

Deno.test("the signed URL is the configured one, whatever the sender's headers say", async () => {
  const { send } = await openProvider("square", { secrets: ["key"] });
  const body = '{"type":"x"}';
  const forged = createHmac("sha256", "key").update(`https://evil.example.com/${body}`).digest(
    "base64",
  );
  const headers = {
    host: "evil.example.com",
    "x-forwarded-host": "evil.example.com",
    "x-forwarded-proto": "https",
    "x-original-url": "https://evil.example.com/",
    "x-square-hmacsha256-signature": forged,
  };
  assert.equal((await send({ body, headers })).status, 401);
});

Deno.test("the README says of every provider of the catalogue what it needs, and of no other", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", import.meta.url));
  const table = readme.slice(readme.indexOf("## Providers"), readme.indexOf("Secrets go to Vault"));
  const named = table.split("\n").filter((line) => line.startsWith("| `"))
    .flatMap((line) =>
      [...line.split("|")[1]!.matchAll(/`([a-z0-9_]+)`/g)].map(([, slug]) => slug!)
    );
  assert.deepEqual(named.toSorted(), [...(await readCatalogue()).keys()].sort());
});

Deno.test("every provider of the catalogue is tried here or in a file of its own", async () => {
  const elsewhere = ["gmail", "paypal"];
  const tried = new Set([...CASES.map(({ provider }) => provider), ...elsewhere]);
  assert.deepEqual([...(await readCatalogue()).keys()].filter((slug) => !tried.has(slug)), []);
});
