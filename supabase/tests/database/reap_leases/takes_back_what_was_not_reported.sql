\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a job that a workflow holds
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;

-- when its lease has not ended
do $$ begin perform marketplace.reap_leases(1000); end $$;
select results_eq('select status from job', array['running'], 'a living lease is left alone');

-- when it ends
update marketplace.sync_jobs set lease_expires_at = now() where id in (select job_id from held);
select cmp_ok(marketplace.reap_leases(1000), '>=', 1, 'a lease that ended is taken back');
select results_eq(
  'select status, lease_id, lease_expires_at, attempt_count, error_code, error_message from job',
  $$ values ('pending', null::uuid, null::timestamptz, 1, 'lease_lost', 'The workflow did not report before its lease ended.') $$,
  'the job is tried again, and says why'
);
select ok(
  (select run_at between now() and now() + interval '1 second' from job),
  'after a random part of the first backoff'
);
select results_eq(
  'select a.result, a.ended_at is not null, a.error_code from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id',
  $$ values ('lease_lost', true, 'lease_lost') $$,
  'so does the attempt'
);
select is(
  (select count(*) from marketplace.sync_jobs as j join held as h on h.job_id = j.id where j.lease_expires_at <= now())::int,
  0, 'nothing is left to take back'
);

-- when it was the last attempt
update marketplace.sync_jobs set run_at = now(), attempt_count = 2
where id in (select job_id from held);
do $$ begin perform marketplace.claim_jobs(1000); end $$;
update marketplace.sync_jobs set lease_expires_at = now() where id in (select job_id from held);
do $$ begin perform marketplace.reap_leases(1000); end $$;
select results_eq(
  'select status, attempt_count, error_code, finished_at is not null from job', $$ values ('dead', 3, 'lease_lost', true) $$,
  'after the last attempt it is dead'
);
select results_eq(
  'select d.workflow, d.rule, d.source, d.error_code, d.attempt_count from marketplace.v_dead_letters as d join held as h using (job_id)',
  $$ values ('acme-run', 'Acme mirror', 'acme-files', 'lease_lost', 3) $$,
  'and a dead letter'
);

-- when more have ended than are asked for
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
select r.organization_id, r.id, r.workflow_id from marketplace.sync_rules as r, generate_series(1, 3) where r.name = 'Acme mirror';
do $$ begin perform marketplace.claim_jobs(1000); end $$;
update marketplace.sync_jobs set lease_expires_at = now() - interval '1 day'
where status = 'running'
  and rule_id = (select id from marketplace.sync_rules where name = 'Acme mirror');
select is(marketplace.reap_leases(2), 2, 'a batch is bounded');

select * from finish();
rollback;
