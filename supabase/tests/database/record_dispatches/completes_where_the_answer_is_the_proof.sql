\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a workflow that is done when it answers, and a job that was just sent
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
update marketplace.workflows set completion = 'response' where slug = 'acme-run';
create function pg_temp.record(p_outcome text, p_status int) returns int language sql as $$
  select marketplace.record_dispatches(jsonb_build_array(jsonb_build_object(
    'job_id', h.job_id, 'lease_id', h.lease_id, 'outcome', p_outcome, 'status_code', p_status, 'duration_ms', 1
  ))) from held as h
$$;

-- when it did not answer
do $$ begin perform pg_temp.record('unknown', null); end $$;
select results_eq(
  'select status from job',
  array['pending'], 'a workflow that only answers is asked again'
);
select is(
  (select a.result from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id),
  'failed', 'the attempt is over'
);

-- when it answers
update marketplace.sync_jobs set run_at = now() where id in (select job_id from held);
delete from held;
insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
do $$ begin perform pg_temp.record('delivered', 204); end $$;
select results_eq(
  'select status, result, finished_at is not null, lease_id from job',
  $$ values ('completed', '{"status_code": 204}'::jsonb, true, null::uuid) $$,
  'its 2xx completes the job'
);
select results_eq(
  'select a.result, a.dispatch_outcome, a.dispatch_status from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id',
  $$ values ('completed', 'delivered', 204) $$, 'and the attempt'
);
select is(pg_temp.record('delivered', 204), 1, 'saying so again is harmless');

select * from finish();
rollback;
