import assert from "node:assert/strict";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import type { Hono } from "hono";
import settings from "../../deno.json" with { type: "json" };
import { formatJson, GENERATED } from "../generate/files.ts";
import { REPOSITORY } from "../platform/layout.ts";
import { makeDocument, OPERATIONS } from "./document.ts";

const FUNCTIONS = join(REPOSITORY, "supabase", "functions");

Deno.test("openapi.json is what the schemas make of it", async () => {
  const made = await formatJson(JSON.stringify(makeDocument(settings.version)));
  const kept = await Deno.readTextFile(join(REPOSITORY, GENERATED.openapi));
  assert.ok(kept === made, "run `deno task openapi` and commit what it writes");
});

Deno.test("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const document = makeDocument(settings.version);
  assert.deepEqual(await validator.validate(document), { valid: true });
  assert.equal(validator.version, "3.1");

  const broken = structuredClone(document) as { paths: Record<string, unknown> };
  broken.paths["/marketplace-execute"] = { post: { responses: [] } };
  assert.equal((await new Validator().validate(broken)).valid, false);
});

Deno.test("operations are named once", () => {
  const ids = OPERATIONS.map(({ id }) => id);
  assert.deepEqual(ids.filter((id, index) => ids.indexOf(id) !== index), []);
});

Deno.test("every route that a function has is described, and no other", async () => {
  const described = OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  const routes = new Set<string>();
  for (const { name, isDirectory } of Deno.readDirSync(FUNCTIONS)) {
    if (!isDirectory || !name.startsWith("marketplace-")) continue;
    const { app } = await import(`../../supabase/functions/${name}/app.ts`) as { app: Hono };
    for (const { method, path } of app.routes) {
      // Middleware, and what answers 405.
      if (method === "ALL") continue;
      routes.add(`${method} ${path.replace(/:(\w+)(\{[^}]*\}+)?/g, "{$1}").replace(/\/$/, "")}`);
    }
  }
  const aliases = [...routes].filter((route) => route.includes("/api/v2/execute"));
  assert.deepEqual(
    [...routes].filter((route) => !aliases.includes(route)).sort(),
    described.sort(),
  );
});

/** Codes that end up in rows, logs or MCP results, and in no answer of a route. */
const NO_ANSWERS = [
  ...["connect", "endpoint_invalid", "private_address"], // sync_job_attempts.error_code
  ...["gateway_timeout", "gateway_unreachable", "organization_ambiguous"], // of MCP tools
];

Deno.test("every code that a function throws is described", async () => {
  const thrown = new Map<string, string>();
  const visit = async (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      const path = join(folder, name);
      if (isDirectory && name !== "tests") await visit(path);
      if (!name.endsWith(".ts") || /(_test|testing)\.ts$/.test(name)) continue;
      const text = await Deno.readTextFile(path);
      for (const [, code] of text.matchAll(/(?:App|Execution)Error\(\s*"([a-z_]+)",\s*\d{3}/g)) {
        thrown.set(code!, path);
      }
    }
  };
  await visit(FUNCTIONS);
  assert.ok(thrown.size > 40);
  const described = new Set(
    [...JSON.stringify(makeDocument(settings.version)).matchAll(/`([a-z_]+)`/g)]
      .map(([, code]) => code!),
  );
  const missing = [...thrown].filter(([code]) =>
    !described.has(code) && !NO_ANSWERS.includes(code)
  );
  assert.deepEqual(missing, []);
});
