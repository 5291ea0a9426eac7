import assert from "node:assert/strict";
import type { AuthConfig, AuthType } from "./catalogue.ts";
import { type Auth, authOf, baseUrlOf, requiredValues, seal } from "./credentials.ts";
import type { BuiltRequest } from "./request.ts";

const request = (changes: Partial<BuiltRequest> = {}): BuiltRequest => ({
  method: "POST",
  url: "https://api.example.com/x",
  headers: { accept: "application/json" },
  body: null,
  bodyKind: "none",
  rest: {},
  markers: {},
  ...changes,
});
const auth = (type: AuthType, config: AuthConfig = {}): Auth =>
  authOf({ auth_type: type, auth_config: config })!;
const sealed = (
  how: Auth,
  values: { settings?: Record<string, string>; secrets?: Record<string, string> },
  changes?: Partial<BuiltRequest>,
) => seal(request(changes), how, { settings: {}, secrets: {}, ...values });
const headersOf = (result: ReturnType<typeof seal>) => {
  assert.ok(result.ok, result.ok ? "" : result.message);
  return result.request.headers;
};

Deno.test("token types send a bearer token", () => {
  for (const type of ["oauth2", "service_account", "github_app"] as const) {
    const headers = headersOf(sealed(auth(type), { secrets: { access_token: "t" } }));
    assert.equal(headers.authorization, "Bearer t");
  }
  assert.equal(
    headersOf(sealed(auth("bearer"), { secrets: { api_token: "t" } })).authorization,
    "Bearer t",
  );
});

Deno.test("a token that has a header of its own is not sent twice", () => {
  const how = auth("oauth2", { headers: { "X-Shop-Token": "{secret.access_token}" } });
  assert.deepEqual(headersOf(sealed(how, { secrets: { access_token: "t" } })), {
    accept: "application/json",
    "x-shop-token": "t",
  });
});

Deno.test("headers, query and basic are templates over secrets and settings", () => {
  const key = auth("api_key", { headers: { "X-Key": "Token {secret.api_token}" } });
  assert.equal(headersOf(sealed(key, { secrets: { api_token: "k" } }))["x-key"], "Token k");

  const query = auth("api_key", { query: { key: "{secret.api_token}" } });
  const result = sealed(query, { secrets: { api_token: "a b" } });
  assert.equal(result.ok && result.request.url, "https://api.example.com/x?key=a%20b");

  const basic = auth("basic", {
    basic: { username: "{connection.account_sid}", password: "{secret.auth_token}" },
  });
  const values = { settings: { account_sid: "AC1" }, secrets: { auth_token: "pä$$" } };
  assert.equal(
    headersOf(sealed(basic, values)).authorization,
    `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode("AC1:pä$$")))}`,
  );
});

Deno.test("an optional value that is missing leaves its header out, a required one is named", () => {
  const how = auth("oauth2", {
    headers: {
      "developer-token": "{secret.developer_token}",
      "login-customer-id": "{connection.login_customer_id}",
    },
    settings: { login_customer_id: { title: "Manager account", is_required: false } },
    secrets: { developer_token: { title: "Developer token" } },
  });
  const secrets = { access_token: "t", developer_token: "d" };
  assert.deepEqual(headersOf(sealed(how, { secrets })), {
    accept: "application/json",
    authorization: "Bearer t",
    "developer-token": "d",
  });
  const result = sealed(how, { secrets: { access_token: "t" } });
  assert.deepEqual([result.ok, !result.ok && result.code, !result.ok && result.name], [
    false,
    "credential_missing",
    "developer_token",
  ]);
  assert.deepEqual(requiredValues(how), {
    settings: [],
    secrets: ["developer_token", "access_token"],
  });
});

Deno.test("an alternative replaces what it names, an unknown one is refused", () => {
  const provider = {
    auth_type: "oauth2" as const,
    auth_config: {
      token_url: "https://x.example/token",
      alternatives: { api_key: { headers: { authorization: "{secret.api_token}" } } },
    },
  };
  const how = authOf(provider, "api_key")!;
  assert.equal(headersOf(sealed(how, { secrets: { api_token: "lin" } })).authorization, "lin");
  assert.equal(authOf(provider)?.token_url, "https://x.example/token");
  const database = {
    auth_type: "basic" as const,
    auth_config: {
      basic: { username: "u", password: "{secret.password}" },
      alternatives: { bearer: {} },
    },
  };
  const bearer = sealed(authOf(database, "bearer")!, { secrets: { api_token: "t" } });
  assert.equal(headersOf(bearer).authorization, "Bearer t");
  assert.equal(authOf(provider, "basic"), undefined);
});

Deno.test("markers become the secret, spelled as the body needs it", () => {
  const how = auth("none");
  const secrets = { password: 'p"ä\\&=+ $&' };
  const markers = { m1: "password" };
  const json = sealed(how, { secrets }, { body: '{"a":"m1"}', bodyKind: "json", markers });
  assert.deepEqual(json.ok && JSON.parse(json.request.body as string), { a: secrets.password });
  const form = sealed(how, { secrets }, { body: "a=m1&b=2", bodyKind: "form", markers });
  assert.equal(
    form.ok && new URLSearchParams(form.request.body as string).get("a"),
    secrets.password,
  );
  const parts = sealed(how, { secrets }, {
    body: [{ name: "a", value: "m1" }],
    bodyKind: "multipart",
    markers,
  });
  assert.deepEqual(parts.ok && parts.request.body, [{ name: "a", value: secrets.password }]);
  const none = sealed(how, {}, { body: "m1", bodyKind: "json", markers });
  assert.equal(none.ok ? "" : none.name, "password");
});

Deno.test("a credential with a line break is refused without showing it", () => {
  const result = sealed(auth("bearer"), { secrets: { api_token: "canary\r\nx: y" } });
  assert.equal(result.ok ? "" : result.code, "credential_invalid");
  assert.doesNotMatch(JSON.stringify(result), /canary/);
});

Deno.test("the request that was built stays without secrets", () => {
  const before = request({ body: '{"a":"m"}', bodyKind: "json", markers: { m: "password" } });
  const copy = structuredClone(before);
  seal(before, auth("bearer"), { settings: {}, secrets: { api_token: "t", password: "p" } });
  assert.deepEqual(before, copy);
});

Deno.test("the base URL is the integration's, else the way in's, else the provider's", () => {
  const provider = { base_url: "https://a.example" };
  assert.equal(
    baseUrlOf(provider, { base_url: "https://b.example" }, "https://c.example"),
    "https://c.example",
  );
  assert.equal(baseUrlOf(provider, { base_url: "https://b.example" }, null), "https://b.example");
  assert.equal(baseUrlOf(provider, {}), "https://a.example");
  assert.equal(baseUrlOf({ base_url: null }, {}), undefined);
});
