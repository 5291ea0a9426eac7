begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(15);

-- given a connection with everything that can be secret
insert into marketplace.providers (slug, name, category, auth_type) values ('acme', 'Acme', 'storage', 'oauth2');
do $$ begin perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'); end $$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5(n)::uuid, organization_id, id, 'Files ' || n, true
from marketplace.integrations, unnest(array['1', '2']) as n where slug = 'acme-files';
do $$
begin
  perform marketplace.open_grant(md5('1')::uuid, 'client_credentials', '{"client_secret": "canary-credential"}', 'canary-access', 'canary-refresh');
end
$$;
create temp view in_vault as
select s.id, s.name from vault.secrets as s where s.name like 'marketplace/grants/%';

-- then
create temp table found as
select c.relname
from pg_catalog.pg_class as c
cross join lateral (
  select query_to_xml(format('select count(*) as n from %s as t where t::text like %L', c.oid::regclass, '%canary-%'), false, true, '')::text as xml
) as counted
where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p') and counted.xml !~ '<n>0</n>';
select is_empty('table found', 'no table of ours holds a token');
select is_empty($$ select id from vault.secrets as s where s::text like '%canary-%' $$, 'Vault holds them encrypted');
select results_eq(
  $$ select marketplace._vault_read(access_token_vault_id), marketplace._vault_read(refresh_token_vault_id), marketplace._vault_read(credential_vault_id)
     from marketplace.oauth_tokens where connection_id = md5('1')::uuid $$,
  $$ values ('canary-access', 'canary-refresh', '{"client_secret": "canary-credential"}') $$, 'they can be read back'
);
select set_eq(
  $$ select regexp_replace(name, '[0-9a-f-]{36}', 'id') from in_vault $$,
  array['marketplace/grants/id/access_token', 'marketplace/grants/id/refresh_token', 'marketplace/grants/id/credential'],
  'their names in Vault say what they are'
);
select is(
  marketplace.lease_refresh(md5('1')::uuid) -> 'secrets', '{"access_token": "canary-access", "client_secret": "canary-credential"}',
  'a credential comes with the token'
);

-- when another grant takes its place, then the former one leaves Vault
do $$ begin perform marketplace.open_grant(md5('1')::uuid, 'api_key', '{"api_token": "canary-key"}'); end $$;
select is((select count(*)::int from in_vault), 1, 'what it replaces is forgotten');
select results_eq(
  $$ select status, is_renewable, expires_at from marketplace.connections where id = md5('1')::uuid $$,
  $$ values ('active', false, null::timestamptz) $$, 'a key does not end and is not renewed'
);
select throws_ok($$ select marketplace.open_grant(md5('1')::uuid, 'bearer', 'not json') $$, 'MK400', null, 'a credential is an object');
select throws_ok($$ select marketplace.open_grant(md5('1')::uuid, 'bearer', '[]') $$, 'MK400', null, 'and no list');
select throws_ok($$ select marketplace.open_grant(md5('1')::uuid, 'bearer') $$, '23514', null, 'a grant holds something');
select throws_ok($$ select marketplace.open_grant(md5('9')::uuid, 'bearer', '{}') $$, 'MK404', null, 'of a connection that exists');

-- when it is revoked, then its tokens are told once and are gone
do $$ begin perform marketplace.open_grant(md5('1')::uuid, 'oauth2', null, 'canary-a', 'canary-r', 'Bearer', '{}', 60); end $$;
do $$
begin
  perform marketplace.begin_authorization(md5('1')::uuid, 'state', 'browser');
  perform marketplace.create_connect_link(md5('1')::uuid);
end
$$;
select is(
  marketplace.revoke_connection(md5('1')::uuid),
  '{"credential_type": "oauth2", "access_token": "canary-a", "refresh_token": "canary-r"}', 'for the provider to be told'
);
select is(marketplace.revoke_connection(md5('1')::uuid), '{}', 'once');
select results_eq(
  $$ select c.status, (select count(*) from in_vault), (select count(*) from marketplace.oauth_states), (select count(*) from marketplace.connect_links)
     from marketplace.connections as c where id = md5('1')::uuid $$,
  $$ values ('revoked', 0::bigint, 0::bigint, 0::bigint) $$, 'with everything that was under way'
);

-- when an integration goes, then so do the tokens of its connections
do $$ begin perform marketplace.open_grant(md5('2')::uuid, 'oauth2', null, 'canary-a', 'canary-r', 'Bearer', '{}', 60); end $$;
delete from marketplace.integrations where slug = 'acme-files';
select is_empty('table in_vault', 'an integration takes the tokens of its connections out of Vault');

select * from finish();
rollback;
