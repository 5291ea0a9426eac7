/**
 * Brings `n8n/workflows` and the two credentials they use into an n8n, over its public API.
 *
 * The same calls serve the local n8n and any other: an API key with {@link IMPORT_SCOPES} is all
 * it takes. Workflows are found again by name, so importing twice changes nothing, and a published
 * workflow is exchanged without a restart.
 *
 * @see https://docs.n8n.io/api/
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Name of the credential that a workflow's "Compute the signature" node refers to. */
export const CREDENTIAL_NAME = "Marketplace dispatch signing key";
/** n8n's type of that credential. */
export const CREDENTIAL_TYPE = "crypto";
/** Name of the credential that an error workflow reads the failed execution with. */
export const EXECUTIONS_CREDENTIAL_NAME = "Marketplace failed executions";
/** n8n's type of that credential. */
export const EXECUTIONS_CREDENTIAL_TYPE = "n8nApi";
/** What an API key must be allowed to do for {@link importWorkflows}. */
export const IMPORT_SCOPES = [
  "credential:create",
  "credential:list",
  "credential:update",
  "execution:read", // not for the import itself: see ImportOptions.executionsKey
  "workflow:activate",
  "workflow:create",
  "workflow:list",
  "workflow:read",
  "workflow:update",
];

/** A workflow file as it is committed. */
export interface WorkflowFile {
  /** File name, for messages. */
  file: string;
  name: string;
  nodes: WorkflowNode[];
  connections: Record<string, unknown>;
  settings: Record<string, unknown>;
}

/** The parts of a node that are read here. */
export interface WorkflowNode {
  type: string;
  parameters: Record<string, unknown>;
}

/** Folder of the committed workflows. */
export const WORKFLOWS_DIR = fileURLToPath(new URL("../../n8n/workflows/", import.meta.url));

/** Reads the workflow files of a folder, in the order of their names. */
export async function readWorkflows(directory = WORKFLOWS_DIR): Promise<WorkflowFile[]> {
  const files = [];
  for await (const entry of Deno.readDir(directory)) {
    if (entry.isFile && entry.name.endsWith(".json")) files.push(entry.name);
  }
  return await Promise.all(
    files.sort().map(async (file) => ({
      ...JSON.parse(await Deno.readTextFile(join(directory, file))),
      file,
    })),
  );
}

/**
 * The key n8n computes signatures with: the decoded secret, as text.
 *
 * n8n keeps credentials as text, so a key of arbitrary bytes would be changed on its way.
 *
 * @param secret Standard Webhooks secret, `whsec_` and base64.
 * @throws Error when the decoded key is not printable ASCII, or too short to be a key.
 */
export function signingKeyText(secret: string): string {
  const text = /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret) ? atob(secret.slice(6)) : "";
  if (!/^[\x20-\x7e]{24,}$/.test(text)) {
    throw new Error(
      "The dispatch signing secret must be whsec_ and the base64 of at least 24 printable ASCII " +
        "characters, because n8n keeps keys as text. Make one with: " +
        `echo "whsec_$(openssl rand -hex 24 | tr -d '\\n' | openssl base64 -A)"`,
    );
  }
  return text;
}

/** What {@link importWorkflows} needs to know. */
export interface ImportOptions {
  /** Base URL of the n8n, without a path. */
  url: string;
  /** API key with {@link IMPORT_SCOPES}. */
  apiKey: string;
  /**
   * API key with the scope `execution:read` and a long life, for workflows that read why another one
   * failed. Without it the credential stays as it is, and one that is missing gets `apiKey`.
   */
  executionsKey?: string;
  /** The secret dispatches are signed with. */
  signingSecret: string;
  /** Defaults to the committed ones. */
  workflows?: WorkflowFile[];
  signal?: AbortSignal;
}

/**
 * Creates or updates the credentials and the workflows, and publishes them.
 *
 * A file's `settings.errorWorkflow` is the name of a workflow, among the given ones or in n8n
 * already; n8n gets the id that it has there.
 * @returns the names of the workflows
 * @throws Error when n8n refuses, holds a name twice, or has no error workflow of that name
 */
export async function importWorkflows(options: ImportOptions): Promise<string[]> {
  const { url, apiKey, executionsKey, signingSecret, workflows = await readWorkflows() } = options;
  const api = publicApi(options);

  const credentials = await api.list<{ id: string; name: string; type: string }>("credentials");
  const giveCredential = async (name: string, type: string, data: object, isOptional = false) => {
    const existing = unique(
      credentials.filter((each) => each.name === name && each.type === type),
      `credentials named "${name}"`,
    );
    if (existing === undefined) await api.send("POST", "credentials", { name, type, data });
    else if (!isOptional) await api.send("PATCH", `credentials/${existing.id}`, { data });
  };
  const hmacSecret = signingKeyText(signingSecret);
  await giveCredential(CREDENTIAL_NAME, CREDENTIAL_TYPE, { hmacSecret });
  await giveCredential(
    EXECUTIONS_CREDENTIAL_NAME,
    EXECUTIONS_CREDENTIAL_TYPE,
    { apiKey: executionsKey ?? apiKey, baseUrl: new URL("/api/v1", url).href },
    executionsKey === undefined,
  );

  const find = async (name: string) =>
    unique(
      (await api.list<{ id: string; name: string; isArchived: boolean }>(
        `workflows?name=${encodeURIComponent(name)}&excludePinnedData=true`,
      )).filter((each) => each.name === name && !each.isArchived),
      `workflows named "${name}"`,
    );
  for (const { name, nodes, connections, settings } of errorWorkflowsFirst(workflows)) {
    const resolved = { ...settings };
    if (settings.errorWorkflow !== undefined) {
      const target = await find(String(settings.errorWorkflow));
      if (target === undefined) {
        throw new Error(
          `n8n has no workflow named "${settings.errorWorkflow}", the error workflow of ` +
            `"${name}"; import it along.`,
        );
      }
      resolved.errorWorkflow = target.id;
    }
    const existing = await find(name);
    const body = { name, nodes, connections, settings: resolved };
    const { id } = existing === undefined
      ? await api.send<{ id: string }>("POST", "workflows", body)
      : await api.send<{ id: string }>("PUT", `workflows/${existing.id}`, body);
    await api.send("POST", `workflows/${id}/activate`, {});
  }
  return workflows.map((each) => each.name);
}

/** Workflows that others point to have to be there, and published, before those. */
function errorWorkflowsFirst(workflows: WorkflowFile[]): WorkflowFile[] {
  const targets = new Set(workflows.map(({ settings }) => settings.errorWorkflow));
  const isTarget = ({ name }: WorkflowFile) => targets.has(name);
  return [...workflows.filter(isTarget), ...workflows.filter((each) => !isTarget(each))];
}

function unique<T>(found: T[], what: string): T | undefined {
  if (found.length <= 1) return found[0];
  throw new Error(`n8n holds ${found.length} ${what}; delete or rename all but one, then import.`);
}

function publicApi({ url, apiKey, signal }: ImportOptions) {
  const base = new URL("/api/v1/", url);
  const send = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(new URL(path, base), {
      method,
      headers: { "x-n8n-api-key": apiKey, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.any([AbortSignal.timeout(30_000), ...(signal ? [signal] : [])]),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as T;
    throw new Error(
      `n8n refused ${method} ${base.pathname}${path}: ${response.status} ${text.slice(0, 500)}` +
        (response.status === 401 || response.status === 403
          ? `\nThe API key must be valid and have the scopes ${IMPORT_SCOPES.join(", ")}.`
          : ""),
    );
  };
  const list = async <T>(path: string): Promise<T[]> => {
    const all: T[] = [];
    let cursor: string | null = null;
    do {
      const page: { data: T[]; nextCursor: string | null } = await send(
        "GET",
        `${path}${path.includes("?") ? "&" : "?"}limit=100` +
          (cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`),
      );
      all.push(...page.data);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return all;
  };
  return { send, list };
}
