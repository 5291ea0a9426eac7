/**
 * `deno task workflows:check` and `workflows:strip`: the workflows in n8n/workflows as reviewed code.
 *
 * The house rules are checked everywhere. Where n8n is installed, its own validator also checks
 * every parameter against the node descriptions.
 * @module
 */
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import {
  CREDENTIAL_NAME,
  CREDENTIAL_TYPE,
  EXECUTIONS_CREDENTIAL_NAME,
  EXECUTIONS_CREDENTIAL_TYPE,
  WORKFLOWS_DIR,
} from "./n8n/import.ts";
import { defaultToolsDir, findN8n, type Installation } from "./n8n/install.ts";

const HELP = `
Usage: deno task workflows:check [files…]
       deno task workflows:strip [files…]

check   tells what is wrong with the workflows (default: all in n8n/workflows)
strip   rewrites an export of n8n's editor into the form that is committed`;

/** Node types that workflows may use, each at the one version it is pinned to. */
const NODE_TYPES: Record<string, number> = {
  "n8n-nodes-base.code": 2,
  "n8n-nodes-base.crypto": 2,
  "n8n-nodes-base.errorTrigger": 1,
  "n8n-nodes-base.extractFromFile": 1.1,
  "n8n-nodes-base.httpRequest": 4.5,
  "n8n-nodes-base.if": 2.3,
  "n8n-nodes-base.merge": 3.2,
  "n8n-nodes-base.n8n": 1,
  "n8n-nodes-base.noOp": 1,
  "n8n-nodes-base.respondToWebhook": 1.5,
  "n8n-nodes-base.set": 3.5,
  "n8n-nodes-base.splitInBatches": 3,
  "n8n-nodes-base.splitOut": 1,
  "n8n-nodes-base.stickyNote": 1,
  "n8n-nodes-base.stopAndError": 1,
  "n8n-nodes-base.switch": 3.4,
  "n8n-nodes-base.webhook": 2.1,
};
/** Names of the credentials that workflows may use, by n8n's type of them. */
const CREDENTIALS: Record<string, string> = {
  [CREDENTIAL_TYPE]: CREDENTIAL_NAME,
  [EXECUTIONS_CREDENTIAL_TYPE]: EXECUTIONS_CREDENTIAL_NAME,
};
/** What starts a workflow: a dispatch, or the failure of another workflow. */
const TRIGGERS = ["webhook", "errorTrigger"];
/** The node whose output an error workflow finds the job's URL and token in. */
const JOB_NODE = "Read the job";
/** Where a branch may end. */
const TERMINALS = ["noOp", "respondToWebhook", "stopAndError"];
/** First words of node names: a name says what its node does. */
const VERBS = new Set(
  ("Accept Announce Ask Check Choose Commit Complete Compose Compute Convert Copy Create Delete " +
    "Download Explain Export Fetch Find Finish Handle Hash Keep List Log Merge Move Notify Parse Read " +
    "Receive Refuse Renew Report Route Send Split Start Stop Store Summarise Sync Take Update Upload " +
    "Verify Wait Write").split(" "),
);
const STICKY_PARTS = ["**Purpose**", "**Input**", "**Failure**"];
const MAX_TIMEOUT_MS = 300_000;
const MAX_TRIES = 5;
const MAX_EXECUTION_SECONDS = 3600;

const NODE_KEYS = [
  "credentials",
  "disabled",
  "executeOnce",
  "maxTries",
  "name",
  "notes",
  "onError",
  "parameters",
  "position",
  "retryOnFail",
  "type",
  "typeVersion",
  "waitBetweenTries",
];
const SETTING_KEYS = [
  "callerPolicy",
  "errorWorkflow",
  "executionOrder",
  "executionTimeout",
  "saveDataErrorExecution",
  "saveDataSuccessExecution",
  "timezone",
];

/** What must not be written into a workflow, by what it is. */
const FORBIDDEN: [string, RegExp][] = [
  ["url", /\b[a-z][a-z0-9+.-]*:\/\//i],
  ["url", /\b[a-z0-9-]+\.(com|net|org|io|dev|app|co|cloud|ai)\b/i],
  ["url", /\b\d{1,3}(\.\d{1,3}){3}\b/],
  ["email", /[\w.+-]+@[\w-]+\.[a-z]{2,}/i],
  ["secret", /whsec_|gh[opsu]_\w|github_pat_|xox[abeprs]-|sk_live_|sb_secret_|\bAKIA[0-9A-Z]{12}/],
  ["secret", /\beyJ[\w-]{8,}\.|-----BEGIN|\bBearer (?!\{\{)\S/],
  ["secret", /\b[0-9a-f]{24,}\b|(?=[\w+/]*[a-z])(?=[\w+/]*[A-Z])(?=[\w+/]*\d)[\w+/]{32,}/],
  ["id", /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/i],
  ["id", /\b(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)[A-Za-z0-9]{16}\b/],
  ["tenant", /(^|[\s'"`])[#@][a-z][\w-]*/],
];

/** One thing that is wrong. */
export interface Finding {
  file: string;
  rule: string;
  message: string;
}

interface Node {
  name: string;
  type: string;
  typeVersion: number;
  position: [number, number];
  parameters: Record<string, unknown>;
  id?: string;
  webhookId?: string;
  credentials?: Record<string, { id: string | null; name: string }>;
  notes?: string;
  onError?: string;
  disabled?: boolean;
  retryOnFail?: boolean;
  maxTries?: number;
  waitBetweenTries?: number;
}

interface Link {
  node: string;
  type: string;
  index: number;
}

interface Workflow {
  id: string;
  name: string;
  nodes: Node[];
  connections: Record<string, { main?: (Link[] | null)[] }>;
  settings: Record<string, unknown>;
}

/**
 * Rewrites a workflow, as n8n's editor exports it, into the form that is committed: only what runs,
 * no ids of users, versions or credentials, nodes in reading order, keys sorted.
 * @param slug file name without its extension; becomes name and id
 * @returns the file's text
 */
export function stripWorkflow(slug: string, workflow: Workflow): string {
  const nodes = workflow.nodes.map((node) => ({
    ...pick(node, NODE_KEYS),
    id: slugOf(node.name),
    ...(isType(node, "webhook") ? { webhookId: slug } : {}),
    ...(node.credentials
      ? {
        credentials: Object.fromEntries(
          Object.entries(node.credentials).map(([type, { name }]) => [type, { id: null, name }]),
        ),
      }
      : {}),
  } as Node));
  nodes.sort((a, b) =>
    a.position[0] - b.position[0] || a.position[1] - b.position[1] || (a.name < b.name ? -1 : 1)
  );
  const stripped = {
    id: slug,
    name: slug,
    nodes,
    connections: workflow.connections,
    settings: pick(workflow.settings ?? {}, SETTING_KEYS),
  };
  return JSON.stringify(sortKeys(stripped), null, 2) + "\n";
}

/** Checks one workflow file against the house rules. @param slug file name without extension */
export function lintWorkflow(slug: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const add = (rule: string, message: string) =>
    findings.push({ file: `${slug}.json`, rule, message });

  let workflow: Workflow;
  try {
    workflow = JSON.parse(text);
  } catch (error) {
    add("json", `is no JSON: ${(error as Error).message}`);
    return findings;
  }
  if (!Array.isArray(workflow.nodes) || typeof workflow.connections !== "object") {
    add("json", "has no nodes or no connections");
    return findings;
  }
  const running = workflow.nodes.filter((node) => !isType(node, "stickyNote"));

  lintNodes(workflow, running, slug, add);
  lintBranches(workflow, running, add);

  const sticky = workflow.nodes.filter((node) => isType(node, "stickyNote"));
  const content = String(sticky[0]?.parameters.content ?? "");
  if (sticky.length !== 1) add("sticky", `has ${sticky.length} sticky notes; one explains it`);
  for (const part of sticky.length === 1 ? STICKY_PARTS : []) {
    if (!content.includes(part)) add("sticky", `the sticky note lacks ${part}`);
  }

  const { executionOrder, executionTimeout, errorWorkflow } = workflow.settings ?? {};
  if (executionOrder !== "v1") add("settings", 'executionOrder is not "v1"');
  if (!within(executionTimeout, 1, MAX_EXECUTION_SECONDS)) {
    add("timeout", `settings.executionTimeout is not within 1 and ${MAX_EXECUTION_SECONDS} s`);
  }
  if (running.some((node) => isType(node, "webhook"))) {
    if (errorWorkflow === undefined) {
      add("error-workflow", "names no settings.errorWorkflow: nobody would report that it crashed");
    }
    if (!running.some((node) => node.name === JOB_NODE)) {
      add("error-workflow", `has no "${JOB_NODE}", where its error workflow finds the job`);
    }
  }
  if ("pinData" in workflow && Object.keys(workflow.pinData as object ?? {}).length > 0) {
    add("pinned-data", "has pinned data, which may be somebody's");
  }

  for (const [path, value] of strings(workflow, "")) {
    for (const [rule, pattern] of FORBIDDEN) {
      const found = pattern.exec(value);
      if (found !== null) add(rule, `${path} contains ${JSON.stringify(found[0].trim())}`);
    }
  }
  if (findings.length === 0 && stripWorkflow(slug, workflow) !== text) {
    add("stripped", "is not in the committed form; run: deno task workflows:strip");
  }
  return findings;
}

/**
 * Checks what only several files tell: `settings.errorWorkflow` is the name of a committed workflow
 * that starts on an error. The import gives n8n the id which that workflow has there.
 * @param all every committed workflow; `workflows` are the ones to check
 */
export function lintErrorWorkflows(
  workflows: readonly { slug: string; text: string }[],
  all: readonly { slug: string; text: string }[],
): Finding[] {
  const parse = ({ slug, text }: { slug: string; text: string }) =>
    ({ slug, ...JSON.parse(text) }) as Workflow & { slug: string };
  const targets = all.map(parse)
    .filter(({ nodes }) => nodes.some((node) => isType(node, "errorTrigger")))
    .map(({ slug }) => slug);
  return workflows.map(parse).flatMap(({ slug, settings: { errorWorkflow } = {} }) =>
    errorWorkflow === undefined || targets.includes(String(errorWorkflow)) ? [] : [{
      file: `${slug}.json`,
      rule: "error-workflow",
      message: `settings.errorWorkflow is ${JSON.stringify(errorWorkflow)}; write the name of a ` +
        `workflow that starts on an error (${targets.join(", ") || "there is none"}), never an id`,
    }]
  );
}

type Add = (rule: string, message: string) => void;

function lintNodes(workflow: Workflow, running: Node[], slug: string, add: Add): void {
  const names = new Set<string>();
  for (const node of workflow.nodes) {
    const { name, type } = node;
    const say = (rule: string, message: string) => add(rule, `"${name}" ${message}`);
    if (names.has(name)) say("name", "is the name of two nodes");
    names.add(name);
    const [verb, ...rest] = name.split(" ");
    if (!VERBS.has(verb!) || rest.length === 0) {
      say("name", "does not say what the node does: start with a verb, or teach the linter one");
    }
    const pinned = NODE_TYPES[type];
    if (pinned === undefined) {
      say("type", `has the type ${type}, which is not among NODE_TYPES of the linter`);
    } else if (node.typeVersion !== pinned) {
      say("version", `has typeVersion ${node.typeVersion}; ${type} is pinned to ${pinned}`);
    }
    if (node.disabled) say("disabled", "is disabled: remove it");
    for (const [kind, credential] of Object.entries(node.credentials ?? {})) {
      if (CREDENTIALS[kind] !== credential.name) {
        const known = Object.entries(CREDENTIALS).map(([type, name]) => `"${name}" (${type})`);
        say(
          "credential",
          `uses "${credential.name}" (${kind}); only ${known.join(" and ")} are known`,
        );
      }
    }
  }
  for (const node of running) {
    const say = (rule: string, message: string) => add(rule, `"${node.name}" ${message}`);
    if (isType(node, "code") && !/^Allowed because \S/.test(node.notes ?? "")) {
      say("code", 'is a Code node; its notes must start with "Allowed because …"');
    }
    if (isType(node, "webhook") && node.parameters.path !== slug) {
      say("webhook", `listens on "${node.parameters.path}", not on the file's name`);
    }
    if (node.retryOnFail) {
      if (!within(node.maxTries, 2, MAX_TRIES)) say("retry", `needs maxTries of 2 to ${MAX_TRIES}`);
      if (!within(node.waitBetweenTries, 1, 5000)) {
        say("retry", "needs waitBetweenTries of 1 to 5000 ms, which is all n8n keeps to");
      }
    }
    if (isType(node, "n8n")) {
      const options = node.parameters.requestOptions as { timeout?: unknown } | undefined;
      if (!within(options?.timeout, 1, MAX_TIMEOUT_MS)) {
        say("timeout", `needs requestOptions.timeout of 1 to ${MAX_TIMEOUT_MS} ms`);
      }
    }
    if (isType(node, "httpRequest")) {
      const options = (node.parameters.options ?? {}) as {
        timeout?: unknown;
        redirect?: { redirect?: { followRedirects?: boolean } };
      };
      if (!within(options.timeout, 1, MAX_TIMEOUT_MS)) {
        say("timeout", `needs options.timeout of 1 to ${MAX_TIMEOUT_MS} ms`);
      }
      if (options.redirect?.redirect?.followRedirects !== false) {
        say(
          "redirect",
          "follows redirects: headers would go along, and uploads are held in memory",
        );
      }
    }
  }
}

/** Every output leads somewhere, every node is reached, and every branch ends on purpose. */
function lintBranches(workflow: Workflow, running: Node[], add: Add): void {
  const byName = new Map(running.map((node) => [node.name, node]));
  const targets = (node: Node) =>
    (workflow.connections[node.name]?.main ?? []).flatMap((links) => links ?? []);
  for (const [source, { main }] of Object.entries(workflow.connections)) {
    if (!byName.has(source)) add("branch", `a connection comes from the unknown node "${source}"`);
    for (const link of (main ?? []).flatMap((links) => links ?? [])) {
      if (!byName.has(link.node)) add("branch", `"${source}" leads to the unknown "${link.node}"`);
    }
  }
  for (const node of running) {
    const outputs = workflow.connections[node.name]?.main ?? [];
    const ends = TERMINALS.some((type) => isType(node, type));
    if (targets(node).length === 0 && ends) continue;
    for (let index = 0; index < Math.max(outputCount(node), outputs.length); index++) {
      if ((outputs[index] ?? []).length > 0) continue;
      add("branch", `output ${index} of "${node.name}" leads nowhere; end it in a ${TERMINALS[0]}`);
    }
  }
  const reached = new Set<Node>();
  const visit = (node: Node | undefined) => {
    if (node === undefined || reached.has(node)) return;
    reached.add(node);
    for (const link of targets(node)) visit(byName.get(link.node));
  };
  const triggers = running.filter((node) => TRIGGERS.some((type) => isType(node, type)));
  if (triggers.length !== 1) add("branch", `has ${triggers.length} triggers; one starts it`);
  triggers.forEach(visit);
  for (const node of running) {
    if (!reached.has(node)) add("branch", `"${node.name}" is not reached`);
  }
}

function outputCount(node: Node): number {
  const rules = (node.parameters.rules as { values?: unknown[] } | undefined)?.values?.length ?? 0;
  const options = node.parameters.options as { fallbackOutput?: unknown } | undefined;
  const own = isType(node, "if") || isType(node, "splitInBatches")
    ? 2
    : isType(node, "switch")
    ? rules + (options?.fallbackOutput === "extra" ? 1 : 0)
    : 1;
  return own + (node.onError === "continueErrorOutput" ? 1 : 0);
}

/** Checks structure, types and parameters with the n8n that is installed. */
export async function validateWithN8n(
  installation: Installation,
  workflows: { slug: string; text: string }[],
): Promise<Finding[]> {
  const child = new Deno.Command(installation.node, {
    args: [new URL("./n8n/validate.cjs", import.meta.url).pathname, installation.directory],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({ workflows, types: NODE_TYPES })));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`n8n's validator failed:\n${decoder.decode(stderr)}`);
  return JSON.parse(decoder.decode(stdout));
}

function isType(node: Node, type: string): boolean {
  return node.type === `n8n-nodes-base.${type}`;
}

function within(value: unknown, low: number, high: number): boolean {
  return typeof value === "number" && value >= low && value <= high;
}

function slugOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

function pick(object: object, keys: string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).filter(([key, value]) => keys.includes(key) && value !== undefined),
  );
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, each]) => [key, sortKeys(each)]));
}

function* strings(value: unknown, path: string): Generator<[string, string]> {
  if (typeof value === "string") yield [path, value];
  else if (typeof value === "object" && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      yield* strings(each, path === "" ? key : `${path}.${key}`);
    }
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      strip: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    console.log(HELP.trim());
    return 0;
  }
  const committed = [...Deno.readDirSync(WORKFLOWS_DIR)]
    .map((entry) => join(WORKFLOWS_DIR, entry.name)).sort();
  const read = (files: string[]) =>
    Promise.all(files.map(async (file) => ({
      file,
      slug: basename(file, ".json"),
      text: await Deno.readTextFile(file),
    })));
  const workflows = await read(positionals.length > 0 ? positionals : committed);
  if (values.strip) {
    for (const { file, slug, text } of workflows) {
      await Deno.writeTextFile(file, stripWorkflow(slug, JSON.parse(text)));
    }
    return 0;
  }
  const findings = workflows.flatMap(({ slug, text }) => lintWorkflow(slug, text));
  if (!findings.some(({ rule }) => rule === "json")) {
    findings.push(...lintErrorWorkflows(workflows, await read(committed)));
  }
  const installation = await findN8n(defaultToolsDir());
  if (installation === null) {
    console.log("n8n is not installed here, so parameters were not checked; deno task test does.");
  } else if (!findings.some(({ rule }) => rule === "json")) {
    findings.push(...await validateWithN8n(installation, workflows));
  }
  for (const { file, rule, message } of findings) console.error(`${file}: ${message} [${rule}]`);
  return findings.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
