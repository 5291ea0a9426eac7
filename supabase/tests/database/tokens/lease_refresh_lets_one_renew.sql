begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(36);

-- given a connection with a token of an hour
insert into marketplace.providers (slug, name, category, auth_type, auth_config)
values ('acme', 'Acme', 'storage', 'oauth2', '{"secrets": {"developer_token": {"title": "Developer token"}}}');
do $$
begin
  perform
    marketplace.register_integration('acme-files', 'Files', 'acme', 'storage', '{"region": "eu"}'),
    marketplace.set_integration_secret('acme-files', 'client_secret', 'of-the-client'),
    marketplace.set_integration_secret('acme-files', 'developer_token', 'of-the-developer'),
    marketplace.set_integration_secret('acme-files', 'webhook', 'of-the-webhook');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared, metadata)
select md5('1')::uuid, organization_id, id, 'Files', true, '{"shop": "acme"}'
from marketplace.integrations where slug = 'acme-files';
create function pg_temp.grant_anew(p_refresh text default 'refresh-1', p_life int default 3600) returns uuid
language sql as $$
  select marketplace.open_grant(
    md5('1')::uuid, 'oauth2', null, 'access-1', p_refresh, 'bearer', '{files}', p_life, 'ada@example.com', '{"team": "t-1"}'
  )
$$;
create function pg_temp.ask(p_refused text default null, p_min_valid interval default '0') returns jsonb language sql as $$
  select marketplace.lease_refresh(md5('1')::uuid, null, p_min_valid, p_refused)
$$;
-- so many seconds before the end of a life of so many
create function pg_temp.age(p_left numeric, p_life numeric default 3600) returns void language sql as $$
  update marketplace.oauth_tokens
  set issued_at = clock_timestamp() - make_interval(secs => (p_life - p_left)::float8),
    expires_at = clock_timestamp() + make_interval(secs => p_left::float8),
    refresh_lease_id = null, refresh_lease_until = null, retry_at = null
  where connection_id = md5('1')::uuid
$$;

-- then
select is(pg_temp.ask(), '{"state": "missing"}', 'a connection that was never authorised has nothing');
select isnt(pg_temp.grant_anew(), null, 'it is authorised');
select is(pg_temp.ask() ->> 'state', 'fresh', 'its token is fresh');
select is(
  pg_temp.ask() -> 'secrets', '{"access_token": "access-1", "developer_token": "of-the-developer"}',
  'with what the application needs beside it, and nothing more'
);
select is(
  pg_temp.ask() -> 'settings', '{"shop": "acme", "team": "t-1", "region": "eu"}',
  'and with the settings of the connection and the integration'
);
select results_eq(
  $$ select status, account, is_renewable, expires_at is not null from marketplace.connections where id = md5('1')::uuid $$,
  $$ values ('active', 'ada@example.com', true, true) $$, 'the connection says what it is'
);

-- when it is about to end
do $$ begin perform pg_temp.age(301); end $$;
select is(pg_temp.ask() ->> 'state', 'fresh', 'five minutes before its end it is fresh still');
select is(pg_temp.ask(null, '10 minutes') ->> 'state', 'leased', 'unless it is needed for longer');
do $$ begin perform pg_temp.age(299); end $$;
create temp table lease as select pg_temp.ask() as answer;
select is((select answer ->> 'state' from lease), 'leased', 'after that one may renew it');
select is((select answer ->> 'refresh_token' from lease), 'refresh-1', 'with the refresh token');
select is((select answer #>> '{client,client_secret}' from lease), 'of-the-client', 'and the client');
select ok(not (select answer -> 'secrets' from lease) ? 'access_token', 'the old token is of no use for that');
select is(pg_temp.ask() ->> 'state', 'fresh', 'meanwhile the others go on with the old one');
select is(pg_temp.ask() #>> '{secrets,access_token}', 'access-1', 'as long as it works');
select is(
  (select refresh_lease_until - clock_timestamp() > interval '40 seconds' from marketplace.oauth_tokens
   where connection_id = md5('1')::uuid),
  true, 'the lease outlasts the slowest endpoint'
);
update marketplace.oauth_tokens
set issued_at = clock_timestamp() - interval '2 hours', expires_at = clock_timestamp() - interval '1 hour'
where connection_id = md5('1')::uuid;
select is(pg_temp.ask(), '{"state": "busy"}', 'once it has ended they wait');
update marketplace.oauth_tokens set refresh_lease_until = clock_timestamp() where connection_id = md5('1')::uuid;
select is(pg_temp.ask() ->> 'state', 'leased', 'a lease that has run out goes to another');
select isnt(
  (select refresh_lease_id::text from marketplace.oauth_tokens where connection_id = md5('1')::uuid),
  (select answer ->> 'lease_id' from lease), 'and is another lease'
);

-- when tokens live for a minute, or forever
do $$ begin perform pg_temp.age(31, 60); end $$;
select is(pg_temp.ask() ->> 'state', 'fresh', 'a short life is left alone in its first half');
select is(pg_temp.ask(null, '1 hour') ->> 'state', 'fresh', 'whatever is asked for');
do $$ begin perform pg_temp.age(29, 60); end $$;
select is(pg_temp.ask() ->> 'state', 'leased', 'and renewed in its second');
update marketplace.integrations set config = config || '{"auth": {"refresh_before_s": 60}}' where slug = 'acme-files';
do $$ begin perform pg_temp.age(61); end $$;
select is(pg_temp.ask() ->> 'state', 'fresh', 'an integration may say when');
do $$ begin perform pg_temp.age(59); end $$;
select is(pg_temp.ask() ->> 'state', 'leased', 'to the second');
do $$ begin perform pg_temp.grant_anew(null, null); end $$;
update marketplace.oauth_tokens set issued_at = now() - interval '1 year';
select is(pg_temp.ask() ->> 'state', 'fresh', 'what does not end is fresh');
select is(pg_temp.ask('access-1') ->> 'state', 'fresh', 'also if it is refused: there is nothing to renew it with');
select is(
  (select is_renewable from marketplace.connections where id = md5('1')::uuid), false, 'as the connection says'
);

-- when the provider refuses a token
do $$ begin perform pg_temp.grant_anew(); end $$;
select is(pg_temp.ask('access-1') ->> 'state', 'fresh', 'one of seconds ago is handed out again');
do $$ begin perform pg_temp.age(3500); end $$;
select is(pg_temp.ask('access-0') ->> 'state', 'fresh', 'a refusal of another one says nothing');
select is(pg_temp.ask('access-1') ->> 'state', 'leased', 'an older one is renewed');
select is(pg_temp.ask('access-1'), '{"state": "busy"}', 'and is not handed out meanwhile');

-- when it has ended and nothing renews it
do $$ begin perform pg_temp.grant_anew(null); perform pg_temp.age(100); end $$;
select is(pg_temp.ask() ->> 'state', 'fresh', 'to its end it serves');
do $$ begin perform pg_temp.age(-1); end $$;
select is(pg_temp.ask() ->> 'state', 'reauthorization_required', 'then its owner is needed');
select results_eq(
  $$ select status, error_message from marketplace.connections where id = md5('1')::uuid $$,
  $$ values ('reauthorization_required', 'The access has ended, and the provider gave nothing to renew it with.') $$,
  'who sees why'
);
select is(pg_temp.ask() ->> 'state', 'reauthorization_required', 'it stays so');
do $$ begin perform marketplace.revoke_connection(md5('1')::uuid); end $$;
select is(pg_temp.ask(), '{"state": "revoked"}', 'what was revoked is revoked');
select throws_ok($$ select marketplace.lease_refresh(null, md5('2')::uuid) $$, 'MK404', null, 'an integration has to exist');

select * from finish();
rollback;
