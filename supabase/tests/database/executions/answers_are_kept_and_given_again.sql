begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(27);

-- given actions that may be repeated, and one that may not
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform marketplace.register_provider('acme', 'Acme', 'storage', 'https://acme.example', 'bearer');
  perform
    marketplace.register_action('acme', 'files.get', 'GET', '/files', '{"type": "object", "properties": {}}'),
    marketplace.register_action('acme', 'files.add', 'POST', '/files', '{"type": "object", "properties": {}}');
  perform
    marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue', 'acme', 'storage', '{}', 'blue');
end
$$;
create function pg_temp.begin(p_key text, p_hash text default '00', p_action text default 'files.add', p_more jsonb default '{}')
returns jsonb language sql as $$
  select marketplace.begin_execution(jsonb_strip_nulls(jsonb_build_object(
    'caller', '{"kind": "service"}'::jsonb, 'integration', 'red-files', 'action', p_action, 'idempotency_key', p_key,
    'request_hash', p_hash, 'correlation_id', gen_random_uuid()
  )) || p_more)
$$;
create function pg_temp.finish(p_begun jsonb, p_more jsonb default '{}') returns void language sql as $$
  select marketplace.finish_executions(jsonb_build_array(
    p_begun || '{"action": "x", "outcome": "succeeded", "duration_ms": 1, "attempt_count": 1, "spent": 1, "observed": [],
      "is_kept": true, "http_status": 200, "answer": {"ok": true}}' || p_more
  ))
$$;
create function pg_temp.code(p_begun jsonb) returns text language sql as $$
  select coalesce(p_begun #>> '{refusal,code}', case when p_begun ? 'replay' then 'replay' else 'runs' end)
$$;

-- when a key is used
create temp table begun as select 1 as n, pg_temp.begin('a') as it;
-- then
select is(pg_temp.code(it), 'runs', 'its first use runs') from begun;
select is(pg_temp.code(pg_temp.begin('a')), 'execution_in_progress', 'a second one waits');
select is(pg_temp.begin('a') #>> '{refusal,retry_after_ms}', '1000', 'for a second');
select is(pg_temp.code(pg_temp.begin('a', '01')), 'idempotency_key_reused', 'another request may not use it');
select is(pg_temp.code(pg_temp.begin('b')), 'runs', 'another key is free');
select is(
  pg_temp.code(pg_temp.begin('a', '00', 'files.add', '{"integration": "blue-files"}')), 'runs', 'so is another organization''s'
);
do $$ begin perform pg_temp.finish(it) from begun where n = 1; end $$;
select is(pg_temp.begin('a') -> 'replay' -> 'answer', '{"ok": true}'::jsonb, 'after its end its answer is given again');
select is(
  (select count(*)::int from marketplace.execution_logs where idempotency_key = 'a' and outcome = 'succeeded' and organization_id = md5('red')::uuid),
  1, 'and nothing else was run'
);
select is(pg_temp.code(pg_temp.begin('a', '01')), 'idempotency_key_reused', 'still it is for one request');
select results_eq(
  $$ select expires_at - created_at from marketplace.execution_results where idempotency_key = 'a' and organization_id = md5('red')::uuid $$,
  array['24 hours'::interval], 'for a day'
);
update marketplace.execution_results set expires_at = now() - interval '1 s' where idempotency_key = 'a';
select is(pg_temp.code(pg_temp.begin('a', '01')), 'runs', 'after that it is free for anything');

-- when nothing happened
insert into begun select 2, pg_temp.begin('c');
do $$ begin perform pg_temp.finish(it, '{"is_kept": false, "outcome": "failed", "error_code": "x"}') from begun where n = 2; end $$;
select is(pg_temp.code(pg_temp.begin('c', '02')), 'runs', 'the key was not used');

-- when an answer is too large
insert into begun select 3, pg_temp.begin('d');
do $$ begin perform pg_temp.finish(it, '{"answer": null}') from begun where n = 3; end $$;
select is(pg_temp.code(pg_temp.begin('d')), 'answer_not_kept', 'it is not given again, and nothing is run');

-- when a run never reports
do $$ begin perform pg_temp.begin('e'), pg_temp.begin('f', '00', 'files.get'); end $$;
update marketplace.execution_results set lease_until = now() - interval '1 s' where idempotency_key in ('e', 'f');
select is(pg_temp.code(pg_temp.begin('e')), 'outcome_unknown', 'what may have happened is not run again');
select is(pg_temp.code(pg_temp.begin('f', '01', 'files.get')), 'idempotency_key_reused', 'nor another request');
select is(pg_temp.code(pg_temp.begin('f', '00', 'files.get')), 'runs', 'what is harmless is');

-- when it runs in the background
insert into begun select 4, pg_temp.begin(null, '00', 'files.get', '{"is_async": true}');
create function pg_temp.state(p_caller jsonb default '{"kind": "service"}') returns jsonb language sql as $$
  select marketplace.read_execution((select (it ->> 'execution_id')::uuid from begun where n = 4), p_caller)
$$;
select is(pg_temp.state() ->> 'status', 'running', 'its state can be asked for');
update marketplace.execution_results set lease_until = now() - interval '1 s'
where execution_id = (select (it ->> 'execution_id')::uuid from begun where n = 4);
select is(pg_temp.state() ->> 'status', 'lost', 'also when it is lost');
do $$ begin perform pg_temp.finish(it, '{"http_status": 502, "outcome": "failed", "error_code": "x"}') from begun where n = 4; end $$;
select is(pg_temp.state() ->> 'status', 'failed', 'and how it ended');
select is(pg_temp.state() -> 'answer', '{"ok": true}'::jsonb, 'with its answer');
select throws_ok(
  $$ select pg_temp.state('{"kind": "user", "claims": {"sub": "00000000-0000-4000-8000-000000000001"}}') $$,
  'MK404', null, 'by nobody else'
);
select throws_ok(
  $$ select marketplace.read_execution(gen_random_uuid(), '{"kind": "service"}') $$, 'MK404', null, 'if it exists'
);

-- when time passes
update marketplace.execution_logs set created_at = now() - interval '11 minutes' where outcome = 'running' and action = 'files.add' and idempotency_key = 'e';
update marketplace.execution_results set expires_at = now() - interval '1 s' where idempotency_key = 'd';
create temp table kept as select marketplace.maintain_executions() as it;
select ok((select (it ->> 'lost')::int >= 1 from kept), 'what never reported is lost');
select results_eq(
  $$ select outcome, error_code from marketplace.execution_logs where idempotency_key = 'e' and organization_id = md5('red')::uuid order by created_at limit 1 $$,
  $$ values ('failed', 'execution_lost') $$, 'and its log row says so'
);
select ok((select (it ->> 'forgotten')::int >= 1 from kept), 'answers are forgotten after their day');
select is_empty($$ select 1 from marketplace.execution_results where idempotency_key = 'd' $$, 'and are gone');
-- when it reports after all
do $$
begin
  perform pg_temp.finish(jsonb_build_object('execution_id', x.id, 'created_at', x.created_at, 'organization_id', x.organization_id))
  from marketplace.execution_logs as x where x.idempotency_key = 'e' and x.error_code = 'execution_lost';
end
$$;
select is(
  (select outcome from marketplace.execution_logs where idempotency_key = 'e' and organization_id = md5('red')::uuid order by created_at limit 1),
  'succeeded', 'it is found'
);

select * from finish();
rollback;
