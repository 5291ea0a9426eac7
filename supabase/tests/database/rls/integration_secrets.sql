\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(32);

select pg_temp.given_integrations();
do $$
begin
  perform marketplace.set_integration_secret('red-files', 'webhook', 'r'), marketplace.set_integration_secret('blue-files', 'webhook', 'b');
end
$$;

select pg_temp.check_access_by_integration(
  'integration_secrets', 'purpose = purpose',
  $$ insert into marketplace.integration_secrets (integration_id, purpose, vault_secret_id)
     select id, 'other', gen_random_uuid() from marketplace.integrations where slug = 'red-files' $$
);

-- and there is no way around by a function
select pg_temp.become('an owner');
select throws_ok(
  $$ select marketplace.integration_credentials(gen_random_uuid()) $$,
  '42501', null, 'an owner is given no credentials'
);
select throws_ok(
  $$ select marketplace.webhook_config('acme', 'red-files') $$,
  '42501', null, 'nor a webhook secret'
);
select throws_ok(
  $$ select marketplace._vault_read(gen_random_uuid()) $$,
  '42501', null, 'nor anything of Vault through us'
);
select throws_ok($$ select * from vault.decrypted_secrets $$, '42501', null, 'nor past us');

select * from finish();
rollback;
