begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(19);

-- given a key
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
create temp table made as
select * from marketplace.create_api_key('nightly', 'red', '{read}', '{gmail.messages.*,slack-eu.chat.postMessage}');
create function pg_temp.authenticate(p_scope text) returns jsonb language sql as $$
  select marketplace.authenticate_api_key((select api_key from made), p_scope)
$$;
create temp view used as
select k.last_used_at from marketplace.api_keys as k join made as m on m.key_id = k.id;

-- then
select is((pg_temp.authenticate('read') ->> 'organization_id')::uuid, md5('red')::uuid, 'it is its organization''s');
select is(pg_temp.authenticate(null) -> 'scopes', '["read"]', 'it says its scopes');
select ok(not pg_temp.authenticate(null) ? 'key_hash', 'and not its hash');
select throws_ok($$ select pg_temp.authenticate('execute') $$, 'MK403', null, 'another scope than its own is refused');
select throws_ok($$ select pg_temp.authenticate('admin') $$, 'MK403', null, 'and so is managing');
select throws_ok($$ select marketplace.authenticate_api_key('mpk_00000000_' || repeat('0', 64)) $$, 'MK401', null, 'another key is not known');
select throws_ok($$ select marketplace.authenticate_api_key(null) $$, 'MK401', null, 'nor is none');
select throws_ok(
  $$ select marketplace.authenticate_api_key(left((select api_key from made), -1)) $$,
  'MK401', null, 'nor a part of one'
);

-- when it is used, then that is noted once a minute at most
select is((select last_used_at from used), now(), 'its use is noted');
update marketplace.api_keys set last_used_at = now() - interval '59 seconds';
do $$ begin perform pg_temp.authenticate('read'); end $$;
select is((select last_used_at from used), now() - interval '59 seconds', 'not again within a minute');
update marketplace.api_keys set last_used_at = now() - interval '61 seconds';
do $$ begin perform pg_temp.authenticate('read'); end $$;
select is((select last_used_at from used), now(), 'but after it');

-- when it has ended, then it opens nothing
update marketplace.api_keys set expires_at = now();
select throws_ok($$ select pg_temp.authenticate('read') $$, 'MK401', null, 'an expired key is refused');
update marketplace.api_keys set expires_at = now() + interval '1 second';
select lives_ok($$ select pg_temp.authenticate('read') $$, 'until then it is not');
update marketplace.api_keys set scopes = '{admin}';
select lives_ok($$ select pg_temp.authenticate('execute') $$, 'whoever manages may do the rest');
do $$ begin perform marketplace.revoke_api_key((select key_id from made)); end $$;
select throws_ok($$ select pg_temp.authenticate('read') $$, 'MK401', null, 'a revoked key is refused');

-- and which actions it lets run
select ok(marketplace._action_allowed('{}', 'gmail', 'messages.send'), 'a key without patterns runs every action');
select ok(
  marketplace._action_allowed('{gmail.messages.*,slack-eu.chat.postMessage}', 'gmail', 'messages.send'),
  'a pattern matches'
);
select ok(
  not marketplace._action_allowed('{gmail.messages.*,slack-eu.chat.postMessage}', 'gmail-work', 'messages.send'),
  'the whole integration, not the beginning of its name'
);
select ok(
  not marketplace._action_allowed('{gmail.messages.*,slack-eu.chat.postMessage}', 'slack-eu', 'chat.postMessages'),
  'and the whole action'
);

select * from finish();
rollback;
