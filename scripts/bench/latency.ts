/**
 * Figure 3: how long after the sender's POST a workflow sees its job.
 * @module
 */
import { compare, medianOf, quantile, type Sample } from "./harness/compare.ts";
import { signedPushes } from "./harness/deliveries.ts";
import { type Bench, type Figure, target } from "./harness/figure.ts";
import { sendLoad } from "./harness/load.ts";
import { drained, openPipeline } from "./harness/pipeline.ts";

const ASLEEP = "idle, dispatcher asleep";
const AWAKE = "idle, dispatcher awake";
const HALF = "at half load";

/** Longer than an idle dispatcher keeps polling (MARKETPLACE_DISPATCH_LINGER_MS). */
const ASLEEP_GAP_MS = 1_300;
const AWAKE_GAP_MS = 150;

export const figure: Figure = {
  number: 3,
  title: "latency: from the sender's POST to the workflow's first byte",
  stack: {},
  async run(bench) {
    const { place, quick, signal } = bench;
    const arrivals = new Map<string, number>();
    let answered = 0;
    await using peers = new AsyncDisposableStack();
    const pipeline = await openPipeline(place, ({ correlationId, at }) => {
      if (!arrivals.has(correlationId)) arrivals.set(correlationId, at);
      answered++;
      return new Response(null, { status: 204 });
    });
    peers.defer(() => pipeline.stop());
    const url = `${place.env.MARKETPLACE_FUNCTIONS_URL}/marketplace-webhook/github`;
    const bodies = signedPushes(64);
    let accepted = 0;

    /** Posts once and waits for the workflow to see it; milliseconds to the answer and to that. */
    const probe = async () => {
      const { body, headers } = bodies[accepted % bodies.length]!;
      const sentAt = performance.now();
      const response = await fetch(url, {
        method: "POST",
        body,
        headers: { ...headers, "x-github-delivery": crypto.randomUUID() },
      });
      const answeredAt = performance.now();
      const { correlation_id: id } = await response.json();
      if (!response.ok) throw new Error(`A delivery was answered with ${response.status}.`);
      accepted++;
      while (!arrivals.has(id)) {
        signal.throwIfAborted();
        if (performance.now() > sentAt + 30_000) throw new Error(`${id} did not arrive in 30 s.`);
        await pause(1);
      }
      return { ack: answeredAt - sentAt, seen: arrivals.get(id)! - sentAt };
    };
    const probes = async (count: number, gapMs: number): Promise<Sample> => {
      const acks: number[] = [];
      const seen: number[] = [];
      for (let i = 0; i < count; i++) {
        await pause(gapMs * (0.75 + Math.random() / 2));
        const times = await probe();
        acks.push(times.ack);
        seen.push(times.seen);
      }
      acks.sort((a, b) => a - b);
      seen.sort((a, b) => a - b);
      return {
        p50_ms: quantile(seen, 0.5),
        p90_ms: quantile(seen, 0.9),
        p99_ms: quantile(seen, 0.99),
        ack_p50_ms: quantile(acks, 0.5),
      };
    };

    await probe(); // loads the functions
    const rate = await capacity(bench, url, () => answered);
    accepted += rate.accepted;
    bench.note(`${Math.round(rate.perSecond)} deliveries/s go through from end to end`);
    const rows = await compare(bench, [
      { name: ASLEEP, run: () => probes(quick ? 5 : 25, ASLEEP_GAP_MS) },
      { name: AWAKE, run: () => probes(quick ? 20 : 60, AWAKE_GAP_MS) },
      {
        name: HALF,
        run: async () => {
          const count = quick ? 20 : 60;
          const load = sendLoad({
            url,
            connections: 16,
            seconds: count * AWAKE_GAP_MS / 1000 + 2,
            perSecond: rate.perSecond / 2,
            bodies,
          }, signal);
          await pause(1_000);
          const sample = await probes(count, AWAKE_GAP_MS);
          accepted += (await load).accepted;
          await drained(place, 60_000);
          return sample;
        },
      },
    ], { rounds: quick ? 1 : 4, warmUp: false });
    await drained(place, 60_000);
    const [jobs] = await place.sql<{ events: number; completed: number }[]>`
      select
        (select count(*) from marketplace.webhook_events)::int as events,
        (select count(*) from marketplace.sync_jobs where status = 'completed')::int as completed`;
    return [{
      title: "3. From the sender's POST to the workflow's first byte",
      rowsAre: "GitHub pushes, 7.7 kB, one workflow",
      rows,
      checks: [
        { what: "rows of accepted deliveries", expected: accepted, found: jobs!.events },
        { what: "jobs completed", expected: accepted, found: jobs!.completed },
        { what: "dispatches seen by the workflow", expected: accepted, found: answered },
      ],
      targets: [
        target("idle p50 ≤ 25 ms", medianOf(rows, ASLEEP, "p50_ms"), { atMost: 25 }),
        target("idle p99 ≤ 150 ms", medianOf(rows, ASLEEP, "p99_ms"), { atMost: 150 }),
      ],
      notes: [
        `Half load is half of the ${
          Math.round(rate.perSecond)
        }/s that go through from end to end here.`,
        "Asleep, the database rings the dispatcher through pg_net; awake, it looks by itself.",
      ],
    }];
  },
};

/** Deliveries a second that go all the way when as many are sent as are taken. */
async function capacity(
  { place, quick, signal }: Bench,
  url: string,
  answered: () => number,
): Promise<{ perSecond: number; accepted: number }> {
  const before = answered();
  const started = performance.now();
  const { accepted } = await sendLoad(
    { url, connections: 16, seconds: quick ? 1 : 4, bodies: signedPushes(64) },
    signal,
  );
  while (answered() - before < accepted && performance.now() < started + 120_000) await pause(20);
  const perSecond = accepted / ((performance.now() - started) / 1000);
  await drained(place, 60_000);
  return { perSecond, accepted };
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
