begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given a rule whose retries are quick, and a job that a workflow holds
insert into marketplace.providers (slug, name, category, base_url) values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint, max_attempts, retry_base, retry_cap)
values ('acme-run', 'Run', 'http', 'https://acme.example/run', 30, '1 second', '5 seconds');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.register_action('acme', 'files.get', 'GET', '/files', '{"type": "object", "properties": {}}');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id)
select 'Acme run', s.id, 'files/**', w.id
from marketplace.integrations as s, marketplace.workflows as w
where s.slug = 'acme-files' and w.slug = 'acme-run';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, max_attempts, scheduled_at)
select r.organization_id, r.id, r.workflow_id, 30, now() from marketplace.sync_rules as r where r.name = 'Acme run';
create temp table claimed as select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join claimed as c on c.job_id = j.id;
create function pg_temp.again() returns void language sql as $$
  update marketplace.sync_jobs as j set run_at = now(), not_before = null from claimed as c where j.id = c.job_id;
  delete from claimed;
  insert into claimed select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run'
$$;
create function pg_temp.fail() returns interval language sql as $$
  select marketplace.fail_job(c.job_id, c.lease_id, 'artifacts_incomplete', 'because') from claimed as c;
  select run_at - now() from job
$$;

-- when nobody asks to wait
select cmp_ok(pg_temp.fail(), '<=', '1 second', 'a retry follows its backoff');

-- when the provider says until when
do $$ begin perform pg_temp.again(); end $$;
do $$ begin perform marketplace.note_wait(job_id, 90000) from claimed; end $$;
do $$ begin perform marketplace.note_wait(job_id, 1500.5) from claimed; end $$;
select is(pg_temp.fail(), '90 seconds', 'a retry waits for the longest that an attempt was told');
do $$ begin perform pg_temp.again(); end $$;
do $$ begin perform marketplace.note_wait(job_id, 1e12) from claimed; end $$;
select is(pg_temp.fail(), '1 day', 'no longer than a day');
select is((select marketplace.note_wait(job_id, 1000) from claimed), null, 'a job that waits already is left alone');

-- when it does not
update marketplace.sync_jobs as j set attempt_count = 0 from claimed as c where j.id = c.job_id;
do $$ begin perform pg_temp.again(); perform marketplace.note_wait(job_id) from claimed; end $$;
select ok(w >= '30 seconds' and w <= '36 seconds', 'the first time about half a minute: ' || w) from pg_temp.fail() as w;
do $$ begin perform pg_temp.again(); perform marketplace.note_wait(job_id) from claimed; end $$;
select ok(w >= '60 seconds' and w <= '72 seconds', 'then twice as long: ' || w) from pg_temp.fail() as w;
update marketplace.sync_jobs as j set attempt_count = 20 from claimed as c where j.id = c.job_id;
do $$ begin perform pg_temp.again(); perform marketplace.note_wait(job_id) from claimed; end $$;
select ok(w >= '15 minutes' and w <= '18 minutes', 'and no longer than a quarter of an hour: ' || w) from pg_temp.fail() as w;

-- when an action of the job meets a limit
do $$ begin perform pg_temp.again(); end $$;
create temp table begun as
select marketplace.begin_execution(jsonb_build_object(
  'caller', jsonb_build_object('kind', 'job', 'token', c.token), 'integration', 'acme-files', 'action', 'files.get',
  'request_hash', '00', 'correlation_id', gen_random_uuid()
)) as answer from claimed as c;
do $$
begin
  perform marketplace.finish_executions(jsonb_build_array(b.answer || '{
    "outcome": "failed", "error_code": "rate_limited", "http_status": 429, "wait_ms": 450000, "retry_after_ms": 450000, "action": "files.get", "observed": [], "spent": 1, "attempt_count": 1, "duration_ms": 5, "is_kept": false
  }')) from begun as b;
end
$$;
select is((select not_before - now() from job), '450 seconds', 'its job waits as long');
select is(pg_temp.fail(), '450 seconds', 'once that has failed');
do $$ begin perform pg_temp.again(); end $$;
select is((select not_before from job), null, 'the next attempt knows nothing of it');
select is((
  select marketplace.begin_execution(jsonb_build_object(
    'caller', jsonb_build_object('kind', 'job', 'token', c.token), 'integration', 'acme-files', 'action', 'files.get',
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  )) #>> '{refusal,code}' from claimed as c
), 'rate_limited', 'until it is refused before anybody is asked');
select ok(w between interval '400 seconds' and '451 seconds', 'and waits again') from pg_temp.fail() as w;
select is((select status from job), 'pending', 'it is never given up for it');

select * from finish();
rollback;
