\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();

select pg_temp.check_access(
  'settings', 'updated_at = updated_at', null,
  p_sees => null, p_all => array['settings'], p_whose => $$ 'settings' $$, p_where => 'is_singleton', p_service_may => array['update']
);

select * from finish();
rollback;
