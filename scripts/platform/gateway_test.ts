import assert from "node:assert/strict";
import { bootable, type Handler } from "./functions.ts";
import { createGateway } from "./gateway.ts";

/** Answers with what it saw. */
const echo: Handler = async (request) =>
  Response.json({
    method: request.method,
    url: request.url,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
  });

const gateway = createGateway(new Map([["hello", echo]]), () => new Response("data api"));
const call = async (path: string, init?: RequestInit) =>
  await gateway(new Request(`http://127.0.0.1:24960${path}`, init), "127.0.0.1");

Deno.test("a function sees its own name as the first part of the path, as on hosted", async () => {
  const seen = await (await call("/functions/v1/hello/a/b?c=d", { method: "POST", body: "x" }))
    .json();
  assert.equal(seen.url, "http://127.0.0.1:24960/hello/a/b?c=d");
  assert.deepEqual([seen.method, seen.body], ["POST", "x"]);
  assert.equal((await (await call("/functions/v1/hello")).json()).url.slice(-6), "/hello");
});

Deno.test("a function answers its own preflight", async () => {
  const seen = await (await call("/functions/v1/hello", { method: "OPTIONS" })).json();
  assert.equal(seen.method, "OPTIONS");
});

Deno.test("the caller's address is appended to x-forwarded-for", async () => {
  const headers = { "x-forwarded-for": "203.0.113.9" };
  const seen = await (await call("/functions/v1/hello", { headers })).json();
  assert.equal(seen.headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
});

Deno.test("an unknown function is hosted's 404", async () => {
  const response = await call("/functions/v1/nobody");
  assert.equal(response.status, 404);
  assert.equal((await response.json()).code, "NOT_FOUND");
});

Deno.test("the Data API and Auth have their paths, and nothing else is answered", async () => {
  assert.equal(await (await call("/rest/v1/x")).text(), "data api");
  assert.equal(await (await call("/auth/v1/health")).text(), "data api");
  assert.equal((await call("/rest/v2/x")).status, 404);
  assert.equal((await call("/")).status, 404);
});

Deno.test("a browser's preflight of the Data API succeeds for any path", async () => {
  const response = await call("/rest/v1/unknown", {
    method: "OPTIONS",
    headers: {
      "access-control-request-method": "POST",
      "access-control-request-headers": "apikey",
    },
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-headers"), "apikey");
});

Deno.test("a function that cannot be loaded answers BOOT_ERROR, one that throws WORKER_ERROR", async () => {
  const log = console.error;
  console.error = () => {};
  try {
    const request = new Request("http://127.0.0.1/x");
    const broken = bootable("broken", Promise.reject(new Error("no such module")));
    const response = await broken(request);
    assert.deepEqual([response.status, (await response.json()).code], [503, "BOOT_ERROR"]);

    const thrower = bootable("thrower", Promise.resolve(() => Promise.reject(new Error("late"))));
    const second = await thrower(request);
    assert.deepEqual([second.status, (await second.json()).code], [500, "WORKER_ERROR"]);
  } finally {
    console.error = log;
  }
});
