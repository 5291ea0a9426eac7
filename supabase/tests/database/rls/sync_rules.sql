\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_rules();

select pg_temp.check_access(
  'sync_rules', 'priority = priority',
  $$ insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
     select 'more', source_integration_id, workflow_id from marketplace.sync_rules where name = 'red-files' $$
);

select * from finish();
rollback;
