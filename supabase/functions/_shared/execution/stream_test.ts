import assert from "node:assert/strict";
import { reported, type StreamEnd } from "./stream.ts";

function source(chunks: number, { fails = false } = {}): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (sent++ < chunks) return controller.enqueue(new Uint8Array(10));
      if (fails) controller.error(new Error("gone"));
      else controller.close();
    },
  });
}

function noting(ends: StreamEnd[]): (end: StreamEnd) => Promise<void> {
  return (end) => {
    ends.push(end);
    return Promise.resolve();
  };
}

Deno.test("a stream is reported once, when it has ended, before its reader knows", async () => {
  const ends: StreamEnd[] = [];
  const stream = reported(source(3), noting(ends));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  assert.equal(bytes.length, 30);
  assert.deepEqual(ends, [{ size_bytes: 30 }]);
});

Deno.test("a source that breaks is reported as broken, and breaks for the reader", async () => {
  const ends: StreamEnd[] = [];
  const stream = reported(source(2, { fails: true }), noting(ends));
  await assert.rejects(new Response(stream).arrayBuffer(), /gone/);
  assert.deepEqual(ends, [{ size_bytes: 20, failure: "answer_broken" }]);
});

Deno.test("a reader that leaves ends the source, also while it waits for it", async () => {
  const ends: StreamEnd[] = [];
  let isCancelled = false;
  const waiting = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(10)),
    cancel: () => void (isCancelled = true),
  });
  const reader = reported(waiting, noting(ends)).getReader();
  await reader.read();
  await reader.cancel();
  assert.deepEqual(ends, [{ size_bytes: 10, failure: "client_closed" }]);
  assert.ok(isCancelled);
});

Deno.test("more bytes than may pass end the stream", async () => {
  const ends: StreamEnd[] = [];
  const stream = reported(source(10), noting(ends), { maxBytes: 35 });
  await assert.rejects(new Response(stream).arrayBuffer(), /more than 35 bytes/);
  assert.equal(ends[0]!.failure, "answer_too_large");
});
