/**
 * For tests of the Workspace events handler, run by real n8n: rules between the sandbox's Google and
 * its other providers, and the events that the change feeds store.
 */
import type postgres from "postgres";
import { type DriveFileInfo, SandboxClient } from "../../../scripts/sandbox/client.ts";
import { stackEnv, until } from "./support_queue.ts";

/** The control of the stack's sandbox. */
export const sandbox = new SandboxClient(stackEnv("SANDBOX_URL"));
/** A sandbox's REST stand-in of a provider. */
const at = (prefix: string) => `${stackEnv("SANDBOX_URL")}/${prefix}`;
// Without n8n nothing here moves.
stackEnv("N8N_URL");

const GOOGLE_SECRETS = {
  refresh_token: "sandbox-google-refresh",
  client_id: "sandbox-google-client",
  client_secret: "sandbox-google-secret",
};

/** Providers as integrations: where the sandbox has them, and what they are entered with. */
const PROVIDERS: Record<
  string,
  { config: () => Record<string, unknown>; secrets: Record<string, string> }
> = {
  google_drive: {
    config: () => ({ api_base: at("google/drive/v3"), token_url: at("google/oauth2/token") }),
    secrets: GOOGLE_SECRETS,
  },
  google_docs: {
    config: () => ({
      api_base: at("google/docs/v1"),
      drive_api_base: at("google/drive/v3"),
      token_url: at("google/oauth2/token"),
    }),
    secrets: GOOGLE_SECRETS,
  },
  google_sheets: {
    config: () => ({
      api_base: at("google/sheets/v4"),
      drive_api_base: at("google/drive/v3"),
      token_url: at("google/oauth2/token"),
    }),
    secrets: GOOGLE_SECRETS,
  },
  gmail: {
    config: () => ({ api_base: at("google/gmail/v1"), token_url: at("google/oauth2/token") }),
    secrets: GOOGLE_SECRETS,
  },
  github: {
    config: () => ({ api_base: at("github") }),
    secrets: { api_token: "sandbox-github-token" },
  },
  aws_s3: {
    config: () => ({
      api_base: stackEnv("SANDBOX_S3_URL"),
      endpoint: stackEnv("SANDBOX_S3_URL"),
      region: stackEnv("SANDBOX_S3_REGION"),
      force_path_style: true,
      checksum: "sha256",
    }),
    secrets: {
      access_key_id: stackEnv("SANDBOX_S3_ACCESS_KEY_ID"),
      secret_access_key: stackEnv("SANDBOX_S3_SECRET_ACCESS_KEY"),
    },
  },
  odoo: {
    config: () => ({ api_base: at("odoo"), db: "sandbox", login: "sandbox@example.com", uid: 2 }),
    secrets: { password: "sandbox-odoo-key" },
  },
  linear: {
    config: () => ({ api_base: at("linear") }),
    secrets: { api_token: "lin_api_sandbox" },
  },
  jira: {
    config: () => ({ api_base: at("jira"), site: "sandbox", email: "ada@example.com" }),
    secrets: { api_token: "sandbox-jira-token" },
  },
  nocodb: {
    config: () => ({ api_base: at("nocodb") }),
    secrets: { api_token: "sandbox-nocodb-token" },
  },
  slack: {
    config: () => ({ api_base: stackEnv("SANDBOX_SLACK_URL"), channel: "#ci-artifacts" }),
    secrets: { api_token: "xoxb-sandbox" },
  },
  supabase: {
    config: () => ({ api_base: stackEnv("SUPABASE_URL") }),
    secrets: { api_token: stackEnv("SUPABASE_SECRET_KEY") },
  },
};

/** A rule between two integrations that only one test knows. */
export interface Flow {
  ruleId: string;
  sourceId: string;
  source: string;
  destination: string;
}

/** What a flow has its own. */
export interface FlowOptions {
  source: string;
  destination: string;
  /** Added to the integrations' configs. */
  sourceConfig?: Record<string, unknown>;
  destinationConfig?: Record<string, unknown>;
  /** Columns of the rule. */
  rule?: Record<string, string | string[] | boolean | null>;
  /** The rule's `config`. */
  config?: Record<string, unknown>;
}

let flows = 0;
const RUN = crypto.randomUUID().slice(0, 8);

/** Registers a provider of the sandbox; returns the integration's id. */
export async function register(
  sql: postgres.Sql,
  slug: string,
  provider: string,
  config: Record<string, unknown> = {},
): Promise<string> {
  const known = PROVIDERS[provider]!;
  const merged = { ...known.config(), allow_private_network: true, ...config };
  const [row] = await sql<[{ id: string }]>`
    select marketplace.register_integration(
      ${slug}, ${slug}, ${provider}, 'test', ${JSON.stringify(merged)}::text::jsonb
    ) as id
  `;
  for (const [purpose, secret] of Object.entries(known.secrets)) {
    await sql`select marketplace.set_integration_secret(${slug}, ${purpose}, ${secret})`;
  }
  return row.id;
}

/** A name that no other test uses. */
export function uniqueName(what: string): string {
  return `ws-${RUN}-${what}-${++flows}`;
}

/** Makes a flow; its workflow is the source provider's default one. */
export async function makeFlow(sql: postgres.Sql, options: FlowOptions): Promise<Flow> {
  const name = uniqueName("flow");
  const source = `${name}-from`;
  const destination = `${name}-to`;
  const sourceId = await register(sql, source, options.source, options.sourceConfig);
  const destinationId = await register(
    sql,
    destination,
    options.destination,
    options.destinationConfig,
  );
  const [rule] = await sql<[{ id: string }]>`
    insert into marketplace.sync_rules ${
    sql({
      name,
      source_integration_id: sourceId,
      destination_integration_id: destinationId,
      retry_base: "0",
      ...options.rule,
    })
  } returning id
  `;
  await sql`
    update marketplace.sync_rules
    set config = ${JSON.stringify(options.config ?? {})}::text::jsonb where id = ${rule.id}
  `;
  return { ruleId: rule.id, sourceId, source, destination };
}

/** Removes what this file's tests have made. */
export async function removeFlows(sql: postgres.Sql): Promise<void> {
  const mine = `ws-${RUN}-%`;
  await sql`delete from marketplace.sync_rules where name like ${mine}`;
  await sql`delete from marketplace.integrations where slug like ${mine}`;
}

/** An event as a change feed stores it; the trigger rings the dispatcher. */
export async function ingest(
  sql: postgres.ISql,
  { sourceId }: Pick<Flow, "sourceId">,
  event: { key: string; type: string; path: string; payload: unknown; account?: string },
): Promise<{ outcome: string; event_id: string; correlation_id: string }> {
  const [row] = await sql<[{ outcome: string; event_id: string; correlation_id: string }]>`
    select e.outcome, e.event_id, e.correlation_id
    from marketplace.integrations as i, marketplace.ingest_events(
      array[i.id], array[i.config_version], ${[event.key]}, ${[event.type]}, ${[event.path]},
      ${[event.account ?? "ada@example.com"]}, array[now()], ${["{}"]},
      ${[JSON.stringify(event.payload)]}
    ) as e
    where i.id = ${sourceId}
  `;
  return row;
}

/** What Drive says of a file now. */
export async function driveFile(
  id: string,
): Promise<Record<string, unknown> & { version: string }> {
  const fields = "id,name,mimeType,parents,modifiedTime,version,headRevisionId,md5Checksum," +
    "sha256Checksum,size,webViewLink,trashed,lastModifyingUser,properties,appProperties";
  const response = await fetch(`${at("google/drive/v3")}/files/${id}?fields=${fields}`, {
    headers: { authorization: "Bearer sandbox-google-token" },
  });
  if (!response.ok) throw new Error(`Drive answered ${response.status}: ${await response.text()}`);
  return await response.json();
}

const FEEDS: Record<string, { feed: string; type: string }> = {
  google_drive: { feed: "drive.changes", type: "drive.file" },
  google_docs: { feed: "docs.changes", type: "docs.document" },
  google_sheets: { feed: "sheets.changes", type: "sheets.spreadsheet" },
};

/** Stores the change of a file as it is now. */
export async function changed(
  sql: postgres.ISql,
  flow: Flow,
  provider: string,
  { id, path }: Pick<DriveFileInfo, "id" | "path">,
  { removed = false, key }: { removed?: boolean; key?: string } = {},
): Promise<{ outcome: string; correlation_id: string }> {
  const { feed, type } = FEEDS[provider]!;
  const file = await driveFile(id);
  return await ingest(sql, flow, {
    key: key ?? `${feed}:${id}:${file.version}`,
    type: `${type}.${removed ? "removed" : "changed"}`,
    path: `files/${path}`,
    payload: {
      change: { fileId: id, removed, time: new Date().toISOString(), changeType: "file" },
      file,
      folder: path.split("/").slice(0, -1).join("/"),
    },
  });
}

/** A job of a story. */
export interface FinishedJob {
  id: string;
  status: string;
  attempt_count: number;
  error_code: string | null;
  error_message: string | null;
}

/** Waits until the event's jobs have come to their end. */
export async function finished(
  sql: postgres.ISql,
  correlationId: string,
  timeoutMs = 60_000,
): Promise<FinishedJob> {
  const job = await until(
    async () => {
      const jobs = await sql<FinishedJob[]>`
        select id, status, attempt_count, error_code, error_message
        from marketplace.sync_jobs where correlation_id = ${correlationId}::uuid
      `;
      const [job] = jobs;
      return job && !["pending", "running"].includes(job.status) && job;
    },
    "the job to end",
    timeoutMs,
  );
  return job;
}

/** A row of `v_recent_syncs` with what stands only in its table. */
export interface SyncRow {
  id: string;
  kind: string;
  status: string;
  name: string;
  source_path: string;
  destination: string;
  destination_path: string;
  destination_ref: string | null;
  error_code: string | null;
  error_message: string | null;
  is_final: boolean;
  // deno-lint-ignore no-explicit-any -- as the destination tells
  result: any;
}

/** What an event's job has synced. */
export async function syncsOf(sql: postgres.ISql, correlationId: string): Promise<SyncRow[]> {
  return await sql<SyncRow[]>`
    select v.id, v.status, v.name, v.source_path, v.destination, v.destination_path,
      v.error_code, v.error_message, v.result, v.kind, a.destination_ref, a.is_final
    from marketplace.v_recent_syncs as v
    join marketplace.artifact_syncs as a on a.id = v.id
    where v.correlation_id = ${correlationId}::uuid
    order by a.created_at, a.id
  `;
}

/** Stores a change and waits for what comes of it. */
export async function sync(
  sql: postgres.ISql,
  flow: Flow,
  provider: string,
  file: Pick<DriveFileInfo, "id" | "path">,
  options: { removed?: boolean; key?: string } = {},
): Promise<{ job: FinishedJob; syncs: SyncRow[]; correlationId: string }> {
  const { correlation_id: correlationId } = await changed(sql, flow, provider, file, options);
  const job = await finished(sql, correlationId);
  return { job, syncs: await syncsOf(sql, correlationId), correlationId };
}
