\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(29);

select pg_temp.given_integrations();
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key)
select organization_id, id, provider, 't', slug from marketplace.integrations where provider = 'acme';

select pg_temp.check_access(
  'webhook_events', 'account = account',
  $$ insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key)
     values (md5('red')::uuid, gen_random_uuid(), 'acme', 't', 'more') $$
);

select pg_temp.become('a newcomer');
select throws_ok(
  'select 1 from marketplace.webhook_events_default',
  '42501', null, 'nobody reads a partition past its parent'
);

select * from finish();
rollback;
