import assert from "node:assert/strict";
import { answering } from "./net/testing.ts";
import { callProvider, type ProviderCall } from "./provider_http.ts";

interface Seen {
  method: string;
  path: string;
  authorization: string | null;
}

/** Two servers on origins of their own, and what they were asked. */
async function withServers(
  handler: (request: Request, other: string) => Response | Promise<Response>,
  test: (url: string, seen: { here: Seen[]; there: Seen[] }) => Promise<void>,
): Promise<void> {
  const seen = { here: [] as Seen[], there: [] as Seen[] };
  const note = (list: Seen[], request: Request) =>
    list.push({
      method: request.method,
      path: new URL(request.url).pathname,
      authorization: request.headers.get("authorization"),
    });
  const quiet = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  const there = Deno.serve(quiet, (request) => {
    note(seen.there, request);
    return new Response("there");
  });
  const here = Deno.serve(quiet, (request) => {
    note(seen.here, request);
    return handler(request, `http://127.0.0.1:${there.addr.port}`);
  });
  try {
    await test(`http://127.0.0.1:${here.addr.port}`, seen);
  } finally {
    await Promise.all([here.shutdown(), there.shutdown()]);
  }
}

const call = (url: string, over: Partial<ProviderCall> = {}): ProviderCall => ({
  role: "source",
  integration: "acme",
  url,
  headers: { authorization: "Bearer s3cret" },
  allowPrivate: true,
  ...over,
});

Deno.test("a private address is not asked unless the integration allows it", async () => {
  await withServers(() => new Response("inside"), async (url, seen) => {
    await assert.rejects(callProvider(call(url, { allowPrivate: false })), {
      code: "address_refused",
      status: 422,
    });
    assert.equal(seen.here.length, 0);
  });
});

Deno.test("a name is looked up once: what was judged is what is asked", async () => {
  await withServers(() => new Response("inside"), async (url, seen) => {
    const named = url.replace("127.0.0.1", "api.example.com");
    for (const answer of [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"]]) {
      const { resolve } = answering(answer);
      await assert.rejects(callProvider(call(named, { allowPrivate: false, resolve })), {
        code: "address_refused",
      });
    }
    assert.equal(seen.here.length, 0);
    // A second look-up would lead to where nobody answers.
    const server = answering(["127.0.0.1"], ["192.0.2.1"]);
    const { text } = await callProvider(call(named, { resolve: server.resolve }));
    assert.deepEqual([text, seen.here.length, server.asked], ["inside", 1, 1]);
  });
});

Deno.test("a redirect on the same origin is followed, to another one the credential never goes", async () => {
  await withServers(
    (request, other) =>
      new URL(request.url).pathname === "/moved"
        ? new Response(null, { status: 301, headers: { location: "/here" } })
        : new URL(request.url).pathname === "/away"
        ? new Response(null, { status: 302, headers: { location: `${other}/steal` } })
        : new Response("here"),
    async (url, seen) => {
      assert.equal((await callProvider(call(`${url}/moved`))).text, "here");
      await assert.rejects(callProvider(call(`${url}/away`)), {
        code: "source_redirected",
        retryable: false,
      });
      assert.equal(seen.there.length, 0);
    },
  );
});

Deno.test("a redirected write is not followed, and an endless chain ends", async () => {
  await withServers(
    () => new Response(null, { status: 307, headers: { location: "/again" } }),
    async (url, seen) => {
      await assert.rejects(callProvider(call(url, { method: "POST", body: "x" })), {
        code: "source_redirected",
      });
      assert.equal(seen.here.length, 1);
      await assert.rejects(callProvider(call(url)), { code: "source_redirected" });
      assert.equal(seen.here.length, 5);
    },
  );
});

Deno.test("reads are repeated, writes only if they say so", async () => {
  await withServers(
    () => new Response("{}", { status: 503 }),
    async (url, seen) => {
      const tries = async (over: Partial<ProviderCall>) => {
        seen.here.length = 0;
        await assert.rejects(callProvider(call(url, over)), { code: "source_unavailable" });
        return seen.here.length;
      };
      assert.equal(await tries({}), 3);
      assert.equal(await tries({ method: "POST", body: "x" }), 1);
      assert.equal(await tries({ method: "POST", body: "x", isIdempotent: true }), 3);
    },
  );
});

Deno.test("what the provider finds wrong is not repeated, and told in its own words", async () => {
  await withServers(
    () => Response.json({ error: { message: "no such\nfield." } }, { status: 422 }),
    async (url, seen) => {
      await assert.rejects(callProvider(call(url)), {
        code: "source_rejected",
        message: "acme rejected the request (422: no such field).",
        details: { integration: "acme", provider_status: 422, retryable: false },
      });
      assert.equal(seen.here.length, 1);
    },
  );
});

Deno.test("a long Retry-After is passed on instead of waited for", async () => {
  await withServers(
    () => new Response("", { status: 429, headers: { "retry-after": "120" } }),
    async (url, seen) => {
      const started = performance.now();
      await assert.rejects(callProvider(call(url)), {
        code: "source_rate_limited",
        status: 503,
        retryAfterSeconds: 120,
      });
      assert.ok(performance.now() - started < 1_000);
      assert.equal(seen.here.length, 1);
    },
  );
});

Deno.test("an answer that is too large, too slow or absent ends the call", async () => {
  await withServers(
    (request) =>
      new URL(request.url).pathname === "/slow"
        ? new Promise((resolve) => setTimeout(() => resolve(new Response()), 300))
        : new Response("x".repeat(2_000)),
    async (url) => {
      await assert.rejects(callProvider(call(url, { maxBytes: 1_000 })), {
        code: "source_invalid_response",
      });
      await assert.rejects(
        callProvider(call(`${url}/slow`, { method: "POST", body: "x", timeoutMs: 50 })),
        { code: "source_unavailable", retryable: true },
      );
    },
  );
  await assert.rejects(
    callProvider(call("http://nobody.invalid/?key=s3cret", { method: "POST", body: "x" })),
    (error: Error) => {
      assert.equal((error as { code?: string }).code, "source_unavailable");
      return !error.message.includes("s3cret");
    },
  );
});
