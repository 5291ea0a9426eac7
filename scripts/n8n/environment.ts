/** How the local n8n is configured. */
import { dirname } from "node:path";
import type { WorkflowFile } from "./import.ts";
import type { Installation } from "./install.ts";
import type { Secrets } from "./owner.ts";
import { STOP_TIMEOUT_MS } from "./runner.ts";

/** What {@link environment} needs to know. */
export interface EnvironmentOptions {
  /** n8n's folder in the home. */
  folder: string;
  port: number;
  brokerPort: number;
  /** Postgres server; its user is not used. */
  dbUrl: string;
  /** Name of database and role. */
  database: string;
  installation: Installation;
  secrets: Secrets;
  workflows: WorkflowFile[];
}

/** Everything n8n reads from its environment; nothing of ours is inherited but paths and proxies. */
export function environment(options: EnvironmentOptions): Record<string, string> {
  const { folder, port, brokerPort, database, installation, secrets, workflows } = options;
  const server = new URL(options.dbUrl);
  const inherited = Object.entries(Deno.env.toObject()).filter(([name]) =>
    /^(HOME|LANG|LC_ALL|TZ|TMPDIR|NODE_EXTRA_CA_CERTS|(HTTPS?|NO)_PROXY)$/i.test(name)
  );
  // A task runner (125 MB) only serves Code nodes; "external" means that n8n starts none.
  const usesCode = workflows.some((workflow) =>
    workflow.nodes.some((node) => node.type === "n8n-nodes-base.code")
  );
  return {
    ...Object.fromEntries(inherited),
    // The task runner is started as "node": it must be the one n8n was installed with.
    PATH: `${dirname(installation.node)}:${Deno.env.get("PATH") ?? "/usr/bin:/bin"}`,
    N8N_USER_FOLDER: folder,
    N8N_ENCRYPTION_KEY: secrets.encryptionKey,
    N8N_LISTEN_ADDRESS: "127.0.0.1",
    N8N_HOST: "127.0.0.1",
    N8N_PORT: String(port),
    N8N_SECURE_COOKIE: "false", // plain HTTP on loopback
    N8N_RUNNERS_MODE: usesCode ? "internal" : "external",
    N8N_RUNNERS_AUTH_TOKEN: secrets.runnersToken,
    N8N_RUNNERS_BROKER_LISTEN_ADDRESS: "127.0.0.1",
    N8N_RUNNERS_BROKER_PORT: String(brokerPort),

    DB_TYPE: "postgresdb",
    DB_POSTGRESDB_HOST: server.hostname,
    DB_POSTGRESDB_PORT: server.port || "5432",
    DB_POSTGRESDB_DATABASE: database,
    DB_POSTGRESDB_USER: database,
    DB_POSTGRESDB_PASSWORD: secrets.databasePassword,
    DB_POSTGRESDB_POOL_SIZE: "4",

    N8N_INSTANCE_OWNER_MANAGED_BY_ENV: "true",
    N8N_INSTANCE_OWNER_EMAIL: secrets.ownerEmail,
    N8N_INSTANCE_OWNER_FIRST_NAME: "Local",
    N8N_INSTANCE_OWNER_LAST_NAME: "Owner",
    N8N_INSTANCE_OWNER_PASSWORD_HASH: secrets.ownerPasswordHash,

    // Nothing calls home.
    N8N_DIAGNOSTICS_ENABLED: "false",
    N8N_DYNAMIC_BANNERS_ENABLED: "false",
    N8N_HIRING_BANNER_ENABLED: "false",
    N8N_PERSONALIZATION_ENABLED: "false",
    N8N_TEMPLATES_ENABLED: "false",
    N8N_VERSION_NOTIFICATIONS_ENABLED: "false",
    N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED: "false",
    N8N_COMMUNITY_PACKAGES_ENABLED: "false",
    N8N_UNVERIFIED_PACKAGES_ENABLED: "false",
    N8N_DISABLED_MODULES: "mcp-registry",

    // Our tables tell what happened; n8n keeps only failures, for a day, to look at in the editor.
    EXECUTIONS_DATA_SAVE_ON_SUCCESS: "none",
    EXECUTIONS_DATA_SAVE_ON_ERROR: "all",
    EXECUTIONS_DATA_MAX_AGE: "24",
    EXECUTIONS_DATA_PRUNE_MAX_COUNT: "500",
    EXECUTIONS_DATA_HARD_DELETE_BUFFER: "0",
    EXECUTIONS_DATA_PRUNE_HARD_DELETE_INTERVAL: "1",
    N8N_DEFAULT_BINARY_DATA_MODE: "filesystem",

    // The default engine isolates expressions with an addon that Macs with Intel have no build of.
    ...(Deno.build.os === "darwin" && Deno.build.arch === "x86_64"
      ? { N8N_EXPRESSION_ENGINE: "legacy" }
      : {}),

    NODE_OPTIONS: "--max-old-space-size=768", // files are streamed; without it the heap drifts up
    N8N_LOG_LEVEL: "info",
    N8N_GRACEFUL_SHUTDOWN_TIMEOUT: String(STOP_TIMEOUT_MS / 1000 - 2),
  };
}
