\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(14);

-- given a job that a workflow holds, and somebody who wants to know everything
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
do $$
begin
  perform marketplace.add_notification_endpoint('https://ops.example/hook', array['*']);
end
$$;
create temp view told as
select e.event_type, e.resource_path, e.payload, e.correlation_id from marketplace.webhook_events as e
where e.provider = 'marketplace' and e.created_at = now() and not e.processed;
create function pg_temp.told() returns text[] language sql as 'select array_agg(event_type || '' '' || resource_path order by event_type) from told';

-- when the job is completed
do $$ begin perform marketplace.complete_job(job_id, lease_id) from held; end $$;
select is(
  pg_temp.told(),
  (select array['sync.completed jobs/' || job_id] from held), 'a completed job is told'
);
select results_eq(
  $$ select correlation_id, payload ->> 'rule', payload ->> 'status', payload -> 'artifacts'
       from told $$,
  $$ select correlation_id, 'Acme mirror', 'completed', '[]'::jsonb from job $$,
  'under its correlation id, with what it did'
);

-- when it is routed
select null from pg_advisory_xact_lock(hashtext('marketplace.route_events'));
do $$ begin perform marketplace.route_events(); end $$;
create temp table notification as
select c.*, j.rule_id from marketplace.claim_jobs(1000) as c join marketplace.sync_jobs as j on j.id = c.job_id where c.endpoint = 'https://ops.example/hook';
select results_eq(
  $$ select body #>> '{event,type}', body #>> '{event,payload,status}',
       signing_secret like 'whsec\_%'
       from notification $$,
  $$ values ('sync.completed', 'completed', true) $$,
  'it is a job like any other: sent with its payload, signed with the endpoint''s own secret'
);
do $$
begin
  perform marketplace.record_dispatches(jsonb_build_array(jsonb_build_object('job_id', job_id, 'lease_id', lease_id, 'outcome', 'failed', 'status_code', 400)))
  from notification;
end
$$;
select results_eq(
  'select status from marketplace.sync_jobs where id = (select job_id from notification)',
  array['dead'], 'a notification can fail'
);
select is(pg_temp.told(), null, 'which is told to nobody: it would never end');

-- when a job dies
update marketplace.sync_jobs set status = 'pending', finished_at = null, attempt_count = 0
where id in (select job_id from held);
delete from held;
insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
do $$
begin
  perform marketplace.update_artifact(h.job_id, h.lease_id, p.id, '{"status": "failed", "error_code": "full"}')
  from held as h, marketplace.plan_artifacts(h.job_id, h.lease_id, '[{"source_ref": "1", "source_path": "files/a", "name": "a"}]') as p;
  perform marketplace.fail_job(job_id, lease_id, 'full', 'disk full', false) from held;
end
$$;
select is(
  pg_temp.told(), (select array['integration.unhealthy integrations/acme-backup', 'job.dead jobs/' || job_id, 'sync.failed jobs/' || job_id] from held),
  'a dead job is told, and what failed of it, and where'
);
select is(
  (select payload #> '{artifacts,0}' from told where event_type = 'sync.failed'),
  '{"name": "a", "status": "failed", "checksum": null, "error_code": "full", "size_bytes": null, "destination_path": ""}',
  'with each artifact'
);

-- when an integration's health turns
update marketplace.webhook_events set processed = true, processed_at = now()
where provider = 'marketplace';
update marketplace.integrations set health_status = 'healthy' where slug = 'acme-backup';
update marketplace.integrations set health_status = 'healthy' where slug = 'acme-files';
select is(
  pg_temp.told(),
  '{integration.recovered integrations/acme-backup}',
  'a recovery is told; a first good word is none'
);
update marketplace.integrations set health_status = 'unhealthy' where slug = 'acme-backup';
update marketplace.integrations set health_status = 'degraded' where slug = 'acme-backup';
select is(
  pg_temp.told(), '{integration.recovered integrations/acme-backup,integration.unhealthy integrations/acme-backup}', 'an illness is told once, whatever its degree'
);

-- when a quota is spent
update marketplace.webhook_events set processed = true, processed_at = now()
where provider = 'marketplace';
do $$
begin
  perform marketplace.observe_quota(id, 'core', 100, 10, now() + interval '1 hour'), marketplace.observe_quota(id, 'core', 100, 0, now() + interval '1 hour'),
    marketplace.observe_quota(id, 'core', 100, 0, now() + interval '1 hour')
  from marketplace.integrations where slug = 'acme-files';
end
$$;
select is(
  pg_temp.told(),
  '{quota.exceeded integrations/acme-files}', 'a spent quota is told, once a window'
);

-- when a circuit opens
update marketplace.webhook_events set processed = true, processed_at = now()
where provider = 'marketplace';
update marketplace.workflows set breaker_threshold = 1 where slug = 'acme-run';
do $$
begin
  perform marketplace._turn_breakers(jsonb_build_array(jsonb_build_object('job_id', job_id, 'outcome', 'failed', 'status_code', 500)))
  from held;
end
$$;
select is(
  pg_temp.told(),
  '{workflow.circuit_opened workflows/acme-run}', 'a circuit that opens is told'
);
update marketplace.workflows set breaker_state = 'half_open' where slug = 'acme-run';
do $$
begin
  perform marketplace._turn_breakers(jsonb_build_array(jsonb_build_object('job_id', job_id, 'outcome', 'failed', 'status_code', 500)))
  from held;
end
$$;
select is(
  pg_temp.told(),
  '{workflow.circuit_opened workflows/acme-run}', 'but not again when its probe fails'
);
do $$
begin
  perform marketplace._turn_breakers(jsonb_build_array(jsonb_build_object('job_id', job_id, 'outcome', 'delivered', 'status_code', 200)))
  from held;
end
$$;
select is(
  pg_temp.told(),
  '{workflow.circuit_closed workflows/acme-run,workflow.circuit_opened workflows/acme-run}',
  'and that closes'
);

-- when nobody wants to know
update marketplace.sync_rules set event_types = array['job.dead']
where source_integration_id in (select id from marketplace.integrations where provider = 'marketplace');
select is(
  (select marketplace._emit_event(organization_id, 'sync.completed', 'x', null, '{}') from job), null, 'what nobody subscribed to is not even stored'
);

select * from finish();
rollback;
