begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(14);

-- given a connection's grant
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5('1')::uuid, organization_id, id, 'Files', true
from marketplace.integrations where slug = 'acme-files';
insert into marketplace.oauth_tokens (integration_id, connection_id, refresh_token_vault_id)
select integration_id, id, id from marketplace.connections where id = md5('1')::uuid;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('refresh_token_vault_id = null', 'oauth_tokens_holds_a_token_check', 'a grant refers to a secret at least'),
  ('status = ''expired''', 'oauth_tokens_status_check', 'a grant is active, or its owner must renew it'),
  ('credential_type = ''cookie''', 'oauth_tokens_credential_type_check', 'a credential is of a known type'),
  ('refresh_lease_id = gen_random_uuid()', 'oauth_tokens_lease_check', 'a lease has an end'),
  ('expires_at = now()', 'oauth_tokens_lifetime_check', 'what ends has begun'),
  (
    'failure_count = -1, failed_days = 1, failed_on = now()', 'oauth_tokens_failure_count_check',
    'failures are counted'
  ),
  (
    'failure_count = 1, failed_days = -1, failed_on = now()', 'oauth_tokens_failed_days_check',
    'and the days they were on'
  ),
  ('failure_count = 1', 'oauth_tokens_failure_check', 'a failure was on a day');
select throws_ok(
  format('update marketplace.oauth_tokens set %s where connection_id = md5(''1'')::uuid', change),
  '23514', format('new row for relation "oauth_tokens" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.oauth_tokens'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

insert into marketplace.oauth_tokens (integration_id)
select integration_id from marketplace.connections where id = md5('1')::uuid;
select throws_ok(
  $$ update marketplace.oauth_tokens set refresh_token_vault_id = md5('1')::uuid
       where connection_id is null $$,
  '23505', null, 'a Vault secret is referred to once'
);
select throws_ok(
  $$ insert into marketplace.oauth_tokens (integration_id, connection_id, refresh_token_vault_id)
     select integration_id, id, md5('2')::uuid from marketplace.connections where id = md5('1')::uuid $$,
  '23505', null, 'a connection has one grant'
);
select throws_ok(
  $$ insert into marketplace.oauth_tokens (integration_id)
     select integration_id from marketplace.connections where id = md5('1')::uuid $$,
  '23505', null, 'and so has an integration by itself'
);
select throws_ok(
  $$ insert into marketplace.oauth_tokens (integration_id) values (gen_random_uuid()) $$,
  '23503', null, 'that exists'
);
select results_eq(
  $$ select credential_type, token_type, status, scopes, expires_at from marketplace.oauth_tokens
       where connection_id = md5('1')::uuid $$,
  $$ values ('oauth2', 'Bearer', 'active', '{}'::text[], null::timestamptz) $$,
  'it is an active bearer token that does not expire, unless it says otherwise'
);

select * from finish();
rollback;
