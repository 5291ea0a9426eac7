\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.destination_folders (integration_id, path, folder_id)
select id, 'a', 'f' from marketplace.integrations where provider = 'acme';

select pg_temp.check_access_by_integration(
  'destination_folders', 'folder_id = folder_id',
  $$ insert into marketplace.destination_folders (integration_id, path, folder_id)
     select id, 'b', 'f' from marketplace.integrations where slug = 'red-files' $$
);

select * from finish();
rollback;
