import { Buffer } from "node:buffer";
import { createCipheriv, createHash } from "node:crypto";
import { crc32, deflateSync } from "node:zlib";
import { Zip, ZipPassThrough } from "fflate";

const PIECE_BYTES = 64 * 1024;

/** A fixture that cannot be made as it was asked for; the message names value and remedy. */
export class FixtureError extends Error {}

/**
 * Bytes that look random and are the same for the same seed, so that a test can compare what
 * arrived with what was sent without keeping either.
 *
 * @param size number of bytes
 */
export function* deterministicBytes(
  seed: string,
  size: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const key = createHash("sha256").update(seed).digest();
  const cipher = createCipheriv("aes-256-ctr", key, new Uint8Array(16));
  const zeros = new Uint8Array(PIECE_BYTES);
  for (let left = size; left > 0; left -= PIECE_BYTES) {
    yield new Uint8Array(cipher.update(zeros.subarray(0, Math.min(left, PIECE_BYTES))));
  }
}

/** A file of a zip archive: its name and its bytes in pieces. */
export interface ZipEntry {
  name: string;
  pieces: Iterable<Uint8Array>;
}

/** Writes a zip archive piece by piece; stored, not deflated, so that its size is foreseeable. */
export function* zipArchive(entries: Iterable<ZipEntry>): Generator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    ready.push(chunk);
  });
  for (const { name, pieces } of entries) {
    const file = new ZipPassThrough(name);
    // A fixed date (noon, because zip has local times): equal fixtures are equal bytes.
    file.mtime = "2026-01-01T12:00:00";
    zip.add(file);
    for (const piece of pieces) {
      file.push(piece);
      yield* ready.splice(0);
    }
    file.push(new Uint8Array(0), true);
    yield* ready.splice(0);
  }
  zip.end();
  yield* ready;
}

/** A small picture of one colour: a real PNG, the same for the same seed. */
export function pngImage(seed: string): Uint8Array<ArrayBuffer> {
  const [red = 0, green = 0, blue = 0] = createHash("sha256").update(seed).digest();
  const [width, height, bitDepth, rgb] = [8, 8, 8, 2];
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, rgb], 8);
  // Each line begins with the number of its filter: 0, none.
  const line = [0, ...Array.from({ length: width }, () => [red, green, blue]).flat()];
  const pixels = deflateSync(Buffer.from(Array.from({ length: height }, () => line).flat()));
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(body.length + 8);
    frame.writeUInt32BE(data.length, 0);
    frame.set(body, 4);
    frame.writeUInt32BE(crc32(body), body.length + 4);
    return frame;
  };
  return new Uint8Array(Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", pixels),
    chunk("IEND", new Uint8Array(0)),
  ]));
}

/** Bytes a stored archive with one file adds to the file's own size. */
export function zipOverhead(name: string): number {
  let size = 0;
  for (const chunk of zipArchive([{ name, pieces: [] }])) size += chunk.length;
  return size;
}
