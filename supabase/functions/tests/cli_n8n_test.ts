/**
 * `mp n8n` and what `doctor` says of n8n, against the running stack's n8n (N8N_URL), which is left as
 * it was found. Files are written in a copy of the checkout.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stripWorkflow } from "../../../scripts/lint_workflows.ts";
import { importWorkflows, readWorkflows, type WorkflowFile } from "../../../scripts/n8n/import.ts";
import { findN8n } from "../../../scripts/n8n/mod.ts";
import { readSecrets, withApiKey } from "../../../scripts/n8n/owner.ts";
import { signingSecret } from "../../../scripts/platform/database.ts";
import { resolveLayout } from "../../../scripts/platform/layout.ts";
import { copyOfTheCheckout, type Examined, plant, run } from "./support_cli.ts";

const MIRROR = "github-artifacts-mirror";

/** What this test does to n8n beside the import. */
const SCOPES = [
  ...["credential:list", "credential:update", "workflow:activate", "workflow:create"],
  ...["workflow:deactivate", "workflow:delete", "workflow:list", "workflow:update"],
];

Deno.test("n8n and the files are compared and brought together", async (t) => {
  const url = Deno.env.get("N8N_URL")!;
  const dbUrl = Deno.env.get("SUPABASE_DB_URL")!;
  const { home, tools } = resolveLayout();
  const secrets = await readSecrets(join(home, "n8n"), (await findN8n(tools))!);
  const committed = await readWorkflows();
  const secret = await signingSecret(dbUrl);
  const checkout = await copyOfTheCheckout();

  /** Runs with `--json`, in the copy of the checkout; fails unless it ends with the code. */
  async function mp<T>(args: string[], code = 0): Promise<T> {
    const env = { MARKETPLACE_HOME: home };
    const ran = await run([...args, "--json"], { env, checkout });
    assert.equal(ran.code, code, `mp ${args.join(" ")}: ${ran.error}${ran.out}`);
    return JSON.parse(ran.out) as T;
  }
  type Row = { workflow: string; state: string; nodes: string[] };
  const diff = async (code = 0) =>
    Object.fromEntries((await mp<Row[]>(["n8n", "diff"], code)).map((row) => [row.workflow, row]));
  const push = async (...args: string[]) =>
    (await mp<{ workflows: string[] }>(["n8n", "push", ...args])).workflows;
  const pull = async (...args: string[]) =>
    (await mp<{ files: string[] }>(["n8n", "pull", ...args])).files;
  const fileOf = (name: string) => join(checkout, "n8n", "workflows", `${name}.json`);
  const doctor = (code: number) => mp<Examined>(["doctor"], code);

  await withApiKey({ url, secrets, scopes: SCOPES }, async (apiKey) => {
    const bring = (workflow: WorkflowFile) =>
      importWorkflows({ url, apiKey, signingSecret: secret, workflows: [workflow] });
    const api = async (method: string, path: string) => {
      for (const deadline = Date.now() + 20_000;;) {
        const response = await fetch(`${url}/api/v1/${path}`, {
          method,
          headers: { "x-n8n-api-key": apiKey },
        });
        const text = await response.text();
        if (response.ok) return JSON.parse(text);
        // n8n unpublishes in the background, and deletes only what is unpublished.
        const isEarly = response.status === 409 && Date.now() < deadline;
        assert.ok(isEarly, `${method} ${path}: ${response.status} ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    const idOf = async (name: string): Promise<string> =>
      (await api("GET", `workflows?name=${name}`)).data[0].id;
    const unpublish = async (name: string) =>
      await api("POST", `workflows/${await idOf(name)}/deactivate`);
    const remove = async (name: string) => {
      await unpublish(name);
      await api("DELETE", `workflows/${await idOf(name)}`);
    };

    try {
      await t.step("without a difference nothing is written, here or there", async () => {
        const rows = Object.values(await diff());
        assert.deepEqual(rows.map(({ state }) => state), committed.map(() => "same"));
        assert.deepEqual(await push(), []);
        assert.deepEqual(await pull(), []);
      });

      const edited = structuredClone(committed.find(({ name }) => name === MIRROR)!);
      const node = (edited.nodes as (typeof edited.nodes[number] & { name: string })[])
        .find(({ name }) => name === "Announce the result")!;
      (node.parameters.options as { timeout: number }).timeout = 29_000;

      await t.step("an edit in n8n is named by its node, by doctor too", async () => {
        await plant([{
          check: "n8n_workflows",
          subject: new RegExp(`^${MIRROR}$`),
          message: /another one in n8n than in n8n\/workflows/,
          remedy: /mp n8n diff/,
          plant: () => bring(edited),
          undo: () => Promise.resolve(),
        }], doctor);
        const row = (await diff(1))[MIRROR]!;
        assert.deepEqual([row.state, row.nodes], ["different", ["Announce the result"]]);
      });

      await t.step("pull writes the edit in the committed form", async () => {
        const before = await Deno.readTextFile(fileOf(MIRROR));
        assert.deepEqual(await pull("--dry-run"), [`n8n/workflows/${MIRROR}.json`]);
        assert.equal(await Deno.readTextFile(fileOf(MIRROR)), before);
        assert.deepEqual(await pull(MIRROR), [`n8n/workflows/${MIRROR}.json`]);
        const expected = stripWorkflow(
          MIRROR,
          edited as unknown as Parameters<typeof stripWorkflow>[1],
        );
        assert.equal(await Deno.readTextFile(fileOf(MIRROR)), expected);
        await diff(0);
        await Deno.writeTextFile(fileOf(MIRROR), before);
      });

      await t.step("push brings the file back, and says so before", async () => {
        assert.deepEqual(await push("--dry-run"), [MIRROR]);
        await diff(1);
        assert.deepEqual(await push(MIRROR), [MIRROR]);
        await diff(0);
      });

      await t.step("a workflow that is not published is named, and published by push", async () => {
        await plant([{
          check: "n8n_workflows",
          subject: new RegExp(`^${MIRROR}$`),
          message: /is in n8n, but not published/,
          remedy: /mp n8n push/,
          plant: () => unpublish(MIRROR),
          undo: () => Promise.resolve(),
        }], doctor);
        assert.equal((await diff(1))[MIRROR]!.state, "not published");
        assert.deepEqual(await push(), [MIRROR]);
        await diff(0);
      });

      await t.step(
        "a workflow of n8n's own is pulled by its name, and pushed when it is gone",
        async () => {
          const name = "tidy-up";
          await bring({ ...committed.find(({ name }) => name === "job-failed")!, name });
          try {
            assert.equal((await diff(0))[name]!.state, "only in n8n");
            assert.deepEqual(await pull(name), [`n8n/workflows/${name}.json`]);
            assert.equal((await diff(0))[name]!.state, "same");
            await remove(name);
            assert.equal((await diff(1))[name]!.state, "missing");
            assert.deepEqual(await push(), [name]);
            assert.equal((await diff(0))[name]!.state, "same");
          } finally {
            await remove(name);
            await Deno.remove(fileOf(name));
          }
          await diff(0);
        },
      );
    } finally {
      await bring(committed.find(({ name }) => name === MIRROR)!);
    }
  });

  await t.step("a name that nobody has, and an n8n without a key, are wrong usage", async () => {
    const env = { MARKETPLACE_HOME: home };
    for (const command of ["push", "pull"]) {
      const { code, error } = await run(["n8n", command, "nobody"], { env });
      assert.equal(code, 2);
      assert.match(error, new RegExp(`no workflow nobody: .*${MIRROR}`));
    }
    const elsewhere = await run(["--db-url", dbUrl, "n8n", "diff"], { env: { N8N_URL: url } });
    assert.equal(elsewhere.code, 2);
    assert.match(elsewhere.error, /N8N_API_KEY is not set/);
  });

  await t.step("doctor names an n8n that does not answer", async () => {
    const silent = "http://127.0.0.1:1";
    await plant([{
      check: "n8n_reachable",
      subject: /^n8n$/,
      message: /http:\/\/127\.0\.0\.1:1 cannot be reached/,
      remedy: /N8N_URL/,
      plant: () => Promise.resolve(),
      undo: () => Promise.resolve(),
    }], async (code) => {
      const ran = await run(["--db-url", dbUrl, "doctor", "--json"], { env: { N8N_URL: silent } });
      assert.equal(ran.code, code, ran.error);
      return JSON.parse(ran.out);
    });
  });
  await Deno.remove(checkout, { recursive: true });
});
