/**
 * Figure 2: events routed and jobs done a second, next to two queues for Node.js in the same database.
 * @module
 */
import { compare, medianOf, type Row, type Variant } from "./harness/compare.ts";
import { type Figure, type Table, target } from "./harness/figure.ts";
import {
  drainQueue,
  emptyQueue,
  registerQueue,
  routeAll,
  runQueue,
  storeEvents,
} from "./harness/jobs.ts";
import { treeCpuMs } from "./harness/processes.ts";
import { type Place, postmasterPid, silence } from "./harness/stack.ts";
import { startGraphileWorker } from "./peers/graphile_worker.ts";
import { startPgBoss } from "./peers/pg_boss.ts";
import type { QueuePeer } from "./peers/queue_peer.ts";

/** What is done for a workflow behind HTTP, without the sending: leased with a token, then recorded. */
const OURS = "marketplace, leased";
/** The no-op destination in the database: a workflow that is a function of it. */
const FUNCTION = "marketplace, a function";
const WORKERS = 2;

export const figure: Figure = {
  number: 2,
  title: "queue: events routed and jobs done, next to graphile-worker and pg-boss",
  stack: {},
  async run(bench) {
    const { place, quick } = bench;
    await silence(place);
    await registerQueue(place.sql);
    const url = place.env.SUPABASE_DB_URL!;
    await using peers = new AsyncDisposableStack();
    const graphile = peers.adopt(await startGraphileWorker(url), (peer) => peer.stop());
    const boss = peers.adopt(await startPgBoss(url), (peer) => peer.stop());

    const tables: Table[] = [];
    for (const { batch, count } of sizes(quick)) {
      const done = { [OURS]: 0, [FUNCTION]: 0, "graphile-worker": 0, "pg-boss": 0 };
      let rounds = 0;
      const ours: Variant = {
        name: OURS,
        async run() {
          await storeEvents(place.sql, count);
          const routed = await routeAll(place.sql, batch);
          const drained = await withCpu(
            place,
            () => drainQueue(place.sql, { batch, workers: WORKERS }),
          );
          done[OURS] += await emptyQueue(place.admin);
          rounds++;
          return sample({
            count,
            enqueueMs: routed.ms,
            ms: drained.ms,
            cpuMs: drained.cpuMs,
            claimMs: drained.claimMs,
            completeMs: drained.recordMs,
          });
        },
      };
      const inDatabase: Variant = {
        name: FUNCTION,
        async run() {
          await storeEvents(place.sql, count, { path: "rows/" });
          const routed = await routeAll(place.sql, batch);
          const drained = await withCpu(
            place,
            () => runQueue(place.sql, { batch, workers: WORKERS }),
          );
          done[FUNCTION] += await emptyQueue(place.admin);
          return sample({ count, enqueueMs: routed.ms, ms: drained.ms, cpuMs: drained.cpuMs });
        },
      };
      const other = (name: "graphile-worker" | "pg-boss", peer: QueuePeer): Variant => ({
        name,
        async run() {
          const began = performance.now();
          for (let added = 0; added < count; added += batch) {
            await peer.enqueue(Array.from({ length: Math.min(batch, count - added) }, PAYLOAD));
          }
          const enqueueMs = performance.now() - began;
          const drained = await withCpu(place, () => peer.drain({ batch, workers: WORKERS }));
          done[name] += drained.jobs;
          await place.admin.unsafe(`truncate ${peer.table} cascade`);
          return sample({ count, enqueueMs, ...drained });
        },
      });
      const rows = await compare(
        bench,
        [ours, inDatabase, other("graphile-worker", graphile), other("pg-boss", boss)],
        { rounds: quick ? 1 : 5, baseline: "pg-boss" },
      );
      const each = count * rounds;
      tables.push({
        title: batch > 1 ? `2. Queue, in batches of ${batch}` : "2. Queue, one job at a time",
        rowsAre: `${count} jobs, ${WORKERS} at once`,
        rows,
        checks: Object.entries(done).map(([name, found]) => ({
          what: `jobs done by ${name}`,
          expected: each,
          found,
        })),
        targets: targets(rows, batch),
        notes: batch > 1 ? NOTES : [],
      });
    }
    return tables;
  },
};

function sizes(quick: boolean): { batch: number; count: number }[] {
  return quick
    ? [{ batch: 500, count: 2_000 }, { batch: 1, count: 100 }]
    : [{ batch: 500, count: 20_000 }, { batch: 50, count: 10_000 }, { batch: 1, count: 1_000 }];
}

const PAYLOAD = () => ({ file: { id: "0B8aXo2n", size: 4096 } });

/** Adds the CPU time that the database server used meanwhile, all of its processes together. */
async function withCpu<T>(place: Place, use: () => Promise<T>): Promise<T & { cpuMs: number }> {
  const server = await postmasterPid(place);
  const before = await treeCpuMs(server);
  const used = await use();
  // Backends whose connection was closed are counted when they have ended.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { ...used, cpuMs: await treeCpuMs(server) - before };
}

/** Microseconds a job: what it costs, however many go at once. */
function sample(
  { count, enqueueMs, ms, cpuMs, claimMs = NaN, completeMs = NaN }: {
    count: number;
    enqueueMs: number;
    ms: number;
    cpuMs: number;
    claimMs?: number;
    completeMs?: number;
  },
) {
  const perJob = (of: number) => of / count * 1000;
  return {
    per_second: count / (ms / 1000),
    "cpu_µs": perJob(cpuMs),
    "enqueue_µs": perJob(enqueueMs),
    "claim_µs": perJob(claimMs),
    "complete_µs": perJob(completeMs),
    "all_µs": perJob(enqueueMs + ms),
  };
}

function targets(rows: readonly Row[], batch: number) {
  const rate = (name: string) => medianOf(rows, name, "per_second");
  return [
    ...["graphile-worker", "pg-boss"].map((peer) =>
      target(`a function: times ${peer}'s rate ≥ 1`, rate(FUNCTION) / rate(peer), { atLeast: 1 })
    ),
    ...(batch >= 500 ? [target("leased: jobs/s ≥ 10,000", rate(OURS), { atLeast: 10_000 })] : []),
  ];
}

const NOTES = [
  "/s: claimed and completed. cpu: what the server's processes used for that, all together. enqueue: for",
  "the peers the insert of a job; for the marketplace the routing of a stored event, which is marked,",
  "matched with the rules and made a job. all: enqueued, claimed and completed. Leased: what a workflow",
  "behind HTTP needs, a lease, a token and a body for each job. A function does its work and ends its job",
  "in one transaction. Both keep the job, its attempt, the order of its key, rate and concurrency; of",
  "these the peers keep the job at most, and graphile-worker nothing once it is done.",
];
