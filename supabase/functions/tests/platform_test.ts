/**
 * The local platform is as strict as hosted Supabase, and its stand-ins do what the real
 * extensions do. Needs a running stack; reads SUPABASE_* from the environment.
 */
import assert from "node:assert/strict";
import postgres from "postgres";

const env = (name: string): string => {
  const value = Deno.env.get(name);
  if (!value) throw new Error(`${name} is not set: run "deno task test", or export the env file.`);
  return value;
};
const superuserUrl = () => {
  const url = new URL(env("SUPABASE_DB_URL"));
  url.username = "supabase_admin";
  return url.href;
};

async function withSql<T>(url: string, use: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Asks until the answer is there. */
async function eventually<T>(ask: () => Promise<T | undefined>, what: string): Promise<T> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what}: not within 30 s`);
}

const refused = (sqlstate: string) => (error: unknown) =>
  (error as { code?: string }).code === sqlstate;

Deno.test("postgres is no superuser, and owns the database but not the platform's schemas", async () => {
  await withSql(env("SUPABASE_DB_URL"), async (sql) => {
    const [role] = await sql`
      select rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication
      from pg_roles where rolname = current_user`;
    assert.deepEqual({ ...role }, {
      rolsuper: false,
      rolcreaterole: true,
      rolcreatedb: true,
      rolbypassrls: true,
      rolreplication: true,
    });
    const owned = await sql`
      select nspname from pg_namespace
      where nspname in ('auth', 'vault', 'cron', 'net', 'extensions')
        and pg_has_role(current_user, nspowner, 'member')`;
    assert.deepEqual([...owned], []);
    const [database] = await sql`
      select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()`;
    assert.equal(database!.owner, "postgres");
    await assert.rejects(sql`set role supabase_admin`, refused("42501"));
    await assert.rejects(sql`select pg_read_file('/etc/passwd')`, refused("42501"));
    await assert.rejects(sql`create table auth.mine (id int)`, refused("42501"));
  });
});

Deno.test("what is committed is on disk", async () => {
  await withSql(env("SUPABASE_DB_URL"), async (sql) => {
    const settings = await sql`
      select name, setting from pg_settings
      where name in ('fsync', 'synchronous_commit', 'full_page_writes')`;
    assert.deepEqual(settings.map((row) => row.setting), ["on", "on", "on"]);
  });
});

Deno.test("a secret in Vault is encrypted at rest, bound to its row, and readable by id", async () => {
  await withSql(env("SUPABASE_DB_URL"), (sql) =>
    sql.begin(async (tx) => {
      const secret = `s3cret-${crypto.randomUUID()} – ünïcode`;
      const [made] = await tx`select vault.create_secret(${secret}, ${secret.slice(0, 20)}) as id`;
      const read = async () =>
        (await tx`select secret, decrypted_secret from vault.decrypted_secrets
                  where id = ${made!.id}`)[0]!;
      const first = await read();
      assert.equal(first.decrypted_secret, secret);
      assert.ok(!atob(first.secret.replaceAll("\n", "")).includes("s3cret"));

      await tx`select vault.update_secret(${made!.id}, 'another')`;
      assert.equal((await read()).decrypted_secret, "another");

      for (const statement of ["insert into vault.secrets (secret) values ('x')"]) {
        await assert.rejects(tx.savepoint((sp) => sp.unsafe(statement)), refused("42501"));
      }
      // The ciphertext of one row does not open under the id of another.
      await assert.rejects(
        tx.savepoint((sp) =>
          sp`select vault._crypto_aead_det_decrypt(
               decode(secret, 'base64'), convert_to(gen_random_uuid()::text, 'utf8'), 0,
               'pgsodium', nonce)
             from vault.secrets where id = ${made!.id}`
        ),
        refused("22000"),
      );
      throw new Rollback();
    }).catch((error) => {
      if (!(error instanceof Rollback)) throw error;
    }));
});

class Rollback extends Error {}

Deno.test("net.http_post sends after the commit, never before, and stores the response", async () => {
  const seen: { body: unknown; type: string | null }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (req) => {
    seen.push({ body: await req.json(), type: req.headers.get("content-type") });
    return Response.json({ thanks: true }, { status: 201 });
  });
  const url = `http://127.0.0.1:${server.addr.port}/hook`;
  try {
    await withSql(env("SUPABASE_DB_URL"), async (sql) => {
      await sql.begin(async (tx) => {
        await tx`select net.http_post(${url}, '{"n": 0}'::jsonb)`;
        throw new Rollback();
      }).catch(() => {});
      const id = await sql.begin(async (tx) => {
        const [row] = await tx`select net.http_post(${url}, '{"n": 1}'::jsonb) as id`;
        await new Promise((done) => setTimeout(done, 150));
        assert.deepEqual(seen, []);
        return row!.id;
      });
      const response = await eventually(
        async () => (await sql`select * from net._http_response where id = ${id}`)[0],
        "the response",
      );
      assert.deepEqual([response.status_code, response.timed_out, response.error_msg], [
        201,
        false,
        null,
      ]);
      assert.equal(response.content, '{"thanks":true}');
      assert.deepEqual(seen, [{ body: { n: 1 }, type: "application/json" }]);

      await assert.rejects(
        sql`select net.http_post(${url}, '{}'::jsonb, headers => '{"content-type": "text/plain"}')`,
        /Content-Type header must be "application\/json"/,
      );
    });
  } finally {
    await server.shutdown();
  }
});

Deno.test("pg_net's worker comes back after its connections were cut", async () => {
  await withSql(superuserUrl(), async (sql) => {
    const cut = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'pg_net worker'`;
    assert.ok(cut.length > 0);
    const [row] = await sql`select net.http_get(${env("SUPABASE_URL")}) as id`;
    const response = await eventually(
      async () => (await sql`select * from net._http_response where id = ${row!.id}`)[0],
      "the response",
    );
    assert.equal(response.status_code, 404);
  });
});

Deno.test("a cron job runs as its role every second, and stops when unscheduled", async () => {
  await withSql(env("SUPABASE_DB_URL"), async (sql) => {
    const name = `platform-test-${crypto.randomUUID()}`;
    const [job] = await sql`select cron.schedule(${name}, '1 second', 'select current_user') as id`;
    try {
      const run = await eventually(
        async () =>
          (await sql`select * from cron.job_run_details
                     where jobid = ${job!.id} and status <> 'running'`)[0],
        "a run",
      );
      assert.deepEqual([run.status, run.return_message, run.username], [
        "succeeded",
        "1 row",
        "postgres",
      ]);
      await sql`select cron.alter_job(${job!.id}, command := 'select 1/0')`;
      const failed = await eventually(
        async () =>
          (await sql`select * from cron.job_run_details
                     where jobid = ${job!.id} and status = 'failed'`)[0],
        "a failed run",
      );
      assert.match(failed.return_message, /division by zero/);
    } finally {
      await sql`select cron.unschedule(${name})`;
      await sql`delete from cron.job_run_details where jobid = ${job!.id}`;
    }
    await assert.rejects(sql`select cron.unschedule(${name})`, /could not find valid entry/);
  });
});

Deno.test("a run that is due while the last one still runs is skipped", async () => {
  await withSql(env("SUPABASE_DB_URL"), async (sql) => {
    const name = `platform-test-${crypto.randomUUID()}`;
    const [job] = await sql`
      select cron.schedule(${name}, '1 second', 'select pg_sleep(1.4)') as id`;
    try {
      const [first, second] = await eventually(async () => {
        const runs = await sql`
          select * from cron.job_run_details
          where jobid = ${job!.id} and status = 'succeeded' order by start_time`;
        return runs.length >= 2 ? runs : undefined;
      }, "two runs");
      assert.ok(second!.start_time >= first!.end_time);
    } finally {
      await sql`select cron.unschedule(${name})`;
      await sql`delete from cron.job_run_details where jobid = ${job!.id}`;
    }
  });
});

Deno.test("a wrong schedule is refused, and cron.job cannot be written by hand", async () => {
  await withSql(env("SUPABASE_DB_URL"), async (sql) => {
    for (const schedule of ["60 seconds", "* * * *", "61 * * * *", "* * * 13 *", "often"]) {
      await assert.rejects(sql`select cron.schedule(${schedule}, 'select 1')`, /invalid schedule/);
    }
    await assert.rejects(
      sql`insert into cron.job (schedule, command) values ('* * * * *', 'select 1')`,
      refused("42501"),
    );
  });
});

Deno.test("the Data API grants nothing to anon, and could not", async () => {
  const apikey = env("SUPABASE_PUBLISHABLE_KEY");
  for (const path of ["/rest/v1/", "/rest/v1/integrations?select=id"]) {
    await (await fetch(env("SUPABASE_URL") + path, {
      headers: { apikey, "accept-profile": "marketplace" },
    })).text();
  }
  // What lite would do if it were not kept from it, as the role that lite connects as. Postgres
  // answers with a warning, or refuses.
  const lite = new URL(env("SUPABASE_DB_URL"));
  lite.username = "supabase_lite";
  await withSql(lite.href, async (sql) => {
    await sql`grant usage on schema marketplace, auth to anon`.catch(() => {});
    await sql`grant all on all tables in schema marketplace to anon`.catch(() => {});
    await sql`grant all on all tables in schema auth to anon`.catch(() => {});
  });
  await withSql(superuserUrl(), async (sql) => {
    const granted = await sql`
      select c.oid::regclass::text as relation
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('marketplace', 'auth', 'vault')
        and c.relkind in ('r', 'v', 'p', 'm')
        and exists (
          select from aclexplode(c.relacl) a where a.grantee = 'anon'::regrole
        )`;
    assert.deepEqual([...granted], []);
    const [usage] = await sql`
      select coalesce(has_schema_privilege('anon', to_regnamespace('marketplace'), 'usage'), false)
        as yes`;
    assert.equal(usage!.yes, false);
    const owned = await sql`
      select classid::regclass::text, objid from pg_shdepend
      where refobjid = 'supabase_lite'::regrole and deptype = 'o'`;
    assert.deepEqual([...owned], []);
  });
});

Deno.test("a user who signs up is a person to row level security", async () => {
  const apikey = env("SUPABASE_PUBLISHABLE_KEY");
  const email = `${crypto.randomUUID()}@example.com`;
  const signup = await fetch(`${env("SUPABASE_URL")}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey, "content-type": "application/json" },
    body: JSON.stringify({ email, password: crypto.randomUUID() }),
  });
  const { access_token, user } = await signup.json();
  assert.equal(signup.status, 200);
  await withSql(env("SUPABASE_DB_URL"), async (sql) => {
    const claims = atob(access_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    await sql.begin(async (tx) => {
      await tx`select set_config('request.jwt.claims', ${claims}, true)`;
      await tx`set local role authenticated`;
      const [me] = await tx`select auth.uid() as id, auth.role() as role, auth.email() as email`;
      assert.deepEqual({ ...me }, { id: user.id, role: "authenticated", email });
    });
    const [row] = await sql`delete from auth.users where id = ${user.id} returning email`;
    assert.equal(row!.email, email);
  });
});
