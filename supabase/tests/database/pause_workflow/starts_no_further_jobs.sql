\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given a workflow with a job that runs and a job that waits
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id) select organization_id,
  rule_id, workflow_id
from job;

-- when it is paused
do $$ begin perform marketplace.pause_workflow('acme-run'); end $$;

-- then
select is_empty(
  'select 1 from marketplace.claim_jobs(1000) where workflow_slug = ''acme-run''',
  'it starts nothing'
);
select lives_ok('select marketplace.authorize_job(job_id, token) from held', 'what runs goes on');
update marketplace.workflows set paused_at = now() - interval '1 hour' where slug = 'acme-run';
do $$ begin perform marketplace.pause_workflow('acme-run'); end $$;
select is(
  (select paused_at from marketplace.workflows where slug = 'acme-run'),
  now() - interval '1 hour', 'pausing again does not change since when'
);

-- when it is resumed
do $$ begin perform marketplace.resume_workflow('acme-run'); end $$;
select is(
  (select count(*) from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run')::int,
  1, 'it starts what waited'
);
select throws_ok(
  $$ select marketplace.pause_workflow('nope') $$,
  'MK404', 'workflow ''nope'' does not exist', 'an unknown workflow is named'
);
select throws_ok(
  $$ select marketplace.resume_workflow(null) $$,
  'MK404', 'workflow null does not exist', 'so is none'
);

select * from finish();
rollback;
