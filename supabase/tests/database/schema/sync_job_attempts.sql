begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given an attempt of a far day
insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt, started_at)
values (md5('given')::uuid, gen_random_uuid(), gen_random_uuid(), 1, '2100-01-01');

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('attempt = 0', 'sync_job_attempts_attempt_check', 'attempts are counted from one'),
  ('dispatch_ms = -1', 'sync_job_attempts_dispatch_ms_check', 'a dispatch takes some time'),
  ('dispatch_outcome = ''lost''', 'sync_job_attempts_dispatch_outcome_check', 'it is delivered, failed or unknown'),
  ('result = ''lost'', ended_at = now()', 'sync_job_attempts_result_check', 'an attempt ends in one of four ways'),
  ('result = ''failed''', 'sync_job_attempts_ended_check', 'what has ended says when'),
  ('ended_at = now()', 'sync_job_attempts_ended_check', 'and how');
select throws_ok(
  format('update marketplace.sync_job_attempts set %s where id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "sync_job_attempts_default" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.sync_job_attempts'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select results_eq(
  $$ select tableoid::regclass::text from marketplace.sync_job_attempts
       where id = md5('given')::uuid $$,
  array['marketplace.sync_job_attempts_default'],
  'an attempt of a day without a partition is kept, too'
);
insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt)
values (md5('today')::uuid, gen_random_uuid(), gen_random_uuid(), 1);
select results_eq(
  $$ select tableoid::regclass::text, result, dispatch_outcome from marketplace.sync_job_attempts
       where id = md5('today')::uuid $$,
  $$ values ('marketplace.sync_job_attempts_' || to_char(now() at time zone 'UTC', 'YYYYMMDD'), null, null) $$,
  'one of today runs, and lies in the partition of today'
);

select * from finish();
rollback;
