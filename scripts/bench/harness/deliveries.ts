/**
 * GitHub pushes of about 7 kB, signed as GitHub signs them.
 * @module
 */
import examples from "@octokit/webhooks-examples" with { type: "json" };
import { createHmac } from "node:crypto";
import type postgres from "postgres";

/** The webhook secret of the bench's GitHub integration. */
export const SECRET = "bench-webhook-secret";

/** A body and the headers that are the same for every delivery of it. */
export interface SignedBody {
  body: string;
  headers: Record<string, string>;
}

/** Registers GitHub as the default integration, with a webhook secret. */
export async function registerGitHub(sql: postgres.Sql): Promise<string> {
  const [row] = await sql<{ id: string }[]>`
    select marketplace.register_integration(
      'github-actions', 'GitHub Actions', 'github', 'automation', '{}'
    ) as id`;
  await sql`select marketplace.set_integration_secret('github-actions', 'webhook', ${SECRET})`;
  return row!.id;
}

/**
 * Different bodies made of GitHub's published push (7.7 kB), each signed.
 *
 * @param count how many; deliveries of the same body differ in their delivery id
 */
export function signedPushes(count: number): SignedBody[] {
  const push = examples.find(({ name }) => name === "push")!.examples
    .find((example) => "commits" in example && (example.commits as unknown[]).length > 0);
  return Array.from({ length: count }, (_, i) => {
    const payload = structuredClone(push) as unknown as Record<string, unknown>;
    payload.after = crypto.randomUUID().replaceAll("-", "").padEnd(40, "0");
    payload.ref = `refs/heads/branch-${i}`;
    const body = JSON.stringify(payload);
    return {
      body,
      headers: {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/bench",
        "x-github-event": "push",
        "x-hub-signature-256": `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`,
      },
    };
  });
}
