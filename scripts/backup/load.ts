/**
 * Bringing a backup into a database, in one transaction: all of it, verified, or nothing.
 * @module
 */
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import {
  fingerprint,
  Manifest,
  PROJECT_SECRETS,
  qualified,
  quote,
  readMigrations,
  readTables,
  type Secret,
  standardise,
} from "./catalogue.ts";
import { open } from "./container.ts";
import { decodeRecords, type Record } from "./records.ts";

/** What was restored. */
export interface RestoreSummary {
  takenAt: string;
  tables: number;
  rows: number;
  secrets: number;
  /** Whether the database knows where its functions are; without that it rings nobody. */
  isConfigured: boolean;
}

/**
 * Restores a backup into a database that has the same migrations.
 * @param options.dbUrl a connection of the role `postgres`; not the transaction pooler's
 * @param options.replace whether data that is there already may go
 * @throws {Error} naming what does not fit; the database is then as it was
 */
export async function restore(
  options: { dbUrl: string; file: string; passphrase: string; replace?: boolean },
): Promise<RestoreSummary> {
  const input = await Deno.open(options.file);
  const content = await open(input.readable, options.passphrase);
  const records = decodeRecords(content.pipeThrough(new DecompressionStream("gzip")));
  const sql = postgres(options.dbUrl, { max: 1, prepare: false, onnotice: () => {} });
  try {
    return await sql.begin(async (tx) => {
      await standardise(tx);
      const first = (await records.next()).value as Record | undefined;
      const manifest = Manifest.parse(first && "json" in first ? first.json : undefined);
      await requireFitting(tx, manifest, options.replace ?? false);

      // No ring, no audit row, no touched timestamp: the rows come as they were.
      const names = manifest.tables.map((table) => qualified(table.name));
      for (const name of names) await tx.unsafe(`alter table ${name} disable trigger user`);
      await tx.unsafe(`truncate ${names.join(", ")}`);
      await makePartitions(tx, manifest);
      await loadRows(tx, manifest, records);
      for (const { name, last_value } of manifest.sequences) {
        await tx`select setval(${qualified(name)}::regclass, ${last_value}::bigint)`;
      }
      await loadSecrets(tx, manifest);
      await verify(tx, manifest);
      for (const name of names) await tx.unsafe(`alter table ${name} enable trigger user`);

      const [configured] = await tx`
        select exists (
          select from vault.secrets where name = 'marketplace_functions_url'
        ) as yes`;
      return {
        takenAt: manifest.taken_at,
        tables: manifest.tables.length,
        rows: manifest.tables.reduce((sum, table) => sum + Number(table.rows), 0),
        secrets: manifest.secrets.length,
        isConfigured: Boolean(configured?.yes),
      };
    });
  } finally {
    await records.return(undefined).catch(() => {});
    await sql.end();
  }
}

async function requireFitting(
  tx: postgres.TransactionSql,
  manifest: Manifest,
  replace: boolean,
): Promise<void> {
  const applied = await readMigrations(tx);
  const missing = manifest.migrations.filter((version) => !applied.includes(version));
  const extra = applied.filter((version) => !manifest.migrations.includes(version));
  if (missing.length + extra.length > 0) {
    throw new Error(
      "The backup and the database stand at different migrations" +
        (missing.length > 0 ? `; the database lacks ${missing.join(", ")}` : "") +
        (extra.length > 0 ? `; the backup knows nothing of ${extra.join(", ")}` : "") +
        ". Push the migrations of the checkout that made the backup, restore, then push the rest.",
    );
  }
  if (replace) return;
  const [used] = await tx`
    select
      exists (select from marketplace.integrations) or exists (select from marketplace.webhook_events)
      or exists (select from marketplace.sync_jobs) or exists (select from marketplace.organizations where not is_default)
      as yes`;
  if (used?.yes) {
    throw new Error(
      "The database is in use: it has integrations, events, jobs or more than its first organization. Restore into a " +
        "freshly pushed one, or give --replace to lose what is there.",
    );
  }
}

async function makePartitions(tx: postgres.TransactionSql, manifest: Manifest): Promise<void> {
  for (const { name, partitions } of manifest.tables) {
    for (const day of partitions) {
      await tx`select marketplace._make_partition(${name}, ${day}::date)`;
    }
  }
}

async function loadRows(
  tx: postgres.TransactionSql,
  manifest: Manifest,
  records: AsyncGenerator<Record>,
): Promise<void> {
  const next = async () => (await records.next()).value as Record | undefined;
  let record = await next();
  for (const { name, columns } of manifest.tables) {
    if (!record || !("json" in record) || (record.json as { table?: string }).table !== name) {
      throw new Error(`The backup is not in order: the rows of ${name} are not where they belong.`);
    }
    const pieces = async function* () {
      for (record = await next(); record && "data" in record; record = await next()) {
        yield record.data;
      }
    };
    const list = columns.map(quote).join(", ");
    await pipeline(
      pieces(),
      await tx.unsafe(`copy ${qualified(name)} (${list}) from stdin`).writable(),
    );
  }
  if (!record || !("json" in record) || !(record.json as { end?: boolean }).end) {
    throw new Error("The backup is not whole: its end is missing.");
  }
}

/** Writes the secrets under ids of this Vault, and has the rows point at those. */
async function loadSecrets(tx: postgres.TransactionSql, manifest: Manifest): Promise<void> {
  const ids = new Map<string, string>();
  for (const { id, name, secret } of manifest.secrets) {
    ids.set(id, await writeSecret(tx, { name, secret }));
  }
  await tx`
    select marketplace._vault_delete(s.id)
    from vault.secrets as s
    where s.description = 'marketplace'
      and s.id <> all (${[...ids.values()]}::uuid[])
      and (s.name is null or s.name <> all (${PROJECT_SECRETS}))`;
  for (const { name, vault_columns } of manifest.tables) {
    for (const column of vault_columns) {
      await tx.unsafe(
        `update ${qualified(name)} as t set ${quote(column)} = ids.here
         from unnest($1::uuid[], $2::uuid[]) as ids (there, here)
         where t.${quote(column)} = ids.there`,
        [[...ids.keys()], [...ids.values()]],
      );
    }
  }
}

async function writeSecret(
  tx: postgres.TransactionSql,
  { name, secret }: Pick<Secret, "name" | "secret">,
): Promise<string> {
  const [row] = await tx<[{ id: string }]>`
    select marketplace._vault_write(
      (select id from vault.secrets where name = ${name}), ${secret}, ${name}
    ) as id`;
  return row.id;
}

/** The rows as they lie now against what the manifest says of them. */
async function verify(tx: postgres.TransactionSql, manifest: Manifest): Promise<void> {
  const here = await readTables(tx);
  for (const expected of manifest.tables) {
    const table = here.find((each) => each.name === expected.name);
    if (!table) throw new Error(`The database has no table ${expected.name}.`);
    const found = await fingerprint(tx, table);
    if (found.rows !== expected.rows || found.checksum !== expected.checksum) {
      throw new Error(
        `${expected.name} differs after loading: ${found.rows} rows of ${expected.rows}` +
          (found.rows === expected.rows ? ", with other content" : "") + ". Nothing was kept.",
      );
    }
  }
}
