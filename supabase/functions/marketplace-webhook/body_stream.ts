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
  const { maxBytes, totalMs, idleMs } = limits;
  const startedAt = performance.now();
  let lastByteAt = startedAt;
  // One timer that looks at the clock, not one a chunk: nearly all bodies are here at once.
  const late = new AbortController();
  const watch = () => {
    const now = performance.now();
    const wait = Math.min(startedAt + totalMs, lastByteAt + idleMs) - now;
    if (wait > 0) timer = setTimeout(watch, Math.ceil(wait));
    else late.abort(now - startedAt >= totalMs ? totalMs : idleMs);
  };
  let timer = setTimeout(watch, Math.min(totalMs, idleMs));
  try {
    return await readBody(request, maxBytes, {
      onChunk: () => lastByteAt = performance.now(),
      signal: late.signal,
    }) as Bytes;
  } catch (cause) {
    if (late.signal.aborted) {
      const message = `The body did not arrive within ${late.signal.reason} ms.`;
      throw new AppError("body_timeout", 408, message);
    }
    if (cause instanceof AppError) throw cause;
    throw new AppError(
      "body_aborted",
      400,
      "The body ended before it was complete.",
      { cause },
    );
  } finally {
    clearTimeout(timer);
  }
}
