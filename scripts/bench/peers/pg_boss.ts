/**
 * pg-boss as a peer: a queue of its own in the same database.
 * @module
 */
import { PgBoss } from "pg-boss";
import type { QueuePeer } from "./queue_peer.ts";

const QUEUE = "bench";

/** Makes pg-boss's schema and a queue. */
export async function startPgBoss(url: string): Promise<QueuePeer> {
  const boss = new PgBoss({ connectionString: url, schema: "pgboss", max: 4, supervise: false });
  boss.on("error", (error) => console.error(`pg-boss: ${error}`));
  await boss.start();
  await boss.createQueue(QUEUE);
  return {
    table: "pgboss.job",
    async enqueue(payloads) {
      if (payloads.length === 1) await boss.send(QUEUE, payloads[0]!);
      else await boss.insert(QUEUE, payloads.map((data) => ({ data })));
    },
    async drain({ batch, workers }) {
      const done = { jobs: 0, claimMs: 0, completeMs: 0 };
      const began = performance.now();
      const worker = async () => {
        for (;;) {
          const asked = performance.now();
          const jobs = await boss.fetch(QUEUE, { batchSize: batch });
          const claimed = performance.now();
          done.claimMs += claimed - asked;
          if (jobs.length === 0) return;
          await boss.complete(QUEUE, jobs.map(({ id }) => id));
          done.completeMs += performance.now() - claimed;
          done.jobs += jobs.length;
        }
      };
      await Promise.all(Array.from({ length: workers }, worker));
      return { ...done, ms: performance.now() - began };
    },
    stop: () => boss.stop({ graceful: false }),
  };
}
