import assert from "node:assert/strict";
import { lintErrorWorkflows, lintWorkflow, stripWorkflow } from "./lint_workflows.ts";
import { readWorkflows, WORKFLOWS_DIR } from "./n8n/import.ts";

const SLUG = "copy-files";
const sticky = {
  name: "Explain the workflow",
  type: "n8n-nodes-base.stickyNote",
  typeVersion: 1,
  position: [0, -200],
  parameters: { content: "**Purpose** p **Input** i **Failure** f" },
};
const options = { timeout: 30_000, redirect: { redirect: { followRedirects: false } } };

/** A small workflow without a fault: webhook → HMAC → job → request (with an error output) → end. */
// deno-lint-ignore no-explicit-any -- faults are planted anywhere in it
const sound = (): any => ({
  id: SLUG,
  name: SLUG,
  nodes: [
    sticky,
    node("Receive the dispatch", "webhook", 2.1, { path: SLUG, httpMethod: "POST" }),
    {
      ...node("Compute the signature", "crypto", 2, { action: "hmac" }),
      credentials: { crypto: { id: null, name: "Marketplace dispatch signing key" } },
    },
    node("Read the job", "set", 3.5, { mode: "raw" }),
    {
      ...node("Copy the file", "httpRequest", 4.5, { url: "={{ $json.url }}", options }),
      onError: "continueErrorOutput",
      retryOnFail: true,
      maxTries: 3,
      waitBetweenTries: 1000,
    },
    node("Finish the run", "noOp", 1, {}),
    node("Stop with the error", "stopAndError", 1, { errorMessage: "failed" }),
  ],
  connections: {
    "Receive the dispatch": { main: [[to("Compute the signature")]] },
    "Compute the signature": { main: [[to("Read the job")]] },
    "Read the job": { main: [[to("Copy the file")]] },
    "Copy the file": { main: [[to("Finish the run")], [to("Stop with the error")]] },
  },
  settings: { errorWorkflow: "job-failed", executionOrder: "v1", executionTimeout: 600 },
});

function node(name: string, type: string, typeVersion: number, parameters: object) {
  return { name, type: `n8n-nodes-base.${type}`, typeVersion, position: [0, 0], parameters };
}
function to(name: string) {
  return { node: name, type: "main", index: 0 };
}
const rulesOf = (text: string) => [
  ...new Set(lintWorkflow(SLUG, text).map((finding) => finding.rule)),
];
const committed = () => stripWorkflow(SLUG, sound());

Deno.test("a sound workflow has no finding", () => {
  assert.deepEqual(lintWorkflow(SLUG, committed()), []);
});

// deno-lint-ignore no-explicit-any -- see sound()
type Plant = (workflow: any, nodes: Record<string, any>) => void;
const request = "Copy the file";
const faults: [rule: string, what: string, plant: Plant][] = [
  ["url", "a URL", (_, n) => n[request].parameters.url = "https://x.test/y"],
  ["url", "a host name", (_, n) => n[request].parameters.url = "={{ 'api.github.com' }}"],
  ["url", "an address", (_, n) => n[request].parameters.url = "={{ '10.0.0.1' }}"],
  ["email", "an e-mail address", (_, n) => n[request].notes = "ask ann@example.test"],
  ["secret", "a token", (_, n) => n[request].parameters.body = "ghp_abcdefgh"],
  ["secret", "a written bearer", (_, n) => n[request].parameters.body = "Bearer abc"],
  ["secret", "a hex key", (_, n) => n[request].parameters.body = "deadbeef".repeat(4)],
  ["id", "a UUID", (_, n) => n[request].notes = "019a0b1c-0000-7000-8000-000000000000"],
  ["id", "an id of n8n's", (_, n) => n[request].notes = "874yhhOKio5aEXrH"],
  ["tenant", "a channel", (_, n) => n[request].parameters.body = "#ci-artifacts"],
  ["version", "another typeVersion", (_, n) => n[request].typeVersion = 4.2],
  ["version", "no typeVersion", (_, n) => delete n[request].typeVersion],
  ["type", "an unknown type", (_, n) => n[request].type = "n8n-nodes-base.slack"],
  ["name", "a name that is no verb phrase", (w, n) => rename(w, n[request], "HTTP Request")],
  ["name", "a name of one word", (w, n) => rename(w, n[request], "Copy")],
  ["name", "a name twice", (_, n) => n["Stop with the error"].name = "Finish the run"],
  ["sticky", "no sticky note", (w) => w.nodes.shift()],
  ["sticky", "two sticky notes", (w) => w.nodes.push({ ...sticky, name: "Explain it again" })],
  ["sticky", "an unexplained failure path", (w) => {
    w.nodes[0] = { ...sticky, parameters: { content: "**Purpose** p **Input** i" } };
  }],
  ["timeout", "a request without timeout", (_, n) => delete n[request].parameters.options.timeout],
  ["timeout", "a timeout too long", (_, n) => n[request].parameters.options.timeout = 900_000],
  ["timeout", "a run without timeout", (w) => delete w.settings.executionTimeout],
  ["redirect", "redirects", (_, n) => delete n[request].parameters.options.redirect],
  ["retry", "unbounded tries", (_, n) => delete n[request].maxTries],
  ["retry", "too many tries", (_, n) => n[request].maxTries = 50],
  ["retry", "a wait that n8n cuts short", (_, n) => n[request].waitBetweenTries = 60_000],
  ["branch", "an error output that leads nowhere", (w) => w.connections[request].main.pop()],
  ["branch", "a branch that ends in a request", (w) => delete w.connections[request]],
  ["branch", "an unreached node", (w) => {
    w.nodes.push(node("Finish it again", "noOp", 1, {}));
  }],
  ["branch", "a link to no node", (w) => w.connections[request].main[0] = [to("Nobody")]],
  ["branch", "no trigger", (w, n) => {
    n["Receive the dispatch"].type = "n8n-nodes-base.noOp";
    n["Receive the dispatch"].typeVersion = 1;
    void w;
  }],
  ["pinned-data", "pinned data", (w) => w.pinData = { [request]: [{ json: {} }] }],
  ["code", "a Code node without a reason", (_, n) => {
    n["Finish the run"].type = "n8n-nodes-base.code";
    n["Finish the run"].typeVersion = 2;
  }],
  ["credential", "another credential", (_, n) => {
    n[request].credentials = { slackApi: { id: null, name: "Slack" } };
  }],
  ["webhook", "a path that is not the file's name", (_, n) => {
    n["Receive the dispatch"].parameters.path = "other";
  }],
  ["disabled", "a disabled node", (_, n) => n[request].disabled = true],
  ["settings", "another execution order", (w) => w.settings.executionOrder = "v0"],
  ["error-workflow", "no error workflow", (w) => delete w.settings.errorWorkflow],
  ["error-workflow", "no node that an error workflow finds the job in", (w, n) => {
    rename(w, n["Read the job"], "Read the work");
  }],
  ["id", "an error workflow's id", (w) => w.settings.errorWorkflow = "874yhhOKio5aEXrH"],
  ["credential", "a credential of the other type", (_, n) => {
    n[request].credentials = { n8nApi: { id: null, name: "Marketplace dispatch signing key" } };
  }],
  ["timeout", "a call of n8n's own API without timeout", (_, n) => {
    n[request].type = "n8n-nodes-base.n8n";
    n[request].typeVersion = 1;
  }],
];
for (const [rule, what, plant] of faults) {
  Deno.test(`${what} is found (${rule})`, () => {
    const workflow = JSON.parse(committed());
    // deno-lint-ignore no-explicit-any -- see sound()
    plant(workflow, Object.fromEntries(workflow.nodes.map((each: any) => [each.name, each])));
    assert.ok(rulesOf(JSON.stringify(workflow, null, 2)).includes(rule));
  });
}

// deno-lint-ignore no-explicit-any -- see sound()
function rename(workflow: any, each: any, name: string) {
  workflow.connections = JSON.parse(
    JSON.stringify(workflow.connections).replaceAll(`"${each.name}"`, JSON.stringify(name)),
  );
  each.name = name;
}

Deno.test("a file that is no JSON is found", () => {
  assert.deepEqual(rulesOf("{"), ["json"]);
  assert.deepEqual(rulesOf("{}"), ["json"]);
});

Deno.test("an export is not in the committed form until it is stripped", () => {
  const exported = {
    ...sound(),
    active: true,
    versionId: "019a0b1c-0000-7000-8000-000000000000",
    meta: { instanceId: "deadbeef".repeat(8) },
    tags: [],
    pinData: {},
  };
  exported.nodes[2].credentials.crypto.id = "874yhhOKio5aEXrH";
  assert.notDeepEqual(lintWorkflow(SLUG, JSON.stringify(exported)), []);
  const stripped = stripWorkflow(SLUG, exported);
  assert.deepEqual(lintWorkflow(SLUG, stripped), []);
  assert.equal(stripWorkflow(SLUG, JSON.parse(stripped)), stripped);
  assert.deepEqual(rulesOf(stripped.replaceAll("  ", "    ")), ["stripped"]);
});

Deno.test("an error workflow is the name of a workflow that starts on an error", () => {
  const listener = { nodes: [node("Receive it", "errorTrigger", 1, {})] };
  const all = [
    { slug: SLUG, text: committed() },
    { slug: "job-failed", text: JSON.stringify(listener) },
  ];
  assert.deepEqual(lintErrorWorkflows(all, all), []);
  for (const errorWorkflow of ["874yhhOKio5aEXrH", SLUG, "job-faild", "", 7]) {
    const text = JSON.stringify({ ...sound(), settings: { errorWorkflow } });
    const [finding, ...more] = lintErrorWorkflows([{ slug: SLUG, text }], all);
    assert.equal(more.length, 0);
    assert.equal(finding?.rule, "error-workflow");
    assert.match(finding.message, /\(job-failed\), never an id/);
  }
  assert.equal(lintErrorWorkflows(all, all.slice(0, 1)).length, 1, "the other file is missing");
});

Deno.test("the committed workflows have no finding", async () => {
  const all = await Promise.all(
    (await readWorkflows()).map(async ({ file }) => ({
      slug: file.replace(".json", ""),
      text: await Deno.readTextFile(`${WORKFLOWS_DIR}/${file}`),
    })),
  );
  for (const { slug, text } of all) assert.deepEqual(lintWorkflow(slug, text), []);
  assert.deepEqual(lintErrorWorkflows(all, all), []);
});
