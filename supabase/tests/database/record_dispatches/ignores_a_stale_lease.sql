begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a job whose first attempt was lost and whose second is running
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
create temp table first as select * from held;
update marketplace.sync_jobs set lease_expires_at = now() where id in (select job_id from held);
do $$ begin perform marketplace.reap_leases(1000); end $$;
update marketplace.sync_jobs set run_at = now() where id in (select job_id from held);
create temp table second as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp table before as select j.* from job as j;

-- when the first one's outcome comes in late
create function pg_temp.record(p_outcome text) returns int language sql as $$
  select marketplace.record_dispatches(jsonb_build_array(
    jsonb_build_object('job_id', f.job_id, 'lease_id', f.lease_id, 'outcome', p_outcome, 'status_code', 200, 'duration_ms', 1)
  )) from first as f
$$;

-- then
select is(pg_temp.record('failed'), 0, 'a failure of a lost lease counts for nothing');
select results_eq('table job', 'table before', 'and changes nothing');
select is(pg_temp.record('delivered'), 1, 'a delivery of a lost lease is noted at its attempt');
select results_eq('table job', 'table before', 'but not at the job');
select results_eq(
  'select a.attempt, a.dispatch_outcome, a.result from marketplace.sync_job_attempts as a join first as f on f.job_id = a.job_id order by 1',
  $$ values (1, 'delivered', 'lease_lost') $$,
  'the attempt keeps how it ended; the one that runs is not touched'
);

select * from finish();
rollback;
