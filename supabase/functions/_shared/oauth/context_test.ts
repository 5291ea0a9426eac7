import assert from "node:assert/strict";
import { isAtProviders } from "./context.ts";

Deno.test("a host is the provider's as long as no integration names another", () => {
  const at = (
    config: Record<string, unknown>,
    base_url: string | null = "https://api.acme.com/v1",
  ) => isAtProviders({ integration: { config }, provider: { base_url } });
  assert.equal(at({}), true);
  assert.equal(at({ folder_id: "x" }), true);
  assert.equal(at({ api_base: "https://api.acme.com" }), true);
  assert.equal(at({ api_base: "https://api.acme.com.evil.example" }), false);
  assert.equal(at({ api_base: "http://api.acme.com" }), false);
  assert.equal(at({ api_base: "https://api.acme.com:8443" }), false);
  assert.equal(at({ api_base: "nonsense" }), false);
  assert.equal(at({ api_base: "https://own.example" }, null), false);
  assert.equal(at({ drive_api_base: "https://own.example" }), false);
  assert.equal(at({ auth: { token_url: "https://own.example" } }), false);
  assert.equal(at({ token_url: "https://own.example" }), false);
});
