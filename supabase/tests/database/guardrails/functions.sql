begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given the functions of the schema, and for each rule a view of what breaks it
create temp view our_function as
select p.oid, p.proname::text as name, p.prosecdef, p.proconfig, p.proacl, p.proowner, p.prosqlbody
from pg_catalog.pg_proc as p
where p.pronamespace = 'marketplace'::regnamespace;

create temp view without_search_path as
select f.name from our_function as f
where not coalesce(f.proconfig, '{}') && array['search_path=""', 'search_path=']
  and f.prosqlbody is null -- bound when it was made, whatever the path of its caller
  and f.name <> '_matching_rules'; -- inlined into its callers, which pin theirs

create temp view without_comment as
select f.name from our_function as f where coalesce(obj_description(f.oid, 'pg_proc'), '') = '';

create temp view definer as select f.name from our_function as f where f.prosecdef;

create temp view executable as
select f.name, coalesce(r.rolname, 'public')::text as role
from our_function as f
cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as acl
left join pg_catalog.pg_roles as r on r.oid = acl.grantee
where acl.privilege_type = 'EXECUTE' and acl.grantee <> f.proowner;

-- then
select is_empty('table without_search_path', 'every function pins an empty search_path');
select is_empty('table without_comment', 'every function says what it does');
select set_eq(
  'table definer',
  array[
    '_vault_write', '_vault_read', '_vault_read_named', '_vault_delete', '_set_platform_secret',
    'configure_platform',
    'my_organization_ids',
    'rotate_integration_secret', '_forget_vault_secret', 'integration_credentials', 'integration_context',
    'webhook_config', 'dispatch_settings', 'ring_dispatch', '_ring_if_silent',
    'claim_jobs', 'set_workflow_secret', 'add_notification_endpoint', '_forget_workflow_secrets',
    '_alerts',
    'create_api_key', 'revoke_api_key', 'oauth_key', 'update_connection', 'connecting_context', 'connection_context',
    '_forget_grant_secrets', 'lease_refresh', 'store_tokens', 'claim_expiring_tokens', 'open_grant', 'revoke_connection',
    'ring_maintain', '_webhook_address', 'claim_channel_tasks', 'claim_webhooks',
    '_note_changed_minute', '_minute_spans'
  ],
  'exactly these functions run with the rights of their owner'
);
select is_empty(
  $$ select name from executable where role in ('public', 'anon') $$,
  'nothing is executable by public or anon'
);
select set_eq(
  $$ select name from executable where role = 'authenticated' $$,
  array[
    'uuid_v7', 'my_organization_ids', 'trace', 'create_api_key', 'revoke_api_key', 'update_connection', '_minute_of', '_minute_spans',
    '_count_waiting_by_page'
  ],
  'a signed-in user may execute exactly these functions'
);
select is_empty(
  $$ select name from executable where role not in ('authenticated', 'service_role') $$,
  'nobody else may execute anything'
);
select is_empty(
  $$ select name from executable where name ~ '^_vault|^_set_platform_secret' $$,
  'nobody but the owner reads or writes Vault through us'
);

-- when each fault is planted, then its rule finds it
create function marketplace.planted() returns int language sql security definer as 'select 1';
select set_eq(
  'table without_search_path',
  array['planted'], 'a function without a search_path is found'
);
select set_eq('table without_comment', array['planted'], 'a function without a comment is found');
select isnt_empty(
  $$ select from definer where name = 'planted' $$,
  'a new security definer function is found'
);
select set_eq(
  $$ select role from executable where name = 'planted' $$,
  array['public'], 'a function left to public is found'
);
alter function marketplace.planted() set search_path = public;
select set_eq(
  'table without_search_path',
  array['planted'], 'a search_path with a schema in it is found'
);

select * from finish();
rollback;
