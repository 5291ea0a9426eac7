import assert from "node:assert/strict";
import { open, seal, SealError } from "./container.ts";
import { decodeRecords, encodeRecord } from "./records.ts";

const PASSPHRASE = "correct horse battery staple";
const CHUNK = 64 * 1024;

const stream = (bytes: Uint8Array, piece = 10_000) =>
  ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.slice(at, at + piece);
  })());
const bytesOf = async (from: ReadableStream<Uint8Array>) =>
  new Uint8Array(await new Response(from as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
const sealed = async (bytes: Uint8Array) => await bytesOf(await seal(stream(bytes), PASSPHRASE));
const opened = async (file: Uint8Array, passphrase = PASSPHRASE, piece?: number) =>
  await bytesOf(await open(stream(file, piece), passphrase));

function sample(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
}

Deno.test("what is sealed opens again, whatever its length and however it arrives", async () => {
  for (const length of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]) {
    const file = await sealed(sample(length));
    for (const piece of [7_001, 1_000_000]) {
      assert.deepEqual(await opened(file, PASSPHRASE, piece), sample(length), `${length}`);
    }
  }
});

Deno.test("the file shows nothing of its content, and no two are alike", async () => {
  const text = new TextEncoder().encode("a secret that stands here ".repeat(100));
  const [one, two] = [await sealed(text), await sealed(text)];
  assert.ok(!new TextDecoder("latin1").decode(one).includes("secret that stands"));
  assert.notDeepEqual(one.slice(-64), two.slice(-64));
});

Deno.test("a wrong passphrase, a changed byte and a cut-off end do not open", async () => {
  const file = await sealed(sample(3 * CHUNK + 5));
  const head = file.indexOf(10) + 1;
  const sealedChunk = CHUNK + 16;
  await assert.rejects(opened(file, "another passphrase altogether"), SealError);
  for (const at of [head, head + sealedChunk + 9, file.length - 1]) {
    const changed = file.slice();
    changed[at]! ^= 1;
    await assert.rejects(opened(changed), SealError, `byte ${at}`);
  }
  for (const length of [head + sealedChunk, head + 2 * sealedChunk, file.length - 1, head]) {
    await assert.rejects(opened(file.slice(0, length)), SealError, `cut at ${length}`);
  }
  const swapped = file.slice();
  swapped.set(file.slice(head, head + sealedChunk), head + sealedChunk);
  swapped.set(file.slice(head + sealedChunk, head + 2 * sealedChunk), head);
  await assert.rejects(opened(swapped), SealError);
  await assert.rejects(opened(new Uint8Array([...file, 0])), SealError);
});

Deno.test("a changed first line does not open, another file is told from a backup", async () => {
  const file = await sealed(sample(10));
  const end = file.indexOf(10);
  const line = JSON.parse(new TextDecoder().decode(file.slice(0, end)));
  line.created_at = "2000-01-01T00:00:00.000Z";
  const changed = new TextEncoder().encode(JSON.stringify(line) + "\n");
  await assert.rejects(opened(new Uint8Array([...changed, ...file.slice(end + 1)])), SealError);
  await assert.rejects(opened(new TextEncoder().encode("PGDMP something\n")), /not a backup/);
  await assert.rejects(opened(new Uint8Array()), /not a backup/);
});

Deno.test("a short passphrase is refused", async () => {
  await assert.rejects(seal(stream(sample(1)), "short"), /shorter than 16/);
});

Deno.test("records come out as they went in, however the stream is cut", async () => {
  const records = [{ json: { a: [1, "ü"] } }, { data: sample(1000) }, { data: new Uint8Array() }];
  const bytes = new Uint8Array(records.flatMap((record) => [...encodeRecord(record)]));
  for (const piece of [1, 3, 5000]) {
    const out = await Array.fromAsync(decodeRecords(stream(bytes, piece)));
    assert.deepEqual(
      out.map((record) => "data" in record ? { data: record.data.slice() } : record),
      records,
    );
  }
  await assert.rejects(Array.fromAsync(decodeRecords(stream(bytes.slice(0, -1)))), /within/);
});
