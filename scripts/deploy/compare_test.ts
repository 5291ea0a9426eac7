import assert from "node:assert/strict";
import { requireSameProject } from "./checks.ts";
import { compareMigrations, readMigrations, readSchedules } from "./database.ts";
import { compareFunctions, readFunctionSettings } from "./functions.ts";
import { describe } from "./plan.ts";
import { checkSecrets, compareSecrets } from "./secrets.ts";
import { contains } from "./workflows.ts";

Deno.test("a function is the same only while its sources and its bundle are the release's", () => {
  const wanted = [{ slug: "a", digest: "d1", foreign: [] }];
  const there = { slug: "a", status: "ACTIVE", version: 4, ezbr_sha256: "b1" };
  const release = {
    target: "p",
    functions: { a: { source: "d1", version: 4, bundle: "b1" } },
    credential: null,
  };
  const state = (...args: Parameters<typeof compareFunctions>) =>
    compareFunctions(...args)[0]!.state;
  assert.equal(state(wanted, [there], release), "same");
  assert.equal(state(wanted, [], release), "new");
  assert.equal(state(wanted, [there], null), "changed");
  assert.equal(state([{ ...wanted[0]!, digest: "d2" }], [there], release), "changed");
  assert.equal(state(wanted, [{ ...there, version: 5 }], release), "changed");
  assert.equal(state(wanted, [{ ...there, ezbr_sha256: "b2" }], release), "changed");
  assert.equal(state(wanted, [{ ...there, status: "THROTTLED" }], release), "changed");
});

Deno.test("a migration that only the database knows ends the deployment", () => {
  const wanted = new Map([["1", "1_a.sql"], ["2", "2_b.sql"]]);
  assert.deepEqual(compareMigrations(wanted, ["1"]).map((item) => item.state), ["same", "new"]);
  assert.throws(() => compareMigrations(wanted, ["1", "3"]), /has not: 3\./);
});

Deno.test("schedules are found where the migrations make them", async () => {
  const schedules = await readSchedules();
  assert.match(schedules.get("marketplace_sweep") ?? "", /^select .*marketplace\.sweep\(\)'\);$/);
  assert.ok(schedules.size >= 3 && readMigrations().size > schedules.size);
});

Deno.test("a secret is compared by digest, and faults name it without its value", () => {
  const sha256OfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const items = compareSecrets({ A: "abc", B: "abc", C: "abc" }, [
    { name: "A", value: sha256OfAbc },
    { name: "B", value: "0".repeat(64) },
  ]);
  assert.deepEqual(items.map((item) => item.state), ["same", "changed", "new"]);
  const faults = checkSecrets({
    SUPABASE_URL: "secret-1",
    GITHUB_TOKEN: " ",
    WINDMILL_URL: "secret-2",
  });
  assert.equal(faults.length, 4, faults.join("\n"));
  assert.doesNotMatch(faults.join("\n"), /secret-/);
});

Deno.test("function settings are read block by block", () => {
  const settings = readFunctionSettings(
    "[functions.a]\n# why\nverify_jwt = false # because\n\n[functions.b]\nimport_map = 'x'\n[auth]\nverify_jwt = false\n",
  );
  assert.deepEqual([...settings], [["a", { verifyJwt: false }], ["b", { verifyJwt: true }]]);
});

Deno.test("what n8n adds is no difference, what it lacks is", () => {
  const file = { settings: { a: 1 }, list: [{ b: [1, 2] }] };
  assert.ok(contains({ settings: { a: 1, own: true }, list: [{ b: [1, 2], id: "x" }] }, file));
  assert.ok(!contains({ settings: { a: 2 }, list: [{ b: [1, 2] }] }, file));
  assert.ok(!contains({ settings: { a: 1 }, list: [{ b: [1, 2, 3] }] }, file));
  assert.ok(!contains({ settings: { a: 1 } }, file));
});

Deno.test("a connection string of another hosted project is refused, one by pooler is not", () => {
  const ref = "abcdefghijklmnopqrst";
  requireSameProject(
    `postgres://postgres.${ref}:x@aws-0-eu.pooler.supabase.com:5432/postgres`,
    ref,
  );
  requireSameProject(`postgres://postgres:x@db.${ref}.supabase.co:5432/postgres`, ref);
  requireSameProject("postgres://postgres:x@127.0.0.1:5432/postgres", ref);
  assert.throws(
    () => requireSameProject("postgres://postgres.other:x@aws-0-eu.pooler.supabase.com/db", ref),
    /aws-0-eu\.pooler\.supabase\.com is not that of the project/,
  );
});

Deno.test("a plan names what changes and sums up what does not", () => {
  const same = (name: string) => ({ kind: "migration", name, state: "same" as const });
  assert.deepEqual(
    describe([
      ..."abcdefg".split("").map(same),
      { kind: "migration", name: "h", state: "new" },
      { kind: "secret", name: "X", state: "changed", note: "why" },
    ]),
    ["= migration   7 as they are", "+ migration   h", "~ secret      X (why)"],
  );
});
