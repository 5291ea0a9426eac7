/** The bytes a provider signs, put together from the request by a template of the scheme. */
import { type Bytes, concatBytes, utf8 } from "./bytes.ts";
import { atPointer, readJsonBytes, scalarText } from "./json_text.ts";
import { split } from "./template.ts";
import type { Delivery } from "./verdict.ts";

/** What a template may name beside the request itself. */
export interface MessageFacts {
  /** Parts of a signature header that holds several. */
  parts?: readonly string[];
  /** The timestamp, where the scheme reads one. */
  timestamp?: string;
  /** The secret, where it is part of what is signed and not the key. */
  secret?: string;
}

/**
 * A value of the request: `header:…`, `query:…`, `body:/pointer`, or `part:…` of the signature header.
 *
 * @returns undefined when it was not sent
 */
export function readReference(
  reference: string,
  delivery: Delivery,
  { parts = [] }: MessageFacts = {},
): string | undefined {
  const [root, name] = split(reference, ":");
  switch (root) {
    case "header":
      return delivery.headers.get(name) ?? undefined;
    case "part":
      return parts.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
    case "query":
      return new URL(delivery.url()).searchParams.get(name) ?? undefined;
    case "body": {
      const body = readJsonBytes(delivery.raw);
      return body.ok ? scalarText(atPointer(body.value, name)) : undefined;
    }
  }
  return undefined;
}

/**
 * Fills a scheme's `signed` template. Beside references it knows `{raw}`, `{timestamp}`, `{method}`,
 * `{url}`, `{url_unescaped}`, `{form}` (fields sorted by name, names and values joined), `{crc32}`
 * (of the body, decimal) and `{secret}`.
 *
 * @returns undefined when the template names something that was not sent
 */
export function signedMessage(
  template: string,
  delivery: Delivery,
  facts: MessageFacts = {},
): Bytes | undefined {
  if (template === "{raw}") return delivery.raw;
  const pieces: Uint8Array[] = [];
  for (const piece of template.split(/(\{[^{}]+\})/)) {
    if (piece === "{raw}") {
      pieces.push(delivery.raw);
      continue;
    }
    const text = piece.startsWith("{") ? readPiece(piece.slice(1, -1), delivery, facts) : piece;
    if (text === undefined) return undefined;
    pieces.push(utf8(text));
  }
  return concatBytes(pieces);
}

function readPiece(name: string, delivery: Delivery, facts: MessageFacts): string | undefined {
  switch (name) {
    case "timestamp":
      return facts.timestamp;
    case "secret":
      return facts.secret;
    case "method":
      return delivery.method;
    case "url":
      return delivery.url();
    case "url_unescaped":
      return unescapeUrl(delivery.url());
    case "form":
      return sortedForm(delivery);
    case "crc32":
      return String(crc32(delivery.raw));
  }
  return readReference(name, delivery, facts);
}

/** HubSpot decodes these, and no others, before it signs. */
function unescapeUrl(url: string): string {
  return url.replace(
    /%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi,
    (escape) => decodeURIComponent(escape),
  );
}

/** Twilio's spelling of a form; an empty one proves nothing and counts as not sent. */
function sortedForm({ headers, raw }: Delivery): string | undefined {
  const contentType = (headers.get("content-type") ?? "").toLowerCase();
  if (!contentType.startsWith("application/x-www-form-urlencoded")) return undefined;
  const form = new URLSearchParams(new TextDecoder().decode(raw));
  const names = [...new Set(form.keys())].sort();
  if (names.length === 0) return undefined;
  return names
    .flatMap((name) => [...new Set(form.getAll(name))].sort().map((value) => name + value))
    .join("");
}

let crcTable: Uint32Array | undefined;

/** CRC-32 (IEEE 802.3) of bytes. */
export function crc32(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
