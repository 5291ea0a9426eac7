\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
do $$
begin
  perform marketplace.register_integration('red-mails', 'Red mails', 'acme', 'storage', '{}', 'red');
end
$$;
insert into marketplace.oauth_tokens (integration_id, refresh_token_vault_id)
select id, gen_random_uuid() from marketplace.integrations where slug in ('red-files', 'blue-files');

select pg_temp.check_access_by_integration(
  'oauth_tokens', 'status = status',
  $$ insert into marketplace.oauth_tokens (integration_id, refresh_token_vault_id)
     select id, gen_random_uuid() from marketplace.integrations where slug = 'red-mails' $$
);

select * from finish();
rollback;
