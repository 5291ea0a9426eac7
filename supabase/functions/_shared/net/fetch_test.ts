import assert from "node:assert/strict";
import selfsigned from "selfsigned";
import { describeFetchFailure } from "../fetch_failure.ts";
import { fetchPublic, guardedFetch, type GuardedRequest } from "./fetch.ts";
import { answering, PRIVATE_URLS } from "./testing.ts";

const signal = () => AbortSignal.timeout(5_000);

/** A server on this machine; `hits` counts who got through. */
async function withServer(
  answer: (url: URL, request: Request) => Response | Promise<Response>,
  use: (origin: string, hits: () => number) => Promise<void>,
): Promise<void> {
  let hits = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    hits++;
    return answer(new URL(request.url), request);
  });
  try {
    await use(`http://127.0.0.1:${server.addr.port}`, () => hits);
  } finally {
    await server.shutdown();
  }
}

Deno.test("no spelling of a private address is asked", async () => {
  for (const url of PRIVATE_URLS) {
    const refusal = { code: "address_refused", status: 422 };
    await assert.rejects(fetchPublic(url, { signal: signal(), allowPrivate: false }), refusal, url);
    await assert.rejects(
      guardedFetch(url, { method: "GET", headers: {}, signal: signal(), allowPrivate: false }),
      refusal,
      url,
    );
  }
});

Deno.test("what is not a plain http(s) URL is not asked", async () => {
  for (
    const url of [
      "file:///etc/passwd",
      "ftp://8.8.8.8/",
      "gopher://8.8.8.8/",
      "data:text/plain,x",
      "https://user:pass@8.8.8.8/",
      "//8.8.8.8/",
      "8.8.8.8",
      "http://[fe80::1%25eth0]/",
      "",
    ]
  ) {
    await assert.rejects(fetchPublic(url, { signal: signal(), allowPrivate: true }), {
      code: "address_refused",
    }, url);
  }
});

Deno.test("where a row allows it, a private address is asked", async () => {
  await withServer(() => new Response("inside"), async (origin) => {
    const { body } = await fetchPublic(origin, { signal: signal(), allowPrivate: true });
    assert.equal(await new Response(body).text(), "inside");
    const answer = await guardedFetch(origin, {
      method: "GET",
      headers: {},
      signal: signal(),
      allowPrivate: true,
    });
    assert.equal(await answer.text(), "inside");
  });
});

Deno.test("a redirect of a provider is not followed", async () => {
  await withServer(() => Response.redirect("http://127.0.0.1:1/", 302), async (origin, hits) => {
    const answer = await guardedFetch(origin, {
      method: "GET",
      headers: {},
      signal: signal(),
      allowPrivate: true,
    });
    await answer.body?.cancel();
    assert.equal(answer.status, 302);
    assert.equal(hits(), 1);
  });
});

Deno.test("redirects of a file are followed, but not for ever", async () => {
  await withServer((url) => {
    const left = Number(url.searchParams.get("left"));
    return left === 0
      ? new Response("there", { headers: { "content-type": "text/x-there" } })
      : Response.redirect(`${url.origin}/?left=${left - 1}`, 302);
  }, async (origin) => {
    const options = { signal: signal(), allowPrivate: true };
    const { headers, body } = await fetchPublic(`${origin}/?left=3`, options);
    assert.equal(headers.get("content-type"), "text/x-there");
    assert.equal(await new Response(body).text(), "there");
    await assert.rejects(fetchPublic(`${origin}/?left=4`, options), { code: "source_unavailable" });
  });
});

Deno.test("a file's answer other than success is named", async () => {
  await withServer(() => new Response("no", { status: 404 }), async (origin) => {
    await assert.rejects(
      fetchPublic(origin, { signal: signal(), allowPrivate: true }),
      /127\.0\.0\.1 cannot be got: it answered 404/,
    );
  });
});

Deno.test("the error names the host and nothing that was found behind it", async () => {
  await assert.rejects(
    fetchPublic("http://db.internal/secret?token=abc", { signal: signal(), allowPrivate: false }),
    (error: Error) => error.message.includes("db.internal") && !error.message.includes("token"),
  );
});

Deno.test("a public name that leads inside is not asked, in any of its addresses", async () => {
  await withServer(() => new Response("inside"), async (origin, hits) => {
    const url = origin.replace("127.0.0.1", "files.example.com");
    for (const answer of [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["10.0.0.1"]]) {
      const { resolve } = answering(answer);
      await assert.rejects(
        fetchPublic(url, { signal: signal(), allowPrivate: false, resolve }),
        { code: "address_refused" },
      );
    }
    assert.equal(hits(), 0);
  });
});

Deno.test("whatever is sent to a name goes to what was looked at, too", async () => {
  await withServer(() => new Response("inside"), async (origin, hits) => {
    const url = origin.replace("127.0.0.1", "api.example.com");
    for (const answer of [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"]]) {
      await assert.rejects(
        guardedFetch(url, {
          method: "PUT",
          headers: {},
          body: "x",
          signal: signal(),
          allowPrivate: false,
          ...answering(answer),
        }),
        { code: "address_refused" },
      );
    }
    assert.equal(hits(), 0);
    // A second look-up would lead to where nobody answers.
    const server = answering(["127.0.0.1"], ["192.0.2.1"]);
    const answer = await guardedFetch(url, {
      method: "GET",
      headers: {},
      signal: signal(),
      allowPrivate: true,
      resolve: server.resolve,
    });
    assert.equal(await answer.text(), "inside");
    assert.deepEqual([hits(), server.asked], [1, 1]);
  });
});

/** Sends to a server of this machine as if it were one of the Internet. */
function asPublic(origin: string, request: Partial<GuardedRequest>, path = "/") {
  return guardedFetch(`${origin.replace("127.0.0.1", "api.example.com")}${path}`, {
    method: "GET",
    headers: {},
    signal: signal(),
    allowPrivate: true,
    ...request,
    resolve: answering(["127.0.0.1"]).resolve,
  });
}

Deno.test("what arrives is what fetch would send: texts, bytes, forms, streams", async () => {
  await withServer(async (url, request) =>
    Response.json({
      method: request.method,
      path: url.pathname + url.search,
      type: request.headers.get("content-type")?.split(";")[0] ?? null,
      mine: request.headers.get("x-mine"),
      host: request.headers.get("host"),
      body: request.headers.get("content-type")?.startsWith("multipart/")
        ? Object.fromEntries(await request.formData())
        : await request.text(),
    }), async (origin) => {
    const form = new FormData();
    form.append("name", "value");
    const bytes = new TextEncoder().encode("bytes");
    for (
      const [method, body, type, arrived] of [
        ["POST", '{"a":"ü"}', "application/json", '{"a":"ü"}'],
        ["PUT", bytes, null, "bytes"],
        ["POST", form, "multipart/form-data", { name: "value" }],
        ["PATCH", new Blob(["stre", "am"]).stream(), null, "stream"],
        ["DELETE", undefined, null, ""],
      ] as const
    ) {
      const isJson = type === "application/json";
      const response = await asPublic(origin, {
        method,
        body: body as GuardedRequest["body"],
        headers: {
          "x-mine": "1",
          host: "elsewhere.example.com",
          "transfer-encoding": "chunked",
          ...(isJson ? { "content-type": type } : {}),
        },
      }, "/a%20b?c=d");
      const { type: sent, ...rest } = await response.json();
      assert.equal(sent, type);
      assert.deepEqual(rest, {
        method,
        path: "/a%20b?c=d",
        mine: "1",
        host: new URL(origin).host.replace("127.0.0.1", "api.example.com"),
        body: arrived,
      });
    }
  });
});

Deno.test("what comes back is what fetch would give: statuses, redirects, encodings", async () => {
  const gzipped = new Blob(["packed"]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = new Uint8Array(await new Response(gzipped).arrayBuffer());
  await withServer((url) => {
    switch (url.pathname) {
      case "/gzip":
        return new Response(packed, { headers: { "content-encoding": "gzip" } });
      case "/broken":
        return new Response("not packed", { headers: { "content-encoding": "gzip" } });
      case "/empty":
        return new Response(null, { status: 204 });
      case "/elsewhere":
        return Response.redirect("http://127.0.0.1:1/", 302);
      default:
        return new Response("no", { status: 404, headers: { "x-why": "gone" } });
    }
  }, async (origin) => {
    assert.equal(await (await asPublic(origin, {}, "/gzip")).text(), "packed");
    const broken = await asPublic(origin, {}, "/broken");
    await assert.rejects(broken.text());
    const empty = await asPublic(origin, { method: "DELETE" }, "/empty");
    assert.deepEqual([empty.status, empty.body], [204, null]);
    const elsewhere = await asPublic(origin, {}, "/elsewhere");
    await elsewhere.body?.cancel();
    assert.equal(elsewhere.headers.get("location"), "http://127.0.0.1:1/");
    const gone = await asPublic(origin, {});
    assert.deepEqual([gone.status, gone.headers.get("x-why"), await gone.text()], [
      404,
      "gone",
      "no",
    ]);
    const head = await asPublic(origin, { method: "HEAD" });
    assert.deepEqual([head.status, head.body], [404, null]);
  });
});

Deno.test("failures are told apart as those of fetch are", async () => {
  const kindOf = async (run: Promise<unknown>) => {
    try {
      await run;
    } catch (thrown) {
      return describeFetchFailure(thrown).kind;
    }
  };
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nowhere = `http://127.0.0.1:${closed.addr.port}`;
  closed.close();
  assert.equal(await kindOf(asPublic(nowhere, {})), "connect");
  const { private: key, cert } = await selfsigned.generate([{
    name: "commonName",
    value: "nobody",
  }]);
  const unknown = Deno.serve(
    { hostname: "127.0.0.1", port: 0, key, cert, onListen: () => {} },
    () => new Response("inside"),
  );
  assert.equal(await kindOf(asPublic(`https://127.0.0.1:${unknown.addr.port}`, {})), "connect");
  await unknown.shutdown();
  const hanging = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of hanging) accepted.push(connection);
  })().catch(() => {});
  const there = `http://127.0.0.1:${hanging.addr.port}`;
  assert.equal(
    await kindOf(asPublic(there, { signal: AbortSignal.timeout(100) })),
    "timeout",
  );
  const lost = kindOf(asPublic(there, { method: "POST", body: "x" }));
  while (accepted.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  accepted.at(-1)!.close();
  assert.equal(await lost, "lost");
  // The answer begins, and ends in the middle or never.
  const half = async (signal: AbortSignal, breakOff: boolean) => {
    const before = accepted.length;
    const asking = asPublic(there, { signal });
    while (accepted.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
    const connection = accepted.at(-1)!;
    await connection.read(new Uint8Array(4096));
    await connection.write(
      new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
    );
    const answer = await asking;
    if (breakOff) connection.close();
    return await kindOf(answer.text());
  };
  assert.equal(await half(signal(), true), "lost");
  assert.equal(await half(AbortSignal.timeout(200), false), "timeout");
  hanging.close();
  for (const connection of accepted) {
    try {
      connection.close();
    } catch { /* closed above */ }
  }
  await accepting;
});

Deno.test("a name is resolved once, and the connection goes to what was looked at", async () => {
  await withServer((_url, request) => new Response(request.headers.get("host")), async (origin) => {
    const url = origin.replace("127.0.0.1", "files.example.com");
    // A second look-up would lead to where nobody answers.
    const server = answering(["127.0.0.1"], ["192.0.2.1"]);
    const { body } = await fetchPublic(url, {
      signal: signal(),
      allowPrivate: true,
      resolve: server.resolve,
    });
    assert.equal(await new Response(body).text(), new URL(url).host);
    assert.equal(server.asked, 1);
  });
});
