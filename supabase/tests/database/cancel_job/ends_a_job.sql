begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a job that a workflow holds
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.register_integration('acme-backup', 'Backup', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, destination_integration_id, workflow_id)
select 'Acme mirror', s.id, 'files/**', d.id, w.id
from marketplace.integrations as s, marketplace.integrations as d, marketplace.workflows as w
where s.slug = 'acme-files' and d.slug = 'acme-backup' and w.slug = 'acme-run';
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', '{"size": 3}'
from marketplace.integrations as i where i.slug = 'acme-files';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, e.correlation_id
from marketplace.sync_rules as r
join marketplace.webhook_events as e on e.integration_id = r.source_integration_id
where r.name = 'Acme mirror';
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;

-- when it is cancelled
do $$ begin perform marketplace.cancel_job(job_id, 'not needed') from held; end $$;

-- then
select results_eq(
  'select status, error_code, error_message, finished_at is not null, lease_id from job',
  $$ values ('cancelled', 'cancelled', 'not needed', true, null::uuid) $$,
  'it is over, and says why'
);
select results_eq(
  'select a.result, a.ended_at is not null from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id', $$ values ('cancelled', true) $$,
  'so is its attempt'
);
select throws_ok(
  'select marketplace.authorize_job(job_id, token) from held',
  'MK409', null, 'the workflow''s token is dead'
);
select throws_ok(
  'select marketplace.complete_job(job_id, lease_id) from held',
  'MK409', null, 'its report comes too late'
);
select lives_ok('select marketplace.cancel_job(job_id) from held', 'cancelling twice is harmless');
select is((select error_message from job), 'not needed', 'and changes nothing');

-- when a job waits
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, correlation_id) select organization_id,
  rule_id, workflow_id, md5('waits')::uuid
from job;
do $$
begin
  perform marketplace.cancel_job(id) from marketplace.sync_jobs
  where correlation_id = md5('waits')::uuid;
end
$$;
select results_eq(
  $$ select status from marketplace.sync_jobs where correlation_id = md5('waits')::uuid $$,
  array['cancelled'], 'a job that waits can be cancelled, too'
);

-- what cannot be cancelled
update marketplace.sync_jobs set status = 'completed' where id in (select job_id from held);
select throws_ok(
  'select marketplace.cancel_job(job_id) from held',
  'MK409', format('job %s is completed already', (select job_id from held)),
  'a completed one cannot'
);
select throws_ok(
  $$ select marketplace.cancel_job('00000000-0000-4000-8000-000000000000') $$,
  'MK404', null, 'nor one that is unknown'
);

select * from finish();
rollback;
