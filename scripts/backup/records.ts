/**
 * What stands inside a backup: records of one byte kind, four bytes length and a payload.
 * @module
 */

/** A record: a JSON document, or a piece of a table's rows in COPY's text format. */
export type Record = { json: unknown } | { data: Uint8Array };

const JSON_KIND = 0x4a;
const DATA_KIND = 0x44;

/** Two pieces as one. */
export function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** The bytes of a record. */
export function encodeRecord(record: Record): Uint8Array {
  const payload = "json" in record
    ? new TextEncoder().encode(JSON.stringify(record.json))
    : record.data;
  const bytes = new Uint8Array(5 + payload.length);
  bytes[0] = "json" in record ? JSON_KIND : DATA_KIND;
  new DataView(bytes.buffer).setUint32(1, payload.length);
  bytes.set(payload, 5);
  return bytes;
}

/**
 * Reads records from a stream.
 * @throws {Error} when it ends within one
 */
export async function* decodeRecords(stream: ReadableStream<Uint8Array>): AsyncGenerator<Record> {
  let held = new Uint8Array();
  for await (const bytes of stream) {
    const all = concat(held, bytes);
    let from = 0;
    while (all.length - from >= 5) {
      const length = new DataView(all.buffer).getUint32(from + 1);
      if (all.length - from < 5 + length) break;
      const payload = all.subarray(from + 5, from + 5 + length);
      if (all[from] === JSON_KIND) yield { json: JSON.parse(new TextDecoder().decode(payload)) };
      else if (all[from] === DATA_KIND) yield { data: payload };
      else throw new Error(`A record of the unknown kind ${all[from]}.`);
      from += 5 + length;
    }
    held = all.slice(from);
  }
  if (held.length > 0) throw new Error("The content ends within a record.");
}
