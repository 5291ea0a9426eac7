import assert from "node:assert/strict";
import { z } from "zod";
import { WebhookConfig } from "./config.ts";
import { readCatalogue } from "./testing.ts";

const PROVIDERS = [
  "asana",
  "aws_s3",
  "bitbucket",
  "calendly",
  "cloudflare",
  "discord",
  "dropbox",
  "generic",
  "github",
  "gitlab",
  "gmail",
  "google_calendar",
  "google_docs",
  "google_drive",
  "google_sheets",
  "hubspot",
  "intercom",
  "jira",
  "linear",
  "meta",
  "notion",
  "pagerduty",
  "paypal",
  "sendgrid",
  "sentry",
  "shopify",
  "slack",
  "square",
  "standard_webhooks",
  "stripe",
  "svix",
  "twilio",
  "typeform",
  "vercel",
  "zoom",
];

Deno.test("the catalogue holds every provider, and every row is understood", async () => {
  const catalogue = await readCatalogue();
  assert.deepEqual([...catalogue.keys()].sort(), PROVIDERS);
  for (const { slug, webhookConfig } of catalogue.values()) {
    const parsed = WebhookConfig.safeParse(webhookConfig);
    assert.ok(parsed.success, `${slug}: ${parsed.error && z.prettifyError(parsed.error)}`);
    const known = ["verify", "require", "body", "event", "handshakes", "ack"].concat(
      "watch_channel",
      "watch_account",
    );
    assert.deepEqual(Object.keys(webhookConfig).filter((key) => !known.includes(key)), [], slug);
  }
});

Deno.test("typing errors in a row are found", () => {
  const valid = {
    verify: { family: "hmac", algorithm: "sha256", encoding: "hex", header: "x-sig" },
    event: { type: "{body:/type}" },
  };
  assert.ok(WebhookConfig.safeParse(valid).success);
  const faults = [
    { ...valid, verify: [] },
    { ...valid, verify: undefined },
    { ...valid, verify: { ...valid.verify, family: "none" } },
    { ...valid, verify: { ...valid.verify, header: "X-Sig" } },
    { ...valid, verify: { ...valid.verify, algorithm: "md5" } },
    { ...valid, verify: { ...valid.verify, toleranec: 1 } },
    { ...valid, event: {} },
    { ...valid, event: { type: "{bdoy:/type}" } },
    { ...valid, event: { type: "{body:/type|uper}" } },
    { ...valid, event: { type: [{ if: { "body:/x": "y" } }] } },
    { ...valid, body: { items: ["no-pointer"] } },
    { ...valid, handshakes: [{ kind: "unknown" }] },
    { ...valid, public_url: "not a url" },
  ];
  for (const fault of faults) {
    assert.ok(!WebhookConfig.safeParse(fault).success, JSON.stringify(fault));
  }
});
