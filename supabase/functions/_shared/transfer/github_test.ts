import assert from "node:assert/strict";
import type { RateLimit } from "../provider_http.ts";
import { github } from "./github.ts";
import { carryOut, digest, runEvent, withSandbox } from "./testing.ts";

const GATEWAY = { url: "http://127.0.0.1:9/marketplace-execute", token: "job-token" };
const object = (ref: string) => ({ ref, content_type: "application/zip", size_bytes: null });

Deno.test("all artifacts of a run are listed, over several pages, each once", async () => {
  await withSandbox(async (sandbox) => {
    const artifacts = Array.from({ length: 120 }, (_, i) => ({ name: `part-${i}`, size: 200 }));
    const event = await sandbox.run(artifacts);
    const listed = await github.list(sandbox.github(), event);
    assert.deepEqual(
      listed.map(({ ref }) => ref).sort(),
      event.refs.sort(),
    );
    assert.equal(
      (await sandbox.journal({ provider: "github", path: "/repos/**/artifacts" })).length,
      2,
    );
  });
});

Deno.test("an artifact is described by what its download will be", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([{ name: "coverage", size: 5000 }, {
      name: "old",
      expired: true,
    }]);
    const listed = await github.list(sandbox.github(), event);
    const [coverage, old] = ["coverage", "old"].map((name) => listed.find((o) => o.name === name)!);
    assert.equal(coverage!.type, "zip");
    assert.equal(coverage!.size_bytes, 5000);
    assert.equal(coverage!.is_expired, false);
    assert.equal(old!.is_expired, true);
    const { status, bytes } = await carryOut(
      await github.ticket(sandbox.github(), event, object(coverage!.ref), GATEWAY),
    );
    assert.equal(status, 200);
    assert.equal(bytes.length, 5000);
    assert.equal(digest("sha256", bytes), coverage!.sha256);
  });
});

Deno.test("a name with an extension has that type; what arrives is told by the download", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([
      { name: "report.pdf" },
      { name: "notes.txt", files: { "notes.txt": "hello" }, archive: false },
    ]);
    const listed = await github.list(sandbox.github(), event);
    const zipped = listed.find((object) => object.name === "report.pdf")!;
    const plain = listed.find((object) => object.name === "notes.txt")!;
    assert.deepEqual([zipped.type, zipped.extension, zipped.content_type], [
      "pdf",
      "zip",
      "application/zip",
    ]);
    assert.deepEqual([plain.type, plain.extension], ["txt", "txt"]);
    assert.match(plain.content_type, /^text\/plain/);
  });
});

Deno.test("the token goes to GitHub only: the download needs none and gets none", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([{ name: "a" }]);
    const ticket = await github.ticket(sandbox.github(), event, object(event.refs[0]!), GATEWAY);
    assert.notEqual(new URL(ticket.url).origin, new URL(sandbox.running.url).origin);
    assert.ok(!JSON.stringify(ticket).includes("sandbox-github-token"));
  });
});

Deno.test("an expired artifact and one that is not there have no ticket", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([{ name: "old", expired: true }]);
    for (const ref of [event.refs[0]!, "1"]) {
      await assert.rejects(github.ticket(sandbox.github(), event, object(ref), GATEWAY), {
        code: "source_not_found",
        retryable: false,
      });
    }
  });
});

Deno.test("a refused token, a used-up limit and a failing server are told apart", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([{ name: "a" }]);
    await assert.rejects(
      github.list(sandbox.github({ credentials: { api_token: "wrong" } }), event),
      { code: "source_unauthorized", status: 502, retryable: false },
    );
    await sandbox.setGitHubRateLimit(0);
    await assert.rejects(github.list(sandbox.github(), event), (error: Error) => {
      const { code, status, retryAfterSeconds } = error as never as Record<string, number | string>;
      assert.deepEqual([code, status], ["source_rate_limited", 503]);
      assert.ok(Number(retryAfterSeconds) > 60);
      return true;
    });
    await sandbox.setGitHubRateLimit(5000);
    await sandbox.addFault({ provider: "github", status: 502, times: 10 });
    await assert.rejects(github.list(sandbox.github(), event), {
      code: "source_unavailable",
      retryable: true,
    });
  });
});

Deno.test("a short outage is bridged, and a Retry-After of a second is kept", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([{ name: "a" }]);
    await sandbox.addFault({ provider: "github", status: 503, times: 1 });
    await sandbox.addFault({ provider: "github", rate_limit: { retry_after: 1 } });
    const started = performance.now();
    assert.equal((await github.list(sandbox.github(), event)).length, 1);
    assert.ok(performance.now() - started >= 950);
  });
});

Deno.test("an integration without a token says how to give it one", async () => {
  await assert.rejects(
    github.list({
      id: crypto.randomUUID(),
      slug: "gh",
      provider: "github",
      base_url: "http://127.0.0.1:9",
      is_default: false,
      config: {},
      credentials: {},
    }, runEvent(1)),
    (error: Error) => {
      assert.equal((error as { code?: string }).code, "source_credentials_missing");
      return error.message.includes("marketplace.set_integration_secret('gh', 'api_token'");
    },
  );
});

Deno.test("the rate limit's headers are passed on", async () => {
  await withSandbox(async (sandbox) => {
    const event = await sandbox.run([{ name: "a" }]);
    const limits: RateLimit[] = [];
    await github.list(sandbox.github({ onRateLimit: (limit) => limits.push(limit) }), event);
    assert.equal(limits[0]!.limit, 5000);
    assert.equal(limits[0]!.remaining, 4999);
    assert.ok(limits[0]!.resets_at.getTime() > Date.now());
  });
});

Deno.test("placeholders come from the run; what it does not say is null", () => {
  const placeholders = github.placeholders(runEvent(7));
  assert.equal(placeholders.workflow, "CI");
  assert.equal(placeholders.branch, "feature/login");
  assert.equal(placeholders.run_id, "7");
  assert.equal(placeholders.short_sha, "009b8a3");
  assert.equal(placeholders.actor, null);
});

Deno.test("an event without a workflow run is refused, and so is a repository that is a path", () => {
  const event = { ...runEvent(1), event_type: "push", payload: { ref: "refs/heads/main" } };
  assert.throws(() => github.placeholders(event), { code: "event_unsupported", status: 422 });
  const evil = runEvent(1);
  (evil.payload as { repository: { full_name: string } }).repository.full_name = "a/../b";
  assert.throws(() => github.placeholders(evil), { code: "event_unsupported" });
});
