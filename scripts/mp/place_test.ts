import assert from "node:assert/strict";
import { findPlace, isLoopback } from "./place.ts";

/** Runs with these variables and none of the others that name a place. */
async function withEnv<T>(variables: Record<string, string>, use: () => Promise<T>): Promise<T> {
  const names = [
    "MARKETPLACE_DB_URL",
    "SUPABASE_DB_URL",
    "MARKETPLACE_HOME",
    "MARKETPLACE_FUNCTIONS_URL",
    "N8N_URL",
    "N8N_API_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
  ];
  const former = names.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of names) Deno.env.delete(name);
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    return await use();
  } finally {
    for (const [name, value] of former) value ? Deno.env.set(name, value) : Deno.env.delete(name);
  }
}

Deno.test("--db-url wins over the environment, the environment over the local stack", async () => {
  const home = await Deno.makeTempDir();
  await Deno.writeTextFile(`${home}/env`, "SUPABASE_DB_URL=postgres://a:b@127.0.0.1:1/local\n");
  const env = {
    MARKETPLACE_HOME: home,
    SUPABASE_DB_URL: "postgres://a:b@env.example.com/postgres",
  };
  const nameOf = async (given?: string) => (await findPlace(given)).name;
  assert.equal(
    await withEnv(env, () => nameOf("postgres://a:b@given.example.com/postgres")),
    "given.example.com:5432/postgres",
  );
  assert.equal(await withEnv(env, nameOf), "env.example.com:5432/postgres");
  assert.equal(await withEnv({ MARKETPLACE_HOME: home }, nameOf), "127.0.0.1:1/local");
  await Deno.remove(home, { recursive: true });
});

Deno.test("the local stack's keys are never combined with another database", async () => {
  const home = await Deno.makeTempDir();
  await Deno.writeTextFile(
    `${home}/env`,
    "SUPABASE_DB_URL=postgres://a:b@127.0.0.1:1/x\nSUPABASE_SECRET_KEY=local\nN8N_URL=http://127.0.0.1:2\n",
  );
  const hosted = await withEnv(
    { MARKETPLACE_HOME: home },
    () => findPlace("postgres://a:b@db.example.com/postgres"),
  );
  assert.deepEqual([hosted.secretKey, hosted.n8nUrl, hosted.n8nSecretsFile], [
    undefined,
    undefined,
    null,
  ]);
  const local = await withEnv({ MARKETPLACE_HOME: home }, () => findPlace(undefined));
  assert.deepEqual([local.secretKey, local.n8nUrl], ["local", "http://127.0.0.1:2"]);
  await Deno.remove(home, { recursive: true });
});

Deno.test("without any database the message names both ways to one", async () => {
  const home = await Deno.makeTempDir();
  await assert.rejects(
    withEnv({ MARKETPLACE_HOME: home }, () => findPlace(undefined)),
    /deno task start.*--db-url or SUPABASE_DB_URL/,
  );
  await Deno.remove(home, { recursive: true });
});

Deno.test("a URL that is none is refused without being repeated", async () => {
  await assert.rejects(findPlace("hunter2"), (error: Error) => !error.message.includes("hunter2"));
});

Deno.test("loopback is told from other hosts", () => {
  const of = (host: string) => isLoopback(new URL(`http://${host}/`));
  assert.deepEqual(["127.0.0.1", "127.9.9.9", "localhost", "[::1]"].map(of), [
    true,
    true,
    true,
    true,
  ]);
  assert.deepEqual(["10.0.0.1", "127.0.0.1.example.com", "localhost.example.com"].map(of), [
    false,
    false,
    false,
  ]);
});
