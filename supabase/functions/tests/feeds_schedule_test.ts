/** Rules with a schedule, from their time to a workflow's work. */
import assert from "node:assert/strict";
import { makeLane, removeLanes, until, useDatabase, useSink } from "./support_queue.ts";

const sql = useDatabase();
const sink = useSink();
Deno.test.afterAll(() => removeLanes(sql));

Deno.test("a schedule fires once with many sweepers, and its job reaches the workflow without an event", async () => {
  const lane = await makeLane(sql, sink, { rule: { schedule: "0 3 * * *" } });
  await sql`
    update marketplace.sync_rules
    set next_run_at = now() - interval '3 days' where id = ${lane.ruleId}
  `;
  await Promise.all(Array.from({ length: 5 }, () => sql`select marketplace.sweep_feeds()`));
  const [request] = await sink.received(lane.path);
  const { data } = JSON.parse(request!.body);
  assert.equal(data.event, null);
  assert.equal(data.source.integration, lane.integrationSlug);
  const jobs = await sql`
    select event_id, scheduled_at from marketplace.sync_jobs where rule_id = ${lane.ruleId}
  `;
  assert.deepEqual([jobs.length, jobs[0]!.event_id], [1, null], "three missed nights are one job");
  const [rule] =
    await sql`select next_run_at from marketplace.sync_rules where id = ${lane.ruleId}`;
  assert.ok(rule!.next_run_at > new Date());
  assert.deepEqual([rule!.next_run_at.getUTCHours(), rule!.next_run_at.getUTCMinutes()], [3, 0]);
});

Deno.test("pg_cron keeps a schedule by itself", async () => {
  const lane = await makeLane(sql, sink, { rule: { schedule: "*/5 * * * *" } });
  await sql`
    update marketplace.sync_rules
    set next_run_at = now() - interval '1 second' where id = ${lane.ruleId}
  `;
  await until(
    async () => {
      const [job] = await sql`select id from marketplace.sync_jobs where rule_id = ${lane.ruleId}`;
      return job;
    },
    "the sweep",
    20_000,
  );
  await sink.received(lane.path);
});
