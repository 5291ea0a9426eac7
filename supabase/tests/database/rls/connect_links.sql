begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

-- given two organizations, red and blue, with a link each, and who belongs to them
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
do $$
begin
  perform
    marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue files', 'acme', 'storage', '{}', 'blue');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, is_shared)
select md5(c.name)::uuid, i.organization_id, i.id, c.user_id::uuid, c.name, c.is_shared
from (values
  ('red', 'red-files', null, true),
  ('private', 'red-files', '00000000-0000-4000-8000-000000000002', false),
  ('blue', 'blue-files', null, true)
) as c (name, integration, user_id, is_shared)
join marketplace.integrations as i on i.slug = c.integration;
insert into marketplace.connect_links (connection_id, token_hash, expires_at)
select md5(n)::uuid, sha256(convert_to(n, 'UTF8')), now() from unnest(array['red', 'blue']) as n;

create temp view seen with (security_invoker = true) as
select (select c.name from marketplace.connections as c where c.id = connection_id) as organization from marketplace.connect_links where connection_id in (md5('red')::uuid, md5('blue')::uuid);
create temp table write (command text);
insert into write values
  ('insert into marketplace.connect_links default values'),
  ('update marketplace.connect_links set scopes = scopes'),
  ('delete from marketplace.connect_links');
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
  array['blue', 'red'], 'the service role sees all'
);
select lives_ok(
  $$ insert into marketplace.connect_links (connection_id, token_hash, expires_at)
       values (md5('red')::uuid, sha256('more'), now()) $$,
  'it inserts'
);
select isnt_empty(
  $$ update marketplace.connect_links set scopes = scopes
       where connection_id in (md5('red')::uuid, md5('blue')::uuid) returning 1 $$,
  'it updates'
);
select isnt_empty(
  $$ delete from marketplace.connect_links
       where connection_id in (md5('red')::uuid, md5('blue')::uuid) returning 1 $$,
  'it deletes'
);

select * from finish();
rollback;
