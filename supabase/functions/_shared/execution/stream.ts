/** Streams that say how they ended. */
import { waitUntil } from "../background.ts";

/** How a stream ended. */
export interface StreamEnd {
  /** Bytes that were handed on. */
  size_bytes: number;
  failure?: "client_closed" | "answer_broken" | "answer_too_large";
}

/** Largest answer that is handed on, in bytes. */
const MAX_BYTES = 1024 * 1024 * 1024;

/**
 * A stream that is handed on as it comes, and reported when it has ended, in whatever way.
 *
 * @param report called once, before the reader learns of the end
 */
export function reported(
  source: ReadableStream<Uint8Array>,
  report: (end: StreamEnd) => Promise<void>,
  { maxBytes = MAX_BYTES }: { maxBytes?: number } = {},
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let size_bytes = 0;
  let isOver = false;
  const end = async (failure?: StreamEnd["failure"]) => {
    if (isOver) return;
    isOver = true;
    const reporting = report({ size_bytes, ...(failure ? { failure } : {}) });
    // The host may end the isolate when nobody reads any more.
    waitUntil(reporting);
    await reporting;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let chunk: ReadableStreamReadResult<Uint8Array>;
      try {
        chunk = await reader.read();
      } catch (error) {
        await end("answer_broken");
        return controller.error(error);
      }
      if (chunk.done) {
        await end();
        return controller.close();
      }
      size_bytes += chunk.value.byteLength;
      if (size_bytes > maxBytes) {
        await end("answer_too_large");
        await reader.cancel().catch(() => {});
        return controller.error(new Error(`more than ${maxBytes} bytes`));
      }
      controller.enqueue(chunk.value);
    },
    async cancel(reason) {
      // In this order: cancelling ends a read that waits, as if all had come.
      const ending = end("client_closed");
      await reader.cancel(reason).catch(() => {});
      await ending;
    },
  });
}
