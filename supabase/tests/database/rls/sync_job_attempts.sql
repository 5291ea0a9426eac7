\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(29);

select pg_temp.given_jobs();
insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt)
select gen_random_uuid(), organization_id, id, 1 from marketplace.sync_jobs where organization_id in (md5('red')::uuid, md5('blue')::uuid);

select pg_temp.check_access(
  'sync_job_attempts', 'response = response',
  $$ insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt)
     values (gen_random_uuid(), md5('red')::uuid, gen_random_uuid(), 1) $$
);

select pg_temp.become('a newcomer');
select throws_ok(
  'select 1 from marketplace.sync_job_attempts_default',
  '42501', null, 'nobody reads a partition past its parent'
);

select * from finish();
rollback;
