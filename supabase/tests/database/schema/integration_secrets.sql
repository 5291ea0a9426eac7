begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a secret
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
do $$ begin perform marketplace.set_integration_secret('acme-files', 'webhook', 'x'); end $$;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('purpose = ''API token''', 'integration_secrets_purpose_check', 'a purpose is a word'),
  ('valid_until = valid_from - interval ''1 second''', 'integration_secrets_window_check', 'a secret does not end before it begins');
select throws_ok(
  format('update marketplace.integration_secrets set %s where integration_id = (select id from marketplace.integrations where slug = ''acme-files'')', change),
  '23514', format('new row for relation "integration_secrets" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.integration_secrets'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.integration_secrets (integration_id, purpose, vault_secret_id)
     select integration_id, 'other', vault_secret_id from marketplace.integration_secrets
     where integration_id = (select id from marketplace.integrations where slug = 'acme-files') $$,
  '23505', null, 'a Vault secret is referred to once'
);
select throws_ok(
  $$ insert into marketplace.integration_secrets (integration_id, purpose, vault_secret_id)
       values (gen_random_uuid(), 'x', gen_random_uuid()) $$,
  '23503', null, 'by an integration that exists'
);

select * from finish();
rollback;
