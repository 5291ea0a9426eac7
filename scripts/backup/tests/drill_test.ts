// apart: needs nothing of the running stack
/**
 * The restore drill: a database with something of everything, its backup, and a new database that
 * it is brought into. Both are servers of their own, without workers, so nothing moves meanwhile.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { bootstrapDatabase } from "../../platform/database.ts";
import { REPOSITORY, resolveLayout } from "../../platform/layout.ts";
import { findFreeBase } from "../../platform/mod.ts";
import { startPostgres, SUPERUSER } from "../../platform/postgres.ts";
import { resetHome } from "../../platform/reset_home.ts";
import { pushMigrations } from "../../platform/supabase_cli.ts";
import { fingerprint, readTables, standardise } from "../catalogue.ts";

const PASSPHRASE = "a passphrase for the drill only";
const SECRETS = [
  "hook-secret-of-the-drill",
  "api-token-of-the-drill",
  "workflow-token-of-the-drill",
];

interface Database {
  url: string;
  sql: postgres.Sql;
  stop(): Promise<void>;
}

/** A database as a new project has it, with the migrations applied. */
async function pushedDatabase(): Promise<Database> {
  const home = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  await Deno.chmod(home, 0o755);
  const place = { home, port: findFreeBase() };
  const layout = resolveLayout(place);
  const server = await startPostgres(layout);
  await bootstrapDatabase(server.url(SUPERUSER));
  const url = server.url("postgres");
  await pushMigrations({ tools: layout.tools, dbUrl: url });
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  return {
    url,
    sql,
    async stop() {
      await sql.end();
      await server.stop();
      await resetHome(layout);
      await Deno.remove(home, { recursive: true });
    },
  };
}

/** Something of everything: tenants, secrets of each kind, old and unpartitioned days, jobs. */
async function fill(sql: postgres.Sql): Promise<void> {
  await sql`select marketplace.configure_platform('https://original.example.com/functions/v1')`;
  const config = JSON.stringify({ note: 'tab\there, ü, \\ and "quotes"\n' });
  await sql`
    select marketplace.register_integration(
      'drill', 'Drill', 'github', 'automation', ${config}::text::jsonb
    )`;
  await sql`select marketplace.set_integration_secret('drill', 'webhook', ${SECRETS[0]!})`;
  await sql`select marketplace.set_integration_secret('drill', 'api_token', ${SECRETS[1]!})`;
  await sql`
    select marketplace.set_workflow_secret('github-artifacts-mirror', 'token', ${SECRETS[2]!})`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, source_pattern)
    select 'Drill', id, '**' from marketplace.integrations where slug = 'drill'`;
  await sql`select marketplace._make_partition('webhook_events', current_date - 9)`;
  await sql`
    insert into marketplace.webhook_events
      (created_at, organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
    select
      now() - make_interval(days => (n % 3) * 9), i.organization_id, i.id, i.provider,
      'workflow_run.completed', 'artifacts/' || n, 'delivery-' || n,
      jsonb_build_object('n', n, 'text', repeat('x', n % 500))
    from marketplace.integrations as i, generate_series(1, 3000) as n
    where i.slug = 'drill'`;
  await sql`select marketplace.route_events(200)`;
}

async function command(script: string, args: string[], passphrase = PASSPHRASE) {
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(REPOSITORY, "scripts", script), ...args],
    cwd: REPOSITORY,
    env: { MARKETPLACE_BACKUP_PASSPHRASE: passphrase, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return {
    code: result.code,
    output: decoder.decode(result.stdout) + decoder.decode(result.stderr),
  };
}

/** Rows and checksum of every table. */
const contents = (sql: postgres.Sql) =>
  sql.begin(async (tx) => {
    await standardise(tx);
    const all: Record<string, string> = {};
    for (const table of await readTables(tx)) {
      const { rows, checksum } = await fingerprint(tx, table);
      all[table.name] = `${rows} ${checksum} ${table.partitions}`;
    }
    return all;
  });

/** What the platform's own functions read out of Vault, and how the schema stands. */
async function readings(sql: postgres.Sql) {
  const [row] = await sql<[{
    credentials: Record<string, string>;
    workflow_token: string;
    [more: string]: unknown;
  }]>`
    select
      marketplace.dispatch_settings() - 'functions_url' as dispatch,
      marketplace._vault_read_named('marketplace_oauth_key') as oauth_key,
      (select marketplace.integration_credentials(id) from marketplace.integrations
       where slug = 'drill') as credentials,
      (select marketplace._vault_read(token_vault_id) from marketplace.workflows
       where slug = 'github-artifacts-mirror') as workflow_token,
      (select array_agg(c.relname || t.tgname || t.tgenabled::text order by c.relname, t.tgname)
       from pg_trigger t join pg_class c on c.oid = t.tgrelid
       where c.relnamespace = 'marketplace'::regnamespace and not t.tgisinternal) as triggers,
      (select last_value::text from pg_sequences where sequencename = 'sync_jobs_position_seq') as position`;
  return row;
}

Deno.test("a backup brings everything into a new database, and nothing by halves", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  const file = join(folder, "drill.backup");
  const [original, copy] = [await pushedDatabase(), await pushedDatabase()];
  const restoreArgs = [`--db-url=${copy.url}`, file];
  try {
    await fill(original.sql);
    const expected = { tables: await contents(original.sql), ...await readings(original.sql) };
    const untouched = await contents(copy.sql);

    await t.step("the backup is one unreadable file that only its owner may read", async () => {
      const { code, output } = await command("backup.ts", [
        `--db-url=${original.url}`,
        `--out=${file}`,
      ]);
      assert.equal(code, 0, output);
      assert.match(output, /^\d+ rows of \d+ tables and \d+ secrets in /);
      const bytes = new TextDecoder("latin1").decode(await Deno.readFile(file));
      for (const secret of [...SECRETS, "delivery-", "workflow_run"]) {
        assert.ok(!bytes.includes(secret), secret);
      }
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
      assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["drill.backup"]);
      const again = await command("backup.ts", [`--db-url=${original.url}`, `--out=${file}`]);
      assert.match(again.output, /never overwritten/);
    });

    await t.step(
      "a wrong passphrase, a damaged file and other migrations change nothing",
      async () => {
        const wrong = await command("restore.ts", restoreArgs, "not the passphrase of the drill");
        assert.equal(wrong.code, 1);
        assert.match(wrong.output, /does not open: the passphrase is another one/);

        const damaged = join(folder, "damaged.backup");
        const bytes = await Deno.readFile(file);
        await Deno.writeFile(damaged, bytes.slice(0, bytes.length - 1000));
        const cut = await command("restore.ts", [`--db-url=${copy.url}`, damaged]);
        assert.equal(cut.code, 1);
        assert.match(cut.output, /does not open|changed or cut off/);

        await copy.sql`
        insert into supabase_migrations.schema_migrations (version) values ('29990101000000')`;
        const other = await command("restore.ts", restoreArgs);
        assert.match(
          other.output,
          /the backup knows nothing of 29990101000000\. Push the migrations/,
        );
        await copy
          .sql`delete from supabase_migrations.schema_migrations where version like '2999%'`;
        assert.deepEqual(await contents(copy.sql), untouched);
      },
    );

    await t.step(
      "the copy has equal tables and reads equal secrets, and rings nobody",
      async () => {
        const { code, output } = await command("restore.ts", restoreArgs);
        assert.equal(code, 0, output);
        assert.match(output, /restored and compared\nIt does not know its functions yet/);
        const found = { tables: await contents(copy.sql), ...await readings(copy.sql) };
        assert.deepEqual(found, expected);
        assert.equal(found.workflow_token, SECRETS[2]);
        assert.deepEqual(
          { webhook: found.credentials.webhook, api_token: found.credentials.api_token },
          { webhook: SECRETS[0], api_token: SECRETS[1] },
        );
        const [row] = await copy.sql`
        select marketplace._vault_read_named('marketplace_functions_url') as url,
          marketplace.ring_dispatch() as ring`;
        assert.deepEqual({ ...row }, { url: null, ring: null });
      },
    );

    await t.step("the copy works: events become jobs, and new rows get new numbers", async () => {
      const [routed] = await copy.sql<
        [{ jobs: number }]
      >`select jobs from marketplace.route_events(100)`;
      assert.equal(routed.jobs, 100);
      const [clash] = await copy.sql<[{ count: number }]>`
        select count(*)::int from (
          select position from marketplace.sync_jobs group by position having count(*) > 1
        ) as twice`;
      assert.equal(clash.count, 0);
    });

    await t.step("a database in use is only replaced when that is asked for", async () => {
      const refused = await command("restore.ts", restoreArgs);
      assert.equal(refused.code, 1);
      assert.match(refused.output, /The database is in use/);
      await copy
        .sql`select marketplace.configure_platform('https://copy.example.com/functions/v1')`;
      await copy
        .sql`select marketplace.set_integration_secret('drill', 'extra', 'to be forgotten')`;
      const { code, output } = await command("restore.ts", ["--replace", ...restoreArgs]);
      assert.equal(code, 0, output);
      assert.deepEqual({ tables: await contents(copy.sql), ...await readings(copy.sql) }, expected);
      const [row] = await copy.sql`
        select marketplace._vault_read_named('marketplace_functions_url') as url,
          (select count(*)::int from vault.decrypted_secrets
           where decrypted_secret = 'to be forgotten') as orphans`;
      assert.deepEqual({ ...row }, { url: "https://copy.example.com/functions/v1", orphans: 0 });
    });

    await t.step("every secret in Vault is one that a row or the platform refers to", async () => {
      const columns = await original.sql.begin(readTables);
      const referred = columns.flatMap(({ name, vault_columns }) =>
        vault_columns.map((column) => `select "${column}" from marketplace."${name}"`)
      );
      const strays = await original.sql.unsafe(
        `select name from vault.secrets where name not like 'marketplace\\_%'
         and id not in (select id from (${
          referred.join(" union all ")
        }) as r (id) where id is not null)`,
      );
      assert.deepEqual([...strays], []);
    });
  } finally {
    await original.stop();
    await copy.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
