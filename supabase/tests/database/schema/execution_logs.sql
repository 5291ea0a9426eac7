begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given an execution of a far day
insert into marketplace.execution_logs (id, created_at, organization_id, integration_id, correlation_id, action, outcome, duration_ms)
values (md5('given')::uuid, '2100-01-01', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'files.get', 'succeeded', 1);

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('outcome = ''maybe''', 'execution_logs_outcome_check', 'an action succeeded or failed'),
  ('duration_ms = -1', 'execution_logs_duration_ms_check', 'it took some time'),
  ('duration_ms = null', 'execution_logs_finished_check', 'what has ended took some time'),
  ('outcome = ''running''', 'execution_logs_finished_check', 'what runs has not ended'),
  ('attempt_count = -1', 'execution_logs_attempt_count_check', 'attempts are counted up'),
  ('caller = ''nobody''', 'execution_logs_caller_check', 'somebody called'),
  ('caller = ''user''', 'execution_logs_caller_is_named_check', 'a user is named'),
  ('api_key_id = gen_random_uuid()', 'execution_logs_caller_is_named_check', 'a key is named when it called'),
  ('caller = ''job''', 'execution_logs_caller_is_named_check', 'a job is named'),
  ('outcome = ''failed''', 'execution_logs_failed_has_reason_check', 'what failed says why'),
  ('error_code = ''x''', 'execution_logs_failed_has_reason_check', 'what succeeded has no error');
select throws_ok(
  format('update marketplace.execution_logs set %s where id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "execution_logs_default" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.execution_logs'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select results_eq(
  $$ select tableoid::regclass::text from marketplace.execution_logs where id = md5('given')::uuid $$,
  array['marketplace.execution_logs_default'],
  'an execution of a day without a partition is kept, too'
);

select * from finish();
rollback;
