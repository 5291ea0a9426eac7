\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(29);

select pg_temp.given_organizations();
insert into marketplace.execution_logs (organization_id, integration_id, correlation_id, action, outcome, duration_ms)
select id, gen_random_uuid(), gen_random_uuid(), 'files.get', 'succeeded', 1 from marketplace.organizations where slug in ('red', 'blue');

select pg_temp.check_access(
  'execution_logs', 'status_code = status_code',
  $$ insert into marketplace.execution_logs (organization_id, integration_id, correlation_id, action, outcome, duration_ms)
     values (md5('red')::uuid, gen_random_uuid(), gen_random_uuid(), 'files.get', 'succeeded', 1) $$
);

select pg_temp.become('a newcomer');
select throws_ok(
  'select 1 from marketplace.execution_logs_default',
  '42501', null, 'nobody reads a partition past its parent'
);

select * from finish();
rollback;
