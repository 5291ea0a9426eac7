/**
 * `deno task demo`: the main job on one machine, from nothing to verified copies.
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import postgres from "postgres";
import {
  announceRun,
  CHANNEL,
  copiesOf,
  deliver,
  DESTINATIONS,
  jobsOf,
  openStage,
  prepareMirror,
  type Stage,
  type Step,
  trace,
} from "./demo/scenario.ts";
import { bytes, describeStep, paint } from "./demo/timeline.ts";
import { findFreeBase, resolveLayout, type Stack, startStack } from "./platform/mod.ts";
import { resetHome } from "./platform/reset_home.ts";

const HELP = `Usage: deno task demo [--json] [--keep]

Starts everything on this machine in a fresh state folder, lets a stand-in for GitHub announce a
finished Actions run, and shows how its artifacts arrive, verified, in S3 and in Google Drive.
The first run fetches n8n (about a minute and 2 GB, kept in .local/tools).

  --json   prints one JSON document at the end instead of the timeline
  --keep   leaves the stack running until Ctrl-C, to look around in it

Exits 0 only if every copy is byte-identical to its source.

MARKETPLACE_PORT   base port (default: a free one)
MARKETPLACE_HOME   state folder (default .local); the demo's is demo/ in it, emptied first
`;

const ARTIFACTS = [
  { name: "coverage-report", size_bytes: 1_400_000 },
  { name: "release-notes.pdf", size_bytes: 260_000 },
  { name: "test-results.json", size_bytes: 38_000 },
];
const TIMEOUT_MS = 120_000;

/** What the demo found; the document that `--json` prints. */
interface Outcome {
  ok: boolean;
  ready_ms: number;
  delivery_ms: number;
  total_ms: number;
  correlation_id: string;
  steps: Step[];
  jobs: { id: string; status: string; error_message: string | null }[];
  copies: {
    artifact: string;
    destination: string;
    path: string | null;
    size: number;
    sha256: string;
    identical: boolean;
  }[];
  notifications: { channel: string; text: string }[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const say = values.json ? () => {} : (line = "") => console.log(line);

  const abort = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => abort.abort(new Error("stopped")));
  }

  // A folder of its own: emptying the developer's would delete a database and its Vault key.
  const home = join(resolveLayout().home, "demo");
  say(
    paint.bold("Marketplace demo") + paint.dim("  a GitHub run's artifacts, mirrored and proven"),
  );
  say();

  let stack: Stack | undefined;
  let sql: postgres.Sql | undefined;
  try {
    const began = performance.now();
    const fixedPort = Deno.env.get("MARKETPLACE_PORT");
    await resetHome(resolveLayout({ home }));
    stack = await startStack({
      home,
      port: fixedPort ? Number(fixedPort) : await findFreeBase(),
      note: (line) => say(paint.dim(`  ${line}`)),
      signal: abort.signal,
    });
    const readyMs = performance.now() - began;
    sql = postgres(stack.env.SUPABASE_DB_URL!, { max: 2, onnotice: () => {} });
    const stage = openStage(sql, stack.env);
    await prepareMirror(stage);

    const outcome = await play(stage, readyMs, say, abort.signal);
    if (values.json) console.log(JSON.stringify(outcome, null, 2));
    if (values.keep && !abort.signal.aborted) {
      say(`\n  The stack stays up: ${stack.env.SUPABASE_URL}, n8n at ${stack.env.N8N_URL}`);
      say(
        `  ${paint.dim("its URLs and keys:")} ${join(home, "env")}    ${
          paint.dim("Ctrl-C ends it")
        }`,
      );
      await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
    }
    return outcome.ok ? 0 : 1;
  } catch (error) {
    if (abort.signal.aborted) return 130;
    console.error(`\n${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    await sql?.end({ timeout: 1 });
    await stack?.stop();
  }
}

/** Sends the delivery and follows it to its end. */
async function play(
  stage: Stage,
  readyMs: number,
  say: (line?: string) => void,
  signal: AbortSignal,
): Promise<Outcome> {
  const run = await announceRun(stage, { runId: 289782451, artifacts: ARTIFACTS });
  say();
  say(
    `  ${paint.bold("github")}  ${run.repository} finished run ${run.runId} with ` +
      `${run.artifacts.length} artifacts, ` +
      bytes(run.artifacts.reduce((sum, { size_in_bytes }) => sum + size_in_bytes, 0)),
  );
  const sent = performance.now();
  const response = await deliver(stage, run);
  const deliveryMs = performance.now() - sent;
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(`The webhook was refused (${response.status}): ${JSON.stringify(answer)}`);
  }
  const correlationId: string = answer.correlation_id;
  say(
    `  ${paint.bold("POST")}    /functions/v1/marketplace-webhook/github, signed ` +
      `→ ${response.status} in ${Math.round(deliveryMs)} ms`,
  );
  say(`\n  ${paint.dim(`select * from marketplace.trace('${correlationId}')`)}\n`);

  const shown = new Set<string>();
  let steps: Step[] = [];
  let jobs: Outcome["jobs"] = [];
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    signal.throwIfAborted();
    jobs = await jobsOf(stage, correlationId);
    steps = await trace(stage, correlationId);
    for (const step of steps) {
      const key = JSON.stringify([step.stage, step.subject, step.detail]);
      if (shown.has(key)) continue;
      shown.add(key);
      say(describeStep(step, steps[0]!.at));
    }
    const ended = jobs.length === DESTINATIONS.length &&
      jobs.every(({ status }) => status !== "pending" && status !== "running");
    if (ended) break;
    if (Date.now() > deadline) {
      throw new Error(
        `The jobs were not done after ${TIMEOUT_MS / 1000} s: ${JSON.stringify(jobs)}. ` +
          "See logs/n8n.log and logs/edge.log in the state folder.",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 60));
  }

  const copies = await copiesOf(stage, run.runId);
  const compared = run.artifacts.flatMap((artifact) =>
    DESTINATIONS.map((destination) => {
      const sha256 = artifact.digest.replace(/^sha256:/, "");
      const copy = copies.find((copy) =>
        copy.destination === destination && copy.path.includes(artifact.name)
      );
      return {
        artifact: artifact.name,
        destination,
        path: copy?.path ?? null,
        size: artifact.size_in_bytes,
        sha256,
        identical: copy?.sha256 === sha256 && copy.size === artifact.size_in_bytes,
      };
    })
  );
  const last = Math.max(...steps.map(({ at }) => at.getTime()));
  const outcome: Outcome = {
    ok: compared.every(({ identical }) => identical) && copies.length === compared.length &&
      jobs.every(({ status }) => status === "completed"),
    ready_ms: Math.round(readyMs),
    delivery_ms: Math.round(deliveryMs),
    total_ms: last - steps[0]!.at.getTime(),
    correlation_id: correlationId,
    steps,
    jobs,
    copies: compared,
    notifications: (await stage.sandbox.slackMessages()).map(({ channel, text }) => ({
      channel,
      text,
    })),
  };

  const folder = compared[0]?.path?.split("/").slice(0, -1).join("/") ?? "";
  say(`\n  ${paint.bold("compared at the destinations")}  ${paint.dim(folder)}`);
  for (const copy of compared) {
    say(
      `  ${copy.identical ? paint.green("identical") : paint.red("different")}  ` +
        `${copy.artifact.padEnd(20)} ${bytes(copy.size).padStart(8)}  ` +
        `sha256 ${copy.sha256.slice(0, 12)}…  ${paint.dim(copy.destination)}`,
    );
  }
  say(
    outcome.ok
      ? `\n  ${paint.green("done")}  ${compared.length} copies verified, ${CHANNEL} told, ` +
        `${(outcome.total_ms / 1000).toFixed(1)} s after the delivery`
      : `\n  ${paint.red("failed")}  ${
        jobs.map(({ status, error_message }) => `${status}: ${error_message ?? "-"}`).join("; ")
      }`,
  );
  return outcome;
}

if (import.meta.main) Deno.exit(await main());
