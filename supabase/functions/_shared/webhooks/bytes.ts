/** Bytes and their spellings, as signatures need them. */
import { timingSafeEqual } from "node:crypto";

/** Bytes that Web Crypto accepts: backed by a plain buffer, never by shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** How a provider spells bytes in a header. */
export type Encoding = "hex" | "base64" | "base64url";

const encoder = new TextEncoder();

/** UTF-8 bytes of a text. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Lower-case hex of bytes. */
export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

/** Standard base64, padded, of bytes. */
export function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/**
 * Bytes spelled as hex, base64 or base64url.
 *
 * @returns undefined when the text is not a spelling of bytes; padding may be left out
 */
export function decodeBytes(
  text: string,
  encoding: Encoding,
): Bytes | undefined {
  if (encoding === "hex") {
    if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
    const bytes = new Uint8Array(text.length / 2);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
    }
    return bytes;
  }
  const standard = encoding === "base64url" ? text.replaceAll("-", "+").replaceAll("_", "/") : text;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(standard)) return undefined;
  try {
    return Uint8Array.from(atob(standard), (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** Whether two byte strings are equal; lengths first, then in constant time. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

/** One byte string after the other. */
export function concatBytes(parts: Uint8Array[]): Bytes {
  const joined = new Uint8Array(
    parts.reduce((sum, part) => sum + part.byteLength, 0),
  );
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.byteLength;
  }
  return joined;
}
