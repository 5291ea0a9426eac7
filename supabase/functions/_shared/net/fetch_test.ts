import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { fetchPublic, guardedFetch, type PublicOptions } from "./fetch.ts";
import { PRIVATE_URLS } from "./testing.ts";

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

/** A name server that gives one answer after the other. */
function answering(...answers: string[][]): { resolve: PublicOptions["resolve"]; asked: number } {
  const server = {
    asked: 0,
    resolve: ((_name: string, _options: unknown, done: (...found: unknown[]) => void) => {
      const found = answers[Math.min(server.asked++, answers.length - 1)]!;
      const addresses: LookupAddress[] = found.map((address) => ({ address, family: 4 }));
      setTimeout(() => done(null, addresses));
    }) as unknown as PublicOptions["resolve"],
  };
  return server;
}

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
