/**
 * The variables that functions, tests and people find a running stack by.
 * @module
 */
import { JWT_SECRET, PUBLISHABLE_KEY, SECRET_KEY } from "./keys.ts";
import type { Layout } from "./layout.ts";

/** The sandbox's fixed, public S3 credentials. */
const SANDBOX_S3 = {
  SANDBOX_S3_ACCESS_KEY_ID: "sandbox-access-key",
  SANDBOX_S3_SECRET_ACCESS_KEY: "sandbox-secret-key",
  SANDBOX_S3_REGION: "us-east-1",
};

/**
 * The environment of a stack: the names hosted Edge Functions have, and the stack's own.
 * @param databaseUrl connection of the role `postgres`
 * @param parts which optional parts run
 */
export function stackEnvironment(
  layout: Layout,
  databaseUrl: string,
  parts: { sandbox: boolean; n8n: boolean },
): Record<string, string> {
  const at = (port: number) => `http://127.0.0.1:${port}`;
  const url = at(layout.ports.gateway);
  const sandbox = at(layout.ports.sandbox);
  return {
    SUPABASE_URL: url,
    SUPABASE_DB_URL: databaseUrl,
    SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE_KEY,
    SUPABASE_SECRET_KEY: SECRET_KEY,
    SUPABASE_ANON_KEY: PUBLISHABLE_KEY,
    SUPABASE_SERVICE_ROLE_KEY: SECRET_KEY,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: PUBLISHABLE_KEY }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
    SUPABASE_JWT_SECRET: JWT_SECRET,
    MARKETPLACE_HOME: layout.home,
    MARKETPLACE_DB_URL: databaseUrl,
    MARKETPLACE_FUNCTIONS_URL: `${url}/functions/v1`,
    ...(parts.n8n ? { N8N_URL: at(layout.ports.n8n) } : {}),
    ...(parts.sandbox
      ? {
        SANDBOX_URL: sandbox,
        SANDBOX_GITHUB_URL: `${sandbox}/github`,
        SANDBOX_GOOGLE_URL: `${sandbox}/google`,
        SANDBOX_SLACK_URL: `${sandbox}/slack/api`,
        SANDBOX_S3_URL: at(layout.ports.sandboxS3),
        ...SANDBOX_S3,
      }
      : {}),
  };
}
