\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given a claimed job whose workflow is a function
select pg_temp.given_job();
create table public.acme_note (path text);
create function public.acme_keep(event marketplace.webhook_events, rule marketplace.sync_rules) returns jsonb
language plpgsql as $$
begin
  insert into public.acme_note values (event.resource_path);
  if event.resource_path <> 'files/a.txt' then
    raise exception 'what is %?', event.resource_path;
  end if;
  return '{"summary": "kept"}';
end $$;
update marketplace.workflows set kind = 'postgres', endpoint = 'public.acme_keep' where slug = 'acme-run';
create temp table claimed as select job_id, lease_id, workflow_kind from marketplace.claim_jobs();
select results_eq('select workflow_kind from claimed', $$ values ('postgres') $$, 'claim_jobs says what kind it is');

-- when its function raises
update marketplace.webhook_events set resource_path = 'files/b.txt' where provider = 'acme';
select throws_ok(
  'select marketplace.run_job(job_id, lease_id) from claimed', 'P0001', 'what is files/b.txt?', 'what it raises is raised'
);
select is_empty('select * from public.acme_note', 'nothing that it did is left');
select results_eq('select status from marketplace.sync_jobs', $$ values ('running') $$, 'the job is still held');

-- when it has gone
update marketplace.webhook_events set resource_path = 'files/a.txt' where provider = 'acme';
alter function public.acme_keep rename to acme_lost;
select throws_ok(
  'select marketplace.run_job(job_id, lease_id) from claimed', 'MK422',
  'workflow ''acme-run'' calls function ''public.acme_keep'', which does not exist', 'a function that is gone is named'
);
alter function public.acme_lost rename to acme_keep;

-- when somebody else holds the job
select is((select marketplace.run_job(job_id, gen_random_uuid()) from claimed), false, 'another lease runs nothing');
select is_empty('select * from public.acme_note', 'and calls nothing');

-- when all is well
select is((select marketplace.run_job(job_id, lease_id) from claimed), true, 'the lease''s holder runs it');
select results_eq('select path from public.acme_note', $$ values ('files/a.txt') $$, 'the function is called');
select results_eq(
  'select status, result, lease_id from marketplace.sync_jobs', $$ values ('completed', '{"summary": "kept"}'::jsonb, null::uuid) $$,
  'the job is completed, with what it returned'
);
select results_eq('select attempt, result from marketplace.sync_job_attempts', $$ values (1, 'completed') $$, 'so is its attempt');
select is((select marketplace.run_job(job_id, lease_id) from claimed), false, 'once');

select * from finish();
rollback;
