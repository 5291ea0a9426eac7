import assert from "node:assert/strict";
import type { ActionRow, ProviderRow } from "../../supabase/functions/_shared/gateway/catalogue.ts";
import { findFaults } from "./rules.ts";

const PROVIDER: ProviderRow = {
  slug: "acme",
  base_url: "https://{connection.site}.acme.example/v1",
  auth_type: "oauth2",
  auth_config: {
    authorize_url: "https://acme.example/authorize",
    token_url: "https://acme.example/token",
    settings: { site: { title: "Site", pattern: "[a-z]+" } },
    alternatives: {
      basic: {
        secrets: { password: { title: "Password" } },
        basic: { username: "{connection.site}", password: "{secret.password}" },
      },
    },
  },
  request_headers: { "acme-version": "1" },
  rate_limit: {
    limit_header: "x-limit",
    remaining_header: "x-remaining",
    reset_header: "x-reset",
    reset_format: "epoch_s",
    quota: { limit: 10, window_seconds: 1 },
  },
  response_errors: { pointer: "/error" },
  health_action: "me",
};

const ACTION: ActionRow = {
  provider_slug: "acme",
  slug: "things.list",
  method: "GET",
  path: "/sites/{connection.site}/things/{kind}",
  request_schema: {
    type: "object",
    additionalProperties: false,
    required: ["kind"],
    properties: {
      kind: { type: "string" },
      etag: { type: "string" },
      filter: { type: "object", "x-style": "json" },
      limit: { type: "integer" },
      cursor: { type: "string" },
    },
  },
  query_parameters: ["limit"],
  header_parameters: { etag: "if-none-match" },
  body_type: "none",
  request_transform: null,
  response_type: "json",
  response_transform: "items",
  pagination: { style: "cursor", parameter: "cursor", next: "/next", items: "/items" },
  handler: null,
  is_read_only: true,
  is_idempotent: true,
  idempotency_header: null,
  quota_cost: 1,
  timeout_ms: 1000,
  sensitive_paths: ["/items/*/secret"],
  scopes: [],
};

const WRITE: ActionRow = {
  ...ACTION,
  slug: "things.create",
  method: "POST",
  path: "/things",
  request_schema: {
    type: "object",
    additionalProperties: false,
    properties: { name: { type: "string" }, tags: { type: "array", items: { type: "string" } } },
  },
  query_parameters: [],
  header_parameters: {},
  body_type: "json",
  request_transform: `{"name": name, "site": $connection.site}`,
  response_transform: null,
  pagination: {},
  is_read_only: false,
  is_idempotent: false,
  idempotency_header: "idempotency-key",
  sensitive_paths: [],
};

const ME: ActionRow = {
  ...ACTION,
  slug: "me",
  path: "/me",
  request_schema: { type: "object", additionalProperties: false, properties: {} },
  query_parameters: [],
  header_parameters: {},
  pagination: {},
};

const rulesOf = async (
  { provider = {}, action = {}, write = {}, me = {} }: {
    provider?: Partial<Record<keyof ProviderRow, unknown>>;
    action?: Partial<Record<keyof ActionRow, unknown>>;
    write?: Partial<Record<keyof ActionRow, unknown>>;
    me?: Partial<Record<keyof ActionRow, unknown>>;
  },
) => {
  const faults = await findFaults({
    providers: [{ ...PROVIDER, ...provider } as ProviderRow],
    actions: [
      { ...ACTION, ...action } as ActionRow,
      { ...WRITE, ...write } as ActionRow,
      { ...ME, ...me } as ActionRow,
    ],
  });
  return faults.map(({ rule, message }) => `${rule}: ${message}`);
};

Deno.test("a sound catalogue has no fault", async () => {
  assert.deepEqual(await rulesOf({}), []);
});

const schema = (changes: Record<string, unknown>, properties: Record<string, unknown> = {}) => {
  const base = ACTION.request_schema;
  return { ...base, properties: { ...base.properties as object, ...properties }, ...changes };
};
const auth = (changes: Record<string, unknown>) => ({ ...PROVIDER.auth_config, ...changes });

// The rule, what its message says, and the fault that is planted.
const PLANTED: [string, RegExp, Parameters<typeof rulesOf>[0]][] = [
  ["base_url", /not https/, { provider: { base_url: "http://acme.example" } }],
  ["auth_config", /tokn_url|Unrecognized key/, {
    provider: { auth_config: auth({ tokn_url: 1 }) },
  }],
  ["oauth", /token_url/, { provider: { auth_config: auth({ token_url: undefined }) } }],
  ["oauth", /authorize_url/, { provider: { auth_config: auth({ authorize_url: undefined }) } }],
  ["credentials", /no basic/, { provider: { auth_config: auth({ alternatives: { basic: {} } }) } }],
  [
    "credentials",
    /sends no secret/,
    { provider: { auth_type: "api_key", auth_config: auth({ headers: { "x-key": "k" } }) } },
  ],
  [
    "settings",
    /needs the setting region/,
    { provider: { auth_config: auth({ headers: { "x-region": "{connection.region}" } }) } },
  ],
  [
    "secrets",
    /needs the secret key/,
    { provider: { auth_config: auth({ query: { key: "{secret.key}" } }) } },
  ],
  ["settings", /braces/, { provider: { base_url: "https://acme.example/{version}/{x y}" } }],
  [
    "settings",
    /part of a host/,
    { provider: { auth_config: auth({ settings: { site: { title: "Site" } } }) } },
  ],
  [
    "settings",
    /not a regular expression/,
    { provider: { auth_config: auth({ settings: { site: { title: "S", pattern: "(" } } }) } },
  ],
  ["request_headers", /declare it in auth_config/, {
    provider: { request_headers: { "x-api-key": "1" } },
  }],
  ["request_headers", /declare it in auth_config/, {
    provider: { request_headers: { Host: "x" } },
  }],
  ["request_headers", /not a header value/, { provider: { request_headers: { "x-a": "1\n2" } } }],
  ["rate_limit", /Unrecognized key/, { provider: { rate_limit: { limit: 1 } } }],
  ["rate_limit", /limit and remaining/, { provider: { rate_limit: { limit_header: "x" } } }],
  ["rate_limit", /reset_header and/, { provider: { rate_limit: { reset_header: "x" } } }],
  ["rate_limit", /usage_header and/, { provider: { rate_limit: { usage_header: "x" } } }],
  ["rate_limit", /no quota/, { provider: { rate_limit: {} } }],
  ["response_errors", /Unrecognized key/, { provider: { response_errors: { when: "/x" } } }],
  ["response_errors", /JSON pointer/, { provider: { response_errors: { pointer: "error" } } }],
  ["health_action", /none of its actions/, { provider: { health_action: "you" } }],
  ["health_action", /read-only and run without/, { provider: { health_action: "things.list" } }],
  ["health_action", /read-only and run without/, { provider: { health_action: "things.create" } }],
  ["provider", /not in the catalogue/, { action: { provider_slug: "nobody" } }],
  ["schema", /if is not supported/, { action: { request_schema: schema({ if: {} }) } }],
  ["schema", /must describe an object/, { action: { request_schema: { type: "object" } } }],
  [
    "schema",
    /set additionalProperties/,
    { action: { request_schema: schema({ additionalProperties: undefined }) } },
  ],
  ["path", /braces/, { action: { path: "/things/{kind}/{a b}" } }],
  ["path", /needs the setting region/, { action: { path: "/{connection.region}/{kind}" } }],
  ["path", /needs id: describe/, { action: { path: "/things/{kind}/{id}" } }],
  ["path", /needs kind: require/, { action: { request_schema: schema({ required: [] }) } }],
  ["path", /text or number/, {
    action: { request_schema: schema({}, { kind: { type: "array", items: {} } }) },
  }],
  ["query_parameters", /page is not described/, { action: { query_parameters: ["page"] } }],
  ["header_parameters", /page is not described/, {
    action: { header_parameters: { page: "x-p" } },
  }],
  ["header_parameters", /may set/, { action: { header_parameters: { etag: "Authorization" } } }],
  ["header_parameters", /may set/, { action: { header_parameters: { etag: "x y" } } }],
  ["places", /kind has two places/, { action: { query_parameters: ["kind"] } }],
  ["x-style", /unknown/, {
    action: { request_schema: schema({}, { limit: { type: "integer", "x-style": "csv" } }) },
  }],
  ["x-style", /csv is unknown/, { action: { request_schema: schema({ "x-style": "csv" }) } }],
  ["x-style", /filter holds objects/, {
    action: { request_schema: schema({}, { filter: { type: "object" } }) },
  }],
  [
    "x-style",
    /rows holds objects/,
    {
      write: {
        body_type: "form",
        request_transform: null,
        request_schema: {
          type: "object",
          additionalProperties: false,
          properties: { rows: { type: "array", items: { type: "object" } } },
        },
      },
    },
  ],
  ["request_transform", /S0\d+/, { write: { request_transform: "{" } }],
  ["request_transform", /\$eval/, { write: { request_transform: "$eval(name)" } }],
  ["request_transform", /never run/, { write: { handler: "s3" } }],
  ["request_transform", /lacks/, { action: { request_transform: "$" } }],
  ["request_transform", /unknown setting region/, {
    write: { request_transform: "$connection.region" },
  }],
  ["request_transform", /unknown secret password/, {
    write: { request_transform: `$secret("password")` },
  }],
  ["response_transform", /S0\d+/, { action: { response_transform: "a[" } }],
  ["response_transform", /needs JSON/, { action: { response_type: "text", pagination: {} } }],
  ["pagination", /Expected .cursor/, { action: { pagination: { style: "pages" } } }],
  ["pagination", /is_read_only/, {
    write: { pagination: { ...ACTION.pagination, parameter: "name" } },
  }],
  ["pagination", /needs an answer in JSON/, {
    action: { response_type: "text", response_transform: null },
  }],
  ["pagination", /token is not described/, {
    action: { pagination: { ...ACTION.pagination, parameter: "token" } },
  }],
  [
    "pagination",
    /one of next and/,
    { action: { pagination: { style: "cursor", parameter: "cursor", items: "/items" } } },
  ],
  [
    "pagination",
    /size is not described/,
    {
      action: {
        pagination: { style: "page", parameter: "limit", size_parameter: "size", items: "" },
      },
    },
  ],
  ["pagination", /never ends/, {
    action: { pagination: { style: "page", parameter: "limit", items: "" } },
  }],
  ["pagination", /never ends/, {
    action: { pagination: { style: "offset", parameter: "limit", items: "" } },
  }],
  ["is_read_only", /only reads/, { action: { is_read_only: false, pagination: {} } }],
  ["body_type", /has no body/, { action: { body_type: "json" } }],
  ["is_idempotent", /reading may be repeated/, { action: { is_idempotent: false } }],
  ["is_idempotent", /PUT may be repeated/, { write: { method: "PUT" } }],
  ["idempotency_header", /no use to a read/, { action: { idempotency_header: "idempotency-key" } }],
  ["idempotency_header", /written by the gateway/, { write: { idempotency_header: "Cookie" } }],
  ["handler", /is none of/, { write: { handler: "magic", request_transform: null } }],
  ["body_type", /binary needs a handler/, {
    write: { body_type: "binary", request_transform: null },
  }],
  ["sensitive_paths", /not a JSON pointer/, { action: { sensitive_paths: ["items"] } }],
  [
    "sensitive_paths",
    /looks like a credential/,
    { action: { request_schema: schema({}, { access_token: { type: "string" } }) } },
  ],
];

for (const [rule, says, fault] of PLANTED) {
  Deno.test(`${rule} is checked: ${says.source}`, async () => {
    const found = await rulesOf(fault);
    assert.ok(
      found.some((line) => line.startsWith(`${rule}: `) && says.test(line)),
      `not found among:\n${found.join("\n")}`,
    );
  });
}
