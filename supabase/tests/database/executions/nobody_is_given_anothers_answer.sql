begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(19);

-- given two members of red with an account of their own each, an account that they share, and two keys
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
create temp table person (name text primary key, id uuid);
insert into person values
  ('ann', '00000000-0000-4000-8000-000000000001'), ('ben', '00000000-0000-4000-8000-000000000002');
do $$
begin
  perform marketplace.add_member('red', id, 'member') from person;
  perform marketplace.register_provider('acme', 'Acme', 'storage', 'https://acme.example', 'bearer');
  perform marketplace.register_action(
    'acme', 'mails.list', 'GET', '/mails', '{"type": "object", "properties": {}}', p_idempotency_header => 'idempotency-key'
  );
  perform marketplace.register_integration('red-mail', 'Red', 'acme', 'storage', '{}', 'red');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, is_shared, status)
select md5(c.name)::uuid, i.organization_id, i.id, p.id, c.name, p.id is null, 'active'
from (values ('ann'), ('ben'), ('shared')) as c (name)
join marketplace.integrations as i on i.slug = 'red-mail'
left join person as p on p.name = c.name;
do $$ begin perform marketplace.open_grant(md5(n)::uuid, 'bearer', '{"api_token": "x"}') from unnest(array['ann', 'ben', 'shared']) as n; end $$;
create temp table key as
select s.name, k.* from (values ('execute'), ('admin')) as s (name) cross join lateral marketplace.create_api_key('k', 'red', array[s.name]) as k;

create function pg_temp.caller(p_name text) returns jsonb language sql as $$
  select jsonb_build_object('kind', 'user', 'claims', jsonb_build_object('sub', p.id, 'role', 'authenticated')) from person as p where p.name = p_name
  union all
  select jsonb_build_object('kind', 'api_key', 'token', k.api_key) from key as k where k.name = p_name
  union all
  select '{"kind": "service"}' where p_name = 'service'
$$;
create function pg_temp.begin(p_name text, p_connection text default null, p_more jsonb default '{}') returns jsonb language sql as $$
  select marketplace.begin_execution(jsonb_strip_nulls(jsonb_build_object(
    'caller', pg_temp.caller(p_name), 'integration', 'red-mail', 'action', 'mails.list', 'idempotency_key', 'daily', 'request_hash', '00',
    'connection_id', case when p_connection is not null then md5(p_connection)::uuid end, 'correlation_id', gen_random_uuid()
  )) || p_more)
$$;
create function pg_temp.finish(p_begun jsonb, p_answer text) returns void language sql as $$
  select marketplace.finish_executions(jsonb_build_array(p_begun || jsonb_build_object(
    'action', 'mails.list', 'outcome', 'succeeded', 'duration_ms', 1, 'attempt_count', 1, 'spent', 1, 'observed', '[]'::jsonb,
    'is_kept', true, 'http_status', 200, 'answer', jsonb_build_object('mails', p_answer)
  )))
$$;

-- when each asks for the same with the same key
delete from marketplace.connections where name = 'shared'; -- so that an integration means one's own
create temp table begun as select 'ann' as who, pg_temp.begin('ann') as it;
select is(it -> 'refusal', null, 'one runs it') from begun;
do $$ begin perform pg_temp.finish(it, 'of ann') from begun; end $$;
insert into begun select 'ben', pg_temp.begin('ben');
-- then
select is(it -> 'replay', null, 'another is not given the answer of the first') from begun where who = 'ben';
select is(it ->> 'connection_id', md5('ben')::uuid::text, 'but his own account is asked') from begun where who = 'ben';
do $$ begin perform pg_temp.finish(it, 'of ben') from begun where who = 'ben'; end $$;
select is(pg_temp.begin('ann') #>> '{replay,answer,mails}', 'of ann', 'each is given his own answer again');
select is(pg_temp.begin('ben') #>> '{replay,answer,mails}', 'of ben', 'each of them');
select is(pg_temp.begin('service', 'ann') -> 'replay', null, 'nor is the service given it');

-- when they use one account
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared, status)
select md5('shared')::uuid, i.organization_id, i.id, 'shared', true, 'active' from marketplace.integrations as i where i.slug = 'red-mail';
do $$ begin perform marketplace.open_grant(md5('shared')::uuid, 'bearer', '{"api_token": "x"}'); end $$;
select is(
  pg_temp.begin('ann', 'shared') #>> '{refusal,code}', 'idempotency_key_reused', 'a key is for one account, whatever the request names'
);
create temp table shared as
select who, pg_temp.begin(who, 'shared', '{"idempotency_key": "weekly"}') as it from unnest(array['ann', 'ben', 'execute', 'admin', 'service']) as who;
select is((select count(*)::int from shared where it ? 'refusal' or it ? 'replay'), 0, 'everybody''s key is his own');
select is((select count(distinct it ->> 'provider_key')::int from shared), 5, 'and the provider, too, is given a key for each');
update marketplace.execution_results set lease_until = now() - interval '1 s' where idempotency_key = 'weekly';
select is(
  pg_temp.begin('ann', 'shared', '{"idempotency_key": "weekly"}') ->> 'provider_key', (select it ->> 'provider_key' from shared where who = 'ann'),
  'the same when he repeats it'
);

-- when an execution with somebody's own account is asked for
create function pg_temp.read(p_of text, p_by text) returns text language sql as $$
  select marketplace.read_execution((select (b.it ->> 'execution_id')::uuid from begun as b where b.who = p_of), pg_temp.caller(p_by)) #>> '{answer,mails}'
$$;
select is(pg_temp.read('ann', 'ann'), 'of ann', 'whoever ran it reads it');
select throws_ok($$ select pg_temp.read('ann', 'ben') $$, 'MK404', null, 'another does not');
select throws_ok($$ select pg_temp.read('ann', 'execute') $$, 'MK404', null, 'nor does a key');
select throws_ok($$ select pg_temp.read('ann', 'admin') $$, 'MK404', null, 'not even one that manages the organization');
update marketplace.connections set is_shared = true where name = 'ann';
select is(pg_temp.read('ann', 'admin'), 'of ann', 'unless the account is shared');
update marketplace.connections set is_shared = false where name = 'ann';

-- when somebody leaves
delete from marketplace.organization_members where organization_id = md5('red')::uuid and user_id = (select id from person where name = 'ann');
select throws_ok($$ select pg_temp.read('ann', 'ann') $$, 'MK404', null, 'he reads nothing any more');
select is(pg_temp.begin('ann') #>> '{refusal,code}', 'connection_not_found', 'and is given no answer again');
select is(pg_temp.begin('ann', 'ann', '{"idempotency_key": "new"}') #>> '{refusal,code}', 'connection_not_found', 'nor runs anything');
select is(pg_temp.read('ben', 'ben'), 'of ben', 'whoever stays does');

select * from finish();
rollback;
