\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a job that a workflow holds
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;

-- when it is cancelled
do $$ begin perform marketplace.cancel_job(job_id, 'not needed') from held; end $$;

-- then
select results_eq(
  'select status, error_code, error_message, finished_at is not null, lease_id from job',
  $$ values ('cancelled', 'cancelled', 'not needed', true, null::uuid) $$,
  'it is over, and says why'
);
select results_eq(
  'select a.result, a.ended_at is not null from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id', $$ values ('cancelled', true) $$,
  'so is its attempt'
);
select throws_ok(
  'select marketplace.authorize_job(job_id, token) from held',
  'MK409', null, 'the workflow''s token is dead'
);
select throws_ok(
  'select marketplace.complete_job(job_id, lease_id) from held',
  'MK409', null, 'its report comes too late'
);
select lives_ok('select marketplace.cancel_job(job_id) from held', 'cancelling twice is harmless');
select is((select error_message from job), 'not needed', 'and changes nothing');

-- when a job waits
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, correlation_id) select organization_id,
  rule_id, workflow_id, md5('waits')::uuid
from job;
do $$
begin
  perform marketplace.cancel_job(id) from marketplace.sync_jobs
  where correlation_id = md5('waits')::uuid;
end
$$;
select results_eq(
  $$ select status from marketplace.sync_jobs where correlation_id = md5('waits')::uuid $$,
  array['cancelled'], 'a job that waits can be cancelled, too'
);

-- what cannot be cancelled
update marketplace.sync_jobs set status = 'completed' where id in (select job_id from held);
select throws_ok(
  'select marketplace.cancel_job(job_id) from held',
  'MK409', format('job %s is completed already', (select job_id from held)),
  'a completed one cannot'
);
select throws_ok(
  $$ select marketplace.cancel_job('00000000-0000-4000-8000-000000000000') $$,
  'MK404', null, 'nor one that is unknown'
);

select * from finish();
rollback;
