begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(16);

-- given limits of both kinds
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
do $$
begin
  perform marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://acme.example', 'bearer', p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 86400}}'
  );
  perform marketplace.register_action('acme', 'files.list', 'GET', '/files', '{"type": "object", "properties": {}}', p_quota_cost => 2);
  perform marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{"quota": {"limit": 100, "window_seconds": 86400}}', 'red');
end
$$;
create function pg_temp.begin(p_pages int default 1, p_more jsonb default '{}') returns jsonb language sql as $$
  select marketplace.begin_execution(jsonb_build_object(
    'caller', '{"kind": "service"}'::jsonb, 'integration', 'red-files', 'action', 'files.list', 'pages', p_pages,
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  ) || p_more)
$$;
create function pg_temp.finish(p_begun jsonb) returns void language sql as $$
  select marketplace.finish_executions(jsonb_build_array(
    p_begun || '{"action": "files.list", "outcome": "succeeded", "duration_ms": 1, "attempt_count": 1, "spent": 6, "observed": []}'
  ))
$$;
create function pg_temp.lose() returns jsonb language sql as $$
  update marketplace.execution_logs set created_at = now() - interval '11 minutes' where organization_id = md5('red')::uuid and outcome = 'running';
  select marketplace.maintain_executions()
$$;
create temp view quota as
select q.name, q.used_count, q.reserved_count from marketplace.api_quotas as q where q.organization_id = md5('red')::uuid;
create temp view log as
select x.outcome, x.error_code, x.reserved from marketplace.execution_logs as x where x.organization_id = md5('red')::uuid;

-- when what runs it is stopped
create temp table begun as select 1 as n, pg_temp.begin(20) as it;
select set_eq('table quota', $$ values ('all connections', 0::bigint, 40::bigint), ('requests', 0, 40) $$, 'it had reserved for every page');
select is((select jsonb_array_length(reserved) from log), 2, 'and the log says so');
do $$ begin perform pg_temp.lose(); end $$;
-- then
select results_eq('table log', $$ values ('failed', 'execution_lost', null::jsonb) $$, 'it is lost');
select set_eq(
  'table quota', $$ values ('all connections', 2::bigint, 0::bigint), ('requests', 2, 0) $$,
  'one request is counted, which may have gone out; the rest is given back'
);
do $$ begin perform pg_temp.lose(); end $$;
select is((select sum(used_count) from quota), 4::numeric, 'once');
-- when it reports after all
do $$
begin
  perform pg_temp.finish(it || jsonb_build_object('created_at', x.created_at))
  from begun join marketplace.execution_logs as x on x.id = (it ->> 'execution_id')::uuid;
end
$$;
select results_eq('table log', $$ values ('succeeded', null, null::jsonb) $$, 'the log says what came of it');
select is((select sum(used_count + reserved_count) from quota), 4::numeric, 'what is settled is not settled again');

-- when the window is over by then
insert into begun select 2, pg_temp.begin(5);
update marketplace.api_quotas set window_started_at = now() + interval '1 s' where organization_id = md5('red')::uuid;
do $$ begin perform pg_temp.lose(); end $$;
select is((select min(reserved_count) from quota), 10::bigint, 'the next one is left alone');
delete from marketplace.api_quotas where organization_id = md5('red')::uuid;

-- when a crash of the server has taken its beginning
insert into begun select 3, pg_temp.begin();
delete from marketplace.execution_logs where id = (select (it ->> 'execution_id')::uuid from begun where n = 3);
do $$ begin perform pg_temp.finish(it) from begun where n = 3; end $$;
select is(
  (select count(*)::int from marketplace.execution_logs where id = (select (it ->> 'execution_id')::uuid from begun where n = 3) and outcome = 'succeeded' and caller = 'service'),
  1, 'its end writes the row'
);
do $$ begin perform pg_temp.finish(it || '{"outcome": "failed", "error_code": "x"}') from begun where n = 3; end $$;
select is(
  (select outcome from marketplace.execution_logs where id = (select (it ->> 'execution_id')::uuid from begun where n = 3)),
  'succeeded', 'a second report changes nothing'
);

-- which beginnings wait for the disk
do $$ begin perform set_config('synchronous_commit', 'on', true), pg_temp.begin(1, '{"idempotency_key": "k"}'); end $$;
select is(current_setting('synchronous_commit'), 'on', 'one with a key: it must not run twice');
do $$ begin perform pg_temp.begin(1, '{"is_async": true}'); end $$;
select is(current_setting('synchronous_commit'), 'on', 'one that is asked for later');
do $$ begin perform pg_temp.begin(1000); end $$;
select is(current_setting('synchronous_commit'), 'on', 'one that is refused: nothing reports it again');
do $$ begin perform pg_temp.begin(); end $$;
select is(current_setting('synchronous_commit'), 'off', 'no other');

-- when a key is freed between the two looks at it, then it is taken
delete from marketplace.execution_results where organization_id = md5('red')::uuid;
create function pg_temp.free() returns trigger language plpgsql as $$
begin
  -- as if its execution ended just now, in another session, with nothing to keep
  delete from marketplace.execution_results where execution_id = md5('ending')::uuid;
  return null;
end
$$;
insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, idempotency_key, request_hash, is_repeatable, lease_until)
values (md5('ending')::uuid, now(), md5('red')::uuid, 'service', 'freed', '\x00', false, now() + interval '1 minute');
create trigger free after insert on marketplace.execution_results for each statement execute function pg_temp.free();
select is(pg_temp.begin(1, '{"idempotency_key": "freed"}') -> 'refusal', null, 'no outcome is unknown of what is over');
drop trigger free on marketplace.execution_results;
select isnt_empty(
  $$ select from marketplace.execution_results where idempotency_key = 'freed' and finished_at is null $$, 'it is its next user''s'
);

select * from finish();
rollback;
