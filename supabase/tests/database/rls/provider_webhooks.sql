\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.provider_webhooks (organization_id, integration_id, kind, target)
select organization_id, id, 'github.organization', slug from marketplace.integrations where provider = 'acme';

select pg_temp.check_access(
  'provider_webhooks', 'failure_count = failure_count',
  $$ insert into marketplace.provider_webhooks (organization_id, integration_id, kind, target)
     select organization_id, integration_id, kind, 'more' from marketplace.provider_webhooks
     where organization_id in (md5('red')::uuid, md5('blue')::uuid) $$
);

select * from finish();
rollback;
