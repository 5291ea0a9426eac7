\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
select id, '1', gen_random_uuid(), gen_random_uuid() from marketplace.integrations where provider = 'acme';

select pg_temp.check_access_by_integration(
  'webhook_deliveries', 'duplicate_count = duplicate_count',
  $$ insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
     select id, '2', gen_random_uuid(), gen_random_uuid() from marketplace.integrations where slug = 'red-files' $$
);

select * from finish();
rollback;
