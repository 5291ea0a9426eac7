import assert from "node:assert/strict";
import type { Problem } from "../_shared/errors.ts";
import type { Auth } from "../_shared/gateway/credentials.ts";
import type { AuthProvider, CredentialType } from "../_shared/oauth/context.ts";
import { checkFields, defaultType, type Field, fieldsOf } from "./fields.ts";

const names = (fields: Field[]) => fields.map(({ place, name }) => `${place}.${name}`);

function problems(fields: Field[], given: Partial<Parameters<typeof checkFields>[1]>): string[] {
  try {
    checkFields(fields, { settings: {}, credential: {}, ...given });
    return [];
  } catch (error) {
    return (error as { details: Problem[] }).details.map(({ pointer }) => pointer);
  }
}

Deno.test("fields are what the row names, and what its templates need", () => {
  const auth: Auth = {
    type: "basic",
    basic: { username: "{connection.user}", password: "{secret.password}" },
    settings: { site: { title: "Site" }, uid: { title: "User", is_required: false } },
    health_settings: { uid: "/uid" },
  };
  const fields = fieldsOf(auth, "basic", {});
  assert.deepEqual(names(fields), ["settings.site", "settings.user", "credential.password"]);
  assert.ok(fields.every(({ isRequired }) => isRequired));
  assert.deepEqual(names(fieldsOf(auth, "basic", { site: "acme" })), [
    "settings.user",
    "credential.password",
  ]);
});

Deno.test("what a grant brings, and what the application has, is asked of nobody", () => {
  const auth: Auth = {
    type: "oauth2",
    headers: { "x-token": "{secret.access_token}", "developer-token": "{secret.developer_token}" },
    secrets: { developer_token: { title: "Developer token" } },
    settings: { shop: { title: "Shop" } },
  };
  assert.deepEqual(names(fieldsOf(auth, "oauth2", {})), ["settings.shop"]);
  assert.deepEqual(names(fieldsOf(auth, "client_credentials", {})), [
    "settings.shop",
    "credential.client_id",
    "credential.client_secret",
  ]);
  const app: Auth = { type: "github_app", secrets: { private_key: { title: "Key" } } };
  assert.deepEqual(names(fieldsOf(app, "github_app", {})), ["credential.private_key"]);
  assert.deepEqual(names(fieldsOf({ type: "aws_sigv4" }, "aws_sigv4", {})), [
    "credential.access_key_id",
    "credential.secret_access_key",
  ]);
});

Deno.test("values are checked, defaults filled in, numbers made numbers", () => {
  const fields = fieldsOf(
    {
      type: "bearer",
      settings: {
        region: { title: "Region", default: "eu-1", pattern: "[a-z]+-[0-9]" },
        seats: { title: "Seats", type: "integer", is_required: false },
      },
      secrets: { api_token: { title: "Token" } },
    },
    "bearer",
    {},
  );
  assert.deepEqual(
    checkFields(fields, { settings: { seats: "3", region: "" }, credential: { api_token: "t" } }),
    { settings: { region: "eu-1", seats: 3 }, secrets: { api_token: "t" } },
  );
  assert.deepEqual(problems(fields, {}), ["/credential/api_token"]);
  const credential = { api_token: "t" };
  for (const region of ["eu-12", "xeu-1\n", "EU-1", "eu-1\0", "\ud800", "e".repeat(20_000)]) {
    assert.deepEqual(problems(fields, { credential, settings: { region } }), ["/settings/region"]);
  }
  for (const seats of ["1.5", "1e3", "x", " 1", "1".repeat(17), {}, [], true]) {
    assert.deepEqual(problems(fields, { credential, settings: { seats } }), ["/settings/seats"]);
  }
  assert.deepEqual(problems(fields, { credential, settings: { "a/b": 1 } }), ["/settings/a~1b"]);
  assert.deepEqual(problems(fields, { credential: { ...credential, toString: "x" } }), [
    "/credential/toString",
  ]);
});

Deno.test("key files keep their lines, other values have one", () => {
  const fields = fieldsOf(
    {
      type: "github_app",
      secrets: { private_key: { title: "Key" }, note: { title: "Note" } },
    },
    "github_app",
    {},
  );
  const pem = "-----BEGIN\r\nabc\n-----END";
  assert.deepEqual(
    checkFields(fields, { settings: {}, credential: { private_key: pem, note: "n" } }).secrets,
    { private_key: pem, note: "n" },
  );
  assert.deepEqual(problems(fields, { credential: { private_key: "a\0", note: "a\nb" } }), [
    "/credential/private_key",
    "/credential/note",
  ]);
});

Deno.test("the type of a credential is the provider's, or the only one that needs no browser", () => {
  const type = (auth_type: CredentialType, others: CredentialType[], inBrowser: boolean) => {
    const alternatives = Object.fromEntries(others.map((other) => [other, {}]));
    const provider = { auth_type, auth_config: { alternatives } } as unknown as AuthProvider;
    return defaultType(provider, { inBrowser });
  };
  assert.equal(type("oauth2", [], true), "oauth2");
  assert.equal(type("oauth2", [], false), undefined);
  assert.equal(type("oauth2", ["bearer"], true), "oauth2");
  assert.equal(type("oauth2", ["bearer"], false), "bearer");
  assert.equal(type("oauth2", ["bearer", "github_app"], false), undefined);
  assert.equal(type("bearer", ["oauth2"], true), "bearer");
  assert.equal(type("api_key", ["oauth2", "basic"], false), "api_key");
});
