/** Whether a copy is the original: the decision alone, without any call. */
import type { StoredObject } from "./types.ts";

/** What is known about an artifact when its upload was reported. */
export interface TransferFacts {
  /** What the source said; null where it said nothing. */
  source: { size_bytes: number | null; sha256: string | null };
  /** What the workflow counted and computed while it moved the bytes. */
  transferred: { size_bytes: number | null; sha256: string | null; md5: string | null };
  /** What the destination holds; null when it holds nothing. */
  stored: StoredObject | null;
}

/** The decision; on success with the proof that is written down. */
export type Verdict =
  | { ok: true; size_bytes: number; checksum: string }
  | { ok: false; code: string; message: string };

/**
 * Compares size and checksum at the destination with the source's digest, or, where the source has
 * none, with what the workflow computed over the bytes it downloaded.
 *
 * A destination that only knows MD5 proves a copy when the workflow reported both hashes: its
 * SHA-256 ties the bytes to the source, its MD5 ties them to the copy.
 *
 * Codes: `destination_missing`, `size_mismatch`, `checksum_mismatch`, `checksum_unavailable`.
 */
export function verifyTransfer({ source, transferred, stored }: TransferFacts): Verdict {
  const no = (code: string, message: string): Verdict => ({ ok: false, code, message });
  if (!stored) {
    return no("destination_missing", "The destination holds no such object after the upload.");
  }
  const expectedSize = source.size_bytes ?? transferred.size_bytes;
  if (expectedSize !== null && stored.size_bytes !== expectedSize) {
    return no(
      "size_mismatch",
      `The source has ${expectedSize} bytes, the destination ${stored.size_bytes}.`,
    );
  }
  if (source.sha256 && transferred.sha256 && source.sha256 !== transferred.sha256) {
    return no(
      "checksum_mismatch",
      `The source has sha256 ${source.sha256}, what was downloaded ${transferred.sha256}.`,
    );
  }
  const sha256 = source.sha256 ?? transferred.sha256;
  if (sha256 && stored.sha256) {
    return sha256 === stored.sha256
      ? { ok: true, size_bytes: stored.size_bytes, checksum: `sha256:${stored.sha256}` }
      : no(
        "checksum_mismatch",
        `The source has sha256 ${sha256}, the destination ${stored.sha256}.`,
      );
  }
  if (transferred.md5 && stored.md5) {
    if (transferred.md5 !== stored.md5) {
      return no(
        "checksum_mismatch",
        `What was uploaded has md5 ${transferred.md5}, the destination ${stored.md5}.`,
      );
    }
    if (!source.sha256 || transferred.sha256) {
      return { ok: true, size_bytes: stored.size_bytes, checksum: `md5:${stored.md5}` };
    }
  }
  const known = [stored.sha256 && "sha256", stored.md5 && "md5"].filter(Boolean).join(" and ");
  return no(
    "checksum_unavailable",
    `The destination tells ${known || "no checksum"}: report sha256 and md5 of the bytes that ` +
      "were transferred.",
  );
}
