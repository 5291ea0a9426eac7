begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(27);

-- given two organizations, red and blue, with a thing that a feed has told of, and who belongs to them
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
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where provider = 'acme';
insert into marketplace.feed_items (cursor_id, item_id, event_type, path, version)
select c.id, '1', 'acme.changed', 'files/a', '1' from marketplace.sync_cursors as c where c.feed = 'acme.changes';

create temp view seen with (security_invoker = true) as
select case c.organization_id when md5('red')::uuid then 'red' else 'blue' end as organization
from marketplace.feed_items as f join marketplace.sync_cursors as c on c.id = f.cursor_id where c.feed = 'acme.changes';
create temp table write (command text);
insert into write values
  ('insert into marketplace.feed_items default values'),
  ('update marketplace.feed_items set path = path'),
  ('delete from marketplace.feed_items');
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
select isnt_empty(
  $$ update marketplace.feed_items set path = path where item_id = '1' returning 1 $$,
  'it updates'
);
select isnt_empty(
  $$ delete from marketplace.feed_items where item_id = '1' returning 1 $$,
  'it deletes'
);

select * from finish();
rollback;
