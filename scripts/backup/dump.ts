/**
 * Reading a database into a backup, from one snapshot.
 * @module
 */
import postgres from "postgres";
import {
  fingerprint,
  type Manifest,
  qualified,
  quote,
  readMigrations,
  readSecrets,
  readTables,
  standardise,
} from "./catalogue.ts";
import { seal } from "./container.ts";
import { encodeRecord, type Record } from "./records.ts";

/** What a backup holds. */
export interface BackupSummary {
  tables: number;
  rows: number;
  secrets: number;
  /** Size of the file. */
  bytes: number;
}

/**
 * Writes the schema's rows and their Vault secrets to a file, which appears only when it is whole.
 * @param options.dbUrl a connection of the role `postgres`; not the transaction pooler's
 * @throws {Error} when the database has no such schema, or the passphrase is too short
 */
export async function backup(
  options: { dbUrl: string; file: string; passphrase: string },
): Promise<BackupSummary> {
  const { dbUrl, file, passphrase } = options;
  const sql = postgres(dbUrl, { max: 1, prepare: false, onnotice: () => {} });
  const draft = `${file}.${Deno.pid}.tmp`;
  try {
    const summary = await sql.begin("isolation level repeatable read, read only", async (tx) => {
      await standardise(tx);
      const manifest = await readManifest(tx);
      const records = ReadableStream.from(recordsOf(tx, manifest));
      const content = records.pipeThrough(new CompressionStream("gzip"));
      const output = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
      await (await seal(content, passphrase)).pipeTo(output.writable);
      return {
        tables: manifest.tables.length,
        rows: manifest.tables.reduce((sum, table) => sum + Number(table.rows), 0),
        secrets: manifest.secrets.length,
      };
    });
    const { size: bytes } = await Deno.stat(draft);
    await Deno.rename(draft, file);
    return { ...summary, bytes };
  } catch (error) {
    await Deno.remove(draft).catch(() => {});
    throw error;
  } finally {
    await sql.end();
  }
}

async function readManifest(tx: postgres.TransactionSql): Promise<Manifest> {
  const migrations = await readMigrations(tx);
  const tables = [];
  for (const table of await readTables(tx)) {
    tables.push({ ...table, ...await fingerprint(tx, table) });
  }
  const [server] = await tx<[{ version: string; now: string }]>`
    select current_setting('server_version') as version, now()::text as now`;
  return {
    taken_at: server.now,
    server_version: server.version,
    migrations,
    tables,
    secrets: await readSecrets(tx),
    sequences: await tx<{ name: string; last_value: string }[]>`
      select sequencename as name, last_value::text
      from pg_sequences where schemaname = 'marketplace' and last_value is not null`,
  };
}

async function* recordsOf(
  tx: postgres.TransactionSql,
  manifest: Manifest,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const record = (content: Record) => encodeRecord(content) as Uint8Array<ArrayBuffer>;
  yield record({ json: manifest });
  for (const { name, columns } of manifest.tables) {
    yield record({ json: { table: name } });
    const select = `select ${columns.map(quote).join(", ")} from ${qualified(name)}`;
    const rows = await tx.unsafe(`copy (${select}) to stdout`).readable();
    for await (const piece of rows) yield record({ data: piece });
    // The driver pauses the connection while the stream is full, and resumes it only when it is read
    // from: when it is full at its end, nobody does, and the next statement would wait forever.
    rows._read(0);
  }
  yield record({ json: { end: true } });
}
