import assert from "node:assert/strict";
import { destinationUrl, dispatchBody } from "./deliver.ts";
import type { ClaimedJob } from "./queue.ts";

const BASES = { n8n: "http://n8n.internal:5678", windmill: "https://windmill.example.com" };
const url = (kind: string, endpoint: string, bases: Partial<typeof BASES> = BASES) =>
  destinationUrl({ workflow_slug: "mirror", workflow_kind: kind, endpoint }, {
    n8n: bases.n8n,
    windmill: bases.windmill,
  });

Deno.test("an n8n endpoint is a webhook path below N8N_URL", () => {
  assert.equal(url("n8n", "github-mirror"), "http://n8n.internal:5678/webhook/github-mirror");
  assert.equal(url("n8n", "/a b/c?d"), "http://n8n.internal:5678/webhook/a%20b/c%3Fd");
});

Deno.test("a Windmill endpoint is a path of its API", () => {
  assert.equal(
    url("windmill", "w/main/jobs/run/p/f/mirror"),
    "https://windmill.example.com/api/w/main/jobs/run/p/f/mirror",
  );
});

Deno.test("an absolute endpoint is used as it stands, whatever the kind", () => {
  for (const kind of ["n8n", "windmill", "http"]) {
    assert.equal(url(kind, "https://example.com/x?y=1", {}), "https://example.com/x?y=1");
  }
});

Deno.test("a missing base URL is named; a relative http endpoint and no URL are refused", () => {
  assert.throws(() => url("n8n", "mirror", {}), /N8N_URL is not set/);
  assert.throws(() => url("n8n", "mirror", {}), { code: "n8n_url_missing", retryable: true });
  assert.throws(() => url("windmill", "x", {}), { code: "windmill_url_missing" });
  assert.throws(() => url("http", "mirror"), { code: "endpoint_invalid", retryable: false });
  assert.throws(() => url("http", "http://"), { code: "endpoint_invalid" });
});

const JOB: ClaimedJob = {
  job_id: "0198c7de-9a3c-7c11-8a5b-1f2e3d4c5b6a",
  lease_id: "6d9c4b1e-6a57-4a3e-9c51-50f4f0a0b0c1",
  attempt: 2,
  max_attempts: 3,
  lease_expires_at: new Date("2026-03-01T12:05:00Z"),
  token: "mpj_secret",
  workflow_slug: "mirror",
  workflow_kind: "n8n",
  endpoint: "mirror",
  timeout_ms: 1000,
  correlation_id: "5c1f2b9e-3f5e-4a39-8a4d-9f6c1c2a7e11",
  body: {
    job: { id: "ignored", replay_of: "another" },
    rule: { id: "r", name: "Mirror" },
    event: { type: "workflow_run.completed", occurred_at: "2026-03-01T12:00:00Z" },
    source: { integration: "github-actions", provider: "github" },
    destination: null,
  },
  allows_private_network: true,
  signing_secret: null,
  auth_token: null,
};

Deno.test("a dispatch carries the job with its token and URLs", () => {
  const body = JSON.parse(
    dispatchBody(
      JOB,
      { functionsUrl: "https://x.supabase.co/functions/v1" },
      new Date("2026-03-01T12:00:01Z"),
    ),
  );
  assert.equal(body.timestamp, "2026-03-01T12:00:01.000Z");
  assert.deepEqual(body.data.job, {
    id: JOB.job_id,
    replay_of: "another",
    attempt: 2,
    max_attempts: 3,
    lease_expires_at: "2026-03-01T12:05:00.000Z",
    correlation_id: JOB.correlation_id,
    token: "mpj_secret",
    url: `https://x.supabase.co/functions/v1/marketplace-jobs/${JOB.job_id}`,
  });
  assert.equal(body.data.execute_url, "https://x.supabase.co/functions/v1/marketplace-execute");
  assert.equal(body.data.destination, null);
});

Deno.test("one of our own events goes out as itself, without the token", () => {
  const text = dispatchBody(
    {
      ...JOB,
      body: {
        job: {},
        source: { integration: "marketplace-main", provider: "marketplace" },
        event: { type: "job.dead", occurred_at: "2026-03-01T12:00:00Z", payload: { job_id: "j" } },
      },
    },
    { functionsUrl: "https://x" },
    new Date(),
  );
  assert.deepEqual(JSON.parse(text), {
    type: "job.dead",
    timestamp: "2026-03-01T12:00:00Z",
    data: { job_id: "j" },
  });
});

Deno.test("a notice goes to its rule's or integration's channel, the default one's else to the environment's", () => {
  const channelOf = (channel: string | null, notifyChannel?: string, is_default = true) => {
    const notify = { integration: "slack", action: "chat.postMessage", channel, is_default };
    const job = { ...JOB, body: { ...JOB.body, notify } };
    const text = dispatchBody(job, { functionsUrl: "https://x", notifyChannel }, new Date());
    const told = JSON.parse(text).data.notify;
    assert.deepEqual(Object.keys(told).sort(), ["action", "channel", "integration"]);
    return told.channel;
  };
  assert.equal(channelOf("#own", "#everybody"), "#own");
  assert.equal(channelOf(null, "#everybody"), "#everybody");
  assert.equal(channelOf(null), null);
  assert.equal(channelOf("#own", "#everybody", false), "#own");
  assert.equal(channelOf(null, "#everybody", false), null);
  const text = dispatchBody(JOB, { functionsUrl: "https://x", notifyChannel: "#x" }, new Date());
  assert.equal("notify" in JSON.parse(text).data, false);
});
