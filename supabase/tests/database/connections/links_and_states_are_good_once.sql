begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(24);

-- given a connection, and a link to it
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$ begin perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage', '{"region": "eu", "token_url": "https://x", "sizes": [1]}'); end $$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared, metadata)
select md5('1')::uuid, organization_id, id, 'Files', true, '{"shop": "acme"}' from marketplace.integrations where slug = 'acme-files';
do $$ begin perform marketplace.set_integration_secret('acme-files', 'client_secret', 'of-the-client'); end $$;
create temp table link as
select * from marketplace.create_connect_link(md5('1')::uuid, null, '{files.read}', 'https://app.example.com/', '10 minutes', 'oauth2');

-- then
select matches((select token from link), '^mpl_[0-9a-f]{64}$', 'a link is opened by a long random token');
select is_empty(
  $$ select from marketplace.connect_links as l, link where position(substring(link.token from 5) in l::text) > 0 $$,
  'of which only the hash is kept'
);
select cmp_ok((select expires_at from link), '<=', clock_timestamp() + interval '10 minutes', 'it ends when it should');
select throws_ok(
  $$ select marketplace.create_connect_link(md5('1')::uuid, null, '{}', null, '2 days') $$,
  'MK400', null, 'within a day'
);
select throws_ok(
  $$ select marketplace.create_connect_link(md5('1')::uuid, null, '{}', null, '1 second') $$,
  'MK400', null, 'and not at once'
);
select results_eq(
  $$ select l #>> '{connection,id}', l -> 'scopes', l ->> 'redirect_to', l ->> 'auth_type', l #>> '{client,client_secret}', l -> 'settings'
     from link, marketplace.connect_link(link.token) as l $$,
  $$ values (md5('1')::uuid::text, '["files.read"]'::jsonb, 'https://app.example.com/', 'oauth2', 'of-the-client', '{"shop": "acme", "region": "eu", "token_url": "https://x"}'::jsonb) $$,
  'it knows what it is for'
);
select lives_ok($$ select marketplace.connect_link((select token from link)) $$, 'looking does not use it');
select is(marketplace.use_connect_link((select token from link)), md5('1')::uuid, 'using does');
select throws_ok($$ select marketplace.use_connect_link((select token from link)) $$, 'MK404', null, 'once');
select throws_ok($$ select marketplace.connect_link((select token from link)) $$, 'MK404', null, 'then there is nothing to see');
select throws_ok($$ select marketplace.connect_link('mpl_' || repeat('0', 64)) $$, 'MK404', null, 'nor under a guess');
update marketplace.connect_links set used_at = null, expires_at = now() - interval '1 second';
select throws_ok($$ select marketplace.connect_link((select token from link)) $$, 'MK404', null, 'nor after its end');
select throws_ok($$ select marketplace.use_connect_link((select token from link)) $$, 'MK404', null, 'whatever is tried');

-- given authorizations under way: one of a user, one of a browser
do $$
begin
  perform
    marketplace.begin_authorization(md5('1')::uuid, 'state-of-a-user', 'browser-1', '00000000-0000-4000-8000-000000000001', '{a,b}', 'https://app.example.com/'),
    marketplace.begin_authorization(md5('1')::uuid, 'state-of-a-browser', 'browser-2');
end
$$;
select is_empty(
  $$ select from marketplace.oauth_states as s where s::text ~ 'state-of|browser-' $$,
  'neither state nor browser is kept in the open'
);
select throws_ok(
  $$ select marketplace.take_authorization('state-of-a-user', 'browser-2') $$,
  'MK403', null, 'another browser is refused'
);
select throws_ok($$ select marketplace.take_authorization('state-of-a-user') $$, 'MK403', null, 'and so is none');
select throws_ok(
  $$ select marketplace.take_authorization('state-of-a-user', 'browser-1', '00000000-0000-4000-8000-000000000002') $$,
  'MK403', null, 'another user is refused, also in the right browser'
);
select throws_ok(
  $$ select marketplace.take_authorization('state-of-a-browser', 'browser-2', '00000000-0000-4000-8000-000000000001') $$,
  'MK403', null, 'a user is refused where none began'
);
select is(
  marketplace.take_authorization('state-of-a-user', null, '00000000-0000-4000-8000-000000000001') -> 'scopes',
  '["a", "b"]', 'the user who began comes back'
);
select throws_ok(
  $$ select marketplace.take_authorization('state-of-a-user', null, '00000000-0000-4000-8000-000000000001') $$,
  'MK401', null, 'once'
);
select is(
  marketplace.take_authorization('state-of-a-browser', 'browser-2') #>> '{connection,name}',
  'Files', 'and so does the browser'
);
select throws_ok($$ select marketplace.take_authorization('state-of-a-browser', 'browser-2') $$, 'MK401', null, 'once');

-- when it took too long
do $$ begin perform marketplace.begin_authorization(md5('1')::uuid, 'state-of-old', 'browser-3'); end $$;
select is(
  (select expires_at - created_at from marketplace.oauth_states), interval '10 minutes', 'ten minutes are enough'
);
update marketplace.oauth_states set expires_at = now() - interval '1 second';
select throws_ok(
  $$ select marketplace.take_authorization('state-of-old', 'browser-3') $$,
  'MK401', null, 'whoever comes later begins again'
);

select * from finish();
rollback;
