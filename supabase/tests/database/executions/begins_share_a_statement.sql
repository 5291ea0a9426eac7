begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(14);

-- given two integrations and a user who belongs to nothing
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
insert into auth.users (id, email) values (md5('ann')::uuid, 'ann@example.com');
do $$
begin
  perform marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://acme.example', 'bearer', p_rate_limit => '{"quota": {"limit": 4, "window_seconds": 86400}}'
  );
  perform marketplace.register_action('acme', 'files.list', 'GET', '/files', '{"type": "object", "properties": {}}');
  perform marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{}', 'red');
  perform marketplace.register_integration('red-more', 'Red', 'acme', 'storage', '{}', 'red');
  perform marketplace.set_integration_secret('red-files', 'api_token', 'token-of-files');
  perform marketplace.set_integration_secret('red-more', 'api_token', 'token-of-more');
end
$$;
create function pg_temp.request(p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object(
    'caller', '{"kind": "service"}'::jsonb, 'integration', 'red-files', 'action', 'files.list', 'pages', 1,
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  ) || p_more
$$;
create temp table asked as
select jsonb_build_array(
  pg_temp.request(),
  pg_temp.request('{"caller": {"kind": "api_key", "token": "mpk_unknown"}}'),
  pg_temp.request('{"integration": "red-more"}'),
  pg_temp.request(jsonb_build_object('caller', jsonb_build_object(
    'kind', 'user', 'claims', jsonb_build_object('sub', md5('ann')::uuid, 'role', 'authenticated')
  ))),
  pg_temp.request('{"action": "files.lose"}'),
  pg_temp.request('{"connection_id": "no uuid"}'),
  pg_temp.request('{"idempotency_key": "k"}'),
  pg_temp.request('{"idempotency_key": "k"}'),
  pg_temp.request('{"pages": 3}')
) as them;

-- when they begin together
create temp table answer as
select a.n, a.it from asked, jsonb_array_elements(marketplace.begin_executions(them)) with ordinality as a (it, n);
-- then each has the answer that it would have had alone, and in its place
select results_eq(
  $$ select n, coalesce(it #>> '{error,code}', it #>> '{refusal,code}', 'begun') from answer order by n $$,
  $$ values
    (1::bigint, 'begun'), (2, 'MK401'), (3, 'begun'), (4, 'connection_not_found'), (5, 'action_not_found'), (6, '22P02'), (7, 'begun'),
    (8, 'execution_in_progress'), (9, 'rate_limited') $$,
  'one''s error is not another''s'
);
select is((select it #>> '{error,message}' from answer where n = 2), 'the API key is not known', 'an error says what it says');
select isnt((select it #>> '{error,hint}' from answer where n = 2), null, 'and what to do');
select results_eq(
  $$ select it #>> '{grant,secrets,api_token}' from answer where n in (1, 3, 7) order by n $$,
  $$ values ('token-of-files'), ('token-of-more'), ('token-of-files') $$,
  'each has the credential of its own account'
);
select is(
  (select count(distinct it ->> 'execution_id') from answer where it ? 'execution_id'),
  (select count(*) from answer where it ? 'execution_id'), 'and is an execution of its own'
);
select results_eq(
  $$ select x.outcome, coalesce(x.error_code, ''), count(*) from marketplace.execution_logs as x
     where x.organization_id = md5('red')::uuid group by 1, 2 order by 1, 2 $$,
  $$ values ('failed', 'action_not_found', 1::bigint), ('failed', 'execution_in_progress', 1), ('failed', 'rate_limited', 1), ('running', '', 3) $$,
  'all of the organization''s are in the log'
);
select results_eq(
  $$ select i.slug, q.reserved_count from marketplace.api_quotas as q join marketplace.integrations as i on i.id = q.integration_id
     where q.organization_id = md5('red')::uuid order by 1 $$,
  $$ values ('red-files', 2::bigint), ('red-more', 1) $$,
  'quota is reserved for those that run'
);
select is(current_setting('role'), 'none', 'nobody is left behind as whoever asked');
select is(coalesce(current_setting('request.jwt.claims', true), ''), '', 'nor with his claims');

-- when something waits for the disk
create function pg_temp.commit_of(p_requests jsonb) returns text language plpgsql as $$
begin
  perform set_config('synchronous_commit', 'on', true);
  perform marketplace.begin_executions(p_requests);
  return current_setting('synchronous_commit');
end
$$;
-- then all do
select is(pg_temp.commit_of(jsonb_build_array(pg_temp.request(), pg_temp.request('{"integration": "red-more"}'))), 'off', 'calls that nobody can ask for again do not');
select is(
  pg_temp.commit_of(jsonb_build_array(pg_temp.request('{"idempotency_key": "first", "integration": "red-more"}'), pg_temp.request())), 'on', 'a key does, first'
);
select is(
  pg_temp.commit_of(jsonb_build_array(pg_temp.request(), pg_temp.request('{"idempotency_key": "last", "integration": "red-more"}'))), 'on', 'or last'
);
select is(
  pg_temp.commit_of(jsonb_build_array(pg_temp.request('{"caller": {"kind": "api_key", "token": "mpk_unknown"}}'), pg_temp.request('{"action": "files.lose"}'))),
  'on', 'and so does a refusal'
);
select is(marketplace.begin_executions('[]'), '[]', 'nothing asked, nothing answered');

select * from finish();
rollback;
