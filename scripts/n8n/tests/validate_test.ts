/** n8n's own validator behind the linter; it needs the installation that an n8n (N8N_URL) runs on. */
import assert from "node:assert/strict";
import { lintWorkflow, validateWithN8n } from "../../lint_workflows.ts";
import { defaultToolsDir, installN8n, readWorkflows, WORKFLOWS_DIR } from "../mod.ts";

const slug = "github-artifacts-mirror";
const sound = await Deno.readTextFile(`${WORKFLOWS_DIR}/${slug}.json`);

// deno-lint-ignore no-explicit-any -- faults are planted anywhere in it
type Plant = (workflow: any, nodes: Record<string, any>) => void;
const faults: [rule: string, what: string, plant: Plant][] = [
  ["parameter", "a value that is none of the choices", (_, n) => {
    n["Hash with MD5"].parameters.type = "MD6";
  }],
  ["parameter", "a parameter that the node does not have", (_, n) => {
    n["Hash with MD5"].parameters.algorithm = "MD5";
  }],
  ["parameter", "a parameter that the others hide", (_, n) => {
    n["Finish the run"].parameters.binaryPropertyName = "data";
  }],
  ["parameter", "a missing parameter", (_, n) => delete n["Download the artifact"].parameters.url],
  ["credential", "a missing credential", (_, n) => delete n["Compute the signature"].credentials],
  ["structure", "a position that is none", (_, n) => n["Finish the run"].position = [1]],
  ["structure", "a link to no node", (w) => {
    w.connections["Read the job"].main[0][0].node = "Nobody";
  }],
];

Deno.test("n8n's validator", async (t) => {
  const n8n = await installN8n({ toolsDir: defaultToolsDir(), log: console.error });
  const committed = await Promise.all(
    (await readWorkflows()).map(async ({ name, file }) => ({
      slug: name,
      text: await Deno.readTextFile(`${WORKFLOWS_DIR}/${file}`),
    })),
  );
  const faulty = faults.map(([, what, plant]) => {
    const workflow = JSON.parse(sound);
    // deno-lint-ignore no-explicit-any -- see Plant
    plant(workflow, Object.fromEntries(workflow.nodes.map((each: any) => [each.name, each])));
    return { slug: what, text: JSON.stringify(workflow) };
  });
  // All at once: n8n takes some seconds to come up.
  const findings = await validateWithN8n(n8n, [...committed, ...faulty]);
  const rulesOf = (
    slug: string,
  ) => [...new Set(findings.filter(({ file }) => file === `${slug}.json`).map(({ rule }) => rule))];
  await t.step("finds nothing in the committed workflows", () => {
    for (const { slug, text } of committed) {
      assert.deepEqual(lintWorkflow(slug, text), []);
      assert.deepEqual(rulesOf(slug), []);
    }
  });
  for (const [rule, what] of faults) {
    await t.step(`finds ${what} (${rule})`, () => assert.deepEqual(rulesOf(what), [rule]));
  }
  await t.step("and says of each in which file", () => {
    const files = new Set(faulty.map(({ slug }) => `${slug}.json`));
    assert.deepEqual(findings.filter(({ file }) => !files.has(file)), []);
  });
});
