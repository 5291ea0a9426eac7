/** Workflows that are functions of the database: called, completed and retried by the dispatcher. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import connect from "postgres";
import { runJobs } from "../marketplace-dispatch/queue.ts";
import {
  attemptsOf,
  ingest,
  jobsOf,
  type Lane,
  type LaneOptions,
  makeLane,
  removeLanes,
  ring,
  stackEnv,
  until,
  useSink,
} from "./support_queue.ts";

const CONNECTIONS = 4;
const sql = connect(stackEnv("SUPABASE_DB_URL"), { max: CONNECTIONS, onnotice: () => {} });
const sink = useSink();
const schema = `functions_test_${crypto.randomUUID().slice(0, 8)}`;
Deno.test.beforeAll(async () => {
  await sql.unsafe(`
    create schema ${schema};
    create table ${schema}.note (n int generated always as identity, lane text, path text);`);
});
Deno.test.afterAll(async () => {
  await removeLanes(sql);
  await sql.unsafe(`drop schema ${schema} cascade`);
  await sql.end({ timeout: 2 });
});

/** A lane whose workflow is a function that notes each call and then does as told. */
async function makeCalls(
  name: string,
  then: string,
  options: Pick<LaneOptions, "workflow" | "rule"> = {},
): Promise<Lane> {
  await sql.unsafe(`
    create function ${schema}.${name}(event marketplace.webhook_events, rule marketplace.sync_rules)
    returns jsonb language plpgsql as $$
    begin
      insert into ${schema}.note (lane, path) values ('${name}', event.resource_path);
      ${then}
    end $$`);
  return await makeLane(sql, sink, {
    ...options,
    endpoint: `${schema}.${name}`,
    workflow: { kind: "postgres", ...options.workflow },
  });
}

/** What a function noted, in order. */
async function noted(name: string): Promise<string[]> {
  const rows = await sql<{ path: string }[]>`
    select path from ${sql(schema)}.note where lane = ${name} order by n`;
  return rows.map(({ path }) => path);
}

const paths = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ path: `artifacts/${n}` }));

const allAre = (lane: Lane, ...statuses: string[]) =>
  until(async () => {
    const jobs = await jobsOf(sql, lane);
    return jobs.length > 0 && jobs.every(({ status }) => statuses.includes(status)) && jobs;
  }, `jobs that are ${statuses}`);

Deno.test("an event calls a function, and what it returns is the job's result", async () => {
  const lane = await makeCalls("lone", `return jsonb_build_object('summary', rule.name);`);
  await ingest(sql, lane.integrationId, [{ path: "artifacts/report" }]);

  const [job] = await allAre(lane, "completed");
  assert.deepEqual(await noted("lone"), ["artifacts/report"]);
  const [row] = await sql`select result from marketplace.sync_jobs where id = ${job!.id}`;
  assert.deepEqual(row!.result, { summary: lane.workflowSlug });
  const [attempt, ...others] = await attemptsOf(sql, job!.id);
  assert.deepEqual(others, []);
  assert.equal(attempt!.result, "completed");
  assert.equal(attempt!.error_code, null);
});

Deno.test("of many, one that raises is retried and given up; each other one is called once", async () => {
  const lane = await makeCalls(
    "many",
    `if event.resource_path = 'artifacts/7' then
       raise exception 'artifact 7 is broken' using detail = 'a secret';
     end if;
     return null;`,
    { workflow: { max_attempts: 3, breaker_threshold: 1000 } },
  );
  await ingest(sql, lane.integrationId, paths(300));

  const jobs = await allAre(lane, "completed", "dead");
  assert.equal(jobs.length, 300);
  const [dead, ...others] = jobs.filter(({ status }) => status === "dead");
  assert.deepEqual(others, []);
  assert.equal(dead!.error_code, "sqlstate_P0001");
  assert.equal(dead!.error_message, "artifact 7 is broken");
  assert.equal(dead!.attempt_count, 3);
  const expected = paths(300).map(({ path }) => path).filter((path) => path !== "artifacts/7");
  assert.deepEqual((await noted("many")).sort(), expected.sort());
});

Deno.test("a function that hangs is stopped, and holds nobody else up", async () => {
  const hanging = await makeCalls(
    "hanging",
    `perform pg_sleep(case when event.resource_path = 'artifacts/0' then 60 else 0 end);
     return null;`,
    { workflow: { timeout_ms: 300, max_attempts: 1 } },
  );
  const other = await makeCalls("beside", "return null;");
  await ingest(sql, hanging.integrationId, paths(3));
  await ingest(sql, other.integrationId, paths(3));

  await allAre(other, "completed");
  const jobs = await allAre(hanging, "completed", "dead");
  const [stopped, ...others] = jobs.filter(({ status }) => status === "dead");
  assert.deepEqual(others, []);
  assert.equal(stopped!.error_code, "timeout");
  assert.match(stopped!.error_message!, /hanging did not return within 300 ms/);
  assert.deepEqual((await noted("hanging")).sort(), ["artifacts/1", "artifacts/2"]);
});

Deno.test("many that are run together hold no other workflow up", async () => {
  const lane = await makeCalls(
    "stuck",
    `perform pg_sleep(case when event.resource_path = 'artifacts/299' then 60 else 0 end);
     return null;`,
    { workflow: { timeout_ms: 300, max_attempts: 1 } },
  );
  const other = await makeLane(sql, sink);
  const stuck = () =>
    sql<{ pid: number }[]>`
      select pid from pg_stat_activity
      where query ~ 'marketplace\\.run_jobs\\(' and state = 'active' and wait_event = 'PgSleep'`;
  await ingest(sql, lane.integrationId, paths(300));
  const [statement] = await until(async () => {
    const found = await stuck();
    return found.length > 0 && found;
  }, "a statement that hangs");

  await ingest(sql, other.integrationId, [{ path: "artifacts/report" }]);
  await sink.received(other.path);
  assert.deepEqual((await stuck()).map(({ pid }) => pid), [statement!.pid]);

  await sql`select pg_cancel_backend(${statement!.pid})`;
  const jobs = await allAre(lane, "completed", "dead");
  assert.deepEqual(
    jobs.filter(({ status }) => status === "dead").map(({ error_code }) => error_code),
    ["timeout"],
  );
  assert.equal((await noted("stuck")).length, 299);
});

Deno.test("a statement over its time is undone", async () => {
  const lane = await makeCalls("late", "perform pg_sleep(60); return null;", {
    workflow: { is_active: false },
  });
  await ingest(sql, lane.integrationId, paths(1));
  await until(async () => (await jobsOf(sql, lane)).length === 1, "its job");
  await sql.begin(async (tx) => {
    // Active for nobody but us: the stack's dispatcher does not see it.
    await tx`update marketplace.workflows set is_active = true where id = ${lane.workflowId}`;
    const ran = tx.savepoint((inner) => runJobs(inner as unknown as postgres.Sql, 10, 200));
    await assert.rejects(ran, { code: "57014" });
    await tx`update marketplace.workflows set is_active = false where id = ${lane.workflowId}`;
  });
  assert.deepEqual((await jobsOf(sql, lane)).map(({ status }) => status), ["pending"]);
  assert.deepEqual(await noted("late"), []);
});

Deno.test("a timeout ends with its statement", async () => {
  const alone = connect(stackEnv("SUPABASE_DB_URL"), { max: 1, onnotice: () => {} });
  try {
    await runJobs(alone, 1, 12_345);
    const [setting] = await alone`select current_setting('statement_timeout') as timeout`;
    assert.notEqual(setting!.timeout, "12345ms");
  } finally {
    await alone.end({ timeout: 2 });
  }
});

Deno.test("many runners at once run each job once, and those of a key in order", async () => {
  const lane = await makeCalls("crowd", "return null;", {
    workflow: { is_active: false },
    rule: { concurrency_key: "{account}" },
  });
  const free = await makeCalls("freely", "return null;", { workflow: { is_active: false } });
  await ingest(sql, lane.integrationId, paths(60));
  await ingest(sql, free.integrationId, paths(400));
  await until(
    async () => (await jobsOf(sql, lane)).length + (await jobsOf(sql, free)).length === 460,
    "their jobs",
  );
  await sql`
    update marketplace.workflows set is_active = true
    where id in ${sql([lane.workflowId, free.workflowId])}`;
  // The stack's dispatcher may claim some of them beside these: it is one more of the many.
  const ours = (jobs: { workflow: string; jobs: number }[]) =>
    jobs.filter(({ workflow }) => [lane.workflowSlug, free.workflowSlug].includes(workflow));
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    for (let idle = 0; idle < 3;) {
      const ran = ours(await runJobs(sql, 25, 10_000));
      idle = ran.length === 0 ? idle + 1 : 0;
    }
  }));

  await allAre(free, "completed");
  await allAre(lane, "completed");
  assert.deepEqual(await noted("crowd"), paths(60).map(({ path }) => path));
  assert.deepEqual((await noted("freely")).sort(), paths(400).map(({ path }) => path).sort());
});

Deno.test("a workflow of a function that is gone says which", async () => {
  const lane = await makeCalls("gone", "return null;", {
    workflow: { max_attempts: 1, is_active: false },
  });
  await sql.unsafe(`drop function ${schema}.gone`);
  await sql`update marketplace.workflows set is_active = true where id = ${lane.workflowId}`;
  await ingest(sql, lane.integrationId, paths(1));

  const [job] = await allAre(lane, "dead");
  assert.equal(job!.error_code, "sqlstate_MK422");
  assert.match(job!.error_message!, /calls function '.*\.gone', which does not exist/);
});

Deno.test("sessions that are ended in the middle leave each effect there once", async () => {
  const lane = await makeCalls("ended", "perform pg_sleep(0.002); return null;", {
    workflow: { max_attempts: 100, breaker_threshold: 1000, lease: "1 second" },
  });
  await ingest(sql, lane.integrationId, paths(400));
  let ended = 0;
  for (let round = 0; round < 5; round++) {
    // Whoever is about it: the statement of many, or that of one.
    const sessions = await until(async () => {
      const rows = await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where query ~ 'marketplace\\.run_jobs?\\(' and state = 'active' and pid <> pg_backend_pid()`;
      const jobs = await jobsOf(sql, lane);
      const isOver = jobs.length === 400 && jobs.every(({ status }) => status === "completed");
      return rows.length > 0 || isOver ? rows : undefined;
    }, "a session that runs functions");
    ended += sessions.length;
  }
  await ring();
  await allAre(lane, "completed");
  assert.ok(ended > 0, "no session was ended");
  assert.deepEqual((await noted("ended")).sort(), paths(400).map(({ path }) => path).sort());
});

Deno.test("the README's function of the database works as printed", async () => {
  const readme = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));
  const [, section] = readme.split("\n### Functions of your database\n");
  const printed = /^```sql\n([\s\S]*?)^```/m.exec(section!)![1]!;
  class Undo extends Error {}
  await assert.rejects(
    sql.begin(async (tx) => {
      await tx`
        select marketplace.register_integration(
          'github-actions', 'GitHub Actions', 'github', 'automation', '{}'
        )`;
      await tx.unsafe(printed);
      const [integration] = await tx`
        select id from marketplace.integrations where slug = 'github-actions'`;
      await ingest(tx, integration!.id, [{
        payload: {
          workflow_run: { id: 42, conclusion: "success" },
          repository: { full_name: "octo-org/octo-repo" },
        },
      }]);
      await until(async () => {
        // One router at a time: the stack's may be at work.
        await tx`select marketplace.route_events()`;
        await tx`select marketplace.run_jobs()`;
        return (await tx`select from public.runs`).length > 0;
      }, "the run in its table");
      const [run] = await tx`select id::int, repository, conclusion from public.runs`;
      assert.deepEqual({ ...run }, {
        id: 42,
        repository: "octo-org/octo-repo",
        conclusion: "success",
      });
      const [job] = await tx`
        select j.result from marketplace.sync_jobs as j
        join marketplace.sync_rules as r on r.id = j.rule_id where r.name = 'Runs to a table'`;
      assert.deepEqual(job!.result, { run: 42 });
      throw new Undo();
    }),
    Undo,
  );
});
