\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a job whose first attempt was lost and whose second is running
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create temp table first as select * from held;
update marketplace.sync_jobs set lease_expires_at = now() where id in (select job_id from held);
do $$ begin perform marketplace.reap_leases(1000); end $$;
update marketplace.sync_jobs set run_at = now() where id in (select job_id from held);
create temp table second as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp table before as select j.* from job as j;

-- when the first one's outcome comes in late
create function pg_temp.record(p_outcome text) returns int language sql as $$
  select marketplace.record_dispatches(jsonb_build_array(
    jsonb_build_object('job_id', f.job_id, 'lease_id', f.lease_id, 'outcome', p_outcome, 'status_code', 200, 'duration_ms', 1)
  )) from first as f
$$;

-- then
select is(pg_temp.record('failed'), 0, 'a failure of a lost lease counts for nothing');
select results_eq('table job', 'table before', 'and changes nothing');
select is(pg_temp.record('delivered'), 1, 'a delivery of a lost lease is noted at its attempt');
select results_eq('table job', 'table before', 'but not at the job');
select results_eq(
  'select a.attempt, a.dispatch_outcome, a.result from marketplace.sync_job_attempts as a join first as f on f.job_id = a.job_id order by 1',
  $$ values (1, 'delivered', 'lease_lost') $$,
  'the attempt keeps how it ended; the one that runs is not touched'
);

select * from finish();
rollback;
