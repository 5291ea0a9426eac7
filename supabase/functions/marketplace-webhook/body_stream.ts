/** Reading a body that may be endless, in size or in time. */
import { AppError } from "../_shared/errors.ts";
import { readBody } from "../_shared/http.ts";
import type { Bytes } from "../_shared/webhooks/bytes.ts";

/** How large and how slow a body may be. */
export interface BodyLimits {
  maxBytes: number;
  /** Milliseconds for the whole of it. */
  totalMs: number;
  /** Milliseconds without a byte. */
  idleMs: number;
}

/**
 * The raw bytes of a request.
 *
 * @throws AppError `payload_too_large` (413), `body_timeout` (408), `body_aborted` (400)
 */
export async function readBodyInTime(
  request: Request,
  limits: BodyLimits,
): Promise<Bytes> {
  if (!request.body) return new Uint8Array();
  let giveUp = (_ms: number) => {};
  const total = setTimeout(() => giveUp(limits.totalMs), limits.totalMs);
  let idle = setTimeout(() => giveUp(limits.idleMs), limits.idleMs);
  const timed = new TransformStream<Uint8Array, Uint8Array>({
    start(controller) {
      giveUp = (ms) =>
        controller.error(
          new AppError(
            "body_timeout",
            408,
            `The body did not arrive within ${ms} ms.`,
          ),
        );
    },
    transform(chunk, controller) {
      clearTimeout(idle);
      idle = setTimeout(() => giveUp(limits.idleMs), limits.idleMs);
      controller.enqueue(chunk);
    },
  });
  try {
    const { method, headers } = request;
    const body = request.body.pipeThrough(timed);
    const bytes = await readBody(
      new Request(request.url, { method, headers, body }),
      limits.maxBytes,
    );
    return bytes as Bytes;
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError(
      "body_aborted",
      400,
      "The body ended before it was complete.",
      { cause },
    );
  } finally {
    clearTimeout(total);
    clearTimeout(idle);
  }
}
