// What the README says of adding a provider, done as it is printed there.
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const README = new URL("../README.md", import.meta.url);
const GOLDEN = new URL("../_shared/gateway/golden/octo.json", import.meta.url);
const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** The section's code, in the order of the page. */
async function readBlocks(): Promise<{ language: string; code: string }[]> {
  const text = await Deno.readTextFile(README);
  const section = text.split(/^## /m).find((part) => part.startsWith("A provider in ten minutes"));
  assert.ok(section, "the section is there");
  return [...section.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  }));
}

async function shell(code: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euo", "pipefail", "-c", code],
    cwd: REPOSITORY,
    // The very Deno that runs this, wherever it stands.
    env: { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, `${code}\n${text}`);
  return text;
}

Deno.test("a provider is added, checked, pinned and called as the README says", async () => {
  const blocks = await readBlocks();
  assert.deepEqual(blocks.map(({ language }) => language), ["sql", "sh", "json", "sh", "sh"]);
  const said: string[] = [];
  try {
    for (const { language, code } of blocks) {
      if (language === "sql") await sql.unsafe(code);
      else if (language === "json") await Deno.writeTextFile(GOLDEN, code);
      else said.push(await shell(code));
    }
    const [checked, pinned, called] = said;
    assert.match(checked!, /1 providers, 2 actions, 0 faults/);
    assert.match(pinned!, /octo/);
    assert.doesNotMatch(pinned!, /FAILED/);
    assert.match(called!, /"ok":true,"status":200,"result":\{"login"/);
    const [row] = await sql`
      select x.outcome, q.name, q.limit_count
      from marketplace.integrations as i
      join marketplace.execution_logs as x on x.integration_id = i.id and x.action = 'users.me'
      join marketplace.api_quotas as q on q.integration_id = i.id
      where i.slug = 'octo'
    `;
    // Logged, and the limit that the provider told is known from the first call on.
    assert.deepEqual([row!.outcome, Number(row!.limit_count) > 0], ["succeeded", true]);
  } finally {
    await Deno.remove(GOLDEN).catch(() => {});
    await sql`delete from marketplace.integrations where slug = 'octo'`;
    await sql`delete from marketplace.providers where slug = 'octo'`;
  }
});
