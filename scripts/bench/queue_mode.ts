/**
 * Figure 9: runs of the mirror workflow a second, in one n8n and in queue mode.
 *
 * n8n alone: dispatches are signed here, and a stand-in answers the workflow's calls, so that what is
 * compared is not the control plane.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { startN8n } from "../n8n/mod.ts";
import { hasRedis, startQueueMode } from "../n8n/queue.ts";
import { signedHeaders } from "../n8n/tests/sign.ts";
import { type Fixture, standIn } from "../n8n/tests/stand_in.ts";
import { signingSecret } from "../platform/database.ts";
import { findFreeBase, sleep } from "../platform/processes.ts";
import { compare, quantile, type Sample } from "./harness/compare.ts";
import type { Figure, Table } from "./harness/figure.ts";
import { usageOf } from "./harness/processes.ts";

const ONE = "one n8n";
const QUEUE = "main, 2 workers";
const WEBHOOK = "webhook processor, 2 workers";
const SHARED = "main, 2 workers, shared folder";

/** Runs under way at a time: as many as two workers of the guide take. */
const IN_FLIGHT = 20;
const ARTIFACT_BYTES = 2 ** 20;

export const figure: Figure = {
  number: 9,
  title: "queue mode: runs of the mirror workflow, in one n8n and with Redis and workers",
  stack: {},
  async run(bench) {
    const { place, quick, note, signal } = bench;
    if (!await hasRedis()) {
      note("left out: there is no redis-server on the PATH (Debian and Homebrew: redis)");
      return [];
    }
    const dbUrl = place.env.SUPABASE_DB_URL!;
    const secret = await signingSecret(dbUrl);
    const shared = { toolsDir: place.layout.tools, dbUrl, signingSecret: secret, signal };
    await using started = new AsyncDisposableStack();
    const port = findFreeBase(2);
    const home = join(place.layout.home, "one");
    const one = await startN8n({ ...shared, home, port, brokerPort: port + 1 });
    started.defer(() => one.stop());
    const queue = await startQueueMode({
      ...shared,
      home: join(place.layout.home, "queue"),
      workers: 2,
    });
    started.defer(() => queue.stop());
    // n8n does not support this one: see the self-hosting guide.
    const sharing = await startQueueMode({
      ...shared,
      home: join(place.layout.home, "sharing"),
      workers: 2,
      database: "n8n_sharing",
      env: {
        N8N_DEFAULT_BINARY_DATA_MODE: "filesystem",
        N8N_BINARY_DATA_STORAGE_PATH: join(place.layout.home, "sharing", "files"),
      },
    });
    started.defer(() => sharing.stop());

    const bytes = randomBytes(ARTIFACT_BYTES);
    const sizes: [string, Fixture[], number][] = [
      ["a run that copies one artifact of 1 MiB", [{ name: "build.zip", bytes, kind: "s3" }], 30],
      ["a run that finds nothing to copy", [], 60],
    ];
    const tables: Table[] = [];
    for (const [title, artifacts, count] of sizes) {
      const counted = { dispatched: 0, completed: 0, copies: 0 };
      const { main, webhook, workers } = queue.pids;
      const run = (name: string, url: string, pids: number[]) => ({
        name,
        run: () => mirror(url, { secret, artifacts, pids, count: quick ? 20 : count, counted }),
      });
      const rows = await compare(bench, [
        run(ONE, one.url, [one.pid]),
        run(QUEUE, queue.url, [main, ...workers]),
        run(WEBHOOK, queue.webhookUrl, [main, webhook, ...workers]),
        run(SHARED, sharing.url, [sharing.pids.main, ...sharing.pids.workers]),
      ], { rounds: quick ? 1 : 5, baseline: ONE });
      tables.push({
        title: `Queue mode: ${title}, ${IN_FLIGHT} at a time`,
        rowsAre: "n8n",
        rows,
        checks: [
          { what: "runs completed", expected: counted.dispatched, found: counted.completed },
          {
            what: "copies equal to their source",
            expected: counted.dispatched * artifacts.length,
            found: counted.copies,
          },
        ],
        targets: [],
        notes: [
          "run: from the dispatch to the report of completion; ack: to the 202",
          "cpu, mb: of n8n's processes, CPU time per run and resident memory; Redis and Postgres not",
        ],
      });
    }
    return tables;
  },
};

/** Dispatches runs and waits for all of them. */
async function mirror(
  url: string,
  options: {
    secret: string;
    artifacts: Fixture[];
    /** n8n's processes. */
    pids: number[];
    count: number;
    counted: { dispatched: number; completed: number; copies: number };
  },
): Promise<Sample> {
  const { secret, artifacts, pids, count, counted } = options;
  const stub = standIn();
  const times = { run: [] as number[], ack: [] as number[] };
  const hashes = artifacts.map(({ bytes }) => createHash("sha256").update(bytes).digest("hex"));
  const dispatch = async () => {
    const ended = Promise.withResolvers<string>();
    const job = stub.add({
      artifacts,
      onCall: (path) => (path === "complete" || path === "fail") && ended.resolve(path),
    });
    const body = JSON.stringify(job.dispatch);
    const began = performance.now();
    for (;;) {
      const response = await fetch(`${url}/webhook/github-artifacts-mirror`, {
        method: "POST",
        headers: { "content-type": "application/json", ...signedHeaders(secret, job.id, body) },
        body,
      });
      const text = await response.text();
      if (response.status === 202) break;
      // What n8n answers when its database is slow to answer; the dispatcher tries again, too.
      if (response.status !== 503) throw new Error(`n8n answered ${response.status}: ${text}`);
      await sleep(500);
    }
    times.ack.push(performance.now() - began);
    const path = await ended.promise;
    times.run.push(performance.now() - began);
    counted.dispatched++;
    if (path === "complete") counted.completed++;
    counted.copies += job.calls
      .filter(({ path, sha256 }) => path.startsWith("s3/") && hashes.includes(sha256)).length;
  };
  const usage = async () => {
    const each = await Promise.all(pids.map(usageOf));
    const sum = (of: "cpuMs" | "rssMb") => each.reduce((total, one) => total + one[of], 0);
    return { cpuMs: sum("cpuMs"), rssMb: sum("rssMb") };
  };
  const before = await usage();
  const began = performance.now();
  let left = count;
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (left-- > 0) await dispatch();
  }));
  const seconds = (performance.now() - began) / 1000;
  const after = await usage();
  await stub.stop();
  times.run.sort((a, b) => a - b);
  times.ack.sort((a, b) => a - b);
  return {
    per_second: count / seconds,
    run_p50_ms: quantile(times.run, 0.5),
    run_p99_ms: quantile(times.run, 0.99),
    ack_p50_ms: quantile(times.ack, 0.5),
    cpu_ms: (after.cpuMs - before.cpuMs) / count,
    mb: after.rssMb,
  };
}
