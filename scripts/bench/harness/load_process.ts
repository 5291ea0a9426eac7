/**
 * The load generator: reads one {@link Load} from standard input, writes one {@link LoadResult}.
 * @module
 */
import { Client } from "undici";
import { quantile } from "./compare.ts";
import type { Load, LoadResult } from "./load.ts";

const load: Load = JSON.parse(await new Response(Deno.stdin.readable).text());
const { origin, pathname, search } = new URL(load.url);
const bodies = load.bodies.map(({ body, headers }) => ({
  body: new TextEncoder().encode(body),
  headers,
}));
const idHeader = load.idHeader ?? "x-github-delivery";

const started = performance.now();
const measureFrom = started + (load.warmUpSeconds ?? 0) * 1000;
const endAt = measureFrom + load.seconds * 1000;
const gapMs = load.perSecond === undefined ? 0 : 1000 / load.perSecond;

let sent = 0;
let accepted = 0;
let measured = 0;
const refused: Record<string, number> = {};
const latencies: number[] = [];

async function connection(): Promise<void> {
  const client = new Client(origin, { pipelining: 1, bodyTimeout: 30_000, headersTimeout: 30_000 });
  for (;;) {
    const index = sent++;
    // A planned request that has to wait for a connection has waited all the same.
    const due = gapMs ? started + index * gapMs : performance.now();
    if (due >= endAt) break;
    if (gapMs && due > performance.now()) await sleepUntil(due);
    const { body, headers } = bodies[index % bodies.length]!;
    try {
      const answer = await client.request({
        path: pathname + search,
        method: "POST",
        headers: { ...headers, [idHeader]: crypto.randomUUID() },
        body,
      });
      await answer.body.dump();
      const now = performance.now();
      if (answer.statusCode < 300) {
        accepted++;
        if (due >= measureFrom) latencies.push(now - due);
        if (now >= measureFrom && now < endAt) measured++;
      } else count(String(answer.statusCode));
    } catch {
      count("error");
    }
  }
  await client.close();
}

function count(what: string): void {
  refused[what] = (refused[what] ?? 0) + 1;
}

function sleepUntil(at: number): Promise<void> {
  return new Promise((done) => setTimeout(done, Math.max(0, at - performance.now())));
}

await Promise.all(Array.from({ length: load.connections }, connection));
latencies.sort((a, b) => a - b);
const { user, system } = process.cpuUsage();
const result: LoadResult = {
  accepted,
  refused,
  perSecond: measured / load.seconds,
  p50Ms: quantile(latencies, 0.5),
  p90Ms: quantile(latencies, 0.9),
  p99Ms: quantile(latencies, 0.99),
  maxMs: latencies.at(-1) ?? NaN,
  cpuMs: (user + system) / 1000,
};
console.log(JSON.stringify(result));
