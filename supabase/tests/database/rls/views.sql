\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(92);

-- given something of each kind, of red and of blue
select pg_temp.given_jobs();
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

-- then a persona sees whose slugs, in each view that is for him
create function pg_temp.check_views(p_persona text, p_sees text[]) returns setof text language plpgsql as $$
begin
  perform pg_temp.become(p_persona);
  return query
    select results_eq(pg_temp.look(name), p_sees, format('%s shows %s %s', name, p_persona, p_sees)) from view;
  return query
    select throws_ok(pg_temp.look(name), '42501', null, format('%s is not for %s', name, p_persona)) from closed_view;
end
$$;
select pg_temp.check_views('an owner', array['red']);
select pg_temp.check_views('a member', array['red']);
select pg_temp.check_views('a viewer', array['red']);
select pg_temp.check_views('a stranger', array['blue']);
select pg_temp.check_views('a newcomer', '{}');

select pg_temp.become('anon');
select throws_ok(
  pg_temp.look(name),
  '42501', null, name || ' is not for anon'
) from (table view union all table closed_view) as v;

select pg_temp.become('the service role');
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
