\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');

select pg_temp.check_access(
  'providers', 'name = name',
  $$ insert into marketplace.providers (slug, name, category) values ('zeta', 'Zeta', 'storage') $$,
  p_sees => '{"everybody": ["acme"]}', p_all => array['acme'], p_whose => 'slug', p_where => $$ slug = 'acme' $$
);

select * from finish();
rollback;
