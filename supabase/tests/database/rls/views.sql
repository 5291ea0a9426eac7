begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(92);

-- given two organizations, red and blue, with something of each kind, and who belongs to them
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'owner'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000003', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000004', 'owner');
end
$$;
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform
    marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue files', 'acme', 'storage', '{}', 'blue');
end
$$;
insert into marketplace.workflows (organization_id, slug, name, kind, endpoint)
select id, slug || '-run', name, 'http', 'https://acme.example' from marketplace.organizations where slug in ('red', 'blue');
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select i.slug, i.id, w.id
from marketplace.integrations as i join marketplace.workflows as w on w.organization_id = i.organization_id
where i.provider = 'acme';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
select organization_id, id, workflow_id from marketplace.sync_rules where name in ('red-files', 'blue-files');
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key)
select organization_id, id, provider, slug || '.changed', slug from marketplace.integrations where provider = 'acme';
insert into marketplace.artifact_syncs (organization_id, job_id, rule_id, source_integration_id, correlation_id, source_ref, source_path, name)
select j.organization_id, j.id, j.rule_id, r.source_integration_id, j.correlation_id, '1', 'files/a', 'a'
from marketplace.sync_jobs as j join marketplace.sync_rules as r on r.id = j.rule_id where r.name in ('red-files', 'blue-files');
insert into marketplace.sync_job_attempts (id, organization_id, job_id, attempt, result, ended_at)
select gen_random_uuid(), j.organization_id, j.id, 1, 'completed', now()
from marketplace.sync_jobs as j join marketplace.sync_rules as r on r.id = j.rule_id where r.name in ('red-files', 'blue-files');
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, status, finished_at, error_code)
select organization_id, id, workflow_id, 'dead', now(), 'x' from marketplace.sync_rules where name in ('red-files', 'blue-files');
insert into marketplace.api_quotas (organization_id, integration_id, name, limit_count, resets_at)
select organization_id, id, 'core', 100, now() from marketplace.integrations where provider = 'acme';
insert into marketplace.execution_logs (organization_id, integration_id, correlation_id, action, outcome, duration_ms)
select organization_id, id, gen_random_uuid(), 'files.get', 'succeeded', 1 from marketplace.integrations where provider = 'acme';

insert into marketplace.connections (organization_id, integration_id, name, is_shared, status, error_message)
select organization_id, id, slug, true, 'error', 'no' from marketplace.integrations where provider = 'acme';
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where provider = 'acme';

create temp table view (name text);
insert into view values
  ('v_integration_health'), ('v_recent_syncs'), ('v_quota_status'), ('v_job_queue'), ('v_dead_letters'),
  ('v_event_rates'), ('v_latency'), ('v_recent_executions'), ('v_expiring_connections'),
  ('v_sync_cursors'), ('v_watch_channels');
create temp table closed_view (name text);
insert into closed_view values ('v_webhook_rejections'), ('v_alerts');
-- whose slugs are to be seen in the rows of a view
create function pg_temp.look(p_view text) returns text language sql as $$
  select format('select distinct substring(v::text from ''red|blue'') from marketplace.%I as v where v::text ~ ''(red|blue)-'' order by 1', p_view)
$$;
grant select on view, closed_view to public;

-- as an owner
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select results_eq(
  pg_temp.look(name),
  array['red'], name || ' shows an owner what is red'
) from view;
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for an owner'
) from closed_view;

-- as a member
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select results_eq(
  pg_temp.look(name),
  array['red'], name || ' shows a member what is red'
) from view;
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for a member'
) from closed_view;

-- as a viewer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select results_eq(
  pg_temp.look(name),
  array['red'], name || ' shows a viewer what is red'
) from view;
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for a viewer'
) from closed_view;

-- as a stranger
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select results_eq(
  pg_temp.look(name),
  array['blue'], name || ' shows a stranger what is blue'
) from view;
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for a stranger'
) from closed_view;

-- as a newcomer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select results_eq(pg_temp.look(name), '{}'::text[], name || ' shows a newcomer nothing') from view;
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for a newcomer'
) from closed_view;

-- as anon
set local role anon;
set local request.jwt.claims = '{"role": "anon"}';
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for anon'
) from (table view union all table closed_view) as v;

-- as the service role
set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';
select results_eq(
  pg_temp.look(name),
  array['blue', 'red'], name || ' shows the service role all'
) from view;
select lives_ok(pg_temp.look(name), name || ' is for the service role') from closed_view;

-- when somebody sees everything, no view was left out
reset role;
select set_eq(
  $$ select c.relname::text from pg_catalog.pg_class as c
       where c.relnamespace = 'marketplace'::regnamespace and c.relkind = 'v' $$,
  'select name from view union all select name from closed_view', 'every view was looked at'
);

select * from finish();
rollback;
