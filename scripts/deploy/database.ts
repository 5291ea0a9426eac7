/**
 * The database's part of a deployment: migrations and seed, where the functions are, schedules.
 * @module
 */
import { join } from "node:path";
import type { Sql } from "postgres";
import { configurePlatform } from "../platform/database.ts";
import { REPOSITORY } from "../platform/layout.ts";
import { pushMigrations } from "../platform/supabase_cli.ts";
import { isPending, type Item, type Part } from "./plan.ts";
import { readPlatformSecret } from "./release.ts";

const MIGRATIONS = join(REPOSITORY, "supabase", "migrations");

/** The checkout's migrations in order: version → file name. */
export function readMigrations(): Map<string, string> {
  const files = [...Deno.readDirSync(MIGRATIONS)].map((entry) => entry.name)
    .filter((name) => /^\d+_.*\.sql$/.test(name)).sort();
  return new Map(files.map((name) => [name.split("_")[0]!, name]));
}

/**
 * Compares migrations with a database's history.
 * @throws {Error} when the database is ahead of the checkout
 */
export function compareMigrations(
  wanted: ReadonlyMap<string, string>,
  applied: readonly string[],
): Item[] {
  const foreign = applied.filter((version) => !wanted.has(version));
  if (foreign.length > 0) {
    throw new Error(
      `The database has migrations that this checkout has not: ${foreign.join(", ")}. ` +
        "Deploy a newer checkout, or the one they came from.",
    );
  }
  return [...wanted].map(([version, name]) => ({
    kind: "migration",
    name,
    state: applied.includes(version) ? "same" : "new",
  }));
}

/** Applies migrations; the seed goes along, as it may be repeated. */
export async function migrationsPart(
  sql: Sql,
  options: { tools: string; dbUrl: string },
): Promise<Part> {
  const [history] = await sql`
    select to_regclass('supabase_migrations.schema_migrations') is not null as is_there`;
  const applied = history?.is_there
    ? await sql<{ version: string }[]>`select version from supabase_migrations.schema_migrations`
    : [];
  const items = compareMigrations(readMigrations(), applied.map((row) => row.version));
  return {
    items,
    async apply() {
      await pushMigrations(options);
      return [`applied ${items.filter(isPending).length} migrations and the seed`];
    },
  };
}

/** Tells the database where its functions are. */
export async function platformPart(
  sql: Sql,
  options: { dbUrl: string; functionsUrl: string },
): Promise<Part> {
  const known = await readPlatformSecret(sql, "marketplace_functions_url");
  const state = known === null ? "new" : known === options.functionsUrl ? "same" : "changed";
  return {
    items: [{
      kind: "platform",
      name: options.functionsUrl,
      state,
      note: state === "changed" ? `it was ${known}` : undefined,
    }],
    async apply() {
      await configurePlatform(options.dbUrl, options.functionsUrl);
      return [`the database rings ${options.functionsUrl}`];
    },
  };
}

/**
 * The schedules that the migrations make: name → the statement that makes it. They are read where
 * they are written, so that no second list can fall behind.
 */
export async function readSchedules(): Promise<Map<string, string>> {
  const schedules = new Map<string, string>();
  for (const file of readMigrations().values()) {
    const text = await Deno.readTextFile(join(MIGRATIONS, file));
    for (
      const [statement, name] of text.matchAll(
        /^select marketplace\._schedule\(\s*'(\w+)'[^;]*\);$/gm,
      )
    ) {
      schedules.set(name!, statement);
    }
  }
  return schedules;
}

/** Puts back a schedule that somebody removed, and says when one is switched off. */
export async function schedulesPart(sql: Sql): Promise<Part> {
  const wanted = await readSchedules();
  const [cron] = await sql`select to_regclass('cron.job') is not null as is_there`;
  const there = cron?.is_there
    ? await sql<{ jobname: string; schedule: string; active: boolean }[]>`
      select jobname, schedule, active from cron.job where jobname like 'marketplace%'`
    : [];
  const items = [...wanted.keys()].map((name): Item => {
    const found = there.find((job) => job.jobname === name);
    if (!found) return { kind: "schedule", name, state: "new" };
    return found.active
      ? { kind: "schedule", name, state: "same" }
      : { kind: "schedule", name, state: "hint", note: "switched off in cron.job" };
  });
  return {
    items,
    async apply() {
      // A push that came before made those it knows: only what is missing now is put back.
      const now = await sql<{ jobname: string }[]>`select jobname from cron.job`;
      const missing = items.filter(isPending).map((item) => item.name)
        .filter((name) => !now.some((job) => job.jobname === name));
      for (const name of missing) await sql.unsafe(wanted.get(name)!);
      return missing.map((name) => `scheduled ${name} again`);
    },
  };
}
