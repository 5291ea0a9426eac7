\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_connections();

select pg_temp.check_access(
  'connections', 'metadata = metadata',
  $$ insert into marketplace.connections (organization_id, integration_id, name, is_shared)
     select organization_id, id, 'more', true from marketplace.integrations where slug = 'red-files' $$,
  p_sees => '{"a member": ["private", "red"], "a stranger": ["blue"], "a newcomer": [], "everybody": ["red"]}',
  p_all => array['blue', 'private', 'red'], p_whose => 'name'
);

select * from finish();
rollback;
