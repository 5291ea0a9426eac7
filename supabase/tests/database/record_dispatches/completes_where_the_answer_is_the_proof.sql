begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a workflow that is done when it answers, and a job that was just sent
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
update marketplace.workflows set completion = 'response' where slug = 'acme-run';
create function pg_temp.record(p_outcome text, p_status int) returns int language sql as $$
  select marketplace.record_dispatches(jsonb_build_array(jsonb_build_object(
    'job_id', h.job_id, 'lease_id', h.lease_id, 'outcome', p_outcome, 'status_code', p_status, 'duration_ms', 1
  ))) from held as h
$$;

-- when it did not answer
do $$ begin perform pg_temp.record('unknown', null); end $$;
select results_eq(
  'select status from job',
  array['pending'], 'a workflow that only answers is asked again'
);
select is(
  (select a.result from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id),
  'failed', 'the attempt is over'
);

-- when it answers
update marketplace.sync_jobs set run_at = now() where id in (select job_id from held);
delete from held;
insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
do $$ begin perform pg_temp.record('delivered', 204); end $$;
select results_eq(
  'select status, result, finished_at is not null, lease_id from job',
  $$ values ('completed', '{"status_code": 204}'::jsonb, true, null::uuid) $$,
  'its 2xx completes the job'
);
select results_eq(
  'select a.result, a.dispatch_outcome, a.dispatch_status from marketplace.sync_job_attempts as a join held as h on h.lease_id = a.id',
  $$ values ('completed', 'delivered', 204) $$, 'and the attempt'
);
select is(pg_temp.record('delivered', 204), 1, 'saying so again is harmless');

select * from finish();
rollback;
