begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(24);

-- given two organizations, and who belongs to them
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'owner'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'admin'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000003', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000004', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000005', 'owner');
end
$$;
create temp table made (persona text, key_id uuid, api_key text);
grant all on made to public;

-- when owner, admin and the service make keys, then they are shown once and kept as a hash
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
insert into made select 'owner', * from marketplace.create_api_key('nightly', 'red');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
insert into made select 'admin', * from marketplace.create_api_key('nightly', 'red', '{read,execute}', '{gmail.*}', now() + interval '1 day');
set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';
insert into made select 'service', * from marketplace.create_api_key('nightly', 'red');
reset role;
select is((select count(*) from made where api_key ~ '^mpk_[0-9a-f]{8}_[0-9a-f]{64}$')::int, 3, 'a key begins with a prefix to recognise it by');
select is_empty(
  $$ select from made as m join marketplace.api_keys as k on k.id = m.key_id
     where k.key_hash <> sha256(convert_to(m.api_key, 'UTF8')) or k.prefix <> left(m.api_key, 12) $$,
  'what is kept is its hash and its prefix'
);
select is_empty(
  $$ select from made as m join marketplace.api_keys as k on k.id = m.key_id where position(substring(m.api_key from 14) in k::text) > 0 $$,
  'and nothing else of it'
);
select results_eq(
  $$ select m.persona, k.scopes, k.allowed_actions, k.created_by, k.expires_at is not null
     from made as m join marketplace.api_keys as k on k.id = m.key_id order by 1 $$,
  $$ values
    ('admin', '{read,execute}'::text[], '{gmail.*}'::text[], '00000000-0000-4000-8000-000000000002'::uuid, true),
    ('owner', '{execute}', '{}', '00000000-0000-4000-8000-000000000001', false),
    ('service', '{execute}', '{}', null, false) $$,
  'with what was asked for, and who made it'
);

-- when anybody else tries, then there is no key
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select throws_ok($$ select marketplace.create_api_key('x', 'red') $$, 'MK403', null, 'a member may not');
select throws_ok(
  format('select marketplace.revoke_api_key(%L)', (select key_id from made where persona = 'owner')),
  'MK403', null, 'nor end one'
);
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select throws_ok($$ select marketplace.create_api_key('x', 'red') $$, 'MK403', null, 'a viewer may not');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select throws_ok(
  $$ select marketplace.create_api_key('x', 'red') $$,
  'MK404', 'organization ''red'' does not exist', 'to a stranger, the organization does not exist'
);
select throws_ok(
  format('select marketplace.revoke_api_key(%L)', (select key_id from made where persona = 'owner')),
  'MK404', null, 'nor does its key'
);
select throws_ok($$ select marketplace.create_api_key('x') $$, 'MK404', null, 'nor is anybody a member of the platform''s own');
set local request.jwt.claims = '{"role": "authenticated"}';
select throws_ok($$ select marketplace.create_api_key('x', 'red') $$, 'MK404', null, 'a token without a subject is nobody''s');
set local request.jwt.claims = '{"role": "service_role", "sub": ""}';
select throws_ok($$ select marketplace.create_api_key('x', 'red') $$, null, null, 'claims make nobody the service role');
set local request.jwt.claims = '{"role": "service_role"}';
select throws_ok($$ select marketplace.create_api_key('x', 'red') $$, 'MK404', null, 'nor without a subject');
set local role anon;
select throws_ok($$ select marketplace.create_api_key('x', 'red') $$, '42501', null, 'anon may not even call');
reset role;
select is((select count(*) from marketplace.api_keys where organization_id = md5('red')::uuid)::int, 3, 'nobody made another');

-- when what is asked for makes no sense, then it says why
select throws_ok($$ select marketplace.create_api_key(' ', 'red') $$, 'MK400', null, 'a key has a name');
select throws_ok($$ select marketplace.create_api_key('x', 'red', '{}') $$, 'MK400', null, 'and a scope');
select throws_ok($$ select marketplace.create_api_key('x', 'red', '{root}') $$, 'MK400', null, 'that exists');
select throws_ok($$ select marketplace.create_api_key('x', 'red', '{execute}', '{"[a"}') $$, 'MK400', null, 'actions are named by globs');
select throws_ok($$ select marketplace.create_api_key('x', 'red', '{execute}', '{}', now()) $$, 'MK400', null, 'its end is to come');
select throws_ok($$ select marketplace.create_api_key('x', 'green') $$, 'MK404', null, 'its organization exists');

-- when an admin ends a key, then it has ended for good
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select lives_ok(
  format('select marketplace.revoke_api_key(%L)', (select key_id from made where persona = 'owner')),
  'an admin ends the key of an owner'
);
select lives_ok(
  format('select marketplace.revoke_api_key(%L)', (select key_id from made where persona = 'owner')),
  'twice is once'
);
reset role;
select isnt(
  (select k.revoked_at from marketplace.api_keys as k join made as m on m.key_id = k.id where m.persona = 'owner'),
  null, 'and when is kept'
);

select * from finish();
rollback;
