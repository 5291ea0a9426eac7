\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(15);

-- given a job that was just sent
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create temp view attempt as
select a.* from marketplace.sync_job_attempts as a join held as h on h.job_id = a.job_id;
create function pg_temp.record(p_outcome text, p_more jsonb default '{}') returns int language sql as $$
  select marketplace.record_dispatches(jsonb_build_array(jsonb_build_object(
    'job_id', h.job_id, 'lease_id', h.lease_id, 'outcome', p_outcome, 'duration_ms', 12.5
  ) || p_more))
  from held as h
$$;
create function pg_temp.claim_again() returns void language sql as $$
  update marketplace.sync_jobs set run_at = now() where id = (select job_id from held);
  update marketplace.workflows set breaker_state = 'closed', breaker_until = null, breaker_failures = 0 where slug = 'acme-run';
  delete from held;
  insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run'
$$;

-- when the workflow did not answer
select is(
  pg_temp.record('unknown', '{"error_code": "timeout", "error": "no answer"}'),
  1, 'an unanswered dispatch is noted'
);
select results_eq(
  'select j.status, j.lease_id, j.dispatched_at, a.dispatch_outcome, a.result, a.error_code from job as j, attempt as a',
  $$ select 'running', lease_id, now(), 'unknown', null, 'timeout' from held $$,
  'the job stays leased, for the workflow may be running'
);

-- when it accepted the job
select is(
  pg_temp.record('delivered', '{"status_code": 202, "response": "ok"}'),
  1, 'a delivered dispatch is noted'
);
select results_eq(
  'select j.status, j.dispatched_at, a.dispatch_outcome, a.dispatch_status, a.dispatch_ms, a.response, a.result from job as j, attempt as a',
  $$ values ('running', now(), 'delivered', 202, 12.5, 'ok', null) $$,
  'the job has been started, not finished'
);

-- when it refused, for the time being
select is(
  pg_temp.record('failed', '{"status_code": 503, "error_code": "http_503", "error": "busy", "retry_after_ms": 60000}'), 1, 'a failed dispatch is noted'
);
select results_eq(
  'select j.status, j.attempt_count, j.lease_id, j.error_code, j.error_message from job as j',
  $$ values ('pending', 1, null::uuid, 'http_503', 'busy') $$,
  'the job waits for its retry'
);
select ok(
  (select run_at >= now() + interval '1 minute' from job),
  'not before the time that the workflow asked for'
);
select results_eq(
  'select a.result, a.ended_at is not null, a.dispatch_outcome, a.error_code from attempt as a',
  $$ values ('failed', true, 'failed', 'http_503') $$,
  'the attempt is over'
);

-- when the attempts are used up
do $$
begin
  perform pg_temp.claim_again();
  perform pg_temp.record('failed');
  perform pg_temp.claim_again();
  perform pg_temp.record('failed', '{"status_code": 500}');
end
$$;
select results_eq(
  'select status, attempt_count, error_code, finished_at is not null from job',
  $$ values ('dead', 3, 'dispatch_failed', true) $$,
  'after the last attempt the job is dead, and says why'
);

-- which answers are final
create function pg_temp.status_after(p_more jsonb) returns text language sql as $$
  update marketplace.sync_jobs
  set status = 'pending', attempt_count = 0, finished_at = null, lease_id = null, lease_expires_at = null, claimed_at = null
  where id = (select job_id from held);
  select pg_temp.claim_again();
  select pg_temp.record('failed', p_more);
  select status from job
$$;
select is(
  pg_temp.status_after('{"status_code": 400}'),
  'dead', 'a refused request would be refused again: dead at once'
);
select is(
  pg_temp.status_after('{"status_code": 404}'),
  'pending', 'n8n''s 404 says "not yet": retried'
);
select is(pg_temp.status_after('{"status_code": 429}'), 'pending', 'so does "too many requests"');
select is(
  pg_temp.status_after('{"status_code": 400, "retryable": true}'),
  'pending', 'the dispatcher may know better'
);
select is(
  pg_temp.status_after('{"error_code": "refused_address", "retryable": false}'),
  'dead', 'in both directions'
);
select is(pg_temp.status_after('{}'), 'pending', 'no answer at all is retried');

select * from finish();
rollback;
