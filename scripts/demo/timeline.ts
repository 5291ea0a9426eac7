/**
 * How a trace reads on a terminal.
 * @module
 */
import type { Step } from "./scenario.ts";

const isPlain = Deno.env.get("NO_COLOR") !== undefined || !Deno.stdout.isTerminal();
const style = (code: number) => (text: string) => isPlain ? text : `\x1b[${code}m${text}\x1b[0m`;

/** Colours, where the terminal has them and NO_COLOR does not say otherwise. */
export const paint = {
  bold: style(1),
  dim: style(2),
  red: style(31),
  green: style(32),
  yellow: style(33),
  cyan: style(36),
};

/**
 * A size for people.
 * @param count bytes
 */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1e6) return `${(count / 1e3).toFixed(1)} kB`;
  if (count < 1e9) return `${(count / 1e6).toFixed(1)} MB`;
  return `${(count / 1e9).toFixed(2)} GB`;
}

const GOOD = new Set(["verified", "copied", "notified", "completed"]);
const BAD = /fail|lost|dead/;

/**
 * One line of the timeline: when, what, about what, and what is worth knowing of it.
 * @param since the first step's time
 */
export function describeStep(step: Step, since: Date): string {
  const colour = GOOD.has(step.stage)
    ? paint.green
    : BAD.test(step.stage)
    ? paint.red
    : step.stage === "dispatch_unanswered"
    ? paint.yellow
    : paint.cyan;
  const at = `+${step.at.getTime() - since.getTime()} ms`.padStart(10);
  return `${paint.dim(at)}  ${colour(step.stage.padEnd(15))} ${step.subject.padEnd(24)} ${
    paint.dim(about(step))
  }`.trimEnd();
}

function about({ stage, detail, duration_ms }: Step): string {
  const took = duration_ms === null ? "" : `in ${milliseconds(duration_ms)}`;
  const size = bytes(Number(detail.size_bytes ?? 0));
  switch (stage) {
    case "received":
    case "verified":
      return took;
    case "stored":
      return `delivery ${detail.delivery}`;
    case "routed":
      return `${detail.jobs} jobs ${took}`;
    case "claimed":
      return `attempt ${detail.attempt} of job ${short(detail.job_id)}`;
    case "dispatched":
      return `n8n answered ${detail.status} ${took}`;
    case "planned":
      return `to ${detail.destination}, ${size}`;
    case "copied":
      return `to ${detail.destination}, ${size}, ${fingerprint(detail.checksum)} ${took}`;
    case "notified":
      return `${detail.integration} ${took}`;
    case "completed":
    case "reported":
      return `job ${short(detail.job_id)} ${took}`;
    default:
      return [detail.error_code, detail.error, detail.destination, took].filter(Boolean).join(" ");
  }
}

function milliseconds(count: number): string {
  return count < 10 ? `${count.toFixed(1)} ms` : `${Math.round(count)} ms`;
}

/** `sha256:1a2b…` shortened to what an eye compares. */
function fingerprint(checksum: string | number | null | undefined): string {
  const [algorithm, digest = ""] = String(checksum).split(":");
  return `${algorithm} ${digest.slice(0, 12)}…`;
}

function short(id: string | number | null | undefined): string {
  return String(id ?? "").slice(-8);
}
