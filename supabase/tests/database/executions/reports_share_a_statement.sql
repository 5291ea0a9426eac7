begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given two integrations with limits, and four executions under way
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
do $$
begin
  perform marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://acme.example', 'bearer', p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 86400}}'
  );
  perform marketplace.register_action('acme', 'files.list', 'GET', '/files', '{"type": "object", "properties": {}}');
  perform marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{"quota": {"limit": 100, "window_seconds": 86400}}', 'red');
  perform marketplace.register_integration('red-more', 'Red', 'acme', 'storage', '{}', 'red');
end
$$;
create function pg_temp.begin(p_integration text, p_more jsonb default '{}') returns jsonb language sql as $$
  select marketplace.begin_execution(jsonb_build_object(
    'caller', '{"kind": "service"}'::jsonb, 'integration', p_integration, 'action', 'files.list', 'pages', 1,
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  ) || p_more)
$$;
create function pg_temp.result(p_begun jsonb, p_more jsonb default '{}') returns jsonb language sql as $$
  select p_begun || '{"action": "files.list", "outcome": "succeeded", "status_code": 200, "duration_ms": 1, "attempt_count": 1,
    "spent": 1, "observed": [], "is_kept": false, "is_read_only": true}' || p_more
$$;
create temp table begun as
select n, pg_temp.begin(case when n < 4 then 'red-files' else 'red-more' end, case when n = 3 then '{"idempotency_key": "k"}' else '{}' end::jsonb) as it
from generate_series(1, 4) as n;
create function pg_temp.it(p_n int) returns jsonb language sql as $$ select it from begun where n = p_n $$;
create temp view log as
select b.n, x.outcome, x.error_code
from begun as b
left join marketplace.execution_logs as x on x.id = (b.it ->> 'execution_id')::uuid;
create temp view quota as
select i.slug as integration, q.name, q.used_count, q.reserved_count
from marketplace.api_quotas as q join marketplace.integrations as i on i.id = q.integration_id
where q.organization_id = md5('red')::uuid;
select set_eq(
  'table quota',
  $$ values ('red-files', 'all connections', 0::bigint, 3::bigint), ('red-files', 'requests', 0, 3), ('red-more', 'requests', 0, 1) $$,
  'each has reserved'
);

-- when three report together, one of them a second time, and one whose beginning a crash has lost
do $$
begin
  delete from marketplace.execution_logs as x where x.id = (pg_temp.it(2) ->> 'execution_id')::uuid;
  perform set_config('synchronous_commit', 'on', true);
  perform marketplace.finish_executions(jsonb_build_array(pg_temp.result(pg_temp.it(1))));
  perform set_config('test.alone', current_setting('synchronous_commit'), true), set_config('synchronous_commit', 'on', true);
  perform marketplace.finish_executions(jsonb_build_array(
    pg_temp.result(pg_temp.it(1), '{"outcome": "failed", "error_code": "late"}'),
    pg_temp.result(pg_temp.it(2)),
    pg_temp.result(pg_temp.it(3), '{"is_kept": true, "http_status": 200, "answer": {"ok": true}}'),
    pg_temp.result(pg_temp.it(4), '{"outcome": "failed", "error_code": "provider_error", "spent": 3, "observed": [
      {"name": "requests", "limit_count": 50, "remaining": 10, "resets_at": null}
    ]}')
  ));
end
$$;
-- then
select is(current_setting('test.alone'), 'off', 'a read alone waits for no disk');
select is(current_setting('synchronous_commit'), 'on', 'together with an answer that is kept it does');
select results_eq(
  'table log order by n',
  $$ values (1, 'succeeded', null), (2, 'succeeded', null), (3, 'succeeded', null), (4, 'failed', 'provider_error') $$,
  'each ends as it said first, also the one that was lost'
);
select set_eq(
  'table quota',
  $$ values ('red-files', 'all connections', 2::bigint, 1::bigint), ('red-files', 'requests', 2, 1), ('red-more', 'requests', 40, 0) $$,
  'what each used is counted once; of the lost one nobody knows what it had reserved; a provider''s own count is taken over'
);
select is(
  (select count(*) from marketplace.execution_results as r where r.execution_id = (pg_temp.it(3) ->> 'execution_id')::uuid and r.answer = '{"ok": true}'),
  1::bigint, 'the answer is kept'
);
select is(pg_temp.begin('red-files', '{"idempotency_key": "k"}') #>> '{replay,answer,ok}', 'true', 'and given again');

-- when a write reports, or what a key stands for
create function pg_temp.commit_of(p_more jsonb) returns text language plpgsql as $$
declare
  v_one jsonb := pg_temp.begin('red-more');
  v_other jsonb := pg_temp.begin('red-more');
begin
  perform set_config('synchronous_commit', 'on', true);
  perform marketplace.finish_executions(jsonb_build_array(pg_temp.result(v_one), pg_temp.result(v_other, p_more)));
  return current_setting('synchronous_commit');
end
$$;
-- then its commit is on disk before anybody is answered, whatever else is in the statement
select is(pg_temp.commit_of('{}'), 'off', 'of two reads nobody waits');
select is(pg_temp.commit_of('{"idempotency_key": "x"}'), 'on', 'a key');
select is(pg_temp.commit_of('{"is_read_only": null}'), 'on', 'an action of which nobody says that it only reads');

-- when nothing is left to report
do $$ begin perform marketplace.finish_executions('[]'); end $$;
select is((select count(*) from log where outcome = 'running'), 0::bigint, 'nothing happens');
select is((select sum(reserved_count) from quota where integration = 'red-more'), 0::numeric, 'and nothing stays reserved');

select * from finish();
rollback;
