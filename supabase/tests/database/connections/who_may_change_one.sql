begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(23);

-- given an organization, its people, and a connection of each kind
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'admin'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000003', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000004', 'owner');
end
$$;
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$ begin perform marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red'); end $$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, is_shared)
select md5(c.kind)::uuid, i.organization_id, i.id, c.user_id::uuid, c.kind, c.is_shared
from marketplace.integrations as i
cross join (
  values
    ('own', '00000000-0000-4000-8000-000000000002', false),
    ('shared', '00000000-0000-4000-8000-000000000002', true),
    ('common', null, true)
) as c (kind, user_id, is_shared)
where i.slug = 'red-files';
create function pg_temp.rename(p_kind text) returns text language sql as $$
  select format('select marketplace.update_connection(%L, ''renamed'')', md5(p_kind)::uuid)
$$;

-- as its owner, who is a member
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select lives_ok(pg_temp.rename('own'), 'a member renames his own');
select lives_ok(pg_temp.rename('shared'), 'shared or not');
select throws_ok(pg_temp.rename('common'), 'MK403', null, 'not the organization''s');
select lives_ok($$ select marketplace.update_connection(md5('own')::uuid, null, true) $$, 'he shares it');
select is((select is_shared from marketplace.connections where id = md5('own')::uuid), true, 'with everybody');
select lives_ok($$ select marketplace.update_connection(md5('own')::uuid, null, false) $$, 'and takes it back');
select is((select name from marketplace.connections where id = md5('own')::uuid), 'renamed', 'its name stays as it is');

-- as somebody who was a member once
reset role;
do $$ begin perform marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'viewer'); end $$;
set local role authenticated;
select throws_ok(pg_temp.rename('own'), 'MK403', null, 'a viewer does not even change his own');
select isnt_empty(
  $$ select from marketplace.connections where id = md5('own')::uuid $$, 'though he sees it'
);

-- as an admin
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select throws_ok(pg_temp.rename('own'), 'MK404', null, 'an admin does not see what is not shared');
select lives_ok(pg_temp.rename('shared'), 'but changes what is');
select lives_ok(pg_temp.rename('common'), 'and what is the organization''s');
select lives_ok($$ select marketplace.update_connection(md5('common')::uuid, null, false) $$, 'which stays shared');
select is((select is_shared from marketplace.connections where id = md5('common')::uuid), true, 'whatever is asked for');

-- as a viewer, a stranger, nobody
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select throws_ok(pg_temp.rename('shared'), 'MK403', null, 'a viewer changes nothing');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select throws_ok(pg_temp.rename('shared'), 'MK404', null, 'a stranger sees nothing to change');
set local request.jwt.claims = '{"role": "authenticated"}';
select throws_ok(pg_temp.rename('shared'), 'MK404', null, 'a token without a subject is nobody''s');
set local role anon;
select throws_ok(pg_temp.rename('shared'), '42501', null, 'anon may not even call');

-- as the service role, and for an API key
set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';
select lives_ok(pg_temp.rename('own'), 'the service role changes all');
select lives_ok(
  $$ select marketplace._require_connection(md5('shared')::uuid, null, md5('red')::uuid, true) $$,
  'a key of the organization manages what is shared'
);
select throws_ok(
  $$ select marketplace._require_connection(md5('own')::uuid, null, md5('red')::uuid, false) $$,
  'MK404', null, 'not what is one person''s'
);
select throws_ok(
  $$ select marketplace._require_connection(md5('shared')::uuid, null, md5('blue')::uuid, false) $$,
  'MK404', null, 'nor another organization''s'
);
select throws_ok(pg_temp.rename('nothing'), 'MK404', null, 'what does not exist is not changed');

select * from finish();
rollback;
