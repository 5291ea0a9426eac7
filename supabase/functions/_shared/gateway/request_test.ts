import assert from "node:assert/strict";
import fc from "fast-check";
import { buildRequest, type RequestInput } from "./request.ts";

type Action = RequestInput["action"];

const action = (changes: Partial<Action> = {}): Action => ({
  method: "POST",
  path: "/things",
  request_schema: { type: "object" },
  query_parameters: [],
  header_parameters: {},
  body_type: "json",
  request_transform: null,
  response_type: "json",
  handler: null,
  idempotency_header: null,
  ...changes,
});

const build = (changes: Partial<Action>, rest: Partial<RequestInput> = {}) =>
  buildRequest({
    provider: { request_headers: {} },
    baseUrl: "https://api.example.com/v1",
    action: action(changes),
    parameters: {},
    ...rest,
  });

async function built(changes: Partial<Action>, rest: Partial<RequestInput> = {}) {
  const result = await build(changes, rest);
  assert.ok(result.ok, result.ok ? "" : result.message);
  return result.request;
}

Deno.test("each parameter has one place: path, query, header, body", async () => {
  const request = await built({
    method: "PUT",
    path: "/things/{id}",
    query_parameters: ["dry_run"],
    header_parameters: { etag: "If-Match" },
  }, { parameters: { id: "a/b", dry_run: true, etag: '"x"', name: "N", note: null } });
  assert.deepEqual(request, {
    method: "PUT",
    url: "https://api.example.com/v1/things/a%2Fb?dry_run=true",
    headers: { accept: "application/json", "content-type": "application/json", "if-match": '"x"' },
    body: '{"name":"N","note":null}',
    bodyKind: "json",
    rest: {},
    markers: {},
  });
});

Deno.test("what remains goes into the query of GET, of DELETE, and without a body", async () => {
  for (
    const changes of [{ method: "GET" }, { method: "HEAD" }, { method: "DELETE" }, {
      body_type: "none",
    }] as Partial<Action>[]
  ) {
    const request = await built(changes, { parameters: { a: [1, 2], b: "x" } });
    assert.equal(request.url, "https://api.example.com/v1/things?a=1&a=2&b=x");
    assert.equal(request.body, null);
    assert.equal(request.headers["content-type"], undefined);
  }
});

Deno.test("a DELETE with a transform has a body", async () => {
  const request = await built({ method: "DELETE", path: "/x/{id}", request_transform: "$body" }, {
    parameters: { id: 1, sha: "s" },
  });
  assert.equal(request.url, "https://api.example.com/v1/x/1");
  assert.equal(request.body, '{"sha":"s"}');
});

Deno.test("an empty JSON body is an empty object", async () => {
  assert.equal((await built({})).body, "{}");
});

Deno.test("a form follows the schema's style", async () => {
  const request = await built({
    body_type: "form",
    request_schema: { type: "object", "x-style": "brackets" },
  }, { parameters: { amount: 5, metadata: { order: "6 7" }, items: [{ price: "p" }] } });
  assert.equal(request.headers["content-type"], "application/x-www-form-urlencoded");
  assert.equal(request.body, "amount=5&metadata%5Border%5D=6+7&items%5B0%5D%5Bprice%5D=p");
});

Deno.test("a multipart body is parts: lists repeated, files kept, objects as JSON", async () => {
  const file = { filename: "a.txt", content_type: "text/plain", data: "aGk=" };
  const request = await built({ body_type: "multipart" }, {
    parameters: {
      to: ["a@x.example", "b@x.example"],
      attachment: [file],
      options: { a: 1 },
      no: null,
    },
  });
  assert.deepEqual(request.body, [
    { name: "to", value: "a@x.example" },
    { name: "to", value: "b@x.example" },
    { name: "attachment", file },
    { name: "options", value: '{"a":1}' },
  ]);
  assert.equal(request.headers["content-type"], undefined, "fetch writes it, with the boundary");
});

Deno.test("a handler gets the request without a body, and what has no place", async () => {
  const request = await built({ handler: "gmail_send", path: "/users/{userId}/send" }, {
    parameters: { userId: "me", to: "a@x.example" },
  });
  assert.equal(request.url, "https://api.example.com/v1/users/me/send");
  assert.equal(request.bodyKind, "handler");
  assert.equal(request.body, null);
  assert.deepEqual(request.rest, { to: "a@x.example" });
});

Deno.test("a secret in a transform is a marker nobody can guess, and never the secret", async () => {
  const changes = {
    request_transform: `{"auth": ["u", $secret("password")], "db": $connection.db}`,
  };
  const settings = { db: "acme" };
  const first = await built(changes, { settings });
  const second = await built(changes, { settings });
  const [marker] = Object.keys(first.markers);
  assert.deepEqual(Object.values(first.markers), ["password"]);
  assert.deepEqual(JSON.parse(first.body as string), { auth: ["u", marker], db: "acme" });
  assert.notEqual(marker, Object.keys(second.markers)[0]);
});

Deno.test("a transform may encode UTF-8 in base64", async () => {
  const request = await built({ request_transform: `{"content": $toBase64(text)}` }, {
    parameters: { text: "Grüße ✓" },
  });
  assert.equal(request.body, '{"content":"R3LDvMOfZSDinJM="}');
});

Deno.test("what a transform cannot do is said, not sent", async () => {
  const failing = await build({ request_transform: `$error("pick one")` });
  assert.deepEqual(failing, {
    ok: false,
    code: "transform_failed",
    name: "request_transform",
    message: "pick one",
  });
  const broken = await build({ request_transform: `{` });
  assert.equal(broken.ok ? "" : broken.code, "transform_invalid");
  const nothing = await build({ request_transform: "missing" });
  assert.equal(nothing.ok ? "" : nothing.code, "transform_failed");
  const scalar = await build({ body_type: "form", request_transform: `"x"` });
  assert.equal(scalar.ok ? "" : scalar.code, "transform_failed");
});

Deno.test("headers come from the provider, the row and the idempotency key", async () => {
  const request = await built({ idempotency_header: "Idempotency-Key", response_type: "binary" }, {
    provider: { request_headers: { "Notion-Version": "2025-09-03" } },
    idempotencyKey: "k1",
  });
  assert.deepEqual(request.headers, {
    accept: "*/*",
    "notion-version": "2025-09-03",
    "idempotency-key": "k1",
    "content-type": "application/json",
  });
});

Deno.test("a provider's own JSON type goes with bodies only", async () => {
  const type = "application/json; charset=utf-8";
  const provider = { request_headers: { "content-type": type } };
  assert.equal((await built({}, { provider })).headers["content-type"], type);
  for (const changes of [{ method: "GET" }, { body_type: "multipart" }] as Partial<Action>[]) {
    assert.equal((await built(changes, { provider })).headers["content-type"], undefined);
  }
});

Deno.test("a header value cannot hold a line break", async () => {
  for (const value of ["a\r\nx-evil: 1", "a\n", "\0", "→", {}, []]) {
    const result = await build({ header_parameters: { v: "x-v" } }, { parameters: { v: value } });
    assert.equal(result.ok ? "" : result.name, "v");
  }
  const key = await build({ idempotency_header: "k" }, { idempotencyKey: "a\r\nb: c" });
  assert.equal(key.ok ? "" : key.name, "idempotency_key");
});

Deno.test("settings fill the base URL", async () => {
  const request = await built({}, {
    baseUrl: "https://{connection.shop}.example.com/x/",
    settings: { shop: "acme" },
  });
  assert.equal(request.url, "https://acme.example.com/x/things");
  const none = await build({}, { baseUrl: undefined });
  assert.equal(none.ok ? "" : none.code, "base_url_missing");
});

Deno.test("no parameter and no setting leads to another host", async () => {
  const base = "https://api.example.com/v1";
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ unit: "binary", minLength: 1 }),
        fc.stringMatching(/^[./\\%@:#?a-f0-9]{1,12}$/),
        fc.webUrl(),
      ),
      fc.constantFrom("/{v}", "/a/{v}/b", "/{+v}", "/a/{+v}", "/a/{connection.v}", "/a"),
      async (v, path) => {
        const result = await build({ path, method: "GET" }, {
          parameters: { v, q: v },
          settings: { v },
        });
        if (!result.ok) return;
        const url = new URL(result.request.url);
        assert.equal(url.origin, "https://api.example.com");
        assert.ok(url.pathname.startsWith("/v1/"), url.pathname);
        assert.equal(url.username + url.password + url.hash, "");
        assert.ok(result.request.url.startsWith(`${base}/`));
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("a value comes back from its path segment and from the query as it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1 }), async (v) => {
      const result = await build({ path: "/a/{v}", method: "GET", query_parameters: ["q"] }, {
        parameters: { v, q: v },
      });
      if (!result.ok) return;
      const url = new URL(result.request.url);
      assert.equal(decodeURIComponent(url.pathname.slice("/v1/a/".length)), v);
      assert.equal(url.searchParams.get("q"), v);
    }),
    { numRuns: 500 },
  );
});
