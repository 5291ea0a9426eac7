/**
 * github-artifacts-mirror, run by real n8n: what it calls, in which order, with which bytes.
 *
 * Uses the running stack's n8n when N8N_URL and SUPABASE_DB_URL are set, else starts one.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { n8nUnderTest } from "./n8n_under_test.ts";
import { signedHeaders } from "./sign.ts";
import { type Call, type Fixture, type Run, standIn } from "./stand_in.ts";

Deno.test("github-artifacts-mirror", async (t) => {
  const n8n = await n8nUnderTest();
  const stub = standIn();
  const endpoint = `${n8n.url}/webhook/github-artifacts-mirror`;

  const sign = (id: string, body: string, options: { secret?: string; at?: Date } = {}) =>
    signedHeaders(options.secret ?? n8n.signingSecret, id, body, options.at);
  async function post(body: string, headers: Record<string, string>): Promise<number> {
    const response = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    await response.body?.cancel();
    return response.status;
  }
  /** Dispatches a run and waits until the workflow has made its last call. */
  async function dispatch(run: Run, last = "complete"): Promise<Call[]> {
    const job = stub.add(run);
    const body = JSON.stringify(job.dispatch);
    assert.equal(await post(body, sign(job.id, body)), 202);
    const deadline = Date.now() + 60_000;
    while (!job.calls.some((call) => call.path === last)) {
      assert.ok(Date.now() < deadline, `no ${last} after: ${paths(job.calls)}`);
      await pause(50);
    }
    await pause(300);
    return job.calls;
  }

  try {
    await t.step("a signed dispatch is accepted and every artifact is mirrored", async () => {
      const artifacts = [
        artifact("coverage.zip", { kind: "google_drive" }),
        artifact('Bericht "Q3" – ünïcode 日本.pdf', { contentType: "application/pdf" }),
        artifact("o'reilly \\ back`tick {{ 7*7 }} $&.json", { kind: "google_drive" }),
        artifact("empty", { bytes: new Uint8Array() }),
      ];
      const calls = await dispatch({
        artifacts,
        skipped: [{ name: "logs", reason: "pattern" }],
        notify: true,
      });
      const each = (index: number, kind: string) => [
        "tickets",
        `source/${index}`,
        "heartbeat",
        `${kind}/${index}`,
        "artifacts",
      ];
      assert.deepEqual(calls.map((call) => call.path), [
        "plan",
        ...each(0, "drive"),
        ...each(1, "s3"),
        ...each(2, "drive"),
        ...each(3, "s3"),
        "execute",
        "complete",
      ]);
      const uploads = calls.filter((call) => /^(s3|drive)\//.test(call.path));
      const reports = calls.filter((call) => call.path === "artifacts");
      artifacts.forEach(({ bytes }, index) => {
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        assert.equal(uploads[index]!.sha256, sha256);
        assert.equal(uploads[index]!.headers.get("content-length"), String(bytes.length));
        assert.deepEqual(reports[index]!.body, {
          artifact_id: `artifact-${index}`,
          status: "uploaded",
          size_bytes: bytes.length,
          sha256,
          md5: createHash("md5").update(bytes).digest("hex"),
        });
      });
      assert.equal(uploads[1]!.headers.get("content-type"), "application/pdf");
      assert.deepEqual(calls.at(-1)!.body, { summary: { completed: 4, failed: 0, skipped: 1 } });
      const message = calls.at(-2)!.body as {
        integration: string;
        action: string;
        parameters: { channel: string; text: string };
      };
      assert.equal(message.integration, "slack");
      assert.equal(message.action, "chat.postMessage");
      assert.equal(message.parameters.channel, "#ci-artifacts");
      assert.equal(
        message.parameters.text,
        [
          '*Rule "A" &lt;b&gt; &amp; ünïcode*: 4 mirrored, 1 skipped (refs/heads/main)',
          "• <https://drive.example/artifact-0|coverage.zip>",
          '• <https://drive.example/artifact-1|Bericht "Q3" – ünïcode 日本.pdf>',
          "• <https://drive.example/artifact-2|o'reilly \\ back`tick {{ 7*7 }} $&amp;.json>",
          "• <https://drive.example/artifact-3|empty>",
        ].join("\n"),
      );
    });

    await t.step("no bearer token leaves for the source or a destination", async () => {
      const calls = await dispatch({ artifacts: [artifact("a")] });
      const foreign = calls.filter((call) => /^(s3|source)\//.test(call.path));
      assert.equal(foreign.length, 2);
      for (const call of foreign) assert.equal(call.headers.get("authorization"), null);
    });

    const refused: [string, (body: string, id: string) => Record<string, string>][] = [
      ["an unsigned dispatch", () => ({})],
      ["another secret's signature", (body, id) => sign(id, body, { secret: otherSecret })],
      ["a signature of another body", (body, id) => sign(id, body + " ")],
      ["a signature 301 seconds old", (body, id) => sign(id, body, { at: ago(301) })],
      ["a signature six minutes ahead", (body, id) => sign(id, body, { at: ago(-360) })],
      ["a signature without its version", (body, id) => {
        const headers = sign(id, body);
        return { ...headers, "webhook-signature": headers["webhook-signature"].slice(3) };
      }],
      ["a dispatch without an id", (body, id) => {
        const { "webhook-id": _, ...headers } = sign(id, body);
        return headers;
      }],
      ["a dispatch without a timestamp", (body, id) => {
        const { "webhook-timestamp": _, ...headers } = sign(id, body);
        return headers;
      }],
    ];
    for (const [what, headers] of refused) {
      await t.step(`${what} is refused and nothing is called`, async () => {
        const job = stub.add({ artifacts: [artifact("a")] });
        const body = JSON.stringify(job.dispatch);
        assert.equal(await post(body, headers(body, job.id)), 401);
        await pause(300);
        assert.equal(paths(job.calls), "");
      });
    }
    await t.step("an empty body is refused", async () => {
      assert.equal(await post("", {}), 401);
    });
    await t.step(
      "a signed body that is no job is answered as an error, not as started",
      async () => {
        assert.equal(await post("", sign("id", "")), 500);
        assert.equal(await post('{"data":', sign("id", '{"data":')), 422);
      },
    );
    await t.step("one good signature among several is enough, as during rotation", async () => {
      const job = stub.add({ artifacts: [] });
      const body = JSON.stringify(job.dispatch);
      const headers = sign(job.id, body);
      const old = sign(job.id, body, { secret: otherSecret });
      headers["webhook-signature"] = `${old["webhook-signature"]} ${headers["webhook-signature"]}`;
      assert.equal(await post(body, headers), 202);
    });

    await t.step("a run without artifacts is completed at once", async () => {
      const calls = await dispatch({ artifacts: [], notify: true });
      assert.equal(paths(calls), "plan complete");
      assert.deepEqual(calls[1]!.body, { summary: { completed: 0, failed: 0, skipped: 0 } });
    });

    await t.step("an upload that fails once is tried again", async () => {
      const flaky = artifact("a", { fail: { on: "upload", status: 503, times: 1 } });
      const calls = await dispatch({ artifacts: [flaky] });
      assert.equal(paths(calls), "plan tickets source/0 heartbeat s3/0 s3/0 artifacts complete");
      const uploads = calls.filter((call) => call.path === "s3/0");
      assert.equal(uploads[1]!.sha256, createHash("sha256").update(flaky.bytes).digest("hex"));
    });

    const broken: [string, Fixture["fail"], string, RegExp][] = [
      ["ticket", { on: "ticket", status: 422, times: 9 }, "ticket_refused", /422/],
      ["download", { on: "source", status: 410, times: 9 }, "download_failed", /410/],
      ["upload", { on: "upload", status: 403, times: 9 }, "upload_failed", /403/],
    ];
    for (const [what, fail, code, message] of broken) {
      await t.step(`a failing ${what} fails that artifact only`, async () => {
        const calls = await dispatch({
          artifacts: [artifact("first"), artifact("second", { fail }), artifact("third")],
          notify: true,
        });
        const reports = calls.filter((call) => call.path === "artifacts").map((call) => call.body);
        assert.deepEqual(reports.map((report) => [report.artifact_id, report.status]), [
          ["artifact-0", "uploaded"],
          ["artifact-1", "failed"],
          ["artifact-2", "uploaded"],
        ]);
        assert.equal(reports[1]!.error_code, code);
        assert.match(String(reports[1]!.error_message), message);
        assert.doesNotMatch(String(reports[1]!.error_message), /secret|job-token/);
        assert.equal(
          reports[2]!.sha256,
          calls.find((call) => call.path === "s3/2")!.sha256,
        );
        assert.deepEqual(calls.at(-1)!.body, { summary: { completed: 2, failed: 1, skipped: 0 } });
        assert.ok(
          !calls.some((call) => call.path === "execute"),
          "a retry follows: no message yet",
        );
      });
    }
    await t.step("a destination of an unknown kind fails that artifact only", async () => {
      const calls = await dispatch({
        artifacts: [artifact("a", { kind: "ftp" }), artifact("b")],
      });
      const reports = calls.filter((call) => call.path === "artifacts").map((call) => call.body);
      assert.deepEqual(reports.map((report) => report.status), ["failed", "uploaded"]);
      assert.equal(reports[0]!.error_code, "destination_unknown");
    });

    await t.step("a failing notification does not fail the sync", async () => {
      const run = { artifacts: [artifact("a")], notify: true, status: { execute: 500 } };
      const calls = await dispatch(run);
      assert.match(paths(calls), /artifacts execute complete$/);
      assert.equal(
        calls.find((call) => call.path === "execute")!.headers.get("idempotency-key")?.endsWith(
          ":notify",
        ),
        true,
      );
    });

    for (const path of ["plan", "heartbeat", "artifacts", "complete"]) {
      await t.step(`a broken ${path} is reported as a failed run`, async () => {
        const run = { artifacts: [artifact("a")], notify: true, status: { [path]: 500 } };
        const calls = await dispatch(run, "fail");
        assert.equal(calls.filter((call) => call.path === path).length, 3, "tried three times");
        assert.equal(calls.filter((call) => call.path === "fail").length, 1);
        const { code, message, retryable } = calls.at(-1)!.body;
        assert.equal(code, "workflow_error");
        assert.equal(retryable, true);
        assert.match(String(message), /500/);
        assert.doesNotMatch(String(message), /secret|job-token/);
      });
    }
  } finally {
    await stub.stop();
    await n8n.stop();
  }
});

const otherSecret = `whsec_${btoa("another secret of 32 characters!")}`;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const paths = (calls: Call[]) => calls.map((call) => call.path).join(" ");
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000);

function artifact(name: string, options: Partial<Fixture> = {}): Fixture {
  return { name, bytes: new Uint8Array(randomBytes(70_000)), kind: "s3", ...options };
}
