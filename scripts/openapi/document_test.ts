import assert from "node:assert/strict";
import { dirname, join } from "node:path";
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

const THROWN = /(?:App|Execution)Error\(\s*"([a-z_]+)",\s*\d{3}/g;

/** Codes that end up in rows, logs or MCP results, and in no answer of a route. */
const NO_ANSWERS = [
  ...["connect", "endpoint_invalid", "private_address"], // sync_job_attempts.error_code
  ...["gateway_timeout", "gateway_unreachable", "organization_ambiguous"], // of MCP tools
  // of marketplace-maintain's log; their messages stand in provider_webhooks
  ...["webhook_misconfigured", "topic_not_usable", "notifications_overlap"],
  "functions_url_missing",
];

Deno.test("every code that a function throws is described", async () => {
  const thrown = new Map<string, string>();
  const visit = async (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      const path = join(folder, name);
      if (isDirectory && name !== "tests") await visit(path);
      if (!name.endsWith(".ts") || /(_test|testing)\.ts$/.test(name)) continue;
      const text = await Deno.readTextFile(path);
      for (const [, code] of text.matchAll(THROWN)) thrown.set(code!, path);
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

Deno.test("the client's list of codes is what marketplace-execute answers with", async () => {
  // What its modules throw, what its SQL refuses with, …
  const answered = new Set<string>();
  const read = new Set<string>();
  const visit = async (file: string) => {
    if (read.has(file)) return;
    read.add(file);
    const text = await Deno.readTextFile(file);
    for (const [, code] of text.matchAll(THROWN)) answered.add(code!);
    for (
      const [, path] of text.matchAll(/(?:^import (?!type )[^;]*?|import\()"(\.[^"]+\.ts)"/gm)
    ) {
      await visit(join(dirname(file), path!));
    }
  };
  await visit(join(FUNCTIONS, "marketplace-execute", "app.ts"));
  const migrations = join(FUNCTIONS, "..", "migrations");
  for (const { name } of Deno.readDirSync(migrations)) {
    const text = await Deno.readTextFile(join(migrations, name));
    for (const [, code] of text.matchAll(/_refusal\(\s*\d{3}, '([a-z_]+)'[,)]/g)) {
      answered.add(code!);
    }
  }
  assert.ok(read.size > 40);
  answered.add("connection_pending"); // 'connection_' || its status
  answered.delete("method_not_allowed"); // of no operation

  // … what its description says, …
  const described = new Set<string>();
  const { paths } = makeDocument(settings.version) as { paths: Record<string, unknown> };
  for (const path of ["", "/batch", "/executions/{id}"]) {
    const text = JSON.stringify(paths[`/marketplace-execute${path}`]);
    for (const [, codes] of text.matchAll(/"[45]\d\d":\{"description":"([^"]*)"/g)) {
      for (const [, code] of codes!.matchAll(/`([a-z_]+)`/g)) described.add(code!);
    }
  }
  assert.deepEqual([...described].sort(), [...answered].sort());

  // … and what the client lists, beside what it says of an answer that is no answer.
  const client = await Deno.readTextFile(join(FUNCTIONS, "_shared", "client", "execute.ts"));
  const listed = [...client.matchAll(/^ {2}\| "([a-z_]+)"$/gm)].map(([, code]) => code!);
  assert.deepEqual(listed.sort(), [...answered, "unexpected_answer"].sort());
});
