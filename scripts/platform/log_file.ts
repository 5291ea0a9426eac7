/**
 * Log files of the stack's processes.
 * @module
 */
import { dirname } from "node:path";

const LIMIT_BYTES = 5_000_000;

/**
 * Writes a stream to the end of a log file until the stream ends. A file past 5 MB is put aside as
 * `<path>.1` first.
 * @param onChunk sees every chunk as text, for example to keep the last lines
 */
export async function logStream(
  path: string,
  stream: ReadableStream<Uint8Array>,
  onChunk: (text: string) => void = () => {},
): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  putAside(path);
  const file = await Deno.open(path, { append: true, create: true, mode: 0o600 });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of stream) {
      await file.write(chunk);
      onChunk(decoder.decode(chunk, { stream: true }));
    }
  } finally {
    file.close();
  }
}

/** In one go: both streams of a process may be opened at the same time. */
function putAside(path: string): void {
  try {
    if (Deno.statSync(path).size > LIMIT_BYTES) Deno.renameSync(path, `${path}.1`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
