begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given an event of a far day
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at)
select organization_id, id, provider, 't', 'given', '2100-01-01' from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('processed = true', 'webhook_events_processed_check', 'what is processed says when');
select throws_ok(
  format('update marketplace.webhook_events set %s where dedupe_key = ''given''', change),
  '23514', format('new row for relation "webhook_events_default" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.webhook_events'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ update marketplace.webhook_events set processed_at = now() where dedupe_key = 'given' $$,
  '23514',
  null,
  'and what is not does not'
);
select results_eq(
  $$ select processed, headers, payload, resource_path, job_count from marketplace.webhook_events
       where dedupe_key = 'given' $$,
  $$ values (false, '{}'::jsonb, '{}'::jsonb, '', 0) $$, 'an event waits to be processed'
);
select results_eq(
  $$ select tableoid::regclass::text from marketplace.webhook_events where dedupe_key = 'given' $$,
  array['marketplace.webhook_events_default'],
  'an event of a day without a partition is kept, too'
);
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key)
select organization_id, id, provider, 't', 'today' from marketplace.integrations where slug = 'acme-files';
select results_eq(
  $$ select tableoid::regclass::text from marketplace.webhook_events where dedupe_key = 'today' $$,
  array['marketplace.webhook_events_' || to_char(now() at time zone 'UTC', 'YYYYMMDD')], 'one of today lies in the partition of today'
);
delete from marketplace.integrations where slug = 'acme-files';
select isnt_empty(
  $$ select id from marketplace.webhook_events where dedupe_key = 'given' $$,
  'events outlive their integration'
);

select * from finish();
rollback;
