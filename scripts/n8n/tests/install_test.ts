// apart: needs nothing of the running stack
/**
 * Installing n8n: waiting for one another, being interrupted, failing. Only the start of a download
 * happens here; that a whole one works is shown by every test that has an n8n (N8N_URL).
 */
import assert from "node:assert/strict";
import { findN8n, installN8n } from "../mod.ts";

async function withTools(test: (toolsDir: string) => Promise<void>): Promise<void> {
  const toolsDir = await Deno.makeTempDir({ prefix: "marketplace-tools-" });
  try {
    await test(toolsDir);
  } finally {
    await Deno.remove(toolsDir, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map((entry) => entry.name);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("an interrupted installation leaves none, and whoever waited for it goes on", () =>
  withTools(async (toolsDir) => {
    const [first, second] = [new AbortController(), new AbortController()];
    const lines: string[] = [];
    const one = installN8n({ toolsDir, signal: first.signal });
    while (!names(toolsDir).some((name) => name.endsWith(".incomplete"))) await sleep(20);
    const two = installN8n({ toolsDir, signal: second.signal, log: (line) => lines.push(line) });
    while (lines.length === 0) await sleep(20);
    assert.match(lines[0]!, /another process is installing it, waiting/);
    await sleep(1000);
    assert.equal(lines.length, 1, "it waits");

    first.abort(new Error("interrupted"));
    await assert.rejects(one, /interrupted/);
    while (lines.length === 1) await sleep(20);
    assert.match(lines[1]!, /installing into/);
    second.abort(new Error("interrupted too"));
    await assert.rejects(two, /interrupted too/);

    assert.deepEqual(names(toolsDir).filter((name) => !name.endsWith(".lock")), []);
    assert.equal(await findN8n(toolsDir), null);
  }));

Deno.test("what a killed installation left is no installation", () =>
  withTools(async (toolsDir) => {
    const abort = new AbortController();
    const broken = installN8n({ toolsDir, signal: abort.signal });
    while (!names(toolsDir).some((name) => name.endsWith(".incomplete"))) await sleep(20);
    const [left] = names(toolsDir).filter((name) => name.endsWith(".incomplete"));
    abort.abort(new Error("killed"));
    await assert.rejects(broken, /killed/);
    await Deno.mkdir(`${toolsDir}/${left}/node_modules`, { recursive: true });
    assert.equal(await findN8n(toolsDir), null);
  }));

Deno.test("a registry that cannot be reached is told with the remedy", () =>
  withTools(async (toolsDir) => {
    const env = {
      npm_config_registry: "http://127.0.0.1:9/",
      npm_config_fetch_retries: "0",
      npm_config_store_dir: `${toolsDir}/store`,
    };
    const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    try {
      await assert.rejects(installN8n({ toolsDir }), /could not be installed.*npm ping.*run/s);
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) Deno.env.delete(name);
        else Deno.env.set(name, value);
      }
    }
    assert.equal(await findN8n(toolsDir), null);
  }));
