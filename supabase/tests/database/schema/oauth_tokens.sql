begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given a token
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.oauth_tokens (integration_id, refresh_token_vault_id) select id,
  md5('1')::uuid
from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('refresh_token_vault_id = null', 'oauth_tokens_holds_a_token_check', 'a row refers to a token at least'),
  ('status = ''expired''', 'oauth_tokens_status_check', 'a grant is active, revoked or to be renewed');
select throws_ok(
  format('update marketplace.oauth_tokens set %s where refresh_token_vault_id = md5(''1'')::uuid', change),
  '23514', format('new row for relation "oauth_tokens" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.oauth_tokens'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.oauth_tokens (integration_id, refresh_token_vault_id)
     select integration_id, refresh_token_vault_id from marketplace.oauth_tokens where refresh_token_vault_id = md5('1')::uuid $$,
  '23505', null, 'a Vault secret is referred to once'
);
select throws_ok(
  $$ insert into marketplace.oauth_tokens (integration_id, access_token_vault_id)
       values (gen_random_uuid(), gen_random_uuid()) $$,
  '23503', null, 'by an integration that exists'
);
select results_eq(
  $$ select token_type, status, scopes, expires_at from marketplace.oauth_tokens
       where refresh_token_vault_id = md5('1')::uuid $$,
  $$ values ('Bearer', 'active', '{}'::text[], null::timestamptz) $$,
  'a token is an active bearer token that does not expire, unless it says otherwise'
);

select * from finish();
rollback;
