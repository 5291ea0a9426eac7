\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(8);

-- given a job that a workflow holds
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create function pg_temp.fail(p_code text, p_retryable boolean) returns jsonb language sql as $$
  select marketplace.fail_job(job_id, lease_id, p_code, 'because', p_retryable) from held
$$;
create function pg_temp.claim_again() returns void language sql as $$
  update marketplace.sync_jobs set run_at = now() where id = (select job_id from held);
  delete from held;
  insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run'
$$;

-- when it fails for the time being
select is(
  pg_temp.fail('rate_limited', true),
  '{"status": "pending"}', 'a failure that may pass is retried'
);
select results_eq(
  'select status, error_code, error_message, lease_id from job',
  $$ values ('pending', 'rate_limited', 'because', null::uuid) $$,
  'the job says why'
);
select results_eq(
  'select result, error_code from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id',
  $$ values ('failed', 'rate_limited') $$,
  'so does the attempt'
);
select throws_ok($$ select pg_temp.fail('again', true) $$, 'MK409', null, 'an attempt fails once');

-- when it fails for good
do $$ begin perform pg_temp.claim_again(); end $$;
select is(
  pg_temp.fail('no_such_bucket', false),
  '{"status": "dead"}', 'a failure that will not pass is not retried'
);

-- when the attempts are used up
update marketplace.sync_jobs
set status = 'pending', finished_at = null, attempt_count = max_attempts - 1
where id in (select job_id from held);
do $$ begin perform pg_temp.claim_again(); end $$;
select is(pg_temp.fail('', true), '{"status": "dead"}', 'nor is the last one');
select is((select error_code from job), 'failed', 'a failure without a code has one');

-- a backoff grows with each attempt, up to its cap
update marketplace.workflows set retry_base = '1 hour', retry_cap = '90 minutes'
where slug = 'acme-run';
create function pg_temp.waits(p_attempt int) returns interval language plpgsql as $$
begin
  update marketplace.sync_jobs set status = 'pending', finished_at = null, max_attempts = 99, attempt_count = p_attempt - 1 where id in (select job_id from held);
  perform pg_temp.claim_again();
  perform pg_temp.fail('x', true);
  return (select run_at - now() from job);
end
$$;
select ok(
  bool_and(w between '0' and case a when 1 then interval '1 hour' else interval '90 minutes' end) and count(distinct w) = 40,
  'each retry waits a random part of a backoff that doubles up to its cap'
)
from (select a, pg_temp.waits(a) as w from generate_series(1, 4) as a, generate_series(1, 10)) as wait;

select * from finish();
rollback;
