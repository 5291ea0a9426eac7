/**
 * HTTP load from a process of its own, so that client and server do not share an event loop.
 * @module
 */
import { fileURLToPath } from "node:url";
import { REPOSITORY } from "../../platform/layout.ts";
import { join } from "node:path";
import type { SignedBody } from "./deliveries.ts";

const PROGRAM = fileURLToPath(new URL("./load_process.ts", import.meta.url));

/** What to send. */
export interface Load {
  url: string;
  /** Connections, each with one request under way. */
  connections: number;
  /** Measured seconds. */
  seconds: number;
  /** Seconds before that whose requests are sent but not timed. */
  warmUpSeconds?: number;
  /** Requests a second over all connections; default: each connection as fast as it is answered. */
  perSecond?: number;
  /** What is posted, in turn. Every request gets a delivery id of its own. */
  bodies: SignedBody[];
  /** The header that the delivery id travels in. */
  idHeader?: string;
}

/** What came of it. */
export interface LoadResult {
  /** Answers of 2xx, warm-up included: what must be in the database. */
  accepted: number;
  /** All other answers by status, and `error` for none. */
  refused: Record<string, number>;
  /** Answers of 2xx a second in the measured time. */
  perSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
  /** CPU time of the generator in milliseconds. */
  cpuMs: number;
}

/** Sends a load and waits for its last answer. */
export async function sendLoad(load: Load, signal: AbortSignal): Promise<LoadResult> {
  signal.throwIfAborted();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", join(REPOSITORY, "deno.json"), PROGRAM],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stop = () => child.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  try {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(load)));
    await writer.close();
    const { success, stdout } = await child.output();
    if (!success) throw new Error("The load generator failed; its reason stands above.");
    // JSON has no NaN: a quantile of no answers at all.
    return JSON.parse(new TextDecoder().decode(stdout), (_, value) => value ?? NaN);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
