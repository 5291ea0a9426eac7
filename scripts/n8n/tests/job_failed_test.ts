/**
 * job-failed, run by real n8n: what it reports of runs that crash, and of which runs it says nothing.
 *
 * Uses the running stack's n8n when N8N_URL and SUPABASE_DB_URL are set, else starts one.
 */
import assert from "node:assert/strict";
import { n8nUnderTest } from "./n8n_under_test.ts";
import { signedHeaders } from "./sign.ts";
import { type Run, standIn } from "./stand_in.ts";

Deno.test("job-failed", async (t) => {
  const n8n = await n8nUnderTest();
  const stub = standIn();

  /** Dispatches a run; resolves when it was reported and had time to be reported again. */
  async function dispatch(run: Run) {
    const job = stub.add(run);
    const body = JSON.stringify(job.dispatch);
    const response = await fetch(`${n8n.url}/webhook/github-artifacts-mirror`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...signedHeaders(n8n.signingSecret, job.id, body),
      },
      body,
    });
    await response.body?.cancel();
    assert.equal(response.status, 202);
    const deadline = Date.now() + 30_000;
    while (!job.calls.some((call) => call.path === "fail")) {
      assert.ok(Date.now() < deadline, `no fail after: ${job.calls.map(({ path }) => path)}`);
      await pause(50);
    }
    await pause(4000);
    const fails = job.calls.filter((call) => call.path === "fail");
    return { job, fails };
  }

  try {
    await t.step("a run that crashes outside its branches is reported once, at once", async () => {
      const { job, fails } = await dispatch({
        artifacts: [],
        answers: { plan: { artifacts: "no list" } },
      });
      assert.equal(fails.length, 1);
      assert.equal(fails[0]!.headers.get("authorization"), `Bearer ${job.token}`);
      assert.deepEqual(fails[0]!.body, {
        code: "workflow_crashed",
        message: "Check for artifacts to transfer: Wrong type: 'no plan' is a string but was " +
          "expecting a boolean [condition 0, item 0]",
        retryable: true,
      });
      const before = job.calls.at(-2)!;
      assert.equal(before.path, "plan", "the crash follows this call");
      assert.ok(fails[0]!.at - before.at < 10_000, `${fails[0]!.at - before.at} ms after it`);
      assert.ok(!(await Deno.readTextFile(n8n.logFile)).includes(job.token), "n8n logs no token");
    });

    await t.step("an answer that is no plan is reported, whatever it is instead", async () => {
      for (const plan of [[], {}, null]) {
        const { fails } = await dispatch({ artifacts: [], answers: { plan } });
        assert.equal(fails.length, 1, JSON.stringify(plan));
        assert.equal(fails[0]!.body.code, "workflow_crashed");
        assert.match(String(fails[0]!.body.message), /^Check for artifacts to transfer: /);
      }
    });

    await t.step("a run that failed in a branch of its own reports only itself", async () => {
      const { fails } = await dispatch({ artifacts: [], status: { plan: 422 } });
      assert.deepEqual(fails.map((call) => call.body.code), ["workflow_error"]);
    });
  } finally {
    await stub.stop();
    await n8n.stop();
  }
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
