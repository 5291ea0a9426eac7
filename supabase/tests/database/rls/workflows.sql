\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.workflows (organization_id, slug, name, kind, endpoint)
select id, slug || '-run', name, 'http', 'https://acme.example' from marketplace.organizations where slug in ('red', 'blue');

select pg_temp.check_access(
  'workflows', 'name = name',
  $$ insert into marketplace.workflows (organization_id, slug, name, endpoint)
     values (md5('red')::uuid, 'red-more', 'More', 'x'), (md5('blue')::uuid, 'blue-more', 'More', 'x') $$
);

select * from finish();
rollback;
