begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given the settings
-- the only one there is

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('is_singleton = false', 'settings_is_singleton_check', 'the settings are one row'),
  ('event_retention = ''23 hours''', 'settings_event_retention_check', 'events are kept for a day at least'),
  ('dedupe_retention = ''23 hours''', 'settings_dedupe_retention_check', 'so are delivery ids'),
  ('attempt_retention = ''23 hours''', 'settings_attempt_retention_check', 'so are attempts'),
  ('execution_retention = ''23 hours''', 'settings_execution_retention_check', 'so are executions'),
  ('job_retention = ''23 hours''', 'settings_job_retention_check', 'so are finished jobs'),
  ('rejection_retention = ''59 minutes''', 'settings_rejection_retention_check', 'counters of refusals are kept for an hour at least'),
  ('reconcile_every = ''9 seconds''', 'settings_reconcile_every_check', 'feeds are not looked at without a pause'),
  ('partitions_ahead = 61', 'settings_partitions_ahead_check', 'at most sixty days stand ready');
select throws_ok(
  format('update marketplace.settings set %s where is_singleton', change),
  '23514', format('new row for relation "settings" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.settings'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  'insert into marketplace.settings default values',
  '23505', null, 'there is no second row'
);
select results_eq(
  'select event_retention, dedupe_retention, job_retention, partitions_ahead from marketplace.settings',
  $$ values (interval '30 days', interval '30 days', interval '90 days', 7) $$,
  'a fresh project keeps events for a month and jobs for three'
);

select * from finish();
rollback;
