/** A workflow played at the sink, with a journal of what it was asked to do. */
import type { DispatchedJob, Sink, SinkRequest } from "../support_queue.ts";

/** One dispatch that reached the workflow. */
export interface Start {
  jobId: string;
  /** The idempotency key: the same for every attempt of a job. */
  key: string;
  attempt: number;
  correlationId: string;
  /** The job that this one replays. */
  replayOf?: string;
  /** None: the job was made by a schedule. */
  eventId?: string;
  /** The event's payload, of workflows that are sent it. */
  payload: Record<string, unknown>;
  /** Host of the functions URL that came along: tells dispatchers apart that say another one. */
  dispatcher: string;
  leaseEndsAt: number;
  /** Whether the job's effect had been made already. */
  isRepeat: boolean;
  at: number;
  /** When the workflow had finished and began to report. */
  endedAt?: number;
}

/** How a workflow is played. */
export interface PlayOptions {
  /** Base URL of the functions that the workflow reports to. */
  functionsUrl: string;
  /** Answers at once and works on, then reports (callback), or works and answers (response). */
  completion?: "callback" | "response";
  /** What it does for a job, apart from noting that it did; failing is a reported failure. */
  work?: (start: Start) => void | Promise<void>;
}

/**
 * Takes jobs at a path of the sink. As a careful workflow does, it makes the effect of an
 * idempotency key once, and reports every attempt.
 */
export class PlayedWorkflow {
  readonly starts: Start[] = [];
  /** Idempotency keys whose effect was made. */
  readonly effects = new Set<string>();
  readonly #open = new Map<string, Start>();
  readonly #working = new Set<Promise<void>>();
  readonly #options: PlayOptions;
  /** Most jobs that were open at the same time. */
  maxOpen = 0;
  /** Starts of a job that was open already, within the lease of the earlier one. */
  readonly doubleStarts: Start[] = [];

  constructor(sink: Sink, path: string, options: PlayOptions) {
    this.#options = options;
    sink.on(path, (request) => this.#take(request));
  }

  /** Jobs that are open at the moment. */
  get open(): readonly Start[] {
    return [...this.#open.values()];
  }

  /** Resolves when no job is being worked on. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working);
  }

  async #take(request: SinkRequest): Promise<Response> {
    const { data } = JSON.parse(request.body);
    const job: DispatchedJob = data.job;
    const key = request.headers.get("idempotency-key")!;
    const start: Start = {
      jobId: job.id,
      key,
      attempt: job.attempt,
      correlationId: job.correlation_id,
      replayOf: data.job.replay_of,
      eventId: data.event?.id,
      payload: data.event?.payload ?? {},
      dispatcher: new URL(job.url).hostname,
      leaseEndsAt: Date.parse(job.lease_expires_at),
      isRepeat: this.effects.has(key),
      at: performance.now(),
    };
    this.starts.push(start);
    const earlier = this.#open.get(key);
    if (earlier && earlier.leaseEndsAt > Date.now()) this.doubleStarts.push(start);
    this.#open.set(key, start);
    this.maxOpen = Math.max(this.maxOpen, this.#open.size);
    const isWell = this.#work(start);
    if (this.#options.completion === "response") {
      return new Response(null, { status: await isWell ? 200 : 500 });
    }
    const working = isWell.then((isWell) => this.#report(job, isWell)).finally(() =>
      this.#working.delete(working)
    );
    this.#working.add(working);
    return new Response(null, { status: 202 });
  }

  async #work(start: Start): Promise<boolean> {
    try {
      await this.#options.work?.(start);
      this.effects.add(start.key);
      return true;
    } catch {
      return false;
    } finally {
      start.endedAt = performance.now();
      // From here on the report may be heard: what is asked next may overlap with it.
      if (this.#open.get(start.key) === start) this.#open.delete(start.key);
    }
  }

  /** Reports until somebody hears it, as a workflow with retries does. */
  async #report({ id, token }: DispatchedJob, isWell: boolean): Promise<void> {
    const url = `${this.#options.functionsUrl}/marketplace-jobs/${id}`;
    for (let attempt = 1; attempt <= 100; attempt++) {
      try {
        const response = await fetch(`${url}/${isWell ? "complete" : "fail"}`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(10_000),
        });
        await response.body?.cancel();
        if (response.status < 500) return; // heard, or this attempt no longer holds the job
      } catch {
        // The functions are away.
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
