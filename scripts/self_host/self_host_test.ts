/**
 * What can be said of the compose file, the workflows of the repository and their like without the
 * engines that run them: form, pins, variables, and that they name things that exist.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse, parseDocument } from "yaml";
import { composeSettings } from "../n8n/queue.ts";
import { listFunctions } from "../platform/functions.ts";
import { parseEnv } from "../platform/env_file.ts";
import { REPOSITORY } from "../platform/layout.ts";

const read = (path: string) => Deno.readTextFile(join(REPOSITORY, path));

/** Services and variables of Supabase's own stack that the overlay relies on. */
const SUPABASE_SERVICES = ["db", "functions", "kong"];
const SUPABASE_VARIABLES = ["API_EXTERNAL_URL", "POSTGRES_PORT"];

interface Service {
  image?: string;
  environment?: Record<string, string>;
  volumes?: string[];
  command?: string | string[];
  stop_grace_period?: string;
  depends_on?: string[] | Record<string, { condition: string }>;
  healthcheck?: unknown;
}

async function compose(): Promise<{ text: string; services: Record<string, Service> }> {
  const text = await read("scripts/self_host/compose.yml");
  const document = parseDocument(text, {
    merge: true,
    // Compose's own tag: what the file below set is taken back.
    customTags: [{ tag: "!reset", collection: "seq", resolve: (value) => value }],
  });
  assert.deepEqual(document.errors, []);
  assert.deepEqual(document.warnings, []);
  return { text, services: document.toJS().services };
}

Deno.test("every image is pinned, and n8n's is the version the workflows are tested with", async () => {
  const { services } = await compose();
  const images = Object.entries(services).filter(([, service]) => service.image);
  assert.ok(images.length >= 4);
  for (const [name, { image }] of images) {
    assert.match(image!, /^[\w./-]+:\d+\.\d+\.\d+(-\w+)?$/, name);
  }
  const { dependencies } = JSON.parse(await read("scripts/n8n/package/package.json"));
  for (const name of ["n8n", "n8n-worker"]) {
    assert.equal(services[name]!.image!.split(":")[1], dependencies.n8n, name);
  }
});

Deno.test("a worker has the time to end its runs, and the bench tries the file's own settings", async () => {
  const { services } = await compose();
  const worker = services["n8n-worker"]!;
  const seconds = Number(worker.environment!.N8N_GRACEFUL_SHUTDOWN_TIMEOUT);
  assert.ok(parseInt(worker.stop_grace_period!) > seconds);
  const { env, worker: command, redis } = await composeSettings();
  assert.equal(env.EXECUTIONS_MODE, "queue");
  assert.ok(Object.entries(env).every(([name, value]) => worker.environment![name] === value));
  assert.equal(command.join(" "), worker.command);
  assert.ok(redis.includes("${REDIS_PASSWORD}"));
});

Deno.test("every variable has its line in env.example or comes from Supabase's own .env", async () => {
  const { text } = await compose();
  const wanted = new Set(Array.from(text.matchAll(/\$\{(\w+)\}/g), ([, name]) => name!));
  const example = Object.keys(parseEnv(await read("scripts/self_host/env.example")));
  assert.deepEqual(
    [...wanted].filter((name) => !SUPABASE_VARIABLES.includes(name)).sort(),
    example.sort(),
  );
  const caddyfile = await read("scripts/self_host/Caddyfile");
  const given = Object.keys((await compose()).services.caddy!.environment!);
  for (const [, name] of caddyfile.matchAll(/\{\$(\w+)\}/g)) {
    assert.ok(given.includes(name!), `${name} is not given`);
  }
});

Deno.test("every function is mounted, read-only, with what they share", async () => {
  const { services } = await compose();
  const expected = ["_shared", ...listFunctions(join(REPOSITORY, "supabase", "functions"))].map(
    (name) => `\${MARKETPLACE_CHECKOUT}/supabase/functions/${name}:/home/deno/functions/${name}:ro`,
  );
  assert.deepEqual(services.functions!.volumes!.toSorted(), expected.sort());
});

Deno.test("a service waits for services that exist, and for health only where it is checked", async () => {
  const { services } = await compose();
  for (const [name, { depends_on = [] }] of Object.entries(services)) {
    const waits = Array.isArray(depends_on)
      ? depends_on.map((each) => [each, "service_started"])
      : Object.entries(depends_on).map(([each, { condition }]) => [each, condition]);
    for (const [each, condition] of waits as [string, string][]) {
      assert.ok(each in services || SUPABASE_SERVICES.includes(each), `${name} → ${each}`);
      if (condition === "service_healthy" && each !== "db") {
        assert.ok(services[each]!.healthcheck, `${name} → ${each}`);
      }
    }
  }
});

Deno.test("the repository's own YAML is well formed, and its commands are tasks", async () => {
  const { tasks } = JSON.parse(await read("deno.json"));
  const files = ["dependabot.yml", "workflows/test.yml", "workflows/deploy.yml"]
    .concat(["config", "bug", "provider"].map((name) => `ISSUE_TEMPLATE/${name}.yml`));
  for (const file of files) {
    const text = await read(`.github/${file}`);
    assert.equal(typeof parse(text, { strict: true }), "object", file);
    for (const [, task] of text.matchAll(/deno@2 task ([\w:]+)/g)) {
      assert.ok(task! in tasks, `${file}: ${task}`);
    }
  }
  const test = parse(await read(".github/workflows/test.yml"));
  assert.deepEqual(test.jobs.test.strategy.matrix.os, ["ubuntu-latest", "macos-latest"]);
  const deploy = parse(await read(".github/workflows/deploy.yml"));
  assert.deepEqual(Object.keys(deploy.on), ["workflow_dispatch"]);
  assert.ok(deploy.jobs.deploy.environment);
  JSON.parse(await read(".github/renovate.json"));
});
