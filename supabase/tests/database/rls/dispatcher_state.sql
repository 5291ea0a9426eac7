\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(27);

select pg_temp.given_organizations();

select pg_temp.check_access(
  'dispatcher_state', 'rung_at = rung_at', null,
  p_sees => null, p_all => array['state'], p_whose => $$ 'state' $$, p_where => 'is_singleton'
);

select * from finish();
rollback;
