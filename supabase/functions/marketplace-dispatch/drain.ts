/**
 * One drain: route, reap, claim, send and record until nothing is left or the time is over.
 *
 * Any number of drains may run at once, in as many isolates: the database hands each job to one of
 * them. A drain that dies loses nothing: what it had claimed comes back when the leases end.
 */
import { env, functionsUrl } from "../_shared/env.ts";
import { type Sql } from "../_shared/db.ts";
import { describeError, toAppError } from "../_shared/errors.ts";
import type { Logger } from "../_shared/logger.ts";
import { createSigner, type Signer } from "../_shared/standard_webhooks.ts";
import { call } from "./call.ts";
import { deliver, type DeliveryOptions } from "./deliver.ts";
import {
  type ClaimedJob,
  claimJobs,
  type DispatchResult,
  type DispatchSettings,
  markPolling,
  nextDueIn,
  QUERY_CANCELED,
  reapLeases,
  recordDispatches,
  ringIfDue,
  routeEvents,
  runJobs,
} from "./queue.ts";

const ROUTE_BATCH = 500;
const CLAIM_BATCH = 50;
/** How many jobs of functions are run in one statement, and how long it may take; milliseconds. */
const RUN_BATCH = 500;
const RUN_MS = 10_000;
/** Outcomes that come in within this many milliseconds are written together. */
const GATHER_MS = 25;
/** Pauses between two looks at an empty queue: short ones at first, then longer; milliseconds. */
const FIRST_POLL_MS = 10;
const POLL_MS = 100;
const SLOW_POLL_MS = 2_000;
/** What is due within this time, in milliseconds, is waited for; later things are the sweep's. */
const NEAR_MS = 5_000;
/**
 * From when on events need not ring, because there is always something to do, and until when:
 * milliseconds of work, milliseconds without. A lone event is routed before that would be told.
 */
const LOADED_AFTER_MS = 100;
const QUIET_AFTER_MS = 30;
/** How long one announcement that we are polling lasts, and when it is renewed; milliseconds. */
const MARK_MS = 2_000;
const REMARK_MS = 1_000;
/** Leases end by the second; looking more often finds nothing. Milliseconds. */
const REAP_EVERY_MS = 1_000;
/** How long deliveries may go on after the last claim, in milliseconds. */
const GRACE_MS = 30_000;
/** Consecutive failures of the database after which a drain gives up. */
const DATABASE_PATIENCE = 5;

/** What a drain did. */
export interface DrainReport {
  events: number;
  jobs: number;
  reaped: number;
  claimed: number;
  delivered: number;
  failed: number;
  unknown: number;
  duration_ms: number;
  /** Whether it ended because its time was over; the database then rings again if work is left. */
  is_out_of_time: boolean;
}

/** Wakes a drain from outside. A ring that nobody has answered yet is remembered. */
export class Doorbell {
  #waiting = Promise.withResolvers<void>();
  #isRung = false;

  /** Whether somebody rang since the last {@link answer}. */
  get isRung(): boolean {
    return this.#isRung;
  }

  ring(): void {
    this.#isRung = true;
    this.#waiting.resolve();
  }

  /** Says that the queue is looked at from here on. */
  answer(): void {
    if (!this.#isRung) return;
    this.#isRung = false;
    this.#waiting = Promise.withResolvers<void>();
  }

  /** Resolves at the next ring, at once if there is an unanswered one. */
  rung(): Promise<void> {
    return this.#waiting.promise;
  }
}

/** What a drain works with. */
export interface DrainOptions {
  sql: Sql;
  settings: DispatchSettings;
  log: Logger;
  doorbell: Doorbell;
}

/**
 * Works off the queue.
 *
 * A slow workflow delays only itself: while its deliveries are in flight the loop goes on routing,
 * claiming and sending up to MARKETPLACE_DISPATCH_CONCURRENCY.
 *
 * @throws when the database stays away
 */
export async function drain(
  { sql, settings, log, doorbell }: DrainOptions,
): Promise<DrainReport> {
  const {
    MARKETPLACE_DISPATCH_MAX_MS: maxMs,
    MARKETPLACE_DISPATCH_LINGER_MS: lingerMs,
    MARKETPLACE_DISPATCH_CONCURRENCY: concurrency,
    MARKETPLACE_DB_POOL: pool,
    MARKETPLACE_FUNCTIONS_URL: publicUrl,
    N8N_URL: n8nUrl,
    WINDMILL_URL: windmillUrl,
    SLACK_ARTIFACTS_CHANNEL: notifyChannel,
  } = env();
  const started = Date.now();
  const deadline = started + maxMs;
  const delivery: DeliveryOptions = {
    signer: createSigners(settings.signing_secret),
    functionsUrl: publicUrl ?? settings.functions_url ?? functionsUrl(),
    baseUrls: { n8n: n8nUrl, windmill: windmillUrl },
    notifyChannel,
    stopAt: deadline + GRACE_MS,
  };
  const report: DrainReport = {
    events: 0,
    jobs: 0,
    reaped: 0,
    claimed: 0,
    delivered: 0,
    failed: 0,
    unknown: 0,
    duration_ms: 0,
    is_out_of_time: false,
  };

  // The others of our connections are for the queue itself.
  const calls = atMost(Math.max(1, Math.floor(pool / 2)));
  const inFlight = new Set<Promise<void>>();
  /** Deliveries in flight by workflow. */
  const slots = new Map<string, number>();
  const outcomes: DispatchResult[] = [];
  let landed = Promise.withResolvers<void>();

  function send(job: ClaimedJob): void {
    const { workflow_slug: slug } = job;
    slots.set(slug, (slots.get(slug) ?? 0) + 1);
    const sent = job.workflow_kind === "postgres"
      ? calls(() => call(job, sql))
      : deliver(job, delivery);
    const flight: Promise<void> = sent
      .then((outcome) => {
        outcomes.push(outcome);
        report[outcome.outcome] += 1;
        log.info("job.dispatched", {
          correlation_id: job.correlation_id,
          job_id: job.job_id,
          workflow: job.workflow_slug,
          attempt: job.attempt,
          outcome: outcome.outcome,
          status: outcome.status_code,
          error_code: outcome.error_code,
          duration_ms: outcome.duration_ms,
        });
      })
      .catch((error) => {
        // Not sent for a reason of our own: the lease brings the job back.
        log.error("job.dispatch_crashed", {
          job_id: job.job_id,
          error: describeError(error),
        });
      })
      .finally(() => {
        inFlight.delete(flight);
        if (slots.get(slug) === 1) slots.delete(slug);
        else slots.set(slug, slots.get(slug)! - 1);
        landed.resolve();
      });
    inFlight.add(flight);
  }

  async function record(): Promise<void> {
    if (outcomes.length === 0) return;
    const batch = outcomes.slice();
    await recordDispatches(sql, batch);
    // Only now: a batch that could not be written is written with the next one.
    outcomes.splice(0, batch.length);
  }

  let markedUntil = 0;
  let reapAt = 0;
  let busySince: number | undefined;
  let idleSince: number | undefined;
  let hasLingered = false;
  let near: number | undefined;
  let pollMs = FIRST_POLL_MS;
  let failures = 0;
  /** Whether jobs of functions are about: a lone one is claimed, many are run in one statement. */
  let hasCalls = false;
  let canRunMany = true;
  let isRunning = false;
  /** What was run so since the last look, and of which workflows the last time. */
  let ran = 0;
  let lastRan: string[] = [];

  /** Runs jobs of functions, many in a statement; whatever else there is goes on meanwhile. */
  function runMany(): void {
    isRunning = true;
    const flight: Promise<void> = runJobs(sql, RUN_BATCH, RUN_MS)
      .then((workflows) => {
        lastRan = workflows.map(({ workflow }) => workflow);
        const jobs = workflows.reduce((sum, { jobs }) => sum + jobs, 0);
        hasCalls = jobs > 0;
        ran += jobs;
        report.claimed += jobs;
        report.delivered += jobs;
      })
      .catch((error) => {
        // They wait as before. One that hangs, or that is slow: claimed one by one, each has its time.
        hasCalls = false;
        lastRan = [];
        if (error.code === QUERY_CANCELED) canRunMany = false;
        log.warn("drain.run_failed", { error: describeError(error) });
      })
      .finally(() => {
        isRunning = false;
        inFlight.delete(flight);
        landed.resolve();
      });
    inFlight.add(flight);
  }

  /** One look at the queue; returns whether there was anything to do. */
  async function pass(): Promise<boolean> {
    await record();
    const routed = await routeEvents(sql, ROUTE_BATCH);
    report.events += routed.events;
    report.jobs += routed.jobs;
    if (hasCalls && canRunMany && !isRunning) runMany();
    const finished = ran;
    ran = 0;
    // No workflow gets more of the slots than it leaves free: one that hangs takes half of them, the
    // next one a quarter, and there is always one for a workflow that answers.
    const free = concurrency - inFlight.size;
    const crowding = [...slots].filter(([, taken]) => taken >= free).map(([slug]) => slug);
    const jobs = free > 0
      ? await claimJobs(sql, Math.min(Math.ceil(free / 2), CLAIM_BATCH), [
        ...crowding,
        ...(isRunning ? lastRan : []),
      ])
      : [];
    report.claimed += jobs.length;
    hasCalls ||= jobs.some((job) => job.workflow_kind === "postgres");
    jobs.forEach(send);
    // Last: what rang is an event, and does not wait for what nobody waits for by the millisecond.
    const now = Date.now();
    let reaped = 0;
    if (now >= reapAt) {
      reaped = await reapLeases(sql);
      report.reaped += reaped;
      reapAt = now + REAP_EVERY_MS;
    }
    return reaped + routed.events + finished + jobs.length > 0;
  }

  /** Milliseconds until something is due, if it is worth waiting for. */
  async function nearDue(): Promise<number | undefined> {
    const ms = await nextDueIn(sql);
    return ms !== null && ms <= NEAR_MS ? Math.max(ms, 1) : undefined;
  }

  /** Announces, or takes back, that events need not ring. */
  async function announce(polling: boolean): Promise<void> {
    const now = Date.now();
    if (polling && markedUntil - now < MARK_MS - REMARK_MS) {
      await markPolling(sql, MARK_MS);
      markedUntil = now + MARK_MS;
    } else if (!polling && markedUntil > 0) {
      await markPolling(sql, 0);
      markedUntil = 0;
    }
  }

  while (Date.now() < deadline) {
    if (doorbell.isRung) {
      idleSince = undefined;
      reapAt = 0;
    }
    doorbell.answer();
    try {
      // An event that was inserted while we were marked did not ring. Its transaction may commit a
      // little later: the lingering looks for it, unmarked.
      await announce(busySince !== undefined && Date.now() - busySince >= LOADED_AFTER_MS);
      const isBusy = await pass();
      failures = 0;
      if (isBusy) {
        busySince ??= Date.now();
        idleSince = undefined;
        pollMs = FIRST_POLL_MS;
      } else {
        idleSince ??= Date.now();
        if (Date.now() - idleSince >= QUIET_AFTER_MS) busySince = undefined;
      }
      if (isBusy && inFlight.size < concurrency) continue;
      hasLingered = idleSince !== undefined && Date.now() - idleSince >= lingerMs;
      const isDone = hasLingered && inFlight.size === 0 &&
        outcomes.length + ran === 0;
      near = isDone && !doorbell.isRung ? await nearDue() : undefined;
      if (isDone && !doorbell.isRung && near === undefined) break;
    } catch (error) {
      if (
        toAppError(error).code !== "database_unavailable" ||
        ++failures > DATABASE_PATIENCE
      ) {
        await settle();
        throw error;
      }
      log.warn("drain.database_unavailable", { failures });
      await pause(100 * 2 ** failures);
      continue;
    }

    if (outcomes.length === 0 && ran === 0) {
      landed = Promise.withResolvers<void>();
      // With only slow deliveries in flight, rings wake us: no need to look often.
      const ms = Math.min(
        near ?? (hasLingered ? SLOW_POLL_MS : pollMs),
        deadline - Date.now(),
      );
      pollMs = Math.min(2 * pollMs, POLL_MS);
      await pause(ms, landed.promise, doorbell.rung());
      if (near !== undefined) reapAt = 0;
    }
    if (inFlight.size > 0 && outcomes.length > 0) await pause(GATHER_MS);
  }

  await settle();
  await announce(false);
  report.is_out_of_time = Date.now() >= deadline;
  if (report.is_out_of_time) await ringIfDue(sql);
  report.duration_ms = Date.now() - started;
  return report;

  /** Waits for what is in flight and writes down how it went. */
  async function settle(): Promise<void> {
    await Promise.all(inFlight);
    await record();
  }
}

/** Runs what it is given, so many at once, the others in turn. */
function atMost(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (count === 0) await new Promise<void>((turn) => waiting.push(turn));
    else count--;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else count++;
    }
  };
}

/** Signers by secret, each made once: a workflow's own secret, else the platform's. */
function createSigners(platformSecret: string): (own: string | null) => Promise<Signer> {
  const signers = new Map<string, Promise<Signer>>();
  return (own) => {
    const secret = own ?? platformSecret;
    const signer = signers.get(secret) ?? createSigner(secret);
    signers.set(secret, signer);
    return signer;
  };
}

/** Waits so many milliseconds, or until one of the promises resolves. */
async function pause(ms: number, ...wakers: Promise<void>[]): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const id = setTimeout(timer.resolve, Math.max(0, ms));
  await Promise.race([timer.promise, ...wakers]);
  clearTimeout(id);
}
