begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a member
insert into marketplace.organizations (slug, name) values ('red', 'Red');
do $$ begin perform marketplace.add_member('red', '00000000-0000-4000-8000-000000000001'); end $$;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('role = ''king''', 'organization_members_role_check', 'a role is owner, admin, member or viewer');
select throws_ok(
  format('update marketplace.organization_members set %s where user_id = ''00000000-0000-4000-8000-000000000001''', change),
  '23514', format('new row for relation "organization_members" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.organization_members'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.organization_members (organization_id, user_id)
     select organization_id, user_id from marketplace.organization_members where user_id = '00000000-0000-4000-8000-000000000001' $$,
  '23505', null, 'a user is a member once'
);
select throws_ok(
  $$ insert into marketplace.organization_members (organization_id, user_id)
       values (gen_random_uuid(), gen_random_uuid()) $$,
  '23503', null, 'of an organization that exists'
);
delete from marketplace.organizations where slug = 'red';
select is_empty(
  $$ select role from marketplace.organization_members
       where user_id = '00000000-0000-4000-8000-000000000001' $$,
  'memberships go with their organization'
);

select * from finish();
rollback;
