/** Every sample, signed and then verified by what the webhook function verifies with. */
import assert from "node:assert/strict";
import { CertificateCache } from "../../../supabase/functions/_shared/webhooks/certificates.ts";
import { utf8 } from "../../../supabase/functions/_shared/webhooks/bytes.ts";
import { openDelivery, toEvents } from "../../../supabase/functions/_shared/webhooks/normalise.ts";
import { readCatalogue } from "../../../supabase/functions/_shared/webhooks/testing.ts";
import { verifyDelivery } from "../../../supabase/functions/_shared/webhooks/verify.ts";
import { composeDelivery, proveDelivery, readWebhookConfig } from "./delivery.ts";
import { sampleEvents } from "./providers.ts";
import { chooseScheme } from "./sign.ts";

const catalogue = await readCatalogue();
const SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "plain-secret", "user:password"];
const URL_SENT_TO = "https://hooks.example.com/functions/v1/marketplace-webhook/provider";

/** Those whose deliveries only they can sign: the integration holds a public key, or none. */
const UNSIGNABLE = ["discord", "gmail", "paypal", "sendgrid"];

Deno.test("the catalogue was found", () => assert.ok(catalogue.size > 25));

for (const { slug: provider, webhookConfig } of catalogue.values()) {
  if (UNSIGNABLE.includes(provider)) continue;
  Deno.test(`samples of ${provider} are accepted, and stored as the events they are named`, async () => {
    const config = readWebhookConfig(webhookConfig);
    const events = provider === "github"
      ? ["workflow_run.completed", "workflow_run", "push", "release.published", "issues.opened"]
      : await sampleEvents(provider);
    for (const event of events) {
      for (const secret of SECRETS) {
        const isStandardOnly = config.verify.every(({ family }) => family === "standard_webhooks");
        if (isStandardOnly && !secret.startsWith("whsec_")) continue;
        const delivery = await composeDelivery({ provider, event });
        const { signed } = await proveDelivery(delivery, config, { url: URL_SENT_TO, secret });
        const raw = utf8(signed.body);
        const request = {
          raw,
          headers: signed.headers,
          method: "POST",
          url: () => URL_SENT_TO,
          now: Date.now(),
        };
        const trust = {
          settings: {},
          certificates: new CertificateCache({ fetch, now: Date.now }),
        };
        assert.deepEqual(
          await verifyDelivery(config.verify, request, { ...trust, secrets: ["other", secret] }),
          { ok: true, secret },
        );
        const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        const verdict = await verifyDelivery(config.verify, request, {
          ...trust,
          secrets: [other],
        });
        assert.equal(verdict.ok, false);

        const opened = openDelivery(
          { raw, headers: signed.headers, query: new URLSearchParams() },
          config.body,
        );
        assert.ok(opened.ok);
        const [stored, ...more] = toEvents(opened, config);
        assert.equal(more.length, 0);
        const expected = event === "workflow_run" ? "workflow_run.completed" : event;
        assert.equal(stored!.eventType, expected);
        assert.notEqual(stored!.resourcePath, "");
      }
    }
  });
}

for (const provider of UNSIGNABLE) {
  Deno.test(`deliveries of ${provider} are left to ${provider}`, () => {
    const config = readWebhookConfig(catalogue.get(provider)!.webhookConfig);
    assert.equal(chooseScheme(config.verify, "secret"), undefined);
  });
}

Deno.test("two samples of one moment are two deliveries, not one and its duplicate", async () => {
  const now = new Date();
  for (const { slug: provider, webhookConfig } of catalogue.values()) {
    if (provider === "gmail") continue; // its data is only made by Google
    const config = readWebhookConfig(webhookConfig);
    const keyOf = async () => {
      const { body, headers } = await composeDelivery({ provider, now });
      const query = new URLSearchParams();
      const opened = openDelivery({ raw: utf8(body), headers, query }, config.body);
      assert.ok(opened.ok);
      return toEvents(opened, config)[0]!.dedupeKey;
    };
    assert.notEqual(await keyOf(), await keyOf(), provider);
  }
});

Deno.test("a sample that is not there names those that are", async () => {
  await assert.rejects(
    composeDelivery({ provider: "github", event: "release.exploded" }),
    /no sample of github release\.exploded.*release\.published/,
  );
});

Deno.test("a file is sent as it is, under the event's name", async () => {
  const body = '{"ref" : "refs/heads/main"}';
  const delivery = await composeDelivery({ provider: "github", event: "brand_new", body });
  assert.equal(delivery.body, body);
  assert.equal(delivery.headers.get("x-github-event"), "brand_new");
});
