\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.api_quotas (organization_id, integration_id, name, limit_count, resets_at)
select organization_id, id, 'core', 100, now() from marketplace.integrations where provider = 'acme';

select pg_temp.check_access(
  'api_quotas', 'used_count = used_count',
  $$ insert into marketplace.api_quotas (organization_id, integration_id, name, limit_count, resets_at)
     select organization_id, id, 'more', 100, now() from marketplace.integrations where slug = 'red-files' $$
);

select * from finish();
rollback;
