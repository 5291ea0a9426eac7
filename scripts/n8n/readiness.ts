/** Waiting for n8n. */
import type { WorkflowFile } from "./import.ts";
import { abortError, sleep } from "./process.ts";
import type { Runner } from "./runner.ts";

const READY_TIMEOUT_MS = 120_000;

/** Who is waited for. */
export interface Waiting {
  /** Base URL of the n8n. */
  url: string;
  runner: Runner;
  signal?: AbortSignal;
}

/** Waits until `check` holds. @throws when n8n ends, on abort, or after two minutes. */
async function until(
  check: () => Promise<boolean>,
  { what, runner, signal }: Waiting & { what: string },
): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!await check()) {
    await runner.assertRunning();
    if (performance.now() > deadline) {
      throw new Error(`n8n: ${what} after two minutes; see ${runner.options.logFile}.`);
    }
    await sleep(50, signal);
  }
  if (signal?.aborted) throw abortError(signal);
}

async function answer(url: string): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

/** Waits until n8n has migrated its database and answers. @throws see {@link untilWebhooks} */
export async function untilReady(waiting: Waiting): Promise<void> {
  const ready = async () => (await answer(`${waiting.url}/healthz/readiness`)).status === 200;
  await until(ready, { ...waiting, what: "not ready" });
}

/**
 * Waits until the webhook of every workflow is registered: n8n answers before. Asking with the
 * wrong method tells without a run.
 * @throws Error when n8n ends, after two minutes, or the reason of the signal when aborted
 */
export async function untilWebhooks(workflows: WorkflowFile[], waiting: Waiting): Promise<void> {
  const paths = workflows.flatMap(({ nodes }) => nodes)
    .filter(({ type, parameters }) =>
      type === "n8n-nodes-base.webhook" && parameters.httpMethod === "POST"
    )
    .map(({ parameters }) => String(parameters.path));
  for (const path of paths) {
    const registered = async () =>
      (await answer(`${waiting.url}/webhook/${path}`)).text.includes("mean to make a POST request");
    await until(registered, { ...waiting, what: `webhook ${path} not registered` });
  }
}
