\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();

select pg_temp.check_access(
  'organization_members', 'role = role',
  $$ insert into marketplace.organization_members (organization_id, user_id)
     values (md5('red')::uuid, gen_random_uuid()) $$,
  p_all => array['blue', 'red', 'red', 'red']
);

select * from finish();
rollback;
