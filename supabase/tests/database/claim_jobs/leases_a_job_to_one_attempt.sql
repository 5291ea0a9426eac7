\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(17);

-- given a job that is due
select pg_temp.given_rule();
update marketplace.sync_rules set notify_integration_id = destination_integration_id where name = 'Acme mirror';
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', '{"size": 3}'
from marketplace.integrations as i where i.slug = 'acme-files';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, e.correlation_id
from marketplace.sync_rules as r
join marketplace.webhook_events as e on e.integration_id = r.source_integration_id
where r.name = 'Acme mirror';

-- when it is claimed
create temp table claimed as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j
join claimed as c on c.job_id = j.id;

-- then
select results_eq(
  'select attempt, max_attempts, workflow_kind, endpoint, timeout_ms, allows_private_network, signing_secret, auth_token from claimed',
  $$ values (1, 3, 'http', 'https://acme.example/run', 10000, false, null, null) $$,
  'the dispatcher is told what to send where, and how often it was tried'
);
select results_eq(
  'select status, attempt_count, lease_id, lease_expires_at, claimed_at from job',
  $$ select 'running', 1, lease_id, now() + interval '5 minutes', now() from claimed $$,
  'the job is leased for as long as the workflow says'
);
select is_empty(
  'select 1 from marketplace.sync_job_attempts as a join claimed as c on c.job_id = a.job_id',
  'the attempt has a row of its own as soon as there is something to write down of it'
);

-- then, its token
select matches(
  (select token from claimed),
  '^mpj_[0-9a-f]{64}$', 'the token is random and says what it is'
);
select is(
  (select token_hash from job), (select sha256(convert_to(token, 'UTF8')) from claimed), 'only its hash is kept'
);
select is_empty(
  $$ select 1 from marketplace.sync_jobs as j, claimed as c
       where j::text like '%' || c.token || '%' $$,
  'not the token itself'
);

-- then, its body
select is(
  (select body #>> '{job,id}' from claimed),
  (select job_id::text from claimed), 'the body names the job'
);
select is(
  (select body::jsonb - '{job,rule,event}'::text[] from claimed),
  '{"workflow": "acme-run", "source": {"integration": "acme-files", "provider": "acme"},
    "destination": {"integration": "acme-backup", "provider": "acme"},
    "notify": {"integration": "acme-backup", "provider": "acme", "action": "chat.postMessage", "channel": null, "is_default": false}}',
  'where from, where to, and whom to tell'
);
select is((select body #>> '{rule,name}' from claimed), 'Acme mirror', 'the rule');
select is(
  (select (body -> 'event')::jsonb - 'id' from claimed),
  '{"type": "file.added", "provider": "acme", "integration": "acme-files", "resource_path": "files/a.txt", "account": null, "occurred_at": null}',
  'and the event, without its payload'
);
select is_empty(
  $$ select 1 from claimed where body::text like '%mpj\_%' $$,
  'the token is not part of it'
);

-- when it is claimed again
select is_empty(
  'select 1 from marketplace.claim_jobs(1000) where workflow_slug = ''acme-run''',
  'a held job is not claimed'
);

-- when its lease was lost and it comes up again
update marketplace.sync_jobs set lease_expires_at = now() where id in (select job_id from claimed);
do $$ begin perform marketplace.reap_leases(1000); end $$;
select results_eq(
  'select a.attempt, a.started_at, a.job_id, a.result, a.dispatch_outcome from marketplace.sync_job_attempts as a join claimed as c on c.lease_id = a.id',
  $$ select 1, now(), job_id, 'lease_lost', null from claimed $$,
  'even where nobody told of it: a row named by the lease'
);
update marketplace.sync_jobs set run_at = now() where id in (select job_id from claimed);
update marketplace.workflows set sends_payload = true where slug = 'acme-run';
create temp table second as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
select results_eq('select attempt from second', array[2], 'the next attempt is counted');
select isnt((select token from second), (select token from claimed), 'it has a token of its own');
select isnt((select lease_id from second), (select lease_id from claimed), 'and a lease');
select is(
  (select (body #> '{event,payload}')::jsonb from second),
  '{"size": 3}', 'a workflow that wants the payload is sent it'
);

select * from finish();
rollback;
