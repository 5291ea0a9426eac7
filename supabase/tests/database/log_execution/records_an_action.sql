begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

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
create function pg_temp.log(p jsonb) returns uuid language sql as $$
  select marketplace.log_execution(jsonb_build_object(
    'job_id', h.job_id, 'integration_id', i.id, 'action', 'chat.postMessage', 'duration_ms', 12.5
  ) || p)
  from held as h, marketplace.integrations as i where i.slug = 'acme-backup'
$$;

-- when it ran an action
create temp table logged as select pg_temp.log('{"outcome": "succeeded", "status_code": 200, "error_code": "ignored"}') as id;

-- then
select results_eq(
  'select e.organization_id, e.job_id, e.correlation_id, e.action, e.outcome, e.status_code, e.duration_ms, e.error_code from marketplace.execution_logs as e join logged using (id)',
  $$ select organization_id, id, correlation_id, 'chat.postMessage', 'succeeded', 200, 12.5, null
       from job $$,
  'it is recorded under the job''s correlation id'
);
select results_eq(
  $$ select x.integration, x.outcome, x.duration_ms from marketplace.v_recent_executions as x
       join logged using (id) $$,
  $$ values ('acme-backup', 'succeeded', 12.5) $$,
  'and shows among the recent ones'
);
create temp table failed as select pg_temp.log('{"outcome": "failed", "error": "no"}') as id;
select results_eq(
  $$ select e.error_code, e.error_message from marketplace.execution_logs as e
       join failed using (id) $$,
  $$ values ('failed', 'no') $$, 'a failure has a code, if only a general one'
);
select throws_ok(
  $$ select pg_temp.log('{"outcome": "maybe"}') $$,
  '23514', null, 'an action succeeded or failed'
);
select throws_ok(
  $$ select pg_temp.log('{"outcome": "succeeded", "action": null}') $$,
  '23502', null, 'it has a name'
);
select is(
  pg_temp.log('{"outcome": "succeeded", "job_id": "00000000-0000-4000-8000-000000000000"}'),
  null, 'without a job nothing is recorded'
);

select * from finish();
rollback;
