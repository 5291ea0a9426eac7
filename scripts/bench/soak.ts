/**
 * Figure 8: a mixed load with faults, for minutes. Memory stays flat, the queue drains, nothing is
 * lost.
 * @module
 */
import { join } from "node:path";
import postgres from "postgres";
import { quantile, type Row, summarize } from "./harness/compare.ts";
import { type SignedBody, signedPushes } from "./harness/deliveries.ts";
import { type Bench, type Figure, target } from "./harness/figure.ts";
import { type Arrival, drained, openPipeline } from "./harness/pipeline.ts";
import { usageOf } from "./harness/processes.ts";
import type { Place } from "./harness/stack.ts";

/** Deliveries a second: far below what goes through, so that a backlog means something. */
const PER_SECOND = 40;
const SAMPLE_MS = 5_000;
const DRAIN_MS = 120_000;

/** What is asked of the database beside, once a second each, as a dashboard does. */
const QUESTIONS = [
  "select * from marketplace.v_job_queue",
  "select * from marketplace.v_recent_syncs limit 20",
  "select * from marketplace.v_integration_health",
  "select * from marketplace.v_event_rates",
  "select * from marketplace.v_alerts",
  "select * from marketplace.health()",
];

export const figure: Figure = {
  number: 8,
  title: "soak: mixed load with faults; memory flat, queue drained, nothing lost",
  stack: {},
  async run(given) {
    // Clients that survive the death of the server whatever they are doing: see net_worker.ts.
    const connect = (url: string) =>
      postgres(url, { max: 4, fetch_types: false, onnotice: () => {} });
    await using clients = new AsyncDisposableStack();
    const sql = clients.adopt(connect(given.place.env.SUPABASE_DB_URL!), (client) => client.end());
    const admin = clients.adopt(connect(given.place.adminUrl), (client) => client.end());
    const bench = { ...given, place: { ...given.place, sql, admin } };
    const { place, quick } = bench;
    const minutes = bench.options.minutes ?? (quick ? 1 : 10);
    const endAt = performance.now() + minutes * 60_000;
    const workflow = new MoodyWorkflow();
    await using peers = new AsyncDisposableStack();
    const pipeline = await openPipeline(place, (arrival) => workflow.answer(arrival));
    peers.defer(() => pipeline.stop());
    const sender = new Provider(place, signedPushes(64));
    const isOver = () => performance.now() >= endAt || bench.signal.aborted;

    // The edge processes that come after the first one tell of their collections of garbage.
    Deno.env.set("DENO_V8_FLAGS", "--trace-gc");
    peers.defer(() => Deno.env.delete("DENO_V8_FLAGS"));

    const began = performance.now();
    const minuteRows: Row[] = [];
    const [samples] = await Promise.all([
      sample(isOver),
      sender.send(isOver),
      ask(place, isOver),
      disturb(bench, isOver, minutes),
      (async () => {
        for (let minute = 1; !isOver(); minute++) {
          await untilOr(began + minute * 60_000, isOver);
          const row = await summary(place, sender, workflow);
          minuteRows.push({ name: `minute ${minute}`, values: row });
          const shown = Object.entries(row).map(([name, { median }]) =>
            `${name} ${median.toFixed(1)}`
          );
          bench.note(`minute ${minute}: ${shown.join(", ")}`);
        }
      })(),
    ]);
    bench.signal.throwIfAborted();
    const isDrained = await drained(place, DRAIN_MS);
    const heaps = await liveHeaps(place);
    const [counts] = await place.sql<Record<"events" | "jobs" | "completed" | "keys", number>[]>`
      select
        (select count(*) from marketplace.webhook_events)::int as events,
        (select count(*) from marketplace.webhook_deliveries)::int as keys,
        (select count(*) from marketplace.sync_jobs)::int as jobs,
        (select count(*) from marketplace.sync_jobs where status = 'completed')::int as completed`;
    const { events, keys, jobs, completed } = counts!;
    const accepted = sender.accepted.size;
    return [{
      title: `8. Soak of ${minutes} minute${minutes === 1 ? "" : "s"}, faults in its first half`,
      rowsAre: "mixed load",
      rows: minuteRows,
      checks: [
        { what: "deliveries given up by the provider", expected: 0, found: sender.givenUp },
        { what: "forged deliveries accepted", expected: 0, found: sender.forgedAccepted },
        { what: "events of accepted deliveries", expected: accepted, found: events },
        { what: "dedupe keys", expected: accepted, found: keys },
        { what: "jobs", expected: accepted, found: jobs },
        { what: "jobs completed", expected: accepted, found: completed },
        {
          what: "accepted deliveries the workflow has done",
          expected: accepted,
          found: [...sender.accepted].filter((id) => workflow.done.has(id)).length,
        },
        { what: "queue drained", expected: 1, found: Number(isDrained) },
      ],
      targets: [
        // In the last half nothing is killed: these are of one process, once it is warm.
        target("edge process: live heap grows by ≤ 4 MB", heaps.at(-1)! - heaps[1]!, { atMost: 4 }),
        target("supervisor keeps ≤ 15 MB more at the end", growth(samples), { atMost: 15 }),
      ],
      notes: [
        `Live heap of the last edge process after each full collection: ${heaps.join(", ")} MB.`,
        `${workflow.repeats} repeats and ${workflow.failures} failures at the workflow, ` +
        `${sender.retries} retries by the provider.`,
        "Faults: the edge process killed, all connections ended, a backend of Postgres killed (-9).",
      ],
    }];
  },
};

/** A workflow that is slow at times, fails at times, and sometimes does not answer. */
class MoodyWorkflow {
  /** Correlation ids of what was done. */
  readonly done = new Set<string>();
  repeats = 0;
  failures = 0;
  #seen = new Set<string>();

  async answer({ correlationId, jobId }: Arrival): Promise<Response> {
    if (this.#seen.has(jobId)) this.repeats++;
    this.#seen.add(jobId);
    const mood = Math.random();
    if (mood < 0.03) {
      this.failures++;
      return new Response("try again", { status: 503, headers: { "retry-after": "1" } });
    }
    if (mood < 0.035) await pause(3_000); // longer than it is waited for
    else await pause(Math.random() * 50);
    this.done.add(correlationId);
    return new Response(null, { status: 204 });
  }
}

/** Sends as a provider does: again and again until it is told that it was received. */
class Provider {
  /** Correlation ids of what was received. */
  readonly accepted = new Set<string>();
  readonly #times: number[] = [];
  retries = 0;
  givenUp = 0;
  forgedAccepted = 0;
  readonly #url: string;

  constructor({ env }: Place, readonly bodies: SignedBody[]) {
    this.#url = `${env.MARKETPLACE_FUNCTIONS_URL}/marketplace-webhook/github`;
  }

  /** Acknowledgement times in milliseconds since the last call, ascending. */
  takeTimes(): number[] {
    return this.#times.splice(0).sort((a, b) => a - b);
  }

  async send(isOver: () => boolean): Promise<void> {
    const underWay = new Set<Promise<void>>();
    const began = performance.now();
    for (let index = 0; !isOver(); index++) {
      await pause(began + index * 1000 / PER_SECOND - performance.now());
      const delivery = this.#deliver(index).finally(() => underWay.delete(delivery));
      underWay.add(delivery);
    }
    await Promise.all(underWay);
  }

  async #deliver(index: number): Promise<void> {
    const { body, headers } = this.bodies[index % this.bodies.length]!;
    if (index % 20 === 0) {
      const forged = { ...headers, "x-hub-signature-256": `sha256=${"0".repeat(64)}` };
      const response = await this.#post(body, forged, crypto.randomUUID()).catch(() => null);
      await response?.body?.cancel();
      if (response?.ok) this.forgedAccepted++;
    }
    const id = crypto.randomUUID();
    // Some senders repeat what was received.
    for (let copies = index % 10 === 0 ? 2 : 1; copies > 0; copies--) {
      const correlationId = await this.#untilAccepted(body, headers, id);
      if (correlationId === undefined) this.givenUp++;
      else this.accepted.add(correlationId);
    }
  }

  async #untilAccepted(body: string, headers: Record<string, string>, id: string) {
    for (let attempt = 0; attempt < 100; attempt++) {
      const began = performance.now();
      try {
        const response = await this.#post(body, headers, id);
        const answer = await response.json();
        if (response.ok) {
          this.#times.push(performance.now() - began);
          return answer.correlation_id as string;
        }
      } catch {
        // Nobody there, or cut off.
      }
      this.retries++;
      await pause(200 + Math.random() * 300);
    }
    return undefined;
  }

  #post(body: string, headers: Record<string, string>, id: string): Promise<Response> {
    return fetch(this.#url, {
      method: "POST",
      body,
      headers: { ...headers, "x-github-delivery": id },
      signal: AbortSignal.timeout(10_000),
    });
  }
}

/** Breaks things in the first half, one after the other. */
async function disturb(bench: Bench, isOver: () => boolean, minutes: number): Promise<void> {
  const { place, note } = bench;
  const { stack, admin, layout } = place;
  const faults: [string, () => Promise<unknown>][] = [
    ["the edge process is killed", () => stack.killEdge()],
    ["all connections of the functions are ended", () =>
      admin`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'marketplace' and pid <> pg_backend_pid()`],
    ["a backend of Postgres is killed (-9)", async () => {
      const pidFile = await Deno.readTextFile(join(layout.home, "pgdata", "postmaster.pid"));
      const [row] = await admin<{ pid: number }[]>`
        select pid from pg_stat_activity
        where application_name = 'marketplace' and pid <> pg_backend_pid() limit 1`;
      if (row && row.pid !== Number(pidFile.split("\n")[0])) Deno.kill(row.pid, "SIGKILL");
    }],
  ];
  const began = performance.now();
  const faultsEnd = began + minutes * 60_000 / 2;
  const gapMs = Math.min(40_000, minutes * 60_000 / 6);
  for (let i = 0; !isOver(); i++) {
    const at = began + (i + 1) * gapMs;
    if (at > faultsEnd) return;
    await untilOr(at, isOver);
    const [what, cause] = faults[i % faults.length]!;
    note(what);
    await cause();
  }
}

/** Looks at the database as a dashboard does. */
async function ask({ sql }: Place, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    for (const question of QUESTIONS) await sql.unsafe(question).catch(() => {}); // away just now
    await pause(1_000);
  }
}

/** The supervisor's memory over time, in megabytes. */
async function sample(isOver: () => boolean): Promise<number[]> {
  const samples: number[] = [];
  while (!isOver()) {
    samples.push((await usageOf(Deno.pid)).rssMb);
    await pause(SAMPLE_MS);
  }
  return samples;
}

/**
 * What the edge process keeps, in megabytes: its heap after each full collection. Its resident memory
 * tells nothing of that, most of it is garbage nobody has collected yet.
 */
async function liveHeaps({ stack, layout }: Place): Promise<number[]> {
  const log = await Deno.readTextFile(join(layout.logs, "edge.log"));
  return [...log.matchAll(/\[(\d+):0x[^\n]*Mark-Compact[^\n]*? -> ([\d.]+) \(/g)]
    .filter(([, pid]) => Number(pid) === stack.edgePid())
    .map(([, , megabytes]) => Number(megabytes));
}

/**
 * By how much the low-water mark rises within the last third, in megabytes: memory comes and goes
 * with the collection of garbage, what is kept shows when it has gone.
 */
function growth(samples: readonly number[]): number {
  const last = samples.slice(-Math.ceil(samples.length / 3));
  const half = Math.ceil(last.length / 2);
  return Math.min(...last.slice(-half)) - Math.min(...last.slice(0, half));
}

async function summary(
  place: Place,
  sender: Provider,
  workflow: MoodyWorkflow,
): Promise<Row["values"]> {
  const times = sender.takeTimes();
  const waiting = await place.sql<{ waiting: number }[]>`
    select count(*)::int as waiting from marketplace.sync_jobs
    where status in ('pending', 'running')`.catch(() => []);
  const edge = await usageOf(place.stack.edgePid());
  const own = await usageOf(Deno.pid);
  const values = {
    acknowledged: times.length,
    ack_p50_ms: quantile(times, 0.5),
    ack_p99_ms: quantile(times, 0.99),
    done: workflow.done.size,
    jobs_waiting: waiting[0]?.waiting ?? NaN,
    edge_mb: edge.rssMb,
    supervisor_mb: own.rssMb,
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, summarize([value])]),
  );
}

async function untilOr(at: number, isOver: () => boolean): Promise<void> {
  while (performance.now() < at && !isOver()) await pause(Math.min(200, at - performance.now()));
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, Math.max(0, ms)));
