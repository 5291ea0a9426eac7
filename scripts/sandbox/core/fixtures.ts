import { createCipheriv, createHash } from "node:crypto";
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

/** Bytes a stored archive with one file adds to the file's own size. */
export function zipOverhead(name: string): number {
  let size = 0;
  for (const chunk of zipArchive([{ name, pieces: [] }])) size += chunk.length;
  return size;
}
