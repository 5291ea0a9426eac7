// apart: needs nothing of the running stack
/**
 * A whole deployment, run as its command: the real supabase CLI, a database as a new hosted project
 * has it, and a fake Management API. Nothing of a running stack is touched.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { REPOSITORY, resolveLayout } from "../../platform/layout.ts";
import { listFunctions } from "../../platform/functions.ts";
import { findFreeBase, startStack } from "../../platform/mod.ts";
import { SUPERUSER } from "../../platform/postgres.ts";
import { resetHome } from "../../platform/reset_home.ts";
import { type FakeManagementApi, startFakeManagementApi } from "./fake_management_api.ts";

const REF = "abcdefghijklmnopqrst";
const SECRET = "ghp_a-secret-that-nobody-may-see";

interface Run {
  code: number;
  output: string;
}

async function deployCommand(
  api: FakeManagementApi,
  dbUrl: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Run> {
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(REPOSITORY, "scripts", "deploy.ts"), `--project-ref=${REF}`]
      .concat([`--api-url=${api.url}`, `--db-url=${dbUrl}`, ...args]),
    cwd: REPOSITORY,
    env: { SUPABASE_ACCESS_TOKEN: api.token, N8N_URL: "", N8N_API_KEY: "", NO_COLOR: "1", ...env },
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

/** Calls that changed something since the last look. */
function writes(api: FakeManagementApi): string[] {
  return api.calls.splice(0).filter((call) => !call.startsWith("GET "));
}

Deno.test("a deployment is planned, applied once, and then finds nothing to do", async (t) => {
  const home = await Deno.makeTempDir({ prefix: "marketplace-test-" });
  await Deno.chmod(home, 0o755);
  const place = { home, port: findFreeBase() };
  const stack = await startStack({ ...place, n8n: false, sandbox: false, migrate: false });
  const dbUrl = stack.env.SUPABASE_DB_URL!;
  const sql = postgres(dbUrl, { max: 1, onnotice: () => {} });
  const superuserUrl = dbUrl.replace("//postgres:", `//${SUPERUSER}:`);
  const asSuperuser = postgres(superuserUrl, { max: 1, onnotice: () => {} });
  const api = startFakeManagementApi(REF);
  const slugs = listFunctions(join(REPOSITORY, "supabase", "functions"));
  const envFile = join(home, "functions.env");
  await Deno.writeTextFile(envFile, `N8N_URL=https://n8n.example.com\nGITHUB_TOKEN=${SECRET}\n`);
  const deploy = (...args: string[]) =>
    deployCommand(api, dbUrl, [`--env-file=${envFile}`, ...args]);

  try {
    await t.step("a dry run prints the plan and changes nothing", async () => {
      const { code, output } = await deploy("--dry-run");
      assert.equal(code, 0, output);
      assert.match(output, /^project {5}Shop, abcdefghijklmnopqrst, eu-central-1$/m);
      assert.match(output, /^\+ migration {3}20260101000100_foundation\.sql$/m);
      assert.match(
        output,
        /^\+ platform {4}https:\/\/abcdefghijklmnopqrst\.supabase\.co\/functions\/v1$/m,
      );
      assert.match(output, /^\+ schedule {4}marketplace_sweep$/m);
      assert.match(output, /^\+ secret {6}GITHUB_TOKEN$/m);
      for (const slug of slugs) {
        assert.ok(output.includes(`+ function    ${slug} (not deployed)`), `${slug}: ${output}`);
      }
      assert.match(output, /^! data api {4}schema marketplace \(not exposed/m);
      assert.match(output, /nothing was changed \(--dry-run\)$/m);
      assert.deepEqual(writes(api), []);
      const [row] = await sql`select to_regnamespace('marketplace') is null as is_untouched`;
      assert.ok(row?.is_untouched);
    });

    await t.step("a deployment applies all of it, and no output shows a value", async () => {
      const { code, output } = await deploy("--expose-schema");
      assert.equal(code, 0, output);
      assert.ok(!output.includes(SECRET) && !output.includes(api.token), "a secret was printed");
      assert.match(output, /^To go back:/m);

      assert.deepEqual([...api.functions.keys()].sort(), slugs);
      for (const [slug, files] of api.uploads) {
        assert.equal(api.functions.get(slug)?.verify_jwt, false, slug);
        // Each brings its own deno.json, and nothing from outside supabase/functions.
        const own = `supabase/functions/${slug}/deno.json`;
        assert.ok(files.some((file) => file.endsWith(own)), `${slug}: ${files}`);
        assert.ok(files.every((file) => file.includes("supabase/functions/")), `${slug}: ${files}`);
      }
      assert.equal(api.secrets.get("GITHUB_TOKEN"), SECRET);
      assert.equal(api.schemas, "public, graphql_public, marketplace");
      const order = writes(api).map((call) => call.split("?")[0]);
      assert.deepEqual([...new Set(order)], [
        "POST /secrets",
        "POST /functions/deploy",
        "PUT /functions",
        "PATCH /postgrest",
      ]);

      const [row] = await sql`
        select
          marketplace._vault_read_named('marketplace_functions_url') as url,
          (select count(*)::int from cron.job where jobname = 'marketplace_sweep') as sweeps`;
      assert.deepEqual({ ...row }, {
        url: `https://${REF}.supabase.co/functions/v1`,
        sweeps: 1,
      });
    });

    await t.step("the second one does nothing", async () => {
      const { code, output } = await deploy("--expose-schema");
      assert.equal(code, 0, output);
      assert.match(output, /^nothing to do$/m);
      assert.doesNotMatch(output, /^[+~!] /m);
      assert.deepEqual(writes(api), []);
    });

    await t.step(
      "what was changed elsewhere is found and put right, the rest left alone",
      async () => {
        api.functions.get("marketplace-jobs")!.version++;
        api.functions.get("marketplace-jobs")!.ezbr_sha256 = "of something else";
        api.functions.set("marketplace-old", {
          ...api.functions.get("marketplace-jobs")!,
          slug: "marketplace-old",
        });
        api.secrets.set("N8N_URL", "https://old.example.com");
        await asSuperuser`delete from cron.job where jobname = 'marketplace_retention'`;
        await sql`select marketplace.configure_platform('https://old.example.com/functions/v1')`;

        const { code, output } = await deploy();
        assert.equal(code, 0, output);
        assert.match(
          output,
          /^~ function {4}marketplace-jobs \(version 2, deployed by other means\)$/m,
        );
        assert.match(output, /^! function {4}marketplace-old \(no longer in the checkout/m);
        assert.match(output, /^~ secret {6}N8N_URL$/m);
        assert.match(output, /^\+ schedule {4}marketplace_retention$/m);
        assert.match(
          output,
          /^~ platform .*\(it was https:\/\/old\.example\.com\/functions\/v1\)$/m,
        );
        assert.deepEqual(writes(api), [
          "POST /secrets",
          "POST /functions/deploy?slug=marketplace-jobs",
        ]);
        const jobs = await sql<{ jobname: string }[]>`select jobname from cron.job`;
        assert.ok(jobs.some((job) => job.jobname === "marketplace_retention"));
        assert.match((await deploy()).output, /^nothing to do$/m);
      },
    );

    await t.step(
      "a database ahead of the checkout is refused before anything is sent",
      async () => {
        writes(api);
        await sql`
        insert into supabase_migrations.schema_migrations (version) values ('29990101000000')`;
        const { code, output } = await deploy();
        assert.equal(code, 1);
        assert.match(output, /migrations that this checkout has not: 29990101000000\./);
        assert.deepEqual(writes(api), []);
        await sql`delete from supabase_migrations.schema_migrations where version = '29990101000000'`;
      },
    );

    await t.step(
      "a paused project, a wrong token and a stranger's database are named",
      async () => {
        api.status = "INACTIVE";
        assert.match((await deploy()).output, /abcdefghijklmnopqrst is INACTIVE/);
        api.status = "ACTIVE_HEALTHY";
        const wrong = await deployCommand(api, dbUrl, [], { SUPABASE_ACCESS_TOKEN: "sbp_wrong" });
        assert.equal(wrong.code, 1);
        assert.match(wrong.output, /401 Unauthorized\nSUPABASE_ACCESS_TOKEN must be valid/);
        const stranger = "postgres://postgres:x@db.zzzzzzzzzzzzzzzzzzzz.supabase.co:5432/postgres";
        const other = await deployCommand(api, stranger);
        assert.match(
          other.output,
          /db\.zzzzzzzzzzzzzzzzzzzz\.supabase\.co is not that of the project/,
        );
      },
    );

    await t.step(
      "a self-hosted platform gets everything but functions, which are files there",
      async () => {
        writes(api);
        const run = async () => {
          const result = await new Deno.Command(Deno.execPath(), {
            args: ["run", "-A", join(REPOSITORY, "scripts", "deploy.ts")]
              .concat(["--functions-url=http://kong:8000/functions/v1/", `--db-url=${dbUrl}`]),
            cwd: REPOSITORY,
            env: { SUPABASE_PROJECT_REF: "", N8N_API_KEY: "", NO_COLOR: "1" },
            stdin: "null",
          }).output();
          return new TextDecoder().decode(result.stdout) + new TextDecoder().decode(result.stderr);
        };
        assert.match(
          await run(),
          /^done {8}the database rings http:\/\/kong:8000\/functions\/v1$/m,
        );
        assert.match(await run(), /^nothing to do$/m);
        assert.deepEqual(api.calls, []);
      },
    );

    await t.step("an environment the platform would refuse is refused here", async () => {
      await Deno.writeTextFile(envFile, "SUPABASE_URL=x\nGITHUB_TOKEN=\nAWS_REGION=eu\n");
      const { code, output } = await deploy();
      assert.equal(code, 1);
      assert.match(output, /SUPABASE_URL: the platform sets this name itself/);
      assert.match(output, /GITHUB_TOKEN is empty/);
      assert.match(output, /N8N_URL is not set/);
    });
  } finally {
    await sql.end();
    await asSuperuser.end();
    await api.stop();
    await stack.stop();
    await resetHome(resolveLayout(place));
    await Deno.remove(home, { recursive: true });
  }
});
