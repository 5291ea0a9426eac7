/**
 * n8n's part of a deployment: which workflows differ from the files, and bringing them there.
 * @module
 */
import { createHash } from "node:crypto";
import { importWorkflows, readWorkflows, type WorkflowFile } from "../n8n/import.ts";
import { isPending, type Item, type Part } from "./plan.ts";
import type { Release } from "./release.ts";

/** An n8n and the key to it. */
export interface N8nTarget {
  /** Base URL, without a path. */
  url: string;
  /** API key with the scopes of the import. */
  apiKey: string;
}

/** A workflow as n8n's public API shows it. */
export interface LiveWorkflow {
  id: string;
  name: string;
  active: boolean;
  isArchived?: boolean;
  nodes: Record<string, unknown>[];
  connections: Record<string, unknown>;
  settings: Record<string, unknown>;
}

/**
 * Whether everything that a file says is also in n8n. n8n adds fields of its own (defaults, ids of
 * credentials), so more may be there; lists must agree in length.
 */
export function contains(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(live) && live.length === wanted.length &&
      wanted.every((each, at) => contains(live[at], each));
  }
  if (wanted !== null && typeof wanted === "object") {
    return live !== null && typeof live === "object" &&
      Object.entries(wanted).every(([key, value]) =>
        contains((live as Record<string, unknown>)[key], value)
      );
  }
  return live === wanted;
}

/** Compares workflow files with an n8n's workflows. */
export function compareWorkflows(
  wanted: readonly WorkflowFile[],
  there: readonly LiveWorkflow[],
): Item[] {
  return wanted.map(({ name, nodes, connections, settings }): Item => {
    const item = (state: Item["state"], note?: string) => ({ kind: "workflow", name, state, note });
    const live = there.find((each) => each.name === name && !each.isArchived);
    if (!live) return item("new");
    const named = (list: readonly unknown[]) =>
      Object.fromEntries((list as Node[]).map((node) => [node.name, withoutCredentialIds(node)]));
    const isSame = live.nodes.length === nodes.length &&
      contains(named(live.nodes), named(nodes)) &&
      contains(live.connections, connections) && contains(live.settings, settings);
    if (!isSame) return item("changed");
    return live.active ? item("same") : item("changed", "not published");
  });
}

/** The parts of a node that matter here. */
interface Node {
  name: string;
  credentials?: Record<string, { id: string | null; name: string }>;
}

/** A file names a credential and leaves its id to n8n. */
function withoutCredentialIds(node: Node): unknown {
  const credentials = Object.entries(node.credentials ?? {})
    .map(([type, { name }]) => [type, { name }]);
  return { ...node, credentials: Object.fromEntries(credentials) };
}

/**
 * Every workflow of an n8n, archived ones too. Error workflows are named, as in the files, where n8n
 * has their ids.
 * @throws {Error} when n8n refuses the key
 */
export async function liveWorkflows({ url, apiKey }: N8nTarget): Promise<LiveWorkflow[]> {
  const all: LiveWorkflow[] = [];
  let cursor = "";
  do {
    const page = new URL(`/api/v1/workflows?limit=100&excludePinnedData=true${cursor}`, url);
    const response = await fetch(page, {
      headers: { "x-n8n-api-key": apiKey },
      redirect: "error",
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(
        `n8n at ${page.origin} refused to list its workflows: ${response.status}. ` +
          "N8N_API_KEY must be a valid key with the scope workflow:list (n8n → Settings → n8n API).",
      );
    }
    const { data, nextCursor } = await response.json();
    all.push(...data);
    cursor = nextCursor ? `&cursor=${encodeURIComponent(nextCursor)}` : "";
  } while (cursor);
  return all.map((each) => {
    const { errorWorkflow } = each.settings;
    if (errorWorkflow === undefined) return each;
    const name = all.find(({ id }) => id === errorWorkflow)?.name ?? errorWorkflow;
    return { ...each, settings: { ...each.settings, errorWorkflow: name } };
  });
}

/**
 * The workflows and the credentials they use as a part of a deployment.
 * @param options.signingSecret null before the first migration has made one
 * @param options.readSigningSecret reads it when the time to apply has come
 * @param options.workflows default: the committed ones
 * @param remember called with what tells whether the credential is still right
 */
export async function workflowsPart(
  n8n: N8nTarget,
  options: {
    release: Release | null;
    signingSecret: string | null;
    readSigningSecret: () => Promise<string>;
    workflows?: WorkflowFile[];
  },
  remember: (credential: string) => Promise<void>,
): Promise<Part> {
  const workflows = options.workflows ?? await readWorkflows();
  const items = compareWorkflows(workflows, await liveWorkflows(n8n));
  const isKnown = options.signingSecret !== null &&
    options.release?.credential === credentialDigest(n8n.url, options.signingSecret);
  items.push({
    kind: "credential",
    name: "dispatch signing key in n8n",
    state: isKnown ? "same" : options.release?.credential ? "changed" : "new",
  });
  return {
    items,
    async apply() {
      const names = new Set(items.filter(isPending).map((item) => item.name));
      const pending = workflows.filter((each) => names.has(each.name));
      const signingSecret = await options.readSigningSecret();
      const published = await importWorkflows({ ...n8n, signingSecret, workflows: pending });
      await remember(credentialDigest(n8n.url, signingSecret));
      return published.map((name) => `published ${name}`).concat("gave n8n the signing key");
    },
  };
}

/** Tells whether n8n was given this secret; the secret cannot be found from it. */
function credentialDigest(url: string, secret: string): string {
  return createHash("sha256").update(`${new URL(url).origin}\0${secret}`).digest("hex");
}
