import assert from "node:assert/strict";
import { describeFetchFailure, type FetchFailure } from "./fetch_failure.ts";

/** What a real request to this address ends in. */
async function failureOf(url: string, init?: RequestInit): Promise<FetchFailure> {
  try {
    await (await fetch(url, init)).body?.cancel();
  } catch (thrown) {
    return describeFetchFailure(thrown);
  }
  throw new Error(`${url} answered`);
}

async function closedPort(): Promise<number> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await Promise.resolve();
  return port;
}

Deno.test("a refused connection was certainly not sent, and the reason holds no URL", async () => {
  const failure = await failureOf(`http://127.0.0.1:${await closedPort()}/hook?key=s3cret`);
  assert.equal(failure.kind, "connect");
  assert.match(failure.reason, /refused/i);
  assert.ok(!failure.reason.includes("s3cret"));
});

Deno.test("a name that does not resolve, a blocked port and an odd scheme were not sent", async () => {
  assert.equal((await failureOf("http://nobody.invalid/")).kind, "connect");
  assert.equal((await failureOf("http://127.0.0.1:1/")).kind, "connect");
  assert.equal((await failureOf("ftp://127.0.0.1/")).kind, "connect");
});

Deno.test("a connection closed without an answer may have delivered", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    const connection = await listener.accept();
    await connection.read(new Uint8Array(1024));
    connection.close();
  })();
  const failure = await failureOf(`http://127.0.0.1:${listener.addr.port}/?key=s3cret`, {
    method: "POST",
    body: "x",
  });
  assert.equal(failure.kind, "lost");
  assert.ok(!failure.reason.includes("s3cret"));
  await served;
  listener.close();
});

Deno.test("no answer in time may have delivered", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Promise((resolve) => setTimeout(() => resolve(new Response()), 300)),
  );
  const failure = await failureOf(`http://127.0.0.1:${server.addr.port}/`, {
    signal: AbortSignal.timeout(50),
  });
  assert.equal(failure.kind, "timeout");
  await server.shutdown();
});
