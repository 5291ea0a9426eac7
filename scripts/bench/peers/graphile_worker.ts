/**
 * graphile-worker as a peer: a queue of its own in the same database.
 * @module
 */
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import type { QueuePeer } from "./queue_peer.ts";

const TASK = "bench";

/** Makes graphile-worker's schema. Taking and completing are its own affair: they are one figure. */
export async function startGraphileWorker(url: string): Promise<QueuePeer> {
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  let waiting = 0;
  return {
    table: "graphile_worker._private_jobs",
    async enqueue(payloads) {
      waiting += payloads.length;
      if (payloads.length === 1) await utils.addJob(TASK, payloads[0]);
      else await utils.addJobs(payloads.map((payload) => ({ identifier: TASK, payload })));
    },
    async drain({ batch, workers }) {
      const all = Promise.withResolvers<void>();
      const expected = waiting;
      waiting = 0;
      let jobs = 0;
      const began = performance.now();
      const runner = await run({
        connectionString: url,
        logger,
        noHandleSignals: true,
        taskList: {
          [TASK]() {
            if (++jobs === expected) all.resolve();
          },
        },
        preset: {
          worker: {
            concurrentJobs: batch > 1 ? 24 : workers,
            maxPoolSize: 4,
            pollInterval: 10,
            preparedStatements: true,
            // In batches: as its documentation says that it is fastest.
            ...(batch > 1 && {
              localQueue: { size: batch },
              completeJobBatchDelay: 0,
              failJobBatchDelay: 0,
            }),
          },
        },
      });
      await all.promise;
      // What it has completed is written before it stops.
      await runner.stop();
      return { jobs, ms: performance.now() - began };
    },
    stop: async () => await utils.release(),
  };
}
