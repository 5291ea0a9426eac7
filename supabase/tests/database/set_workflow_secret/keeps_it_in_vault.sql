begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a workflow with a job
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

-- when it is given secrets of its own
select lives_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'signing', 'whsec_c2lnbmVk') $$,
  'a signing secret is stored'
);
select lives_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'token', 'bearer-1') $$,
  'so is a bearer token'
);
do $$ begin perform marketplace.set_workflow_secret('acme-run', 'token', 'bearer-2'); end $$;

-- then
select is_empty(
  $$ select 1 from marketplace.workflows as w where w::text ~ 'c2lnbmVk|bearer-' $$,
  'the workflow holds references only'
);
select results_eq(
  $$ select signing_secret, auth_token from marketplace.claim_jobs(1000)
       where workflow_slug = 'acme-run' $$,
  $$ values ('whsec_c2lnbmVk', 'bearer-2') $$,
  'who claims a job is given them, the latest'
);

-- what cannot be set
select throws_ok(
  $$ select marketplace.set_workflow_secret('nope', 'token', 'x') $$,
  'MK404',
  'workflow ''nope'' does not exist',
  'an unknown workflow is named'
);
select throws_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'other', 'x') $$,
  'MK400',
  'a workflow has no ''other'' secret',
  'so is an unknown purpose'
);
select throws_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'token', '') $$,
  'MK400',
  null,
  'an empty secret is refused'
);

-- when the workflow goes
create temp table stored as select signing_vault_id as id from marketplace.workflows
where slug = 'acme-run';
delete from marketplace.sync_rules where name = 'Acme mirror';
delete from marketplace.workflows where slug = 'acme-run';
select isnt((select id from stored), null, 'there was a secret to forget');
select is_empty(
  'select v.id from vault.secrets as v join stored as s on s.id = v.id',
  'a workflow takes its secrets along'
);

select * from finish();
rollback;
