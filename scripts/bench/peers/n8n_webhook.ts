/**
 * n8n's own webhook node, as a peer: it verifies nothing, answers at once, and keeps the execution,
 * as n8n does unless told otherwise.
 * @module
 */
import { join } from "node:path";
import postgres from "postgres";
import { importWorkflows, type WorkflowFile } from "../../n8n/import.ts";
import { installN8n } from "../../n8n/install.ts";
import { readSecrets, withApiKey } from "../../n8n/owner.ts";
import { signingSecret } from "../../platform/database.ts";
import type { Place } from "../harness/stack.ts";

const PATH = "bench-webhook";

const WORKFLOW: WorkflowFile = {
  file: "",
  name: "Bench: webhook",
  nodes: [
    {
      id: "6d9c4b1e-6a57-4a3e-9c51-50f4f0a0b0c1",
      name: "Receive a delivery",
      type: "n8n-nodes-base.webhook",
      typeVersion: 2.1,
      position: [0, 0],
      webhookId: PATH,
      parameters: { httpMethod: "POST", path: PATH, responseMode: "onReceived", options: {} },
    } as WorkflowFile["nodes"][number],
  ],
  connections: {},
  settings: { executionOrder: "v1", saveDataSuccessExecution: "all" },
};

/** The peer. */
export interface N8nWebhook {
  url: string;
  /** Executions so far. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

/** Publishes the workflow in the place's n8n. */
export async function startN8nWebhook({ env, layout, adminUrl }: Place): Promise<N8nWebhook> {
  const url = env.N8N_URL!;
  const installation = await installN8n({ toolsDir: layout.tools });
  const secrets = await readSecrets(join(layout.home, "n8n"), installation);
  const secret = await signingSecret(env.SUPABASE_DB_URL!);
  await withApiKey(
    { url, secrets },
    (apiKey) => importWorkflows({ url, apiKey, signingSecret: secret, workflows: [WORKFLOW] }),
  );
  const sql = postgres(adminUrl.replace(/\/postgres$/, "/n8n"), { max: 1, onnotice: () => {} });
  return {
    url: `${url}/webhook/${PATH}`,
    async count() {
      // Not the rows: n8n prunes them.
      const [row] = await sql<{ count: number }[]>`
        select case when is_called then last_value else 0 end::int as count
        from public.execution_entity_id_seq`;
      return row!.count;
    },
    stop: () => sql.end({ timeout: 1 }),
  };
}
