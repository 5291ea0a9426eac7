import { join } from "node:path";
import { createDigester, type Digester, type Digests } from "./digests.ts";

const MIB = 1024 * 1024;
const READ_CHUNK_BYTES = 256 * 1024;

/** Raised when the store would grow over its limit; providers answer it in their own words. */
export class StorageFullError extends Error {
  constructor(limitBytes: number) {
    super(`The sandbox stores at most ${limitBytes} bytes; reset it or raise storageLimitBytes.`);
    this.name = "StorageFullError";
  }
}

/** A finished, immutable content: small ones stay in memory, big ones lie in a temporary file. */
export interface Content {
  readonly size: number;
  readonly digests: Digests;
  /** Bytes `start` (inclusive) to `end` (exclusive), streamed. */
  stream(start?: number, end?: number): ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Forgets the content and frees its space. */
  release(): Promise<void>;
}

/** Takes a content piece by piece, across several requests if need be. */
export interface ContentWriter {
  readonly size: number;
  /** @throws StorageFullError */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<Content>;
  abort(): Promise<void>;
}

/**
 * Holds the contents of all providers: up to `memoryLimitBytes` each in memory, the rest in a
 * temporary folder that {@linkcode ContentStore.close} removes.
 */
export class ContentStore {
  #folder: string | undefined;
  #nextFile = 1;
  #used = 0;

  constructor(
    readonly limitBytes: number = 8192 * MIB,
    readonly memoryLimitBytes: number = MIB,
  ) {}

  /** Bytes held at the moment, unfinished contents included. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Starts a content that arrives in pieces. */
  async writer(): Promise<ContentWriter> {
    return new Writer(await createDigester(), {
      limit: this.memoryLimitBytes,
      reserve: (bytes) => this.#reserve(bytes),
      openFile: () => this.#openFile(),
    });
  }

  /**
   * Stores a whole content.
   *
   * @throws StorageFullError
   */
  async store(source: Uint8Array | AsyncIterable<Uint8Array>): Promise<Content> {
    const writer = await this.writer();
    try {
      if (source instanceof Uint8Array) await writer.write(source);
      else for await (const chunk of source) await writer.write(chunk);
    } catch (error) {
      await writer.abort();
      throw error;
    }
    return await writer.finish();
  }

  /** Removes the temporary folder. */
  async close(): Promise<void> {
    if (this.#folder) await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
    this.#folder = undefined;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > this.limitBytes) throw new StorageFullError(this.limitBytes);
    this.#used += bytes;
  }

  async #openFile(): Promise<{ path: string; file: Deno.FsFile }> {
    this.#folder ??= await Deno.makeTempDir({ prefix: "marketplace-sandbox-" });
    const path = join(this.#folder, String(this.#nextFile++));
    return { path, file: await Deno.open(path, { createNew: true, write: true }) };
  }
}

interface Space {
  limit: number;
  reserve(bytes: number): void;
  openFile(): Promise<{ path: string; file: Deno.FsFile }>;
}

class Writer implements ContentWriter {
  size = 0;
  #chunks: Uint8Array[] = [];
  #spill: { path: string; file: Deno.FsFile } | undefined;

  constructor(readonly digester: Digester, readonly space: Space) {}

  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.space.reserve(chunk.length);
    this.size += chunk.length;
    this.digester.update(chunk);
    if (!this.#spill && this.size <= this.space.limit) {
      this.#chunks.push(chunk.slice());
      return;
    }
    if (!this.#spill) {
      this.#spill = await this.space.openFile();
      for (const held of this.#chunks.splice(0)) await writeAll(this.#spill.file, held);
    }
    await writeAll(this.#spill.file, chunk);
  }

  finish(): Promise<Content> {
    const { size } = this;
    const digests = this.digester.finish();
    const free = () => this.space.reserve(-size);
    if (this.#spill) {
      const { path, file } = this.#spill;
      file.close();
      return Promise.resolve({
        size,
        digests,
        stream: (start = 0, end = size) => readFile(path, start, end),
        release: async () => (free(), await Deno.remove(path).catch(() => {})),
      });
    }
    const content = concat(this.#chunks);
    return Promise.resolve({
      size,
      digests,
      stream: (start = 0, end = size) => readBytes(content.subarray(start, end)),
      release: () => Promise.resolve(free()),
    });
  }

  async abort(): Promise<void> {
    this.space.reserve(-this.size);
    this.#chunks = [];
    if (!this.#spill) return;
    this.#spill.file.close();
    await Deno.remove(this.#spill.path).catch(() => {});
  }
}

/** Joins byte arrays into one. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.length;
  }
  return joined;
}

/** Reads a stream to its end into one array. */
export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return concat(chunks);
}

async function writeAll(file: Deno.FsFile, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
}

function readBytes(content: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      // A copy: the receiver may transfer or alter what it is handed.
      if (content.length > 0) controller.enqueue(content.slice());
      controller.close();
    },
  });
}

function readFile(
  path: string,
  start: number,
  end: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let file: Deno.FsFile | undefined;
  let position = start;
  return new ReadableStream({
    async pull(controller) {
      if (!file) {
        file = await Deno.open(path, { read: true });
        await file.seek(start, Deno.SeekMode.Start);
      }
      const buffer = new Uint8Array(Math.min(READ_CHUNK_BYTES, end - position));
      const count = buffer.length === 0 ? null : await file.read(buffer);
      if (count === null) {
        file.close();
        controller.close();
        return;
      }
      position += count;
      controller.enqueue(buffer.subarray(0, count));
    },
    cancel() {
      file?.close();
    },
  });
}
