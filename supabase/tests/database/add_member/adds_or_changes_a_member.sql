begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given
insert into marketplace.organizations (slug, name) values ('red', 'Red');
create temp view membership as
select m.role from marketplace.organization_members as m
where m.user_id = '00000000-0000-4000-8000-000000000001';

-- when, then
select lives_ok(
  $$ select marketplace.add_member('red', '00000000-0000-4000-8000-000000000001') $$,
  'a user is added'
);
select results_eq('table membership', array['member'], 'as a member, if nothing else is said');
do $$
begin
  perform marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'owner');
end
$$;
select results_eq('table membership', array['owner'], 'adding again changes the role');
select throws_ok(
  $$ select marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'king') $$,
  '23514', null, 'a role is owner, admin, member or viewer'
);
select throws_ok(
  $$ select marketplace.add_member('nobody', '00000000-0000-4000-8000-000000000001') $$,
  'MK404', 'organization ''nobody'' does not exist', 'an unknown organization is named'
);

select * from finish();
rollback;
