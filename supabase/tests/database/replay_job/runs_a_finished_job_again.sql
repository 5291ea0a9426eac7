\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given a job that died after its last attempt
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
do $$
begin
  perform marketplace.fail_job(job_id, lease_id, 'full', 'disk full', false) from held;
end
$$;

-- when it is replayed
create temp table replay as select marketplace.replay_job(job_id) as id from held;
create temp view replayed as select j.* from marketplace.sync_jobs as j
join replay as r on r.id = j.id;

-- then
select results_eq(
  'select replay_of, status, attempt_count, max_attempts, rule_id, workflow_id, event_id, correlation_id, priority, run_at, error_code from replayed',
  $$ select id, 'pending', 0, 3, rule_id, workflow_id, event_id, correlation_id, priority,
       now(), null
       from job $$,
  'a job like the first one is due, and says what it replays'
);
select results_eq(
  'select status, error_code, replayed_at is not null from job',
  $$ values ('dead', 'full', true) $$,
  'the first one keeps its outcome and says that it was replayed'
);
select is_empty(
  'select 1 from marketplace.v_dead_letters as d join held as h using (job_id)',
  'it is no dead letter any more'
);
select is(
  (select marketplace.replay_job(job_id) from held),
  (select id from replay), 'replaying it again answers with the replay under way'
);
select is(
  (select count(*) from marketplace.sync_jobs where replay_of = (select job_id from held))::int,
  1, 'and makes no second one'
);
select throws_ok(
  'select marketplace.replay_job(id) from replay', 'MK409',
  format('job %s is still pending', (select id from replay)),
  'what has not finished cannot be replayed'
);
select throws_ok(
  $$ select marketplace.replay_job('00000000-0000-4000-8000-000000000000') $$,
  'MK404',
  'job 00000000-0000-4000-8000-000000000000 does not exist',
  'an unknown job is named'
);

-- when the replay runs
create temp table second as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
select is(
  (select body #>> '{job,replay_of}' from second),
  (select job_id::text from held), 'the workflow is told that it is a replay'
);
do $$ begin perform marketplace.complete_job(job_id, lease_id) from second; end $$;
select results_eq(
  'select status from replayed',
  array['completed'], 'it can succeed where the first one failed'
);

-- when a completed one is replayed, of a rule that is paused
do $$ begin perform marketplace.pause_rule(rule_id) from job; end $$;
create temp table third as select marketplace.replay_job(job_id) as id from second;
select isnt(
  (select id from third),
  (select id from replay), 'a completed job can be replayed, too'
);
select is(
  (select run_at from marketplace.sync_jobs where id = (select id from third)),
  'infinity', 'a replay of a paused rule waits'
);

-- when routing comes across the event again
update marketplace.webhook_events set processed = false, processed_at = null
where id = (select event_id from job);
select null from pg_advisory_xact_lock(hashtext('marketplace.route_events'));
do $$ begin perform marketplace.route_events(); end $$;
select is(
  (select count(*) from marketplace.sync_jobs where event_id = (select event_id from job) and replay_of is null)::int,
  1, 'replays do not count as the event''s job'
);
select is(
  (select count(*) from marketplace.sync_jobs where event_id = (select event_id from job))::int,
  3, 'which there is once'
);

select * from finish();
rollback;
