/**
 * Workflows compared with and brought to a real n8n: the running stack's. It needs N8N_URL, and
 * leaves that n8n as it found it.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { readWorkflows } from "../../n8n/import.ts";
import { findN8n } from "../../n8n/mod.ts";
import { readSecrets, withApiKey } from "../../n8n/owner.ts";
import { signingSecret } from "../../platform/database.ts";
import { resolveLayout } from "../../platform/layout.ts";
import type { Release } from "../release.ts";
import { workflowsPart } from "../workflows.ts";

Deno.test("a published workflow is the same, an edited one is exchanged and then the same", async () => {
  const url = process.env.N8N_URL!;
  const { home, tools } = resolveLayout();
  const secret = await signingSecret(process.env.SUPABASE_DB_URL!);
  const secrets = await readSecrets(join(home, "n8n"), (await findN8n(tools))!);
  const committed = await readWorkflows();

  await withApiKey({ url, secrets }, async (apiKey) => {
    let release: Release | null = null;
    const part = (workflows = committed) =>
      workflowsPart({ url, apiKey }, {
        release,
        signingSecret: secret,
        readSigningSecret: () => Promise.resolve(secret),
        workflows,
      }, (credential) => {
        release = { target: "test", functions: {}, credential };
        return Promise.resolve();
      });
    const states = async (workflows = committed) =>
      (await part(workflows)).items.map((item) => item.state);
    const all = (state: string) => committed.map(() => state);

    assert.deepEqual(await states(), [...all("same"), "new"]);
    await (await part()).apply();
    assert.deepEqual(await states(), [...all("same"), "same"]);

    const edited = structuredClone(committed);
    edited[0]!.settings.executionTimeout = 77;
    const expected = [...all("same"), "same"];
    expected[0] = "changed";
    assert.deepEqual(await states(edited), expected);
    try {
      assert.deepEqual(await (await part(edited)).apply(), [
        `published ${edited[0]!.name}`,
        "gave n8n the signing key",
      ]);
      assert.deepEqual(await states(edited), [...all("same"), "same"]);
    } finally {
      await (await part()).apply();
    }
    assert.deepEqual(await states(), [...all("same"), "same"]);
    assert.deepEqual(
      (await part([{ ...committed[0]!, name: "unknown-workflow" }])).items[0]?.state,
      "new",
    );
  });
});
