begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given one of each
insert into marketplace.event_minutes (minute, organization_id, provider, event_type, event_count, job_count)
values ('2000-01-01 00:00+00', md5('a')::uuid, 'acme', 'given', 1, 0);
insert into marketplace.sync_minutes (
  minute, organization_id, source_integration_id, destination_integration_id, completed_count, failed_count
)
values ('2000-01-01 00:00+00', md5('a')::uuid, md5('b')::uuid, md5('c')::uuid, 1, 0);
insert into marketplace.minute_marks (minute, mark) values ('2000-01-01 00:00+00', 'over');

-- then each check refuses what it is there for
create temp table refusal (relation text, change text, check_name text, rule text);
insert into refusal values
  ('event_minutes', 'event_count = 0', 'event_minutes_event_count_check', 'a count of events is of some'),
  ('event_minutes', 'job_count = -1', 'event_minutes_job_count_check', 'there are not fewer jobs than none'),
  ('sync_minutes', 'completed_count = -1', 'sync_minutes_completed_count_check', 'nor completed syncs'),
  ('sync_minutes', 'failed_count = -1', 'sync_minutes_failed_count_check', 'nor failed ones'),
  ('minute_marks', 'mark = ''odd''', 'minute_marks_mark_check', 'a mark is one of those that are known');
select throws_ok(
  format('update marketplace.%I set %s where minute = ''2000-01-01 00:00+00''', relation, change),
  '23514', format('new row for relation "%s" violates check constraint "%s"', relation, check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
     where contype = 'c' and conrelid in (
       'marketplace.event_minutes'::regclass, 'marketplace.sync_minutes'::regclass, 'marketplace.minute_marks'::regclass
     ) $$,
  'select check_name from refusal', 'and no check is left out'
);

select * from finish();
rollback;
