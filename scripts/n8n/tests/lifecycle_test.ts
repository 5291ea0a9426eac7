// apart: needs nothing of the running stack
/**
 * Starting, filling, killing and ending n8n, on a Postgres and ports of its own.
 *
 * Nothing here uses the stack behind N8N_URL; tests that need an n8n are told by that name.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { commandLine, isPortFree, sleep } from "../../platform/processes.ts";
import { readWorkflows, signingKeyText, startN8n, WORKFLOWS_DIR } from "../mod.ts";
import { newSigningSecret, ownPostgres } from "./n8n_under_test.ts";
import { signedHeaders } from "./sign.ts";
import { standIn } from "./stand_in.ts";

Deno.test("n8n starts, restarts and ends without leaving anything behind", async (t) => {
  const place = await ownPostgres();
  const { home, port, brokerPort } = place.n8nOptions;
  const secret = newSigningSecret();
  const workflowsDir = join(home, "workflows");
  await Deno.mkdir(workflowsDir);
  for (const file of ["github-artifacts-mirror.json", "job-failed.json"]) {
    await Deno.copyFile(join(WORKFLOWS_DIR, file), join(workflowsDir, file));
  }

  const start = async (more: Partial<Parameters<typeof startN8n>[0]> = {}) => {
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const options = { ...place.n8nOptions, workflowsDir, signingSecret: secret, log, ...more };
    return { n8n: await startN8n(options), lines };
  };
  /** Nothing that this test started runs any more. */
  const assertGone = async (...pids: number[]) => {
    // What was killed last takes a moment to go.
    for (const pid of pids) {
      for (let looks = 0; looks < 50 && await commandLine(pid) !== null; looks++) await sleep(100);
      assert.equal(await commandLine(pid), null);
    }
    assert.ok(isPortFree(port) && isPortFree(brokerPort));
    assert.equal(await exists(join(home, "n8n", "n8n.pid")), false);
  };
  const post = (path: string) =>
    fetch(`http://127.0.0.1:${port}/webhook/${path}`, { method: "POST", body: "{}" })
      .then(async (response) => ({ status: response.status, text: await response.text() }));

  try {
    await t.step("the first start publishes the workflows and stop leaves nothing", async () => {
      const { n8n, lines } = await start();
      assert.match(lines.join("\n"), /published github-artifacts-mirror/);
      assert.equal((await post("github-artifacts-mirror")).status, 401);
      const { pid } = n8n;
      await n8n.stop();
      await assertGone(pid);
      await n8n.stop();
    });

    await t.step("a warm start imports nothing; kill and restart bring webhooks back", async () => {
      let exits = 0;
      const { n8n, lines } = await start({ onExit: () => exits++ });
      assert.doesNotMatch(lines.join("\n"), /published/);
      const first = n8n.pid;
      await n8n.kill();
      await assertGone(first);
      assert.equal(exits, 0, "a wanted end is not reported");
      await n8n.restart();
      assert.equal((await post("github-artifacts-mirror")).status, 401);

      Deno.kill(n8n.pid, "SIGKILL");
      while (exits === 0) await sleep(20);
      await assertGone();

      const restarting = n8n.restart();
      await sleep(200);
      await n8n.stop();
      await assert.rejects(restarting, /stopped while|ended while/);
      await assertGone();
    });

    await t.step("a run that n8n's end cut short is reported by the next start", async () => {
      const { n8n } = await start();
      const stub = standIn();
      try {
        const job = stub.add({ artifacts: [], silent: ["plan"] });
        const body = JSON.stringify(job.dispatch);
        const response = await fetch(`${n8n.url}/webhook/github-artifacts-mirror`, {
          method: "POST",
          headers: { "content-type": "application/json", ...signedHeaders(secret, job.id, body) },
          body,
        });
        assert.equal(response.status, 202);
        await response.body?.cancel();
        while (job.calls.length === 0) await sleep(20);
        await sleep(1000); // n8n's own log of what runs is written behind
        await n8n.kill();
        await n8n.restart();
        for (let waited = 0; job.calls.length < 2 && waited < 30_000; waited += 100) {
          await sleep(100);
        }
        const { path, body: report } = job.calls[1] ?? {};
        assert.deepEqual([path, report?.code], ["fail", "workflow_crashed"]);
        assert.match(String(report?.message), /^Fetch and plan .*did not finish/);
      } finally {
        await stub.stop();
        await n8n.stop();
      }
    });

    await t.step("a port in use is named, with the remedy", async () => {
      using _taken = Deno.listen({ hostname: "127.0.0.1", port });
      await assert.rejects(start(), new RegExp(`${port}.*(taken|in use).*MARKETPLACE_PORT`, "s"));
    });

    await t.step("aborting a start leaves nothing", async () => {
      const abort = new AbortController();
      const starting = start({ signal: abort.signal });
      let pid = 0;
      while (!(pid > 0)) {
        await sleep(20);
        pid = Number(await Deno.readTextFile(join(home, "n8n", "n8n.pid")).catch(() => ""));
      }
      await sleep(500);
      abort.abort(new Error("no longer wanted"));
      await assert.rejects(starting, /no longer wanted/);
      await assertGone(pid);
    });

    await t.step("an n8n whose supervisor was killed is ended by the next start", async () => {
      const supervisor = new Deno.Command(Deno.execPath(), {
        args: ["eval", SUPERVISOR, JSON.stringify({ ...place.n8nOptions, signingSecret: secret })],
        stdout: "piped",
      }).spawn();
      const reader = supervisor.stdout.getReader();
      const orphan = Number(new TextDecoder().decode((await reader.read()).value));
      supervisor.kill("SIGKILL");
      await supervisor.status;
      await reader.cancel();
      assert.ok(await commandLine(orphan), "n8n survives its supervisor");

      const { n8n } = await start();
      assert.equal(await commandLine(orphan), null);
      assert.equal((await post("github-artifacts-mirror")).status, 401);
      await n8n.stop();
      await assertGone(orphan);
    });

    await t.step("a workflow with a Code node runs; its task runner ends with n8n", async () => {
      await Deno.writeTextFile(join(workflowsDir, "answer-with-code.json"), WITH_CODE);
      const { n8n, lines } = await start();
      assert.match(lines.join("\n"), /published answer-with-code, github-artifacts-mirror/);
      const answer = await post("answer-with-code");
      assert.deepEqual([answer.status, JSON.parse(answer.text)], [200, { sum: 42 }]);
      const runners = await children(n8n.pid);
      assert.ok(runners.length > 0, "n8n has a task runner");
      const { pid } = n8n;
      await n8n.stop();
      await assertGone(pid, ...runners);
    });

    await t.step("state without its database, and a database without its state, heal", async () => {
      await Deno.remove(join(home, "n8n"), { recursive: true });
      const { n8n, lines } = await start();
      assert.match(lines.join("\n"), /published/);
      assert.equal((await post("github-artifacts-mirror")).status, 401);
      await n8n.stop();
    });

    await t.step("secrets are the owner's to read, and none is in the log", async () => {
      const file = join(home, "n8n", "secrets.json");
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
      const secrets = Object.entries<string>(JSON.parse(await Deno.readTextFile(file)));
      const log = await Deno.readTextFile(place.logFile);
      assert.ok(log.includes("n8n ready on"));
      const all = [...secrets, ["signing secret", secret], ["key", signingKeyText(secret)]];
      for (const [name, value] of all) assert.ok(!log.includes(value!), `${name} is in the log`);
    });
  } finally {
    await place.stop();
  }
});

Deno.test("every committed workflow is read", async () => {
  const names = (await readWorkflows()).map((each) => each.name);
  assert.ok(names.includes("github-artifacts-mirror"));
});

const SUPERVISOR = `
  const { startN8n } = await import(${JSON.stringify(new URL("../mod.ts", import.meta.url).href)});
  const n8n = await startN8n(JSON.parse(Deno.args[0]));
  console.log(n8n.pid);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
`;

const WITH_CODE = JSON.stringify({
  name: "answer-with-code",
  nodes: [
    {
      name: "Receive",
      type: "n8n-nodes-base.webhook",
      typeVersion: 2.1,
      position: [0, 0],
      webhookId: "answer-with-code",
      parameters: { path: "answer-with-code", httpMethod: "POST", responseMode: "lastNode" },
    },
    {
      name: "Compute",
      type: "n8n-nodes-base.code",
      typeVersion: 2,
      position: [200, 0],
      parameters: { jsCode: "return [{ json: { sum: 40 + 2 } }];" },
    },
  ],
  connections: { Receive: { main: [[{ node: "Compute", type: "main", index: 0 }]] } },
  settings: { executionOrder: "v1" },
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Pids of the processes that a process started. */
async function children(pid: number): Promise<number[]> {
  const text = Deno.build.os === "linux"
    ? await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)
    : new TextDecoder().decode(
      (await new Deno.Command("pgrep", { args: ["-P", String(pid)] }).output()).stdout,
    );
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}
