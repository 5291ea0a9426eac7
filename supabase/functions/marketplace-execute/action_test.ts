import assert from "node:assert/strict";
import { type Action, buildRequest, validateParameters } from "./action.ts";

const BASE = { slug: "test", base_url: "https://api.example.com/v1" };

const action = (over: Partial<Action> = {}): Action => ({
  provider_slug: "example",
  slug: "things.list",
  method: "GET",
  path: "/things",
  request_schema: { type: "object" },
  query_parameters: [],
  header_parameters: {},
  body_type: "json",
  response_type: "json",
  request_transform: null,
  response_transform: null,
  handler: null,
  is_read_only: false,
  is_idempotent: false,
  timeout_ms: 1000,
  ...over,
});

Deno.test("a read sends what is not in the path in the query", () => {
  const request = buildRequest(action({ path: "/repos/{owner}/{repo}/things" }), BASE, {
    owner: "octo org",
    repo: "a/b?c#d",
    page: 2,
    label: ["x", "y"],
    none: undefined,
  });
  assert.equal(
    request.url,
    "https://api.example.com/v1/repos/octo%20org/a%2Fb%3Fc%23d/things?page=2&label=x&label=y",
  );
  assert.equal(request.body, undefined);
});

Deno.test("a write sends the rest as JSON, its query parameters in the query", () => {
  const request = buildRequest(
    action({
      method: "POST",
      query_parameters: ["notify"],
      header_parameters: { version: "x-version" },
    }),
    BASE,
    { notify: true, version: 3, name: "n", nested: { a: 1 } },
  );
  assert.equal(request.url, "https://api.example.com/v1/things?notify=true");
  assert.equal(request.headers["x-version"], "3");
  assert.deepEqual(JSON.parse(request.body!), { name: "n", nested: { a: 1 } });
});

Deno.test("a form is a form, and a write without a body has none", () => {
  const form = buildRequest(action({ method: "POST", body_type: "form" }), BASE, { a: "1 2" });
  assert.equal(form.body, "a=1+2");
  const none = buildRequest(action({ method: "POST", body_type: "none" }), BASE, { a: 1 });
  assert.equal(none.body, undefined);
  assert.ok(none.url.endsWith("?a=1"));
});

Deno.test("a path parameter cannot lead to another path", () => {
  for (const id of ["..", ".", "", null, {}]) {
    assert.throws(
      () => buildRequest(action({ path: "/things/{id}/parts" }), BASE, { id }),
      { code: "parameters_invalid", status: 422 },
    );
  }
  const request = buildRequest(action({ path: "/things/{id}" }), BASE, { id: "../admin" });
  assert.equal(request.url, "https://api.example.com/v1/things/..%2Fadmin");
});

Deno.test("what data cannot do is refused rather than done half", () => {
  for (
    const over of [
      { handler: "gmail_send" },
      { request_transform: "{}" },
      { response_transform: "{}" },
      { body_type: "multipart" as const },
      { response_type: "binary" as const },
    ]
  ) {
    assert.throws(() => buildRequest(action(over), BASE, {}), { code: "action_unsupported" });
  }
});

Deno.test("parameters are checked against the schema, each problem by its path", () => {
  const schema = {
    type: "object",
    required: ["channel"],
    properties: { channel: { type: "string" }, count: { type: "integer", maximum: 5 } },
    additionalProperties: false,
  };
  const check = (parameters: Record<string, unknown>) =>
    validateParameters(action({ request_schema: schema }), parameters);
  assert.deepEqual(check({ channel: "c", count: 5 }), { channel: "c", count: 5 });
  assert.throws(() => check({ count: 6 }), (error: Error) => {
    assert.equal((error as { status?: number }).status, 422);
    return error.message.includes("parameters.channel:") &&
      error.message.includes("parameters.count:");
  });
  assert.throws(() => check({ channel: "c", other: 1 }), /other/);
});
