\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();

select pg_temp.check_access(
  'integrations', 'name = name',
  $$ insert into marketplace.integrations (organization_id, slug, name, provider, category)
     values (md5('red')::uuid, 'red-more', 'More', 'acme', 'storage') $$
);

select * from finish();
rollback;
