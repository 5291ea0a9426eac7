import assert from "node:assert/strict";
import {
  Env,
  env,
  functionsUrl,
  parseEnv,
  requireEnv,
  resetEnv,
  secretFromEnv,
  serviceKeys,
} from "./env.ts";

/** Runs with these variables set (undefined = unset) and puts back what was there. */
function withEnv(variables: Record<string, string | undefined>, test: () => void): void {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  const set = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  for (const [name, value] of Object.entries(variables)) set(name, value);
  resetEnv();
  try {
    test();
  } finally {
    for (const [name, value] of before) set(name, value);
    resetEnv();
  }
}

Deno.test("an empty value is no value, and a URL loses its trailing slash", () => {
  const parsed = parseEnv({ N8N_URL: "http://n8n:5678/", GITHUB_TOKEN: " ", SUPABASE_URL: "" });
  assert.equal(parsed.N8N_URL, "http://n8n:5678");
  assert.equal(parsed.GITHUB_TOKEN, undefined);
  assert.equal(parsed.SUPABASE_URL, undefined);
  assert.equal(parsed.MARKETPLACE_DISPATCH_MAX_MS, 100_000);
});

Deno.test("a variable that cannot be used is named in the log, its value nowhere", () => {
  assert.throws(() => parseEnv({ N8N_URL: "s3cret", MARKETPLACE_DB_POOL: "0" }), (error: Error) => {
    const cause = String((error.cause as Error).message);
    return cause.includes("N8N_URL") && cause.includes("MARKETPLACE_DB_POOL") &&
      !cause.includes("s3cret");
  });
});

Deno.test("a missing variable is named with how to get it", () => {
  withEnv({ N8N_URL: undefined }, () => {
    assert.throws(() => requireEnv("N8N_URL"), /N8N_URL is not set: the base URL of your n8n/);
  });
});

Deno.test("the functions' URL is the configured one, else the project's", () => {
  withEnv({ MARKETPLACE_FUNCTIONS_URL: undefined, SUPABASE_URL: "https://x.supabase.co" }, () => {
    assert.equal(functionsUrl(), "https://x.supabase.co/functions/v1");
  });
  withEnv({ MARKETPLACE_FUNCTIONS_URL: "https://fn.example.com/" }, () => {
    assert.equal(functionsUrl(), "https://fn.example.com");
  });
});

Deno.test("every spelling of the service key counts; a broken one does not", () => {
  withEnv({
    SUPABASE_SECRET_KEY: "a",
    SUPABASE_SERVICE_ROLE_KEY: "b",
    SUPABASE_SECRET_KEYS: '{"default":"a","jobs":"c"}',
  }, () => assert.deepEqual(serviceKeys(), ["a", "b", "c"]));
  withEnv({
    SUPABASE_SECRET_KEY: undefined,
    SUPABASE_SERVICE_ROLE_KEY: "b",
    SUPABASE_SECRET_KEYS: "{default:a}",
  }, () => assert.deepEqual(serviceKeys(), ["b"]));
});

Deno.test("data may name a provider's secret, never the platform's own", () => {
  withEnv(
    { ACME_WEBHOOK_SECRET: "s", SUPABASE_JWT_SECRET: "j", AWS_SECRET_ACCESS_KEY: "k" },
    () => {
      assert.equal(secretFromEnv("ACME_WEBHOOK_SECRET"), "s");
      assert.equal(secretFromEnv("SUPABASE_JWT_SECRET"), undefined);
      assert.equal(secretFromEnv("AWS_SECRET_ACCESS_KEY"), undefined);
      assert.equal(secretFromEnv("PATH"), undefined);
      assert.equal(secretFromEnv("NOT_THERE_SECRET"), undefined);
    },
  );
});

Deno.test("the environment is read once", () => {
  withEnv({ SLACK_BOT_TOKEN: "one" }, () => {
    assert.equal(env().SLACK_BOT_TOKEN, "one");
    Deno.env.set("SLACK_BOT_TOKEN", "two");
    assert.equal(env().SLACK_BOT_TOKEN, "one");
  });
});

Deno.test("every variable that is read is used somewhere", async () => {
  const used = new Set<string>();
  const visit = async (folder: URL) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && name !== "tests") await visit(new URL(`${name}/`, folder));
      if (!name.endsWith(".ts") || name.endsWith("_test.ts") || name === "env.ts") continue;
      for (
        const [word] of (await Deno.readTextFile(new URL(name, folder))).matchAll(/[A-Z0-9_]{5,}/g)
      ) {
        used.add(word);
      }
    }
  };
  await visit(new URL("../", import.meta.url));
  // Those of Supabase itself are used here, or are there for whoever adds a function.
  const names = Object.keys(Env.shape).filter((name) => !name.startsWith("SUPABASE_"));
  assert.deepEqual(names.filter((name) => !used.has(name)), []);
});
