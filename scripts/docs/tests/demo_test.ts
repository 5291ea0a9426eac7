// apart: needs nothing of the running stack
/** The first command that a reader tries. It brings n8n up as well: without N8N_URL it is left out. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { REPOSITORY } from "../../platform/layout.ts";
import { findFreeBase } from "../../platform/mod.ts";

Deno.test("deno task demo ends with copies that are identical to their sources", async () => {
  const home = await Deno.makeTempDir({ prefix: "marketplace-demo-" });
  await Deno.chmod(home, 0o755);
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", join(REPOSITORY, "scripts", "demo.ts"), "--json"],
      env: { MARKETPLACE_HOME: home, MARKETPLACE_PORT: String(findFreeBase()) },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    assert.equal(code, 0, decoder.decode(stderr));
    const outcome = JSON.parse(decoder.decode(stdout)) as {
      ok: boolean;
      copies: { identical?: boolean }[];
    };
    assert.equal(outcome.ok, true);
    assert.ok(outcome.copies.length > 0);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
