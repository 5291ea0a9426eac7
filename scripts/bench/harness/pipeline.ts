/**
 * A workflow to deliver to: an HTTP endpoint of the bench's own behind a rule for every GitHub event.
 * @module
 */
import { registerGitHub } from "./deliveries.ts";
import type { Place } from "./stack.ts";

/** A dispatch that reached the workflow. */
export interface Arrival {
  correlationId: string;
  /** The same for every attempt of a job. */
  jobId: string;
  attempt: number;
  /** `performance.now()` at its first byte. */
  at: number;
}

/** The rule's other end. */
export interface Pipeline {
  workflowId: string;
  stop(): Promise<void>;
}

/**
 * Registers GitHub, the workflow and the rule, and serves the workflow. A job is done when it is
 * answered with 2xx.
 *
 * @param answer what the workflow does; called as soon as the request's head is there
 */
export async function openPipeline(
  { sql }: Pick<Place, "sql">,
  answer: (arrival: Arrival) => Response | Promise<Response>,
): Promise<Pipeline> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const at = performance.now();
      const { data: { job } } = await request.json();
      const { id: jobId, correlation_id: correlationId, attempt } = job;
      return await answer({ correlationId, jobId, attempt, at });
    },
  );
  const integrationId = await registerGitHub(sql);
  const [workflow] = await sql<{ id: string }[]>`
    insert into marketplace.workflows (
      slug, name, kind, endpoint, completion, allows_private_network, max_concurrency,
      max_attempts, retry_base, retry_cap, timeout_ms, lease
    )
    values (
      'bench', 'Bench', 'http', ${`http://127.0.0.1:${server.addr.port}/`}, 'response', true, 200,
      50, '100 milliseconds', '2 seconds', 2000, '5 seconds'
    )
    returning id`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
    values ('bench', ${integrationId}, ${workflow!.id})`;
  return { workflowId: workflow!.id, stop: () => server.shutdown() };
}

/** Waits until no job is pending or running and no event unrouted; gives up after a time. */
export async function drained({ sql }: Pick<Place, "sql">, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const [row] = await sql<{ busy: boolean }[]>`
      select
        exists (select from marketplace.webhook_events where not processed)
        or exists (select from marketplace.sync_jobs where status in ('pending', 'running')) as busy`;
    if (!row!.busy) return true;
    await new Promise((done) => setTimeout(done, 100));
  }
  return false;
}
