/** Ten thousand dead letters, replayed in one call. */
import assert from "node:assert/strict";
import { PlayedWorkflow } from "./support/played_workflow.ts";
import {
  FUNCTIONS_URL,
  ingest,
  jobsOf,
  makeLane,
  removeLanes,
  until,
  useDatabase,
  useSink,
} from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterAll(() => removeLanes(sql));

const DEAD = 10_000;

Deno.test("10,000 dead letters are replayed once, in one call, and do not hold others up", async () => {
  const lane = await makeLane(sql, sink, {
    workflow: { completion: "response", max_concurrency: 200 },
  });
  const workflow = new PlayedWorkflow(sink, lane.path, {
    functionsUrl: FUNCTIONS_URL,
    completion: "response",
  });
  await sql`
    insert into marketplace.sync_jobs
      (organization_id, rule_id, workflow_id, status, finished_at, attempt_count, error_code)
    select r.organization_id, r.id, r.workflow_id, 'dead', now(), 3, 'http_500'
    from marketplace.sync_rules as r, generate_series(1, ${DEAD}) where r.id = ${lane.ruleId}
  `;
  const replay = async (isDry: boolean) => {
    const [row] = await sql`
      select marketplace.replay_dead_letters(p_rule_id => ${lane.ruleId}, p_dry_run => ${isDry}) as count
    `;
    return row!.count as number;
  };
  assert.equal(await replay(true), DEAD);
  const began = performance.now();
  assert.equal(await replay(false), DEAD);
  const called = performance.now();
  assert.equal(await replay(false), 0, "a second call finds none");
  assert.equal(await replay(true), 0);

  // Somebody else's event, in the middle of it.
  const other = await makeLane(sql, sink);
  const otherWorkflow = new PlayedWorkflow(sink, other.path, { functionsUrl: FUNCTIONS_URL });
  await ingest(sql, other.integrationId, [{}]);
  await until(
    async () => (await jobsOf(sql, other))[0]?.status === "completed",
    "the other workflow's job to be completed",
  );
  await otherWorkflow.idle();
  const doneMeanwhile = workflow.starts.length;
  assert.ok(doneMeanwhile < DEAD / 2, `it waited until ${doneMeanwhile} were done`);

  const [counts] = await until(
    async () => {
      const rows = await sql`
        select
          count(*) filter (where j.status = 'completed')::int as completed,
          count(distinct j.replay_of)::int as originals,
          count(*) filter (where o.correlation_id = j.correlation_id)::int as same_correlation,
          count(*) filter (where o.status = 'dead' and o.replayed_at is not null)::int as marked
        from marketplace.sync_jobs as j
        join marketplace.sync_jobs as o on o.id = j.replay_of
        where j.rule_id = ${lane.ruleId}
      `;
      return rows[0]!.completed === DEAD && rows;
    },
    "all replays to be completed",
    60_000,
  );
  const ended = performance.now();
  assert.deepEqual({ ...counts }, {
    completed: DEAD,
    originals: DEAD,
    same_correlation: DEAD,
    marked: DEAD,
  });
  assert.equal(workflow.starts.length, DEAD, "each was sent once");
  assert.equal(workflow.effects.size, DEAD);
  const [told] = await sql`
    select count(*)::int as count from marketplace.sync_jobs as j
    join jsonb_to_recordset(${
    JSON.stringify(workflow.starts.map(({ jobId, replayOf, correlationId }) => ({
      id: jobId,
      replay_of: replayOf,
      correlation_id: correlationId,
    })))
  }::text::jsonb) as s (id uuid, replay_of uuid, correlation_id uuid)
      on s.id = j.id and s.replay_of = j.replay_of and s.correlation_id = j.correlation_id
    where j.rule_id = ${lane.ruleId}
  `;
  assert.equal(told!.count, DEAD, "the workflow is told what each of them replays");
  const [letters] = await sql`
    select count(*)::int as count from marketplace.v_dead_letters where workflow = ${lane.workflowSlug}
  `;
  assert.equal(letters!.count, 0);
  console.log(
    `${DEAD} replayed: the call took ${Math.round(called - began)} ms, ` +
      `all were completed after ${Math.round(ended - began)} ms`,
  );
});
