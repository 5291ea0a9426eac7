begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(51);

-- given two organizations, red and blue, whose people have connections
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
create temp table person (name text primary key, id uuid, organization text, role text);
insert into person values
  ('owner', '00000000-0000-4000-8000-000000000001', 'red', 'owner'),
  ('admin', '00000000-0000-4000-8000-000000000006', 'red', 'admin'),
  ('member', '00000000-0000-4000-8000-000000000002', 'red', 'member'),
  ('viewer', '00000000-0000-4000-8000-000000000003', 'red', 'viewer'),
  ('stranger', '00000000-0000-4000-8000-000000000004', 'blue', 'owner'),
  ('newcomer', '00000000-0000-4000-8000-000000000005', null, null);
do $$
begin
  perform marketplace.add_member(organization, id, role) from person where organization is not null;
  perform marketplace.register_provider('acme', 'Acme', 'storage', 'https://acme.example', 'bearer');
  perform
    marketplace.register_action('acme', 'files.get', 'GET', '/files', '{"type": "object", "properties": {}}'),
    marketplace.register_action('acme', 'files.add', 'POST', '/files', '{"type": "object", "properties": {}}');
  perform
    marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue', 'acme', 'storage', '{}', 'blue');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, is_shared, status)
select md5(c.name)::uuid, i.organization_id, i.id, p.id, c.name, c.is_shared, 'active'
from (
  values
  ('the member''s own', 'red-files', 'member', false), ('the member''s shared', 'red-files', 'member', true),
  ('the organization''s', 'red-files', null, true), ('blue one', 'blue-files', 'stranger', true)
) as c (name, integration, person, is_shared)
join marketplace.integrations as i on i.slug = c.integration
left join person as p on p.name = c.person;
do $$
begin
  perform marketplace.open_grant(c.id, 'bearer', '{"api_token": "secret"}')
  from marketplace.connections as c where c.organization_id in (md5('red')::uuid, md5('blue')::uuid);
end
$$;
create temp table key as
select k.*, s.scope from (values ('execute'), ('read'), ('admin')) as s (scope)
cross join lateral marketplace.create_api_key('k', 'red', array[s.scope]) as k;
insert into key
select k.*, 'narrow' from marketplace.create_api_key('k', 'red', '{execute}', '{red-files.files.get}') as k;

create function pg_temp.ask(p_caller jsonb, p_connection text, p_action text default 'files.get', p_more jsonb default '{}')
returns text language sql as $$
  select coalesce(a.answer #>> '{refusal,status}' || ' ' || (a.answer #>> '{refusal,code}'), 'may')
  from marketplace.begin_execution(jsonb_strip_nulls(jsonb_build_object(
    'caller', p_caller, 'connection_id', case when p_connection is not null then md5(p_connection)::uuid end, 'action', p_action,
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  )) || p_more) as a (answer)
$$;
create function pg_temp.user(p_name text) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'user', 'claims', jsonb_build_object('sub', p.id, 'role', 'authenticated')) from person as p where p.name = p_name
$$;
create function pg_temp.key(p_scope text) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'api_key', 'token', k.api_key) from key as k where k.scope = p_scope
$$;

-- when each asks for each connection, then only what is their own or shared with them is theirs to use
select is(
  pg_temp.ask(pg_temp.user(w.person), w.connection), w.verdict, format('%s and %s: %s', w.person, w.connection, w.verdict)
)
from (
  values
  ('owner', 'the member''s own', '404 connection_not_found'), ('owner', 'the member''s shared', 'may'),
  ('owner', 'the organization''s', 'may'), ('owner', 'blue one', '404 connection_not_found'),
  ('admin', 'the member''s own', '404 connection_not_found'), ('admin', 'the member''s shared', 'may'),
  ('admin', 'the organization''s', 'may'), ('admin', 'blue one', '404 connection_not_found'),
  ('member', 'the member''s own', 'may'), ('member', 'the member''s shared', 'may'),
  ('member', 'the organization''s', 'may'), ('member', 'blue one', '404 connection_not_found'),
  ('viewer', 'the member''s own', '404 connection_not_found'), ('viewer', 'the member''s shared', 'may'),
  ('viewer', 'the organization''s', 'may'), ('viewer', 'blue one', '404 connection_not_found'),
  ('stranger', 'the member''s own', '404 connection_not_found'), ('stranger', 'the member''s shared', '404 connection_not_found'),
  ('stranger', 'the organization''s', '404 connection_not_found'), ('stranger', 'blue one', 'may'),
  ('newcomer', 'the member''s own', '404 connection_not_found'), ('newcomer', 'the member''s shared', '404 connection_not_found'),
  ('newcomer', 'the organization''s', '404 connection_not_found'), ('newcomer', 'blue one', '404 connection_not_found')
) as w (person, connection, verdict);
select is(
  pg_temp.ask(pg_temp.key('execute'), w.connection), w.verdict, format('a key and %s: %s', w.connection, w.verdict)
)
from (
  values
  ('the member''s own', '404 connection_not_found'), ('the member''s shared', 'may'),
  ('the organization''s', 'may'), ('blue one', '404 connection_not_found')
) as w (connection, verdict);
select is(pg_temp.ask('{"kind": "service"}', c.name), 'may', 'the service and ' || c.name)
from (values ('the member''s own'), ('blue one')) as c (name);

-- who may do what
select is(pg_temp.ask(pg_temp.user('viewer'), 'the organization''s', 'files.add'), '403 forbidden', 'a viewer does not write');
select is(pg_temp.ask(pg_temp.user('member'), 'the organization''s', 'files.add'), 'may', 'a member does');
select is(pg_temp.ask(pg_temp.key('read'), 'the organization''s'), '403 forbidden', 'a reading key does not execute');
select is(pg_temp.ask(pg_temp.key('admin'), 'the organization''s'), 'may', 'an admin key does');
select is(pg_temp.ask(pg_temp.key('narrow'), 'the organization''s'), 'may', 'a narrow key does what it may');
select is(pg_temp.ask(pg_temp.key('narrow'), 'the organization''s', 'files.add'), '403 action_not_allowed', 'and nothing else');
select is(pg_temp.ask(pg_temp.user('member'), 'the organization''s', 'no.such'), '404 action_not_found', 'an action must be in the catalogue');

-- an integration alone
select is(
  pg_temp.ask(pg_temp.user('member'), null, 'files.get', '{"integration": "red-files"}'), '409 connection_ambiguous',
  'several connections of one''s own leave a question'
);
delete from marketplace.connections where name in ('the member''s own', 'the member''s shared');
select is(
  pg_temp.ask(pg_temp.user('member'), null, 'files.get', '{"integration": "red-files"}'), 'may', 'one that is shared answers it'
);
select is(
  pg_temp.ask(pg_temp.user('stranger'), null, 'files.get', '{"integration": "red-files"}'), '404 connection_not_found',
  'another''s integration is none'
);
select is(
  pg_temp.ask('{"kind": "service"}', null, 'files.get', '{"integration": "red-files"}'), 'may',
  'the service uses the integration''s own credential'
);
select is(
  pg_temp.ask('{"kind": "service"}', null, 'files.get', '{"integration": "none"}'), '404 integration_not_found',
  'if there is such an integration'
);
select is(
  pg_temp.ask(pg_temp.user('member'), 'the organization''s', 'files.get', '{"organization": "blue"}'), '404 organization_not_found',
  'an organization one does not belong to is none'
);
select is(
  pg_temp.ask('{"kind": "service"}', 'the organization''s', 'files.get', '{"organization": "blue"}'), '404 organization_not_found',
  'a connection is of its own organization'
);

-- who proves nothing
select throws_ok(
  $$ select pg_temp.ask('{"kind": "api_key", "token": "mpk_none"}', 'blue one') $$, 'MK401', null, 'an unknown key is nobody''s'
);
select throws_ok(
  $$ select pg_temp.ask('{"kind": "job", "token": "mpj_none"}', 'blue one') $$, 'MK401', null, 'nor is an unknown job token'
);
select throws_ok($$ select pg_temp.ask('{"kind": "somebody"}', 'blue one') $$, 'MK400', null, 'there are four kinds of callers');

-- afterwards
select is(current_user::text, session_user::text, 'whoever asked is who he was');
select is(
  (select count(*)::int from marketplace.execution_logs where organization_id = md5('red')::uuid and error_code = 'connection_not_found' and user_id is not null),
  7, 'refusals of members are in their organization''s log'
);
select is_empty(
  $$ select id from marketplace.execution_logs where outcome = 'running' and error_code is not null
     union all select id from marketplace.execution_logs where organization_id = md5('red')::uuid and outcome = 'failed' and duration_ms is null $$,
  'each row says how it ended, or that it runs'
);
select is_empty(
  $$ select id from marketplace.execution_logs as x where organization_id = md5('red')::uuid and to_jsonb(x)::text ~ 'secret' $$,
  'no row holds a credential'
);

select * from finish();
rollback;
