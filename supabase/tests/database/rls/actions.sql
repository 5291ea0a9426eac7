\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.actions (provider_slug, slug, name, method, path)
values ('acme', 'files.get', 'Get', 'GET', '/');

select pg_temp.check_access(
  'actions', 'name = name',
  $$ insert into marketplace.actions (provider_slug, slug, name, method, path)
     values ('acme', 'files.list', 'List', 'GET', '/') $$,
  p_sees => '{"everybody": ["acme"]}', p_all => array['acme'], p_whose => 'provider_slug', p_where => $$ provider_slug = 'acme' $$
);

select * from finish();
rollback;
