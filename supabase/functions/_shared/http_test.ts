import assert from "node:assert/strict";
import { z } from "zod";
import { AppError } from "./errors.ts";
import {
  bearerToken,
  constantTimeEqual,
  createApp,
  methodNotAllowed,
  readBody,
  readJson,
} from "./http.ts";

const CORRELATION = "0198c7de-9a3c-7c11-8a5b-1f2e3d4c5b6a";

function sample() {
  const app = createApp("sample");
  app.get("/ok", (c) => c.json({ id: c.get("correlationId") }));
  app.all("/ok", methodNotAllowed("GET"));
  app.get("/teapot", () => {
    throw new AppError("short_and_stout", 418, "I am a teapot.", { retryAfterSeconds: 1.2 });
  });
  app.get("/secret", () => {
    throw new Error("password=hunter2");
  });
  app.post("/echo", async (c) => c.json(await readJson(c.req.raw, z.object({ n: z.number() }))));
  return app;
}

Deno.test("a trace id sent by the caller becomes the correlation id", async () => {
  const response = await sample().request("/sample/ok", {
    headers: { traceparent: `00-${CORRELATION.replaceAll("-", "")}-00f067aa0ba902b7-01` },
  });
  assert.equal(response.headers.get("x-correlation-id"), CORRELATION);
  assert.deepEqual(await response.json(), { id: CORRELATION });
});

Deno.test("an all-zero or malformed trace id is replaced by a fresh one", async () => {
  for (const traceparent of [`00-${"0".repeat(32)}-00f067aa0ba902b7-01`, "garbage"]) {
    const response = await sample().request("/sample/ok", { headers: { traceparent } });
    assert.match(response.headers.get("x-correlation-id")!, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    assert.notEqual(
      response.headers.get("x-correlation-id"),
      "00000000-0000-0000-0000-000000000000",
    );
    await response.body?.cancel();
  }
});

Deno.test("an expected failure shows code, message and Retry-After", async () => {
  const response = await sample().request("/sample/teapot", {
    headers: { "x-correlation-id": CORRELATION },
  });
  assert.equal(response.status, 418);
  assert.equal(response.headers.get("retry-after"), "2");
  assert.deepEqual(await response.json(), {
    error: { code: "short_and_stout", message: "I am a teapot.", correlation_id: CORRELATION },
  });
});

Deno.test("an unexpected failure says nothing about itself", async () => {
  const response = await sample().request("/sample/secret");
  assert.equal(response.status, 500);
  const text = await response.text();
  assert.ok(text.includes("internal_error"));
  assert.ok(!text.includes("hunter2"));
});

Deno.test("unknown paths are 404 and wrong methods 405 with Allow", async () => {
  const missing = await sample().request("/sample/nowhere");
  assert.equal(missing.status, 404);
  assert.equal((await missing.json()).error.code, "not_found");
  const wrong = await sample().request("/sample/ok", { method: "DELETE" });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "GET");
  await wrong.body?.cancel();
});

Deno.test("bodies that are not JSON are 400, that do not fit the schema 422", async () => {
  const post = (body: string) => sample().request("/sample/echo", { method: "POST", body });
  assert.equal((await post("{")).status, 400);
  const invalid = await post('{"n":"one"}');
  assert.equal(invalid.status, 422);
  assert.match((await invalid.json()).error.message, /^n: /);
  assert.equal((await post('{"n":1}')).status, 200);
});

Deno.test("a body beyond the cap is refused whether or not its length was declared", async () => {
  const declared = new Request("http://x/", { method: "POST", body: "12345" });
  await assert.rejects(readBody(declared, 4), { code: "payload_too_large", status: 413 });
  const streamed = new Request("http://x/", {
    method: "POST",
    body: new ReadableStream({
      start(controller) {
        for (let i = 0; i < 5; i++) controller.enqueue(new Uint8Array([i]));
        controller.close();
      },
    }),
  });
  await assert.rejects(readBody(streamed, 4), { code: "payload_too_large", status: 413 });
  assert.deepEqual(
    await readBody(new Request("http://x/", { method: "POST", body: "1234" }), 4),
    new TextEncoder().encode("1234"),
  );
});

Deno.test("a bearer token is required and read case-insensitively", () => {
  const request = (authorization?: string) =>
    new Request("http://x/", { headers: authorization ? { authorization } : {} });
  assert.equal(bearerToken(request("bearer abc")), "abc");
  assert.throws(() => bearerToken(request()), { code: "missing_token", status: 401 });
  assert.throws(() => bearerToken(request("Basic abc")), { code: "missing_token" });
});

Deno.test("comparison in constant time still tells equal from different", () => {
  assert.ok(constantTimeEqual("token", "token"));
  assert.ok(!constantTimeEqual("token", "tokem"));
  assert.ok(!constantTimeEqual("token", "token2"));
  assert.ok(!constantTimeEqual("token", ""));
});
