\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();

select pg_temp.check_access(
  'organizations', 'name = name',
  $$ insert into marketplace.organizations (slug, name) values ('green', 'Green') $$,
  p_whose => 'slug', p_where => $$ id in (md5('red')::uuid, md5('blue')::uuid) $$
);

select * from finish();
rollback;
