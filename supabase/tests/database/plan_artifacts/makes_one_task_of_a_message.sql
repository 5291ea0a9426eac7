begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given a rule, and two events about one message
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-mail', 'Mail', 'acme', 'storage');
  perform marketplace.register_integration('acme-tasks', 'Tasks', 'acme', 'storage');
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, destination_integration_id, workflow_id, config)
select 'Acme tasks', s.id, 'labels/*', d.id, w.id, '{"attachments_integration": "acme-files"}'
from marketplace.integrations as s, marketplace.integrations as d, marketplace.workflows as w
where s.slug = 'acme-mail' and d.slug = 'acme-tasks' and w.slug = 'acme-run';
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
select i.organization_id, i.id, i.provider, 'labeled', 'labels/' || n, n::text, '{}'
from marketplace.integrations as i, generate_series(1, 3) as n where i.slug = 'acme-mail';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, e.correlation_id
from marketplace.sync_rules as r
join marketplace.webhook_events as e on e.integration_id = r.source_integration_id
where r.name = 'Acme tasks'
order by e.dedupe_key;
create temp table held as
select *, row_number() over (order by job_id) as n from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
create function pg_temp.plan(p_n int, p_ref text default 'message-1') returns setof marketplace.artifact_syncs language sql as $$
  select p.* from held as h, marketplace.plan_artifacts(h.job_id, h.lease_id, jsonb_build_array(jsonb_build_object(
    'kind', 'task', 'source_ref', p_ref, 'source_path', 'labels/x', 'name', p_ref
  ))) as p where h.n = p_n
$$;
create function pg_temp.change(p_n int, p_changes jsonb) returns marketplace.artifact_syncs language sql as $$
  select u.* from held as h
  join marketplace.artifact_syncs as a on a.job_id = h.job_id,
    marketplace.update_artifact(h.job_id, h.lease_id, a.id, p_changes) as u where h.n = p_n
$$;

-- then
select is((select status from pg_temp.plan(1)), 'planned', 'the first job makes the task');
select results_eq(
  'select status, error_message from pg_temp.plan(2)',
  $$ select 'skipped', format('job %s makes it a task', job_id) from held where n = 1 $$,
  'the second leaves it to the first'
);
select is((select status from pg_temp.plan(1)), 'planned', 'planning again keeps it');
select is((select status from pg_temp.plan(3, 'message-2')), 'planned', 'another message is another task');
select is((select a from marketplace.last_synced((select rule_id from marketplace.artifact_syncs limit 1), 'message-1') as a).id, null::uuid, 'nothing is synced yet');

-- when the first fails, and is tried again
do $$ begin perform pg_temp.change(1, '{"status": "failed", "error_code": "destination_unavailable"}'); end $$;
select is((select status from pg_temp.plan(2)), 'skipped', 'the task stays with the job that will try again');

-- when it is given up
update marketplace.sync_jobs set status = 'dead', finished_at = now(), error_code = 'x', lease_id = null, lease_expires_at = null, claimed_at = null
where id = (select job_id from held where n = 1);
select is((select status from pg_temp.plan(2)), 'planned', 'a job that was given up leaves the task to others');

-- when the second has made it
select throws_ok(
  $$ select pg_temp.change(2, '{"status": "completed"}') $$, '23514', null, 'a task without an id is not done'
);
select is(
  (pg_temp.change(2, '{"status": "completed", "destination_ref": "17", "result": {"url": "https://acme.example/17"}}')).destination_ref,
  '17', 'a task is done when it has an id'
);
update marketplace.artifact_syncs set source_ref = 'message-3' where source_ref = 'message-2';
select results_eq(
  'select status, error_message from pg_temp.plan(3)',
  $$ values ('skipped', 'it is task 17 already') $$,
  'whoever comes later is told which task it is'
);
select is(
  (marketplace.last_synced((select id from marketplace.sync_rules where name = 'Acme tasks'), 'message-1')).destination_ref,
  '17', 'and it is remembered'
);

-- where attachments go
select is(
  marketplace._attachments_integration_id(r), (select id from marketplace.integrations where slug = 'acme-files'),
  'attachments go where the rule says'
)
from marketplace.sync_rules as r where r.name = 'Acme tasks';
select throws_ok(
  $$ update marketplace.sync_rules set config = '{"attachments_integration": "nobody"}' where name = 'Acme tasks' $$,
  'MK422', null, 'a rule cannot store attachments with an integration that its organization does not have'
);

select * from finish();
rollback;
