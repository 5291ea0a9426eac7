/** A provider that delivers webhooks, and delivers again what was not acknowledged. */
import { sign } from "@octokit/webhooks-methods";

/** One delivery on its way. */
export interface Delivery {
  id: string;
  body: string;
}

/** What became of a batch of deliveries. */
export interface SendReport {
  /** Ids of the acknowledged ones, in the order of their acknowledgement. */
  acknowledged: string[];
  /** Attempts that were not acknowledged: refused, broken off, or answered otherwise than 2xx. */
  retries: number;
  /** Acknowledgements that said that the delivery was known already. */
  duplicates: number;
}

/** Where and how to send. */
export interface SendOptions {
  /** Address of the integration at marketplace-webhook. */
  url: string;
  secret: string;
  /** How many senders there are; each takes the next delivery when its last one is acknowledged. */
  senders: number;
  /** Called after each acknowledgement with how many there are. */
  onAcknowledged?: (count: number) => void;
  timeoutMs?: number;
}

/**
 * Delivers as GitHub does, signed.
 *
 * @throws Error when the time is over, or a delivery is refused for good (4xx)
 */
export async function sendAll(
  deliveries: readonly Delivery[],
  { url, secret, senders, onAcknowledged, timeoutMs = 60_000 }: SendOptions,
): Promise<SendReport> {
  const report: SendReport = { acknowledged: [], retries: 0, duplicates: 0 };
  const deadline = performance.now() + timeoutMs;
  const waiting = deliveries.values();

  async function isAcknowledged({ id, body }: Delivery): Promise<boolean> {
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        body,
        headers: {
          "content-type": "application/json",
          "x-github-event": "push",
          "x-github-delivery": id,
          "x-hub-signature-256": await sign(secret, body),
        },
        signal: AbortSignal.timeout(10_000),
      });
      const answer = await response.json();
      if (response.ok && answer.duplicate) report.duplicates++;
      if (response.status >= 400 && response.status < 500) {
        throw new Refused(`${response.status} ${JSON.stringify(answer)}`);
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
      return false;
    }
    return response.ok;
  }

  async function work(): Promise<void> {
    for (const delivery of waiting) {
      while (!(await isAcknowledged(delivery))) {
        if (performance.now() > deadline) {
          throw new Error(`delivery ${delivery.id} was not acknowledged within ${timeoutMs} ms`);
        }
        report.retries++;
        await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
      }
      report.acknowledged.push(delivery.id);
      onAcknowledged?.(report.acknowledged.length);
    }
  }

  await Promise.all(Array.from({ length: senders }, work));
  return report;
}

class Refused extends Error {}

/** Deliveries of pushes, each with an id of its own. */
export function pushes(count: number, fields: (index: number) => object = () => ({})): Delivery[] {
  return Array.from({ length: count }, (_, index) => ({
    id: crypto.randomUUID(),
    body: JSON.stringify({
      ref: "refs/heads/main",
      repository: { full_name: "octo-org/octo-repo" },
      ...fields(index),
    }),
  }));
}
