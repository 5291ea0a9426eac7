\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.sync_minutes (
  minute, organization_id, source_integration_id, destination_integration_id, completed_count, failed_count
)
select now(), organization_id, id, id, 0, 0 from marketplace.integrations where provider = 'acme';

select pg_temp.check_access(
  'sync_minutes', 'failed_count = failed_count',
  $$ insert into marketplace.sync_minutes (
       minute, organization_id, source_integration_id, destination_integration_id, completed_count, failed_count
     )
     values (now(), md5('red')::uuid, md5('a')::uuid, md5('b')::uuid, 0, 0) $$
);

select * from finish();
rollback;
