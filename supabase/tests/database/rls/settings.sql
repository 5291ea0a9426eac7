begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

-- given two organizations, red and blue, with nothing of their own each, and who belongs to them
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'owner'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000003', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000004', 'owner');
end
$$;
-- nothing

create temp view seen with (security_invoker = true) as
select 'settings' as organization from marketplace.settings where is_singleton;
create temp table write (command text);
insert into write values
  ('insert into marketplace.settings default values'),
  ('update marketplace.settings set updated_at = updated_at'),
  ('delete from marketplace.settings');
grant select on seen, write to public;

-- as an owner
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select throws_ok('table seen', '42501', null, 'an owner may not even look');
select throws_ok(command, '42501', null, 'an owner may not ' || command) from write;

-- as a member
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select throws_ok('table seen', '42501', null, 'a member may not even look');
select throws_ok(command, '42501', null, 'a member may not ' || command) from write;

-- as a viewer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select throws_ok('table seen', '42501', null, 'a viewer may not even look');
select throws_ok(command, '42501', null, 'a viewer may not ' || command) from write;

-- as a stranger
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select throws_ok('table seen', '42501', null, 'a stranger may not even look');
select throws_ok(command, '42501', null, 'a stranger may not ' || command) from write;

-- as a newcomer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select throws_ok('table seen', '42501', null, 'a newcomer may not even look');
select throws_ok(command, '42501', null, 'a newcomer may not ' || command) from write;

-- as anon
set local role anon;
set local request.jwt.claims = '{"role": "anon"}';
select throws_ok('table seen', '42501', null, 'anon may not even look');
select throws_ok(command, '42501', null, 'anon may not ' || command) from write;

-- as the service role
set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';
select results_eq(
  'select organization from seen order by 1',
  array['settings'], 'the service role sees all'
);
select isnt_empty(
  $$ update marketplace.settings set updated_at = updated_at where is_singleton returning 1 $$,
  'it updates'
);
select throws_ok(
  command,
  '42501', null, 'it may not ' || command
) from write where command not like 'update %';

select * from finish();
rollback;
