begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given a job with two artifacts, of which one cannot be synced whatever is tried
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint, max_attempts, retry_base)
values ('acme-run', 'Run', 'http', 'https://acme.example/run', 5, '0');
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
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', '{}'
from marketplace.integrations as i where i.slug = 'acme-files';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, max_attempts)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, e.correlation_id, 5
from marketplace.sync_rules as r
join marketplace.webhook_events as e on e.integration_id = r.source_integration_id
where r.name = 'Acme mirror';
create temp table held as select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
create function pg_temp.plan() returns setof marketplace.artifact_syncs language sql as $$
  select p.* from held as h, marketplace.plan_artifacts(h.job_id, h.lease_id, '[
    {"source_ref": "1", "source_path": "files/a", "name": "a"}, {"source_ref": "2", "source_path": "files/b", "name": "b"}
  ]') as p
$$;
create function pg_temp.change(p_name text, p_changes jsonb) returns marketplace.artifact_syncs language sql as $$
  select u.* from held as h
  join marketplace.artifact_syncs as a on a.job_id = h.job_id and a.name = p_name,
    marketplace.update_artifact(h.job_id, h.lease_id, a.id, p_changes) as u
$$;
create function pg_temp.complete() returns jsonb language sql as $$
  select marketplace.complete_job(job_id, lease_id, '{}') from held
$$;
do $$
begin
  perform pg_temp.plan();
  perform pg_temp.change('a', '{"status": "failed", "error_code": "conflict", "error_message": "changed there", "is_final": true}');
  perform pg_temp.change('b', '{"status": "failed", "error_code": "destination_unavailable"}');
end
$$;

-- then
select is(
  (select health_status from marketplace.integrations where slug = 'acme-backup'), 'degraded',
  'an outage is noted at the integration'
);
select is(pg_temp.complete() ->> 'status', 'pending', 'what may work the next time is tried again');

-- when it is
truncate held;
update marketplace.sync_jobs set run_at = now() where status = 'pending';
insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
select results_eq(
  'select name, status, is_final, error_code from pg_temp.plan() order by 1',
  $$ values ('a', 'failed', true, 'conflict'), ('b', 'planned', false, null) $$,
  'planning again keeps what failed for good'
);
do $$
begin
  perform pg_temp.change('b', '{"status": "transferring"}');
  perform pg_temp.change('b', '{"status": "uploaded"}');
  perform pg_temp.change('b', '{"status": "completed", "destination_size_bytes": 1, "destination_checksum": "md5:1"}');
end
$$;
select is(
  (select health_status from marketplace.integrations where slug = 'acme-backup'), 'healthy',
  'what is final says nothing about the integration'
);
select is(pg_temp.complete() ->> 'status', 'dead', 'nothing else is left: the job is not tried again');
select matches(
  (select d.error_message from marketplace.v_dead_letters as d where d.rule = 'Acme mirror'), 'a: changed there',
  'and its reason can be read'
);
select throws_ok(
  $$ update marketplace.artifact_syncs set is_final = true where name = 'b' $$, '23514', null, 'only a failure is final'
);

select * from finish();
rollback;
