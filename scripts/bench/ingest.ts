/**
 * Figure 1: accepted deliveries a second, next to the database alone and to how others do it.
 * @module
 */
import { startDriver, startPgbench } from "./harness/ceiling.ts";
import { compare, medianOf, ratioOf, type Row, type Variant } from "./harness/compare.ts";
import { registerGitHub, signedPushes } from "./harness/deliveries.ts";
import { type Figure, type Table, target } from "./harness/figure.ts";
import { sendLoad } from "./harness/load.ts";
import { treeCpuMs, usageOf } from "./harness/processes.ts";
import { type Place, postmasterPid, silence } from "./harness/stack.ts";
import { startN8nWebhook } from "./peers/n8n_webhook.ts";
import { startTutorial } from "./peers/tutorial.ts";

const OURS = "marketplace-webhook";
const DRIVER = "the same rows, no HTTP";
const PGBENCH = "pgbench, prepared";
const TUTORIAL = "tutorial: supabase-js";
const N8N = "n8n's webhook node";

/** The functions' pool, see MARKETPLACE_DB_POOL. */
const POOL = 8;

export const figure: Figure = {
  number: 1,
  title: "ingest: accepted deliveries, next to the database alone, a tutorial and n8n",
  stack: { n8n: true },
  async run(bench) {
    const { place, quick } = bench;
    await silence(place);
    const integrationId = await registerGitHub(place.sql);
    const levels = quick ? [1, 32] : [1, 8, 32, 128];
    const seconds = quick ? 1 : 3;
    const rounds = quick ? 1 : 5;
    const [integration] = await place.sql<{ organizationId: string }[]>`
      select organization_id as "organizationId" from marketplace.integrations
      where id = ${integrationId}`;
    const facts = { integrationId, organizationId: integration!.organizationId };
    const bodies = signedPushes(64);
    const postmaster = await postmasterPid(place);

    await using peers = new AsyncDisposableStack();
    const url = place.env.SUPABASE_DB_URL!;
    const driver = peers.adopt(startDriver(url, facts, bodies, POOL), (peer) => peer.stop());
    const pgbench = await startPgbench(url, facts, bodies[0]!);
    if (pgbench) peers.defer(() => pgbench.stop());
    const tutorial = peers.adopt(await startTutorial(place), (peer) => peer.stop());
    const n8n = peers.adopt(await startN8nWebhook(place), (peer) => peer.stop());

    const tables: Table[] = [];
    for (const connections of levels) {
      const counted = { accepted: 0, stored: 0, driver: 0, tutorial: 0, n8n: 0, refused: 0 };
      const posted = async (endpoint: string, pids: () => number[]) => {
        const used = await cpuMeter([...pids(), postmaster]);
        const result = await sendLoad(
          { url: endpoint, connections, seconds, warmUpSeconds: quick ? 0.2 : 0.5, bodies },
          bench.signal,
        );
        counted.refused += Object.values(result.refused).reduce((sum, n) => sum + n, 0);
        return {
          accepted: result.accepted,
          sample: {
            per_second: result.perSecond,
            p50_ms: result.p50Ms,
            p99_ms: result.p99Ms,
            cpu_us: await used() * 1000 / result.accepted,
          },
        };
      };
      const before = { tutorial: await tutorial.count(), n8n: await n8n.count() };
      const variants: Variant[] = [
        {
          name: DRIVER,
          run: async () => {
            const known = driver.inserted();
            const used = await cpuMeter([Deno.pid, postmaster]);
            const sample = await driver.run(connections, seconds);
            const inserted = driver.inserted() - known;
            const cpuUs = await used() * 1000 / inserted;
            counted.driver += inserted - await emptied(place);
            return { ...sample, cpu_us: cpuUs };
          },
        },
        {
          name: OURS,
          run: async () => {
            const { accepted, sample } = await posted(
              `${place.env.MARKETPLACE_FUNCTIONS_URL}/marketplace-webhook/github`,
              () => [place.stack.edgePid()],
            );
            counted.accepted += accepted;
            counted.stored += await emptied(place);
            return sample;
          },
        },
        {
          name: TUTORIAL,
          run: async () => {
            const { accepted, sample } = await posted(
              tutorial.url,
              () => [tutorial.pid, place.stack.edgePid()],
            );
            counted.tutorial += accepted;
            return sample;
          },
        },
      ];
      if (pgbench) {
        variants.push({
          name: PGBENCH,
          run: async () => {
            const sample = await pgbench.run(connections, seconds);
            await emptied(place);
            return { ...sample, cpu_us: NaN };
          },
        });
      }
      variants.push({
        name: N8N,
        run: async () => {
          const { accepted, sample } = await posted(n8n.url, () => []);
          counted.n8n += accepted;
          return { ...sample, cpu_us: NaN };
        },
      });
      const rows = await compare(bench, variants, { rounds, baseline: DRIVER });
      tables.push({
        title: `1. Ingest at ${connections} connection${connections > 1 ? "s" : ""}`,
        rowsAre: "GitHub pushes, 7.7 kB",
        rows,
        checks: [
          {
            what: "rows of accepted deliveries",
            expected: counted.accepted,
            found: counted.stored,
          },
          { what: "rows the driver lacks", expected: 0, found: counted.driver },
          {
            what: "rows of the tutorial",
            expected: counted.tutorial,
            found: await tutorial.count() - before.tutorial,
          },
          {
            what: "executions of n8n",
            expected: counted.n8n,
            found: await n8n.count() - before.n8n,
          },
          { what: "refused or unanswered", expected: 0, found: counted.refused },
        ],
        targets: connections === 32 ? targets(rows) : [],
        notes: connections === levels[0] ? NOTES : [],
      });
    }
    return tables;
  },
};

function targets(rows: readonly Row[]) {
  const ours = medianOf(rows, OURS, "per_second");
  const p99OverP50 = medianOf(rows, OURS, "p99_ms") / medianOf(rows, OURS, "p50_ms");
  return [
    target("of the driver's rate ≥ 0.75", ratioOf(rows, OURS), { atLeast: 0.75 }),
    target("p99 over p50 ≤ 5", p99OverP50, { atMost: 5 }),
    target("times the tutorial's rate ≥ 4", ours / medianOf(rows, TUTORIAL, "per_second"), {
      atLeast: 4,
    }),
    target("times n8n's rate ≥ 20", ours / medianOf(rows, N8N, "per_second"), { atLeast: 20 }),
  ];
}

const NOTES = [
  "All share the machine's cores: load generator, edge process and Postgres here; driver and Postgres",
  "without HTTP. Nothing is routed meanwhile. n8n verifies nothing and dedupes nothing.",
  "CPU is what one row costs server and Postgres together, without the load generator.",
];

/** Starts counting CPU time; the function returned says how much was used since, in milliseconds. */
async function cpuMeter(pids: number[]): Promise<() => Promise<number>> {
  // Postgres forks a backend for each connection.
  const read = async () => {
    const each = await Promise.all(
      pids.map(async (pid) => pid === pids.at(-1) ? treeCpuMs(pid) : (await usageOf(pid)).cpuMs),
    );
    return each.reduce((sum, ms) => sum + ms, 0);
  };
  const before = await read();
  return async () => await read() - before;
}

/** Empties the log and the dedupe keys; returns how many events there were. */
async function emptied({ admin }: Pick<Place, "admin">): Promise<number> {
  const [row] = await admin<{ events: number; keys: number }[]>`
    select
      (select count(*) from marketplace.webhook_events)::int as events,
      (select count(*) from marketplace.webhook_deliveries)::int as keys`;
  if (row!.events !== row!.keys) {
    throw new Error(`${row!.events} events, but ${row!.keys} dedupe keys: one was lost.`);
  }
  await admin`truncate marketplace.webhook_events, marketplace.webhook_deliveries`;
  return row!.events;
}
