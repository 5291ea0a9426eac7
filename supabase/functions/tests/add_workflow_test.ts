// apart: needs nothing of the running stack
/**
 * n8n/README.md, "Adding a workflow": its commands, as they stand there, in a copy of the checkout and
 * with an n8n of their own (not N8N_URL's, in which other tests expect what is committed).
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { lintWorkflow } from "../../../scripts/lint_workflows.ts";
import { REPOSITORY, resolveLayout } from "../../../scripts/platform/layout.ts";
import { findFreeBase, startStack } from "../../../scripts/platform/mod.ts";
import { resetHome } from "../../../scripts/platform/reset_home.ts";
import { SandboxClient } from "../../../scripts/sandbox/client.ts";
import { copyOfTheCheckout } from "./support_cli.ts";

/** The chapter's shell blocks, in order. */
async function commandsOf(heading: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(REPOSITORY, "n8n", "README.md"));
  const chapter = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))!;
  return Array.from(
    chapter.matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm),
    ([, block]) => block!.replace(/^ {3}/gm, ""),
  );
}

Deno.test("the template has no finding", async () => {
  const text = await Deno.readTextFile(join(REPOSITORY, "n8n/templates/my-workflow.json"));
  assert.deepEqual(lintWorkflow("my-workflow", text), []);
});

Deno.test("the walk-through ends with a message in Slack and a completed job", async () => {
  const [take, bring, rule, send, pull, ...more] = await commandsOf("Adding a workflow");
  assert.equal(more.length, 0);
  const checkout = await copyOfTheCheckout();
  const home = join(checkout, ".local");
  await Deno.mkdir(home);
  await Deno.chmod(checkout, 0o755);
  const place = { home, port: findFreeBase() };
  const stack = await startStack(place);
  const sql = postgres(stack.env.SUPABASE_DB_URL!, { max: 1, onnotice: () => {} });

  /** Runs a block as it stands, but with this Deno and without whatever names another stack. */
  const sh = async (block: string) => {
    const kept = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "MARKETPLACE_TOOLS"]
      .flatMap((name) => Deno.env.get(name) ? [[name, Deno.env.get(name)!]] : []);
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euo", "pipefail", "-c", `npx() { shift 2; ${Deno.execPath()} "$@"; }\n${block}`],
      cwd: checkout,
      clearEnv: true,
      env: { ...Object.fromEntries(kept), COLUMNS: "100" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.equal(code, 0, `${block}\n${text}${new TextDecoder().decode(stderr)}`);
    return text;
  };

  try {
    await sh(take!);
    assert.match(await sh(bring!), /Published announce-pushes/);
    await sh(rule!);

    const [sendIt, tail, trace] = send!.trim().split("\n");
    await sh(sendIt!);
    const job = async () =>
      (await sql<{ status: string; correlation_id: string; error_message: string | null }[]>`
        select status, correlation_id, error_message from marketplace.sync_jobs`)[0];
    for (const deadline = Date.now() + 60_000; (await job())?.status !== "completed";) {
      const { status, error_message } = (await job()) ?? {};
      const isLate = status === "dead" || Date.now() > deadline;
      assert.ok(!isLate, `the job is ${status}: ${error_message}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.match(await sh(tail!), /completed/);
    const { correlation_id } = (await job())!;
    assert.match(await sh(trace!.replace("<the correlation id>", correlation_id)), /completed/);
    const messages = await new SandboxClient(stack.env.SANDBOX_URL!).slackMessages();
    assert.equal(messages.length, 1);
    assert.match(messages[0]!.text, /^push: refs\//);

    await sh(pull!);
  } finally {
    await sql.end();
    await stack.stop();
    await resetHome(resolveLayout(place));
    await Deno.remove(checkout, { recursive: true });
  }
});
