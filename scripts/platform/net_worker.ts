/**
 * The worker behind the stand-in of pg_net: sends queued requests and stores what came back.
 * @see https://github.com/supabase/pg_net
 * @module
 */
import postgres from "postgres";
import { sleep } from "./processes.ts";

/** A row of `net.http_request_queue`. */
interface QueuedRequest {
  id: string;
  method: string;
  url: string;
  headers: Record<string, string> | null;
  body: Uint8Array | null;
  timeout_milliseconds: number;
}

/** A row of `net._http_response`. */
interface StoredResponse {
  id: string;
  status_code: number | null;
  content_type: string | null;
  headers: Record<string, string> | null;
  content: string | null;
  timed_out: boolean;
  error_msg: string | null;
}

/** A worker that runs until stopped. */
export interface Worker {
  stop(): Promise<void>;
}

/** pg_net's own defaults. */
const BATCH_SIZE = 200;
const RESPONSE_TTL = "6 hours";
/** Requests under way at once, so that a slow destination does not hold all others. */
const CONCURRENCY = 64;
const SWEEP_MS = 60_000;

/** Sends one queued request. Redirects are followed, as pg_net does. Never throws. */
export async function send(request: QueuedRequest): Promise<StoredResponse> {
  const stored: StoredResponse = {
    id: request.id,
    status_code: null,
    content_type: null,
    headers: null,
    content: null,
    timed_out: false,
    error_msg: null,
  };
  try {
    const response = await fetch(request.url, {
      method: request.method.toUpperCase(),
      headers: request.headers ?? {},
      body: request.body as BodyInit | null,
      signal: AbortSignal.timeout(request.timeout_milliseconds),
    });
    const content = await response.text();
    return {
      ...stored,
      status_code: response.status,
      content_type: response.headers.get("content-type"),
      headers: Object.fromEntries(response.headers),
      // Postgres text holds no NUL
      content: content.replaceAll("\0", ""),
    };
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    return {
      ...stored,
      timed_out: timedOut,
      error_msg: timedOut
        ? `Timeout of ${request.timeout_milliseconds} ms reached`
        : error instanceof Error
        ? error.message
        : String(error),
    };
  }
}

/**
 * Starts the worker. It wakes on `net.wake()` (NOTIFY pg_net, at commit), after each reconnection,
 * and once a minute. A database without the extension is left alone until it has it.
 * @param url a superuser's connection
 */
export async function startNetWorker(url: string): Promise<Worker> {
  const sql = postgres(url, {
    max: 3,
    // The client asks for the types of arrays by itself, and when the server dies meanwhile nobody
    // handles that: it would end the supervisor. No array is passed here.
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: "pg_net worker" },
    backoff: (attempt) => Math.min(0.05 * 2 ** attempt, 2),
  });
  let stopped = false;
  let draining = false;
  let rungMeanwhile = false;
  const underWay = new Set<Promise<void>>();

  const store = async (response: StoredResponse) => {
    await sql`
      insert into net._http_response
        (id, status_code, content_type, headers, content, timed_out, error_msg)
      values (
        ${response.id}, ${response.status_code}, ${response.content_type},
        ${response.headers && JSON.stringify(response.headers)}::text::jsonb,
        ${response.content}, ${response.timed_out}, ${response.error_msg}
      )`;
  };

  const takeBatch = () =>
    sql<QueuedRequest[]>`
      delete from net.http_request_queue q
      using (
        select id from net.http_request_queue order by id limit ${
      Math.min(BATCH_SIZE, CONCURRENCY - underWay.size)
    } for update skip locked
      ) due
      where q.id = due.id
      returning q.id, q.method, q.url, q.headers, q.body, q.timeout_milliseconds`;

  const drain = async () => {
    rungMeanwhile = true;
    if (draining) return;
    draining = true;
    try {
      while (rungMeanwhile && !stopped) {
        rungMeanwhile = false;
        for (let taken = -1; taken !== 0 && !stopped;) {
          if (underWay.size >= CONCURRENCY) await Promise.race(underWay);
          const batch = await takeBatch();
          taken = batch.length;
          for (const request of batch) {
            const work = send(request).then(store).catch((error) => {
              if (!stopped) console.error("pg_net worker: a response was not stored:", error);
            }).finally(() => underWay.delete(work));
            underWay.add(work);
          }
        }
      }
    } catch (error) {
      // 3F000, 42P01: the extension is not there (yet). Anything else: the next ring tries again.
      const code = (error as { code?: string }).code ?? "";
      if (!stopped && !["3F000", "42P01"].includes(code)) {
        console.error(`pg_net worker: ${error instanceof Error ? error.message : error}`);
        void sleep(1000).then(() => stopped ? undefined : drain());
      }
    } finally {
      draining = false;
    }
  };

  await sql.listen("pg_net", () => void drain(), () => void drain());
  const sweep = setInterval(() => {
    void drain();
    void sql`
      delete from net._http_response
      where created < now() - ${RESPONSE_TTL}::text::interval`.catch(() => {});
  }, SWEEP_MS);

  return {
    async stop() {
      stopped = true;
      clearInterval(sweep);
      await sql.end({ timeout: 1 });
    },
  };
}
