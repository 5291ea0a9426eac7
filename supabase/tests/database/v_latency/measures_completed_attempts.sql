\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(3);

-- given a hundred jobs that waited 1 to 100 seconds, were answered in 1 to 100 ms and ran for 2 to 200 seconds
select pg_temp.given_rule();
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, correlation_id, created_at)
select r.organization_id, r.id, r.workflow_id, md5(n::text)::uuid, now() - make_interval(mins => 10, secs => n)
from marketplace.sync_rules as r, generate_series(1, 100) as n where r.name = 'Acme mirror';
insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt, started_at, ended_at, result, dispatch_ms)
select gen_random_uuid(), j.organization_id, j.id, 1, now() - interval '10 minutes', now() - make_interval(mins => 10, secs => -2 * n), 'completed', n
from generate_series(1, 100) as n join marketplace.sync_jobs as j on j.correlation_id = md5(n::text)::uuid;

-- and one that failed, and one of yesterday
insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt, started_at, ended_at, result, dispatch_ms, error_code)
select gen_random_uuid(), j.organization_id, j.id, 2, now() - t.ago, now(), t.result, 99999, 'x'
from marketplace.sync_jobs as j, (values (interval '1 minute', 'failed'), (interval '1 day', 'completed')) as t (ago, result)
where j.correlation_id = md5('1')::uuid;

-- then
select results_eq(
  $$ select job_count, wait_ms_p50, wait_ms_p99, dispatch_ms_p50, dispatch_ms_p99, run_ms_p50,
       run_ms_p99
       from marketplace.v_latency where workflow = 'acme-run' $$,
  $$ values (100::bigint, 50500::numeric, 99010::numeric, 51::numeric, 99::numeric, 101000::numeric, 198020::numeric) $$,
  'waiting, answering and running of the last hour''s completed attempts'
);
select is_empty(
  $$ select workflow from marketplace.v_latency
       where workflow = 'github-artifacts-mirror' and job_count = 0 $$,
  'a workflow without any is left out'
);

-- when jobs wait and run
do $$ begin perform marketplace.claim_jobs(1000); end $$;
select results_eq(
  $$ select pending, due, running, held, oldest_due_seconds is not null
       from marketplace.v_job_queue where workflow = 'acme-run' $$,
  $$ values (95::bigint, 95::bigint, 5::bigint, 0::bigint, true) $$,
  'the queue shows how many of each'
);

select * from finish();
rollback;
