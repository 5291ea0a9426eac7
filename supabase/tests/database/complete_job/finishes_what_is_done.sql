\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given a job that a workflow holds, with two artifacts
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create temp table artifact as
select p.id, p.name from held as h, marketplace.plan_artifacts(h.job_id, h.lease_id, '[
  {"source_ref": "1", "source_path": "files/a", "name": "a"}, {"source_ref": "2", "source_path": "files/b", "name": "b"},
  {"source_ref": "3", "source_path": "files/c", "name": "c", "skip_reason": "expired"}
]') as p;
create function pg_temp.complete() returns jsonb language sql as $$
  select marketplace.complete_job(job_id, lease_id, '{"summary": "done"}') from held
$$;
create function pg_temp.claim_again() returns void language sql as $$
  update marketplace.sync_jobs set run_at = now() where id = (select job_id from held);
  delete from held;
  insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run'
$$;
create function pg_temp.set_status(p_name text, p_status text) returns void language sql as $$
  update marketplace.artifact_syncs set status = p_status, error_code = case when p_status = 'failed' then 'full' end,
    completed_at = case when p_status = 'completed' then now() end, destination_size_bytes = 3, destination_checksum = 'md5:1'
  where id = (select id from artifact where name = p_name)
$$;

-- when it reports although one artifact failed and one is on its way
do $$ begin perform pg_temp.set_status('a', 'failed'), pg_temp.set_status('b', 'uploaded'); end $$;
select is(
  pg_temp.complete(),
  '{"status": "pending", "failed": 1, "unfinished": 1}',
  'a job is not done before its artifacts are'
);
select results_eq(
  'select status, error_code, error_message from job',
  $$ values ('pending', 'artifacts_incomplete', '1 artifacts failed, 1 unfinished. a: full') $$,
  'it is tried again, and says what is missing'
);
select results_eq(
  'select result, error_code from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id',
  $$ values ('failed', 'artifacts_incomplete') $$,
  'the attempt has failed'
);
select throws_ok('select pg_temp.complete()', 'MK409', null, 'and cannot report again');

-- when the next attempt finishes them
do $$
begin
  perform pg_temp.claim_again(), pg_temp.set_status('a', 'completed'),
    pg_temp.set_status('b', 'completed');
end
$$;
select is(
  pg_temp.complete(),
  '{"status": "completed", "failed": 0}',
  'a job is done when its artifacts are completed or skipped'
);
select results_eq(
  'select status, finished_at is not null, result, lease_id, error_code from job',
  $$ values ('completed', true, '{"summary": "done"}'::jsonb, null::uuid, null) $$,
  'it keeps the report and forgets its failures'
);
select results_eq(
  'select attempt, result from marketplace.sync_job_attempts where job_id = (select job_id from held) order by 1', $$ values (1, 'failed'), (2, 'completed') $$,
  'each attempt keeps its own result'
);
select is(
  pg_temp.complete(),
  '{"status": "completed", "failed": 0}', 'a report that is sent again is answered alike'
);
select is(
  (select count(*) from marketplace.sync_job_attempts where job_id = (select job_id from held))::int,
  2, 'and changes nothing'
);
select throws_ok(
  'select marketplace.complete_job(job_id, gen_random_uuid()) from held', 'MK409', null,
  'nobody else can report on it'
);

-- when a job has no artifacts
do $$
begin
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id) select organization_id, rule_id, workflow_id from job;
  delete from held;
  insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
end
$$;
select is(
  (select marketplace.complete_job(job_id, lease_id) from held),
  '{"status": "completed", "failed": 0}', 'a job without artifacts is done when it says so'
);

-- when the last attempt is incomplete
do $$
begin
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, max_attempts) select organization_id, rule_id, workflow_id, 1 from job;
  delete from held;
  insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
  perform marketplace.plan_artifacts(job_id, lease_id, '[{"source_ref": "1", "source_path": "files/a", "name": "a"}]') from held;
end
$$;
select is(
  pg_temp.complete(),
  '{"status": "dead", "failed": 0, "unfinished": 1}', 'the last attempt leaves it dead'
);

select * from finish();
rollback;
