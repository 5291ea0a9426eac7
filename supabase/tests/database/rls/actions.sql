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
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.actions (provider_slug, slug, name, method, path)
values ('acme', 'files.get', 'Get', 'GET', '/');

create temp view seen with (security_invoker = true) as
select provider_slug as organization from marketplace.actions where provider_slug = 'acme';
create temp table write (command text);
insert into write values
  ('insert into marketplace.actions default values'),
  ('update marketplace.actions set name = name'),
  ('delete from marketplace.actions');
grant select on seen, write to public;

-- as an owner
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select results_eq(
  'select organization from seen order by 1',
  array['acme'], 'an owner sees the whole catalogue'
);
select throws_ok(command, '42501', null, 'an owner may not ' || command) from write;

-- as a member
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select results_eq(
  'select organization from seen order by 1',
  array['acme'], 'a member sees the whole catalogue'
);
select throws_ok(command, '42501', null, 'a member may not ' || command) from write;

-- as a viewer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select results_eq(
  'select organization from seen order by 1',
  array['acme'], 'a viewer sees the whole catalogue'
);
select throws_ok(command, '42501', null, 'a viewer may not ' || command) from write;

-- as a stranger
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select results_eq(
  'select organization from seen order by 1',
  array['acme'], 'a stranger sees the whole catalogue'
);
select throws_ok(command, '42501', null, 'a stranger may not ' || command) from write;

-- as a newcomer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select results_eq(
  'select organization from seen order by 1',
  array['acme'], 'a newcomer sees the whole catalogue'
);
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
  array['acme'], 'the service role sees all'
);
select lives_ok(
  $$ insert into marketplace.actions (provider_slug, slug, name, method, path)
       values ('acme', 'files.list', 'List', 'GET', '/') $$,
  'it inserts'
);
select isnt_empty(
  $$ update marketplace.actions set name = name where provider_slug = 'acme' returning 1 $$,
  'it updates'
);
select isnt_empty(
  $$ delete from marketplace.actions where provider_slug = 'acme' returning 1 $$,
  'it deletes'
);

select * from finish();
rollback;
