begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(20);

-- given two organizations, red and blue, and executions on connections of each kind, with a quota each
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'owner'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000006', 'admin'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000007', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000003', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000004', 'owner');
  perform marketplace.register_provider('acme', 'Acme', 'storage', 'https://acme.example', 'bearer');
  perform marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{}', 'red');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, is_shared)
select md5(n.name)::uuid, i.organization_id, i.id, n.user_id, n.name, n.is_shared
from marketplace.integrations as i
cross join (
  values
  ('private', '00000000-0000-4000-8000-000000000002'::uuid, false), ('shared', '00000000-0000-4000-8000-000000000002', true)
) as n (name, user_id, is_shared)
where i.slug = 'red-files';
insert into marketplace.execution_logs
  (organization_id, integration_id, connection_id, caller, user_id, correlation_id, action, outcome, duration_ms)
select i.organization_id, i.id, e.connection_id, case when e.user_id is null then 'service' else 'user' end, e.user_id, gen_random_uuid(), e.action, 'succeeded', 1
from marketplace.integrations as i
cross join (
  values
  ('on private', md5('private')::uuid, '00000000-0000-4000-8000-000000000002'::uuid),
  ('on shared', md5('shared')::uuid, '00000000-0000-4000-8000-000000000007'),
  ('on none', null, null),
  ('refused', null, '00000000-0000-4000-8000-000000000007')
) as e (action, connection_id, user_id)
where i.slug = 'red-files';
insert into marketplace.api_quotas (organization_id, integration_id, connection_id, name, limit_count, resets_at)
select i.organization_id, i.id, q.connection_id, q.name, 10, now() + interval '1 hour'
from marketplace.integrations as i
cross join (
  values ('of private', md5('private')::uuid), ('of shared', md5('shared')::uuid), ('of all', null)
) as q (name, connection_id)
where i.slug = 'red-files';

create temp view seen_log with (security_invoker = true) as
select string_agg(action, ', ' order by action) as it from marketplace.execution_logs where organization_id = md5('red')::uuid;
create temp view seen_view with (security_invoker = true) as
select string_agg(action, ', ' order by action) as it from marketplace.v_recent_executions where organization_id = md5('red')::uuid;
create temp view seen_quota with (security_invoker = true) as
select string_agg(quota, ', ' order by quota) as it from marketplace.v_quota_status where organization_id = md5('red')::uuid;
grant select on seen_log, seen_view, seen_quota to public;
set local role authenticated;

-- as an owner, and as an admin
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select is(it, 'on none, on private, on shared, refused', 'an owner sees every execution') from seen_log;
select is(it, 'on none, on private, on shared, refused', 'in the view as well') from seen_view;
select is(it, 'of all, of shared', 'and the quotas of what is shared') from seen_quota;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000006"}';
select is(it, 'on none, on private, on shared, refused', 'so does an admin') from seen_log;
select is(it, 'of all, of shared', 'with the same quotas') from seen_quota;

-- as the member whose connections these are
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select is(it, 'on none, on private, on shared', 'a member sees his own executions, and those on what is shared') from seen_log;
select is(it, 'on none, on private, on shared', 'in the view as well') from seen_view;
select is(it, 'of all, of private, of shared', 'with the quotas of his own connections') from seen_quota;

-- as another member
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000007"}';
select is(it, 'on none, on shared, refused', 'another member sees none of them on what is private') from seen_log;
select is(it, 'on none, on shared, refused', 'nor in the view') from seen_view;
select is(it, 'of all, of shared', 'and no quota of it') from seen_quota;

-- as a viewer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select is(it, 'on none, on shared', 'a viewer sees what is shared') from seen_log;
select is(it, 'of all, of shared', 'and its quotas') from seen_quota;

-- as a stranger, and as a newcomer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select is(it, null, 'a stranger sees nothing') from seen_log;
select is(it, null, 'in no view') from seen_view;
select is(it, null, 'and no quota') from seen_quota;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select is(it, null, 'nor does a newcomer') from seen_log;

-- as anon
set local role anon;
set local request.jwt.claims = '{"role": "anon"}';
select throws_ok('table seen_log', '42501', null, 'anon may not even look');
select throws_ok('table seen_quota', '42501', null, 'at neither');

-- as the service role
set local role service_role;
select is(it, 'on none, on private, on shared, refused', 'the service role sees all') from seen_log;

select * from finish();
rollback;
