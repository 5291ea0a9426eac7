/** Signatures that others published or made, each against the catalogue's row. */
import assert from "node:assert/strict";
import { utf8 } from "./bytes.ts";
import { CertificateCache } from "./certificates.ts";
import { WebhookConfig } from "./config.ts";
import { readCatalogue } from "./testing.ts";
import { verifyDelivery } from "./verify.ts";

interface Vector {
  provider: string;
  source: string;
  secret: string;
  body: string;
  headers: Record<string, string>;
  url?: string;
  /** Seconds since 1970. */
  at?: number;
}

const VECTORS: Vector[] = [
  {
    provider: "github",
    source: "GitHub's documentation",
    secret: "It's a Secret to Everybody",
    body: "Hello, World!",
    headers: {
      "x-hub-signature-256":
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    },
  },
  {
    provider: "standard_webhooks",
    source: "the Standard Webhooks libraries' tests",
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    body: '{"test": 2432232314}',
    headers: {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    at: 1614265330,
  },
  {
    provider: "sendgrid",
    source: "the tests of @sendgrid/eventwebhook",
    secret:
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
    body:
      '[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n',
    headers: {
      "x-twilio-email-event-webhook-timestamp": "1600112502",
      "x-twilio-email-event-webhook-signature":
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
    },
    at: 1600112502,
  },
  {
    provider: "twilio",
    source: "Twilio's documentation",
    secret: "12345",
    url: "https://mycompany.com/myapp.php?foo=1&bar=2",
    body:
      "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "x-twilio-signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
    },
  },
  {
    provider: "hubspot",
    source: "Signature.getSignature of @hubspot/api-client 14.0.1",
    secret: "hubspot-secret",
    url: "https://hooks.example.com/functions/v1/marketplace-webhook/hubspot/crm?x=a:b%20c",
    body:
      '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1700000000000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123}]',
    headers: {
      "x-hubspot-request-timestamp": "1700000000000",
      "x-hubspot-signature-v3": "j0xPsY7fyjt4/+X0P0E3f0Ri5TQsG8S5IBWZ0vmVj5c=",
    },
    at: 1700000000,
  },
  {
    provider: "square",
    source: "WebhooksHelper.verifySignature of square 46.0.0",
    secret: "square-signature-key",
    url: "https://hooks.example.com/functions/v1/marketplace-webhook/square/shop",
    body:
      '{"merchant_id":"6SSW7HV8K2ST5","type":"payment.created","event_id":"13b867cf-db3d-4b1c-90b6-2f32a9d78124","created_at":"2020-02-06T21:27:34.308Z","data":{"type":"payment","id":"KkAkhdMsgzn59SM8A89WgKwekxLZY"}}',
    headers: { "x-square-hmacsha256-signature": "vepfnoO9dqnZlmUiBJkAwziYIWlHvPshQxSafuafGvs=" },
  },
];

for (const { provider, source, secret, body, headers, url, at } of VECTORS) {
  Deno.test(`${provider}: the vector of ${source} is accepted, and nothing close to it`, async () => {
    const config = WebhookConfig.parse((await readCatalogue()).get(provider)!.webhookConfig);
    const verdict = async (changes: { body?: string; secret?: string; url?: string }) => {
      const delivery = {
        raw: utf8(changes.body ?? body),
        headers: new Headers(headers),
        method: "POST",
        url: () => changes.url ?? url ?? "https://example.com/",
        now: (at ?? 0) * 1_000,
      };
      const trust = {
        secrets: [changes.secret ?? secret],
        settings: {},
        certificates: new CertificateCache(),
      };
      return (await verifyDelivery(config.verify, delivery, trust)).ok;
    };
    assert.equal(await verdict({}), true);
    assert.equal(await verdict({ body: `${body} ` }), false);
    assert.equal(await verdict({ secret: `${secret.slice(0, -2)}AA` }), false);
    if (url) assert.equal(await verdict({ url: url.replace("https", "http") }), false);
  });
}
