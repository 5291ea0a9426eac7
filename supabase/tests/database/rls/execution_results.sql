\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, request_hash, is_repeatable, lease_until)
select gen_random_uuid(), now(), id, 'service', '\x00', true, now() from marketplace.organizations where slug in ('red', 'blue');

select pg_temp.check_access(
  'execution_results', 'answer = answer',
  $$ insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, request_hash, is_repeatable, lease_until)
     values (gen_random_uuid(), now(), md5('red')::uuid, 'service', '\x00', true, now()) $$,
  p_sees => null
);

select * from finish();
rollback;
