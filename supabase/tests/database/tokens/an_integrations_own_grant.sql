begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(22);

-- given providers with different ways in, and an integration of each
insert into marketplace.providers (slug, name, category, auth_type, auth_config) values
  ('acme', 'Acme', 'storage', 'oauth2', '{"grant_types": ["client_credentials"], "alternatives": {"api_key": {}}}'),
  ('keys', 'Keys', 'storage', 'api_key', '{}'),
  ('plain', 'Plain', 'storage', 'none', '{}');
do $$
begin
  perform
    marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'),
    marketplace.register_integration('keys-files', 'Files', 'keys', 'storage'),
    marketplace.register_integration('plain-files', 'Files', 'plain', 'storage');
end
$$;
create function pg_temp.id(p_slug text) returns uuid language sql as $$
  select id from marketplace.integrations where slug = p_slug
$$;
create function pg_temp.ask(p_slug text, p_seed text default null) returns jsonb language sql as $$
  select marketplace.lease_refresh(null, pg_temp.id(p_slug), '0', null, p_seed)
$$;
create function pg_temp.type_with(p_slug text, p_purposes text[]) returns text language plpgsql as $$
declare
  v_type text;
begin
  perform marketplace.set_integration_secret(p_slug, p, 'x') from unnest(p_purposes) as p;
  v_type := marketplace._own_credential_type(pg_temp.id(p_slug), false);
  delete from marketplace.integration_secrets where integration_id = pg_temp.id(p_slug);
  return v_type;
end
$$;

-- then what is stored says how it authenticates
select is(pg_temp.type_with('acme-files', '{refresh_token,client_id}'), 'oauth2', 'a refresh token is OAuth');
select is(pg_temp.type_with('acme-files', '{client_id,client_secret}'), 'client_credentials', 'a client alone asks for itself');
select is(pg_temp.type_with('acme-files', '{service_account_key}'), 'service_account', 'a service account has a key file');
select is(pg_temp.type_with('acme-files', '{private_key}'), 'github_app', 'an app has a private key');
select is(pg_temp.type_with('acme-files', '{access_key_id,secret_access_key}'), 'aws_sigv4', 'AWS has two');
select is(pg_temp.type_with('acme-files', '{api_token,refresh_token}'), 'api_key', 'a fixed token is the way that the provider offers for it');
select is(pg_temp.type_with('keys-files', '{api_token}'), 'api_key', 'or its own');
select is(pg_temp.type_with('plain-files', '{api_token}'), 'bearer', 'or a bearer');
update marketplace.integrations set config = '{"credential_type": "basic"}' where slug = 'plain-files';
select is(pg_temp.type_with('plain-files', '{api_token}'), 'basic', 'unless the integration says');

-- and what is fixed is handed out as it is, without a grant
do $$
begin
  perform
    marketplace.set_integration_secret('keys-files', 'api_token', 'fixed'),
    marketplace.set_integration_secret('keys-files', 'webhook', 'of-the-webhook');
end
$$;
select is(pg_temp.ask('keys-files') ->> 'state', 'fresh', 'a key is always fresh');
select is(pg_temp.ask('keys-files') -> 'secrets', '{"api_token": "fixed"}', 'what proves webhooks stays out');
select is_empty('select from marketplace.oauth_tokens', 'there is no grant to keep');
select is(pg_temp.ask('acme-files'), '{"state": "missing"}', 'without a secret there is nothing');

-- when it has a refresh token, then that is where the grant begins
do $$ begin perform marketplace.set_integration_secret('acme-files', 'refresh_token', 'seed-1'); end $$;
select is(pg_temp.ask('acme-files') ->> 'refresh_token', 'seed-1', 'the first refresh takes the secret');
do $$
begin
  perform marketplace.store_tokens(t.id, t.refresh_lease_id, 'access-1', 'rotated-1', 'Bearer', '{}', 3600) from marketplace.oauth_tokens as t;
end
$$;
select is(pg_temp.ask('acme-files') #>> '{secrets,access_token}', 'access-1', 'then there is a token');
select ok(not pg_temp.ask('acme-files') -> 'secrets' ? 'refresh_token', 'and what renews it stays inside');
update marketplace.oauth_tokens set issued_at = now() - interval '2 hours', expires_at = now() - interval '1 hour';
select is(pg_temp.ask('acme-files') ->> 'refresh_token', 'rotated-1', 'the next one takes what was given instead');
do $$ begin perform marketplace.set_integration_secret('acme-files', 'refresh_token', 'seed-2'); end $$;
select is(pg_temp.ask('acme-files') ->> 'refresh_token', 'seed-2', 'another secret is another grant');
select is((select count(*)::int from marketplace.oauth_tokens), 1, 'in place of the former one');

-- when the secret stands in the environment
delete from marketplace.integration_secrets where integration_id = pg_temp.id('acme-files');
select is(pg_temp.ask('acme-files', 'from-the-environment') ->> 'refresh_token', 'from-the-environment', 'it serves as well');
select is_empty(
  $$ select from marketplace.oauth_tokens as t where t::text like '%from-the-environment%' $$, 'and is not kept'
);
select is(pg_temp.ask('acme-files'), '{"state": "missing"}', 'nor needed any more, the grant is gone');

select * from finish();
rollback;
