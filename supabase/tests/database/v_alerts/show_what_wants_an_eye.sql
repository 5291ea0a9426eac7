\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(20);

-- given an empty queue, and an alert by its name
delete from marketplace.sync_jobs;
delete from marketplace.webhook_events;
select pg_temp.given_rule();
do $$ begin perform marketplace.configure_platform('https://project.example/functions/v1'); end $$;
create function pg_temp.alerts(p_subject text) returns text language sql as $$
  select string_agg(severity || ' ' || alert, ', ' order by alert) from marketplace.v_alerts where subject = p_subject
$$;

-- then
select is(pg_temp.alerts('routing'), null, 'nothing is said of what is well');
select is(pg_temp.alerts('acme-run'), null, 'nor of a workflow without work');

-- when things wait
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', '{"size": 3}'
from marketplace.integrations as i where i.slug = 'acme-files';
update marketplace.webhook_events set created_at = now() - interval '2 minutes';
select is(pg_temp.alerts('routing'), 'critical event_waiting', 'an event that waits for routing');
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, run_at)
select organization_id, id, workflow_id, now() - interval '6 minutes' from marketplace.sync_rules where name = 'Acme mirror';
select is(pg_temp.alerts('acme-run'), 'critical job_waiting', 'a job that waits for dispatch');
update marketplace.sync_jobs set status = 'dead', finished_at = now(), error_code = 'x';
select is(pg_temp.alerts('acme-run'), 'warning dead_letters', 'a dead letter');
update marketplace.sync_jobs set replayed_at = now();
select is(pg_temp.alerts('acme-run'), null, 'not one that was replayed');

-- when workflows do not run
update marketplace.workflows set breaker_state = 'open', breaker_until = now()
where slug = 'acme-run';
select is(pg_temp.alerts('acme-run'), 'critical circuit_open', 'an open circuit');
update marketplace.workflows
set breaker_state = 'closed', breaker_until = null, is_active = false, disabled_reason = 'gone'
where slug = 'acme-run';
select is(
  pg_temp.alerts('acme-run'),
  'critical workflow_disabled', 'a workflow that was switched off for a reason'
);
update marketplace.workflows
set is_active = true, disabled_reason = null, paused_at = now() - interval '2 hours'
where slug = 'acme-run';
select is(pg_temp.alerts('acme-run'), 'warning paused', 'one that somebody may have forgotten');

-- when integrations are not well
update marketplace.integrations set health_status = 'degraded', error_message = 'slow'
where slug = 'acme-files';
select is(pg_temp.alerts('acme-files'), 'warning integration_degraded', 'a degraded integration');
update marketplace.integrations set health_status = 'unhealthy' where slug = 'acme-files';
select is(pg_temp.alerts('acme-files'), 'critical integration_unhealthy', 'an unhealthy one');
update marketplace.integrations set health_status = 'healthy' where slug = 'acme-files';
do $$
begin
  perform marketplace.observe_quota(id, 'core', 100, 10, now() + interval '1 hour')
  from marketplace.integrations where slug = 'acme-files';
end
$$;
select is(pg_temp.alerts('acme-files'), 'warning quota', 'a quota nearly spent');
delete from marketplace.api_quotas;
do $$ begin perform marketplace.set_integration_secret('acme-files', 'webhook', 'x'); end $$;
update marketplace.integration_secrets set valid_until = now() + interval '1 day'
where integration_id = (select id from marketplace.integrations where slug = 'acme-files');
select is(
  pg_temp.alerts('acme-files'),
  'warning secret_expiring', 'a secret that ends without a successor'
);
do $$ begin perform marketplace.rotate_integration_secret('acme-files', 'webhook', 'y'); end $$;
select is(pg_temp.alerts('acme-files'), null, 'not one that has a successor');
do $$
begin
  perform marketplace.offer_webhook_secret(id, 'z') from marketplace.integrations
  where slug = 'acme-backup';
end
$$;
select is(pg_temp.alerts('acme-backup'), null, 'nor one that was only offered');
insert into marketplace.oauth_tokens (integration_id, refresh_token_vault_id, status)
select id, gen_random_uuid(), 'reauthorization_required' from marketplace.integrations where slug = 'acme-files';
select is(
  pg_temp.alerts('acme-files'),
  'warning reauthorization_required', 'a grant that was refused'
);

-- when the platform is not well
delete from vault.secrets where name = 'marketplace_functions_url';
select is(
  pg_temp.alerts('marketplace'),
  'critical functions_url_missing', 'a database that does not know its functions'
);
insert into net._http_response (id, status_code, created) values (-1, 401, now());
update marketplace.dispatcher_state set ring_request_id = -1;
select is(
  pg_temp.alerts('marketplace-dispatch'),
  'critical ring_unanswered', 'a ring that was not answered'
);
insert into cron.job_run_details (jobid, runid, status, return_message, start_time)
select jobid, 9223372036854775807, 'failed', 'no', now() from cron.job where jobname = 'marketplace_sweep';
select is(pg_temp.alerts('marketplace_sweep'), 'warning cron_failed', 'a cron job that failed');

-- then, in figures
select results_eq(
  $$ select labels, value from marketplace.metrics()
       where name = 'marketplace_jobs' and labels ->> 'workflow' = 'acme-run'
       order by labels ->> 'state' $$,
  $$ values ('{"state": "held", "workflow": "acme-run"}'::jsonb, 0::numeric),
       ('{"state": "running", "workflow": "acme-run"}', 0),
       ('{"state": "waiting", "workflow": "acme-run"}', 0) $$,
  'the same is there as figures'
);

select * from finish();
rollback;
