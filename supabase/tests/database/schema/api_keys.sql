begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a key
insert into marketplace.api_keys (organization_id, name, prefix, key_hash)
select id, 'given', 'mpk_00000000', sha256('x') from marketplace.organizations where is_default;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('name = ''''', 'api_keys_name_check', 'a key has a name'),
  ('prefix = ''mpk_1''', 'api_keys_prefix_check', 'and a prefix to be recognised by'),
  ('key_hash = ''mpk_00000000''', 'api_keys_key_hash_check', 'what is kept is a hash'),
  ('scopes = ''{root}''', 'api_keys_scopes_check', 'a scope is execute, read or admin'),
  ('scopes = ''{}''', 'api_keys_scopes_check', 'and there is one');
select throws_ok(
  format('update marketplace.api_keys set %s where prefix = ''mpk_00000000''', change),
  '23514', format('new row for relation "api_keys" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.api_keys'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.api_keys (organization_id, name, prefix, key_hash)
     select organization_id, name, prefix, sha256('y') from marketplace.api_keys where prefix = 'mpk_00000000' $$,
  '23505', null, 'a prefix is unique'
);
select throws_ok(
  $$ insert into marketplace.api_keys (organization_id, name, prefix, key_hash)
     select organization_id, name, 'mpk_00000001', key_hash from marketplace.api_keys where prefix = 'mpk_00000000' $$,
  '23505', null, 'so is a key'
);
select results_eq(
  $$ select scopes, allowed_actions, expires_at, revoked_at from marketplace.api_keys
       where prefix = 'mpk_00000000' $$,
  $$ values ('{execute}'::text[], '{}'::text[], null::timestamptz, null::timestamptz) $$,
  'a key runs actions, any of them, until it is revoked'
);

select * from finish();
rollback;
