begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(21);

-- given a job
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme mirror', i.id, w.id from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, correlation_id)
select r.organization_id, r.id, r.workflow_id, md5('given')::uuid from marketplace.sync_rules as r where r.name = 'Acme mirror';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('status = ''lost''', 'sync_jobs_status_check', 'a job is pending, running, completed, dead or cancelled'),
  ('absorbed_count = -1', 'sync_jobs_absorbed_count_check', 'absorbed events are counted up'),
  ('attempt_count = -1', 'sync_jobs_attempt_count_check', 'so are attempts'),
  ('max_attempts = 0', 'sync_jobs_max_attempts_check', 'a job is tried once at least'),
  ('event_id = gen_random_uuid()', 'sync_jobs_event_check', 'an event is named with its partition'),
  ('lease_id = gen_random_uuid()', 'sync_jobs_running_has_lease_check', 'what does not run is held by nobody'),
  ('status = ''running'', token_hash = ''\x00'', attempt_count = 1', 'sync_jobs_running_has_lease_check', 'what runs is held by a lease'),
  ('status = ''running'', attempt_count = 1, lease_id = gen_random_uuid(), lease_expires_at = now(), claimed_at = now()', 'sync_jobs_attempts_check', 'and has a token'),
  ('status = ''completed''', 'sync_jobs_finished_check', 'what has finished says when'),
  ('finished_at = now()', 'sync_jobs_finished_check', 'what waits has not finished'),
  ('status = ''dead'', finished_at = now()', 'sync_jobs_dead_has_reason_check', 'what is dead says why');
select throws_ok(
  format('update marketplace.sync_jobs set %s where correlation_id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "sync_jobs" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.sync_jobs'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select results_eq(
  $$ select status, priority, run_at, attempt_count, max_attempts from marketplace.sync_jobs
       where correlation_id = md5('given')::uuid $$,
  $$ values ('pending', 0, now(), 0, 3) $$, 'a job waits, and is due at once'
);

-- one job per event and rule, and one replay of each at a time
update marketplace.sync_jobs set event_id = md5('event')::uuid, event_created_at = now()
where correlation_id = md5('given')::uuid;
create function pg_temp.again(p_replay_of uuid) returns void language sql as $$
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, replay_of)
  select organization_id, rule_id, workflow_id, event_id, event_created_at, p_replay_of
  from marketplace.sync_jobs where correlation_id = md5('given')::uuid
$$;
select throws_ok('select pg_temp.again(null)', '23505', null, 'an event and a rule have one job');
select lives_ok(
  $$ select pg_temp.again(id) from marketplace.sync_jobs where correlation_id = md5('given')::uuid $$,
  'a replay stands beside it'
);
select throws_ok(
  $$ select pg_temp.again(id) from marketplace.sync_jobs where correlation_id = md5('given')::uuid $$,
  '23505', null, 'but one at a time'
);

-- what it belongs to
select throws_ok(
  $$ update marketplace.sync_jobs set rule_id = gen_random_uuid()
       where correlation_id = md5('given')::uuid $$,
  '23503', null, 'its rule exists'
);
select throws_ok(
  $$ update marketplace.sync_jobs set workflow_id = gen_random_uuid()
       where correlation_id = md5('given')::uuid $$,
  '23503', null, 'so does its workflow'
);
select throws_ok(
  $$ delete from marketplace.workflows where slug = 'acme-run' $$,
  '23503', null, 'a workflow with jobs cannot be deleted by accident'
);
create temp table replay as select id from marketplace.sync_jobs
where replay_of is not null and event_id = md5('event')::uuid;
delete from marketplace.sync_jobs where correlation_id = md5('given')::uuid;
select results_eq(
  'select j.replay_of from marketplace.sync_jobs as j join replay using (id)', array[null::uuid], 'a replay outlives what it replays'
);
delete from marketplace.sync_rules where name = 'Acme mirror';
select is_empty(
  'select j.id from marketplace.sync_jobs as j join replay using (id)',
  'jobs go with their rule'
);

select * from finish();
rollback;
