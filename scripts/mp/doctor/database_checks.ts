/**
 * The database: whether everything is applied, and nothing is open to strangers.
 * @module
 */
import { readMigrations } from "../../deploy/database.ts";
import { type Check, exists, type Finding } from "./check.ts";

/** A webhook is refused beyond five minutes; this leaves room. */
const SKEW_LIMIT_SECONDS = 30;

const migrations: Check = {
  name: "migrations",
  title: "every migration of this checkout is applied",
  async run({ sql }) {
    const files = readMigrations();
    const applied = await exists(sql, "supabase_migrations.schema_migrations")
      ? await sql<{ version: string }[]>`
        select version from supabase_migrations.schema_migrations order by version`
      : [];
    const known = new Set(applied.map(({ version }) => version));
    const missing = [...files].filter(([version]) => !known.has(version)).map(([, name]) => ({
      subject: name,
      message: "is not applied.",
      remedy: "deno task db:push --db-url <url>, or deno task deploy",
    }));
    const foreign = [...known].filter((version) => !files.has(version)).map((version) => ({
      subject: version,
      message: "is applied, but this checkout does not have it.",
      remedy: "Use the checkout it came from: git pull",
    }));
    return [...missing, ...foreign];
  },
};

const anonGrants: Check = {
  name: "anon_grants",
  title: "anon may nothing in the schema marketplace",
  async run({ sql }) {
    const grants = await sql<{ subject: string; privilege: string; revoke: string }[]>`
      select format('schema %s', n.nspname) as subject, 'USAGE' as privilege,
        'revoke usage on schema marketplace from anon, public' as revoke
      from pg_catalog.pg_namespace as n
      where n.nspname = 'marketplace' and has_schema_privilege('anon', n.oid, 'usage')
      union all
      select c.relname, p.privilege,
        format('revoke all on marketplace.%I from anon, public', c.relname)
      from pg_catalog.pg_class as c
      cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as p (privilege)
      where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
        and (has_table_privilege('anon', c.oid, p.privilege)
          or p.privilege <> 'DELETE' and has_any_column_privilege('anon', c.oid, p.privilege))
      union all
      select f.oid::regprocedure::text, 'EXECUTE',
        format('revoke all on function %s from anon, public', f.oid::regprocedure)
      from pg_catalog.pg_proc as f
      where f.pronamespace = 'marketplace'::regnamespace
        and has_function_privilege('anon', f.oid, 'execute')
      order by 1, 2`;
    return grants.map(({ subject, privilege, revoke }) => ({
      subject,
      message: `anon has ${privilege}: whoever knows the public key has it too.`,
      remedy: revoke,
    }));
  },
};

const rowSecurity: Check = {
  name: "row_security",
  title: "every table has row level security",
  async run({ sql }) {
    const open = await sql<{ relname: string }[]>`
      select c.relname from pg_catalog.pg_class as c
      where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p')
        and not c.relrowsecurity
      order by 1`;
    return open.map(({ relname }) => ({
      subject: relname,
      message: "has no row level security: tenants may see each other's rows.",
      remedy: `alter table marketplace.${relname} enable row level security`,
    }));
  },
};

const clockSkew: Check = {
  name: "clock_skew",
  title: "the database's clock and this one agree",
  async run({ sql }) {
    await sql`select 1`; // not the time it takes to connect
    const before = Date.now();
    const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`;
    return skewFindings({ before, after: Date.now(), database: row!.now.getTime() });
  },
};

/** @param times milliseconds since 1970: here before and after asking, and what was answered */
export function skewFindings(
  times: { before: number; after: number; database: number },
): Finding[] {
  const { before, after, database } = times;
  const skew = Math.round((database - (before + after) / 2) / 1000);
  if (Math.abs(skew) <= SKEW_LIMIT_SECONDS) return [];
  return [{
    subject: "clock",
    message: `The database is ${Math.abs(skew)} s ${
      skew > 0 ? "ahead of" : "behind"
    } this machine.`,
    remedy: "Set both by NTP: signatures are refused when they seem older than five minutes.",
  }];
}

const partitions: Check = {
  name: "partitions",
  title: "partitions stand ready for today and tomorrow",
  async run({ sql }) {
    const missing = await sql<{ name: string }[]>`
      select format('%s_%s', t.name, to_char((now() at time zone 'UTC')::date + d.day, 'YYYYMMDD')) as name
      from (
        select c.relname as name
        from pg_catalog.pg_class as c
        where c.relnamespace = 'marketplace'::regnamespace and c.relkind = 'p'
      ) as t
      cross join (values (0), (1)) as d (day)
      where to_regclass(format('marketplace.%I',
        format('%s_%s', t.name, to_char((now() at time zone 'UTC')::date + d.day, 'YYYYMMDD')))) is null
      order by 1`;
    return missing.map(({ name }) => ({
      subject: name,
      message: "does not exist; its rows go into the default partition, which is slow to clear.",
      remedy: "select marketplace.ensure_partitions()",
    }));
  },
};

/** The checks of the database itself. */
export const DATABASE_CHECKS: Check[] = [
  migrations,
  anonGrants,
  rowSecurity,
  clockSkew,
  partitions,
];
