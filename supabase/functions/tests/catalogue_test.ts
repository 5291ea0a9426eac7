/**
 * The catalogue's rows against the requests that the providers' documentation prints.
 *
 * Rows come from the database, as the migrations left them; examples from
 * `_shared/gateway/golden/<provider>.json`. Every action has one at least.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadCatalogue } from "../../../scripts/catalogue/rows.ts";
import { findFaults } from "../../../scripts/catalogue/rules.ts";
import type { ActionRow, ProviderRow } from "../_shared/gateway/catalogue.ts";
import { authOf, baseUrlOf, seal } from "../_shared/gateway/credentials.ts";
import { nextPage } from "../_shared/gateway/pagination.ts";
import { buildRequest, type BuiltRequest, type Part } from "../_shared/gateway/request.ts";
import { validate } from "../_shared/gateway/schema.ts";
import { transform } from "../_shared/gateway/transform.ts";
import { type Golden, type GoldenRequest, loadGoldens } from "./support/goldens.ts";

const { SUPABASE_DB_URL } = Deno.env.toObject();
if (!SUPABASE_DB_URL) {
  throw new Error("SUPABASE_DB_URL is not set: run `deno task start` and load .local/env");
}

const CONTENT_TYPES = {
  json: "application/json",
  form: "application/x-www-form-urlencoded",
} as const;

const catalogue = await loadCatalogue(SUPABASE_DB_URL);
const goldens = loadGoldens();

/** The URL without its query, and the query's pairs in an order that means nothing. */
function splitUrl(url: string): [string, string[]] {
  const [path = "", query = ""] = url.split("?");
  return [path, query.split("&").filter(Boolean).sort()];
}

function bodyOf(request: BuiltRequest): Pick<GoldenRequest, "json" | "form" | "parts" | "rest"> {
  switch (request.bodyKind) {
    case "json":
      return { json: JSON.parse(request.body as string) };
    case "form": {
      const pairs = [...new URLSearchParams(request.body as string)];
      const names = pairs.map(([name]) => name);
      // A repeated field cannot stand twice in an object: the example writes its values in a line.
      return {
        form: Object.fromEntries(
          names.map((name) => [
            name,
            pairs.filter(([other]) => other === name).map(([, value]) => value).join("\n"),
          ]),
        ),
      };
    }
    case "multipart":
      return { parts: byName(request.body as Part[]) };
    case "handler":
      return { rest: request.rest };
    default:
      return {};
  }
}

/** Parts of different names may stand in any order. */
function byName(parts: Part[]): Part[] {
  return parts.toSorted((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

async function checkRequest(
  golden: Golden,
  provider: ProviderRow,
  action: ActionRow,
  example: GoldenRequest,
): Promise<void> {
  const { settings = {}, secrets = {} } = golden;
  const auth = authOf(provider, golden.auth);
  assert.ok(auth, `${provider.slug} has no way in called ${golden.auth}`);

  const valid = validate(action.request_schema, example.parameters);
  assert.ok(valid.ok, valid.ok ? "" : JSON.stringify(valid.errors));
  const built = await buildRequest({
    provider,
    action,
    baseUrl: baseUrlOf(provider, auth, golden.api_base),
    parameters: valid.parameters,
    settings,
    idempotencyKey: example.idempotency_key,
  });
  assert.ok(built.ok, built.ok ? "" : built.message);
  const kept = JSON.stringify(built.request);
  for (const secret of Object.values(secrets)) {
    assert.ok(!kept.includes(secret), "the request that may be logged holds a secret");
  }
  const sealed = seal(built.request, auth, { settings, secrets });
  assert.ok(sealed.ok, sealed.ok ? "" : sealed.message);
  const { request } = sealed;

  const [method, url] = example.sends.split(" ");
  assert.equal(request.method, method);
  assert.deepEqual(splitUrl(request.url), splitUrl(url!));
  const { json, form, parts, rest } = example;
  const expected = Object.fromEntries(
    Object.entries({ json, form, parts: parts && byName(parts), rest }).filter(([, value]) =>
      value !== undefined
    ),
  );
  if (action.handler) expected.rest ??= {};
  assert.deepEqual(bodyOf(request), expected);
  const kind = json !== undefined ? "json" : form !== undefined ? "form" : undefined;
  const headers: Record<string, string> = {
    ...(kind ? { "content-type": CONTENT_TYPES[kind] } : {}),
    ...golden.headers,
    ...example.headers,
  };
  if (!kind) delete headers["content-type"];
  assert.deepEqual(sorted(request.headers), sorted(headers));

  if (example.next !== undefined) {
    const next = nextPage(action, valid.parameters, {
      body: example.answer,
      headers: new Headers(example.link ? { link: example.link } : {}),
    });
    // A link is the whole of the next request; elsewhere an example names what changes.
    const isWhole = "style" in action.pagination && action.pagination.style === "link";
    const expected = example.next &&
      (isWhole ? example.next : { ...valid.parameters, ...example.next });
    assert.deepEqual(next ?? null, expected);
  }
  if (example.result !== undefined) {
    assert.ok(action.response_transform, "the action has no response_transform");
    const result = await transform(action.response_transform, example.answer);
    assert.ok(result.ok, result.ok ? "" : result.message);
    assert.deepEqual(result.value, example.result);
  }
}

function sorted(record: Record<string, string>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1);
}

describe("the catalogue", () => {
  it("has no fault", async () => {
    assert.deepEqual(await findFaults(catalogue), []);
  });

  it("knows every provider that has examples", () => {
    const slugs = new Set(catalogue.providers.map(({ slug }) => slug));
    assert.deepEqual([...goldens.keys()].filter((slug) => !slugs.has(slug)), []);
  });

  for (const provider of catalogue.providers) {
    const actions = catalogue.actions.filter((action) => action.provider_slug === provider.slug);
    const golden = goldens.get(provider.slug);

    describe(provider.slug, () => {
      it("has an example of every action, of each next page and of each result", () => {
        const examples = golden?.requests ?? [];
        const unknown = examples.filter(({ action }) =>
          !actions.some(({ slug }) => slug === action)
        );
        assert.deepEqual(unknown.map(({ action }) => action), [], "examples of no action");
        const missing = actions.flatMap(({ slug, pagination, response_transform }) => {
          const own = examples.filter(({ action }) => action === slug);
          return [
            own.length === 0 ? slug : [],
            "style" in pagination && !own.some(({ next }) => next) ? `${slug}: next` : [],
            response_transform && !own.some((each) => "result" in each) ? `${slug}: result` : [],
          ].flat();
        });
        assert.deepEqual(missing, [], "without an example");
      });

      for (const [index, example] of golden?.requests.entries() ?? []) {
        const action = actions.find(({ slug }) => slug === example.action);
        if (!action) continue;
        it(`${example.action} is requested as documented (${index + 1})`, async () => {
          await checkRequest(golden!, provider, action, example);
        });
      }
    });
  }
});
