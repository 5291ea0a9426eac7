import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { createCRC32, createCRC64 } from "hash-wasm";

/** Every checksum a provider of the sandbox reports about a content, as lowercase hex. */
export interface Digests {
  md5: string;
  sha1: string;
  sha256: string;
  crc32: string;
  crc32c: string;
  crc64nvme: string;
}

/** The name of one checksum algorithm. */
export type DigestName = keyof Digests;

/** Computes all checksums of a content in one pass. Make one with {@linkcode createDigester}. */
export interface Digester {
  update(chunk: Uint8Array): void;
  finish(): Digests;
}

// Reversed polynomials, as the table-driven implementations take them.
const CASTAGNOLI = 0x82f63b78;
const NVME = "9a6c9329ac4bc9b5";

/**
 * Starts a digest over a content that arrives in pieces.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
export async function createDigester(): Promise<Digester> {
  const md5 = createHash("md5");
  const sha1 = createHash("sha1");
  const sha256 = createHash("sha256");
  const crc32c = (await createCRC32(CASTAGNOLI)).init();
  const crc64nvme = (await createCRC64(NVME)).init();
  let crc = 0;
  return {
    update(chunk) {
      md5.update(chunk);
      sha1.update(chunk);
      sha256.update(chunk);
      crc32c.update(chunk);
      crc64nvme.update(chunk);
      crc = crc32(chunk, crc);
    },
    finish: () => ({
      md5: md5.digest("hex"),
      sha1: sha1.digest("hex"),
      sha256: sha256.digest("hex"),
      crc32: crc.toString(16).padStart(8, "0"),
      crc32c: crc32c.digest("hex"),
      crc64nvme: crc64nvme.digest("hex"),
    }),
  };
}

/** Turns a hex digest into the base64 form that S3 and HTTP headers use. */
export function hexToBase64(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}
