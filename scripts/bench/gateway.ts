/**
 * Figure 6: what a call through the gateway costs, next to the same call made directly.
 *
 * The provider is a server in this process that answers after a given time; both ways carry the same
 * request to it, with the same connections kept open. Which statements and look-ups a call makes is
 * asserted in `supabase/functions/tests/execute_cost_test.ts`: counts do not depend on the machine.
 * @module
 */
import type postgres from "postgres";
import { compare, medianOf, quantile, type Row, type Sample } from "./harness/compare.ts";
import { type Bench, type Figure, type Table, target } from "./harness/figure.ts";
import { treeCpuMs, usageOf } from "./harness/processes.ts";
import { type Place, postmasterPid } from "./harness/stack.ts";

const DIRECT = "direct";
const GATEWAY = "marketplace-execute";

/** How long the provider takes; milliseconds. */
const PROVIDER_MS = 20;
const WARM_UP_CALLS = 3_000;
const BODY = JSON.stringify({ items: Array.from({ length: 50 }, (_, id) => ({ id, name: "n" })) });

export const figure: Figure = {
  number: 6,
  title: "gateway: an action through marketplace-execute, next to the call itself",
  stack: {},
  run: benchGateway,
};

/**
 * Measures calls side by side, directly and through the gateway.
 *
 * @returns a table for each width; its first value is the median time of a call in milliseconds
 */
export async function benchGateway(bench: Bench): Promise<Table[]> {
  const { place, quick } = bench;
  const provider = startProvider();
  const slug = `bench-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await register(place.sql, slug, provider.url);
    const direct = () =>
      fetch(`${provider.url}/things`, { headers: { authorization: "Bearer bench-token" } });
    const through = () =>
      fetch(`${place.env.MARKETPLACE_FUNCTIONS_URL}/marketplace-execute`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${place.env.SUPABASE_SECRET_KEY}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ integration: slug, action: "things.list" }),
      });
    const tables: Table[] = [];
    const postmaster = await postmasterPid(place);
    // V8 compiles what has run some thousand times: what serves people has.
    await measure(quick ? 200 : WARM_UP_CALLS, 8, through, provider);
    for (const width of quick ? [1, 32] : [1, 8, 32]) {
      const calls = (quick ? 30 : 150) * Math.min(width, 8);
      let made = 0;
      const before = await counted(place, slug);
      const rows = await compare(bench, [
        {
          name: DIRECT,
          run: async () => ({
            ...await measure(calls, width, direct, provider),
            edge_us: NaN,
            postgres_us: NaN,
          }),
        },
        {
          name: GATEWAY,
          run: async () => {
            made += calls;
            const used = async () => [
              (await usageOf(place.stack.edgePid())).cpuMs,
              await treeCpuMs(postmaster),
            ];
            const [edge, postgres] = await used();
            const sample = await measure(calls, width, through, provider);
            const [edgeAfter, postgresAfter] = await used();
            return {
              ...sample,
              edge_us: (edgeAfter! - edge!) * 1000 / calls,
              postgres_us: (postgresAfter! - postgres!) * 1000 / calls,
            };
          },
        },
      ], { rounds: quick ? 1 : 5, baseline: DIRECT });
      const after = await counted(place, slug);
      tables.push({
        title: `6. Gateway, ${width} side by side`,
        rowsAre: `calls to a provider that takes ${PROVIDER_MS} ms`,
        rows,
        checks: [
          { what: "log rows that succeeded", expected: made, found: after.logged - before.logged },
          { what: "quota used", expected: made, found: after.used - before.used },
          { what: "quota still reserved", expected: 0, found: after.reserved },
        ],
        targets: [
          width === 1
            ? target("ms more at the median ≤ 5", overhead(rows), { atMost: 5 })
            : target("ms more at the median", overhead(rows), {}),
        ],
        notes: width === 1
          ? [
            `Measured after ${quick ? 200 : WARM_UP_CALLS} calls.`,
            "All share the machine's cores: the callers, the provider, the edge process and Postgres. The",
            "action only reads: its log rows and its quota are committed without waiting for the disk.",
            "Microseconds are CPU time of the edge process and of Postgres, a call.",
          ]
          : [],
      });
    }
    return tables;
  } finally {
    await place.sql`delete from marketplace.integrations where slug = ${slug}`;
    await place.sql`delete from marketplace.providers where slug = ${slug.replaceAll("-", "_")}`;
    await provider.stop();
  }
}

/** What the gateway adds to a call beside the provider's own time, in milliseconds. */
function overhead(rows: readonly Row[]): number {
  const beside = (name: string) =>
    medianOf(rows, name, "p50_ms") - medianOf(rows, name, "provider_ms");
  return beside(GATEWAY) - beside(DIRECT);
}

interface Provider {
  url: string;
  /** How long each call since the last measurement took there, in milliseconds. */
  times: number[];
  stop(): Promise<void>;
}

/**
 * Timers end on whole milliseconds of the process. Whoever calls directly is in step with them, each
 * call beginning when the last one's timer has ended, and what comes through the gateway is not: it
 * is answered up to a millisecond later, or earlier. So the provider's own time is measured.
 */
function startProvider(): Provider {
  const times: number[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async () => {
      const began = performance.now();
      await new Promise((resolve) => setTimeout(resolve, PROVIDER_MS));
      times.push(performance.now() - began);
      return new Response(BODY, { headers: { "content-type": "application/json" } });
    },
  );
  return { url: `http://127.0.0.1:${server.addr.port}`, times, stop: () => server.shutdown() };
}

async function register(sql: postgres.Sql, slug: string, url: string): Promise<void> {
  const provider = slug.replaceAll("-", "_");
  await sql`
    select marketplace.register_provider(
      ${provider}, 'Bench', 'storage', ${url}, 'bearer',
      p_rate_limit => '{"quota": {"limit": 1000000, "window_seconds": 3600}}'
    )
  `;
  await sql`
    select marketplace.register_action(
      ${provider}, 'things.list', 'GET', '/things', '{"type": "object", "properties": {}}'
    )
  `;
  await sql`
    select marketplace.register_integration(
      ${slug}, 'Bench', ${provider}, 'storage', '{"allow_private_network": true}'
    )
  `;
  await sql`select marketplace.set_integration_secret(${slug}, 'api_token', 'bench-token')`;
}

async function counted({ sql }: Place, slug: string) {
  const [row] = await sql<{ logged: number; used: number; reserved: number }[]>`
    select
      (select count(*) from marketplace.execution_logs as x
        where x.integration_id = i.id and x.outcome = 'succeeded')::int as logged,
      coalesce((select sum(q.used_count) from marketplace.api_quotas as q
        where q.integration_id = i.id), 0)::int as used,
      coalesce((select sum(q.reserved_count) from marketplace.api_quotas as q
        where q.integration_id = i.id), 0)::int as reserved
    from marketplace.integrations as i where i.slug = ${slug}
  `;
  return row!;
}

/** Makes calls side by side. */
async function measure(
  calls: number,
  width: number,
  call: () => Promise<Response>,
  provider: Provider,
): Promise<Sample> {
  const times: number[] = [];
  provider.times.length = 0;
  let next = 0;
  const began = performance.now();
  await Promise.all(Array.from({ length: width }, async () => {
    while (next++ < calls) {
      const start = performance.now();
      const response = await call();
      const text = await response.text();
      if (!response.ok) throw new Error(`A call was answered with ${response.status}: ${text}`);
      times.push(performance.now() - start);
    }
  }));
  const seconds = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  const atProvider = provider.times.toSorted((a, b) => a - b);
  return {
    p50_ms: quantile(times, 0.5),
    p99_ms: quantile(times, 0.99),
    provider_ms: quantile(atProvider, 0.5),
    per_second: calls / seconds,
  };
}
