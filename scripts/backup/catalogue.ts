/**
 * What there is to back up in a database: the tables of the schema in an order they can be loaded
 * in, their fingerprints, and the Vault secrets that belong to them.
 * @module
 */
import type { Sql, TransactionSql } from "postgres";
import { z } from "zod";

/** Secrets that belong to a project and not to its data; see {@link readSecrets}. */
export const PROJECT_SECRETS = ["marketplace_functions_url", "marketplace_release"];

export const Table = z.object({
  name: z.string(),
  /** Columns that are stored, in order; generated ones compute themselves again. */
  columns: z.array(z.string()),
  /** Those of them that hold ids of Vault secrets. */
  vault_columns: z.array(z.string()),
  /** Days (YYYY-MM-DD) that have a partition of their own. */
  partitions: z.array(z.string()),
});
export type Table = z.infer<typeof Table>;

export const Fingerprint = z.object({ rows: z.string(), checksum: z.string() });
export type Fingerprint = z.infer<typeof Fingerprint>;

export const Secret = z.object({ id: z.string(), name: z.string().nullable(), secret: z.string() });
export type Secret = z.infer<typeof Secret>;

/** The first record of a backup. */
export const Manifest = z.object({
  taken_at: z.string(),
  server_version: z.string(),
  migrations: z.array(z.string()),
  tables: z.array(Table.extend(Fingerprint.shape)),
  sequences: z.array(z.object({ name: z.string(), last_value: z.string() })),
  secrets: z.array(Secret),
});
export type Manifest = z.infer<typeof Manifest>;

/** A name as SQL. */
export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
/** A table of the schema as SQL. */
export const qualified = (name: string): string => `marketplace.${quote(name)}`;

/** Makes values read alike on every server. */
export async function standardise(sql: TransactionSql): Promise<void> {
  await sql.unsafe(
    "set local timezone = 'UTC'; set local datestyle = 'ISO'; set local intervalstyle = 'iso_8601'; " +
      "set local extra_float_digits = 1; set local bytea_output = 'hex'; " +
      "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0",
  ).simple();
}

/** The versions of the applied migrations, in order. */
export async function readMigrations(sql: Sql | TransactionSql): Promise<string[]> {
  const [history] = await sql`
    select to_regclass('supabase_migrations.schema_migrations') is not null as is_there`;
  if (!history?.is_there) {
    throw new Error('The database has no migrations: apply them with "deno task db:push" first.');
  }
  const rows = await sql<{ version: string }[]>`
    select version from supabase_migrations.schema_migrations order by version`;
  return rows.map((row) => row.version);
}

/**
 * The schema's tables, each after those it refers to.
 * @throws {Error} when tables refer to each other in a circle
 */
export async function readTables(sql: TransactionSql): Promise<Table[]> {
  const tables = await sql<(Table & { refers_to: string[] })[]>`
    select
      c.relname as name,
      array(
        select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
      ) as columns,
      array(
        select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and not a.attisdropped and a.atttypid = 'uuid'::regtype
          and a.attname ~ 'vault(_secret)?_id$'
        order by a.attnum
      ) as vault_columns,
      array(
        select to_char(to_date(right(p.relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD')
        from pg_inherits i join pg_class p on p.oid = i.inhrelid
        where i.inhparent = c.oid and p.relname ~ '_[0-9]{8}$'
        order by p.relname
      ) as partitions,
      array(
        select distinct r.relname::text
        from pg_constraint f join pg_class r on r.oid = f.confrelid
        where f.contype = 'f' and f.conrelid = c.oid and f.confrelid <> c.oid
          and r.relnamespace = c.relnamespace and not r.relispartition
      ) as refers_to
    from pg_class c
    where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p')
      and not c.relispartition
    order by c.relname`;

  const ordered: Table[] = [];
  const isPlaced = (name: string) => ordered.some((table) => table.name === name);
  let waiting = [...tables];
  while (waiting.length > 0) {
    const ready = waiting.filter((table) => table.refers_to.every(isPlaced));
    if (ready.length === 0) {
      throw new Error(
        `Tables refer to each other: ${waiting.map((each) => each.name).join(", ")}.`,
      );
    }
    for (const { name, columns, vault_columns, partitions } of ready) {
      ordered.push({ name, columns, vault_columns, partitions });
    }
    waiting = waiting.filter((table) => !ready.includes(table));
  }
  return ordered;
}

/**
 * Counts a table's rows and adds up digests of them, in whatever order they lie. Ids of Vault
 * secrets are left out: Vault gives each secret an id of its own.
 */
export async function fingerprint(sql: TransactionSql, table: Table): Promise<Fingerprint> {
  const columns = table.columns.filter((column) => !table.vault_columns.includes(column));
  const [row] = await sql.unsafe<[Fingerprint]>(
    `select count(*)::text as rows,
       coalesce(sum(('x' || left(md5(row(${columns.map(quote).join(", ")})::text), 15))
         ::bit(60)::bigint::numeric), 0)::text as checksum
     from ${qualified(table.name)}`,
  );
  return row;
}

/**
 * The secrets that belong to the data: the integrations', the grants', the workflows' and the
 * platform's own keys. Where the functions are and what was deployed belongs to the project: a copy
 * must never ring the original's functions, so a restored database is silent until it is told its own.
 */
export async function readSecrets(sql: TransactionSql): Promise<Secret[]> {
  return await sql<Secret[]>`
    select id, name, decrypted_secret as secret
    from vault.decrypted_secrets
    where description = 'marketplace' and (name is null or name <> all (${PROJECT_SECRETS}))
    order by name, id`;
}
