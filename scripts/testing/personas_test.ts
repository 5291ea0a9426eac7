import assert from "node:assert/strict";
import { join } from "node:path";
import { REPOSITORY } from "../platform/layout.ts";

const DATABASE = join(REPOSITORY, "supabase");

Deno.test("of every table it is asked who may read and write it", () => {
  const asked = new Set<string>();
  const rls = join(DATABASE, "tests", "database", "rls");
  for (const { name } of Deno.readDirSync(rls)) {
    const text = Deno.readTextFileSync(join(rls, name));
    for (const [, table] of text.matchAll(/pg_temp\.check_access\w*\(\s*'(\w+)'/g)) {
      asked.add(table!);
    }
  }
  const tables = new Set<string>();
  const migrations = join(DATABASE, "migrations");
  for (const { name } of Deno.readDirSync(migrations)) {
    const text = Deno.readTextFileSync(join(migrations, name));
    for (const [, table] of text.matchAll(/^create table marketplace\.(\w+) \(/gm)) {
      tables.add(table!);
    }
  }
  assert.ok(tables.size >= 30);
  assert.deepEqual([...tables].filter((table) => !asked.has(table)), []);
});
