begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given who may do what with the tables and views of the schema, columns included
create temp view granted as
select c.relname::text as relation, c.relname ~ '_([0-9]{8}|default)$' as is_partition,
  coalesce(r.rolname, 'public')::text as role, acl.privilege_type as privilege, a.attname::text as column
from pg_catalog.pg_class as c
left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attacl is not null
cross join lateral (
  select (aclexplode(c.relacl)).* union select (aclexplode(a.attacl)).*
) as acl
left join pg_catalog.pg_roles as r on r.oid = acl.grantee
where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
  and acl.grantee <> c.relowner;

create temp view beyond_reading as
select distinct g.relation, g.privilege from granted as g
where g.role = 'authenticated' and g.privilege <> 'SELECT';

-- then
select ok(
  not has_schema_privilege('anon', 'marketplace', 'usage'),
  'anon may not even name what is in the schema'
);
select ok(not has_schema_privilege('public', 'marketplace', 'usage'), 'nor may public');
select ok(has_schema_privilege('authenticated', 'marketplace', 'usage'), 'a signed-in user may');
select ok(
  not has_schema_privilege('authenticated', 'marketplace', 'create'),
  'but makes nothing in it'
);
select ok(
  not has_schema_privilege('service_role', 'marketplace', 'create'),
  'nor does the service role'
);
select is_empty(
  $$ select * from granted where role in ('anon', 'public') $$,
  'anon and public hold no privilege'
);
select is_empty(
  $$ select * from granted where role not in ('authenticated', 'service_role') $$,
  'nor does any other role'
);
select is_empty('table beyond_reading', 'a signed-in user reads and never writes');
select set_eq(
  $$ select distinct relation from granted where role = 'authenticated' $$,
  array[
    'organizations', 'organization_members', 'providers', 'actions', 'integrations', 'webhook_events', 'event_minutes', 'sync_minutes',
    'workflows', 'sync_rules', 'sync_jobs', 'sync_job_attempts', 'artifact_syncs', 'api_quotas', 'execution_logs', 'notification_endpoints',
    'api_keys', 'connections', 'v_expiring_connections',
    'sync_cursors', 'watch_channels', 'provider_webhooks', 'v_sync_cursors', 'v_watch_channels',
    'v_integration_health', 'v_recent_syncs', 'v_quota_status', 'v_job_queue', 'v_dead_letters',
    'v_event_rates', 'v_latency', 'v_recent_executions'
  ],
  'a signed-in user reads exactly these tables and views'
);
select is_empty(
  $$ select relation from granted where role = 'authenticated' and is_partition $$,
  'a partition is read through its parent only'
);
select is_empty(
  $$ select relation from granted
       where privilege in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN') $$,
  'nobody truncates, references or triggers'
);
select set_eq(
  $$ select a.attname::text from pg_catalog.pg_attribute as a
     where a.attrelid = 'marketplace.sync_jobs'::regclass and a.attnum > 0 and not a.attisdropped
       and not has_column_privilege('authenticated', a.attrelid, a.attnum, 'select') $$,
  array['token_hash', 'lease_id', 'position'],
  'of a job, a signed-in user reads all but its token''s hash, its lease, and its number among everybody''s'
);

-- when a fault is planted, then its rule finds it
grant update (priority) on marketplace.sync_jobs to authenticated;
select set_eq(
  'table beyond_reading',
  $$ values ('sync_jobs', 'UPDATE') $$, 'a column left to be written is found'
);

select * from finish();
rollback;
