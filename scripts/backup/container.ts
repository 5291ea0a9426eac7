/**
 * The backup file: one readable line that says how it was made, then the content, encrypted in
 * chunks so that neither writing nor reading needs it whole.
 *
 * Key: PBKDF2 (HMAC-SHA-256) of the passphrase with a salt of this file. Chunks: AES-256-GCM, nonce
 * = chunk number and a mark on the last one, additional data = the first line. A changed, moved or
 * missing chunk, a cut-off end and a changed first line are all found before a byte is used.
 * @see https://eprint.iacr.org/2015/189 (the STREAM construction)
 * @module
 */
import { z } from "zod";
import { concat } from "./records.ts";

const CHUNK = 64 * 1024;
const TAG = 16;
/** OWASP's recommendation for PBKDF2 with HMAC-SHA-256. */
const ITERATIONS = 600_000;
const SHORTEST_PASSPHRASE = 16;

const Header = z.object({
  format: z.literal("marketplace-backup"),
  version: z.literal(1),
  created_at: z.string(),
  kdf: z.literal("pbkdf2-hmac-sha256"),
  iterations: z.number().int().min(100_000).max(10_000_000),
  salt: z.base64(),
  cipher: z.literal("aes-256-gcm"),
});
type Header = z.infer<typeof Header>;
type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();

/** Bytes that do not open: a wrong passphrase, or a file that was changed or cut off. */
export class SealError extends Error {
  override name = "SealError";
}

async function deriveKey(passphrase: string, header: Header): Promise<CryptoKey> {
  if (passphrase.length < SHORTEST_PASSPHRASE) {
    throw new Error(`The passphrase is shorter than ${SHORTEST_PASSPHRASE} characters.`);
  }
  const raw = utf8.encode(passphrase.normalize("NFKC"));
  const material = await crypto.subtle.importKey("raw", raw, "PBKDF2", false, ["deriveKey"]);
  return await crypto.subtle.deriveKey(
    {
      name: "PBKDF2",
      hash: "SHA-256",
      salt: Uint8Array.from(atob(header.salt), (char) => char.charCodeAt(0)),
      iterations: header.iterations,
    },
    material,
    { name: "AES-GCM", length: 256 },
    false,
    ["encrypt", "decrypt"],
  );
}

/** Parameters of one chunk. The key is used for one file only, so counting is unique enough. */
function chunkParams(at: number, isLast: boolean, additionalData: Bytes): AesGcmParams {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setBigUint64(0, BigInt(at));
  iv[11] = isLast ? 1 : 0;
  return { name: "AES-GCM", iv, additionalData, tagLength: TAG * 8 };
}

/**
 * Cuts a stream into chunks of a size; the last one may be shorter, or empty when there is nothing,
 * and is only known at the end.
 */
function inChunks(
  size: number,
  work: (chunk: Bytes, at: number, isLast: boolean) => Promise<Bytes>,
  first: Bytes = new Uint8Array(),
): TransformStream<Uint8Array, Bytes> {
  let held: Bytes = first;
  let at = 0;
  return new TransformStream({
    async transform(bytes, out) {
      const all = concat(held, bytes);
      let from = 0;
      while (all.length - from > size) {
        out.enqueue(await work(all.slice(from, from += size), at++, false));
      }
      held = all.slice(from);
    },
    async flush(out) {
      while (held.length > size) {
        out.enqueue(await work(held.slice(0, size), at++, false));
        held = held.slice(size);
      }
      out.enqueue(await work(held, at, true));
    },
  });
}

/**
 * Encrypts a stream into the bytes of a backup file.
 * @throws {Error} when the passphrase is too short
 */
export async function seal(
  content: ReadableStream<Uint8Array>,
  passphrase: string,
): Promise<ReadableStream<Bytes>> {
  const header: Header = {
    format: "marketplace-backup",
    version: 1,
    created_at: new Date().toISOString(),
    kdf: "pbkdf2-hmac-sha256",
    iterations: ITERATIONS,
    salt: btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16)))),
    cipher: "aes-256-gcm",
  };
  const line = utf8.encode(`${JSON.stringify(header)}\n`);
  const key = await deriveKey(passphrase, header);
  const sealed = content.pipeThrough(
    inChunks(
      CHUNK,
      async (chunk, at, isLast) =>
        new Uint8Array(await crypto.subtle.encrypt(chunkParams(at, isLast, line), key, chunk)),
    ),
  );
  const reader = sealed.getReader();
  let isStarted = false;
  return new ReadableStream({
    async pull(out) {
      if (!isStarted) {
        isStarted = true;
        return out.enqueue(line);
      }
      const { value, done } = await reader.read();
      if (done) out.close();
      else out.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/**
 * Decrypts a backup file.
 * @throws {SealError} when it is no backup; the stream fails with it when a chunk does not open
 */
export async function open(
  file: ReadableStream<Uint8Array>,
  passphrase: string,
): Promise<ReadableStream<Bytes>> {
  const reader = file.getReader();
  let start = new Uint8Array();
  let end = -1;
  while (end < 0 && start.length < 4096) {
    const { value, done } = await reader.read();
    if (done) break;
    start = concat(start, value);
    end = start.indexOf(10);
  }
  const header = end < 0 ? null : parseHeader(new TextDecoder().decode(start.subarray(0, end)));
  if (!header) {
    await reader.cancel();
    throw new SealError("This is not a backup made by this project (or by a newer version of it).");
  }
  reader.releaseLock();
  const line = start.slice(0, end + 1);
  const key = await deriveKey(passphrase, header);
  return file.pipeThrough(
    inChunks(CHUNK + TAG, async (chunk, at, isLast) => {
      try {
        return new Uint8Array(
          await crypto.subtle.decrypt(chunkParams(at, isLast, line), key, chunk),
        );
      } catch {
        throw new SealError(
          at === 0
            ? "The backup does not open: the passphrase is another one, or the file was changed."
            : "The backup was changed or cut off: its content ends being authentic at byte " +
              `${line.length + at * (CHUNK + TAG)}.`,
        );
      }
    }, start.slice(end + 1)),
  );
}

function parseHeader(line: string): Header | null {
  try {
    return Header.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
