begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(26);

-- given a provider that allows ten a window, and an integration that allows twelve to all its connections
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
do $$
begin
  perform marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://acme.example', 'bearer', p_rate_limit => '{"quota": {"limit": 10, "window_seconds": 600}}'
  );
  perform marketplace.register_action('acme', 'files.get', 'GET', '/files', '{"type": "object", "properties": {}}');
  perform marketplace.register_integration('red-files', 'Red', 'acme', 'storage', '{"quota": {"limit": 12, "window_seconds": 600}}', 'red');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared, status)
select md5(n)::uuid, i.organization_id, i.id, n, true, 'active'
from marketplace.integrations as i, unnest(array['one', 'two']) as n where i.slug = 'red-files';
do $$ begin perform marketplace.open_grant(md5(n)::uuid, 'bearer', '{"api_token": "x"}') from unnest(array['one', 'two']) as n; end $$;

create function pg_temp.begin(p_connection text default 'one', p_pages int default 1) returns jsonb language sql as $$
  select marketplace.begin_execution(jsonb_build_object(
    'caller', '{"kind": "service"}'::jsonb, 'connection_id', md5(p_connection)::uuid, 'action', 'files.get', 'pages', p_pages,
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  ))
$$;
create function pg_temp.finish(p_begun jsonb, p_more jsonb default '{}') returns void language sql as $$
  select marketplace.finish_executions(jsonb_build_array(
    p_begun || '{"action": "files.get", "outcome": "succeeded", "duration_ms": 1, "attempt_count": 1, "spent": 1, "observed": []}' || p_more
  ))
$$;
create temp view quota as
select q.name, coalesce(c.name, '') as connection, q.limit_count, q.used_count, q.reserved_count
from marketplace.api_quotas as q left join marketplace.connections as c on c.id = q.connection_id
where q.organization_id = md5('red')::uuid;

-- when a call begins
create temp table begun as select 1 as n, pg_temp.begin() as it;
-- then
select set_eq(
  'table quota', $$ values ('all connections', '', 12::bigint, 0::bigint, 1::bigint), ('requests', 'one', 10, 0, 1) $$,
  'it is reserved from both limits'
);
select results_eq(
  $$ select w ->> 'name' from begun, jsonb_array_elements(it -> 'windows') as w order by 1 $$,
  array['all connections', 'requests'], 'and says from which'
);
-- when it ends
do $$ begin perform pg_temp.finish(it) from begun; end $$;
select set_eq(
  'table quota', $$ values ('all connections', '', 12::bigint, 1::bigint, 0::bigint), ('requests', 'one', 10, 1, 0) $$,
  'what was reserved is used'
);
do $$ begin perform pg_temp.finish(it) from begun; end $$;
select is((select sum(used_count) from quota), 2::numeric, 'a second report changes nothing');
-- a call that was never sent
do $$ begin perform pg_temp.finish(pg_temp.begin(), '{"spent": 0}'); end $$;
select is((select sum(used_count + reserved_count) from quota), 2::numeric, 'what was not sent is given back');
-- a call that was repeated
do $$ begin perform pg_temp.finish(pg_temp.begin(), '{"spent": 3}'); end $$;
select is((select used_count from quota where connection = 'one'), 4::bigint, 'a repetition counts');

-- when a limit is spent
insert into begun select 2, pg_temp.begin('one', 7);
select is((select it #>> '{refusal,code}' from begun where n = 2), 'rate_limited', 'seven more are one too many');
select ok((select (it #>> '{refusal,retry_after_ms}')::int between 590000 and 600000 from begun where n = 2), 'it says when to come back');
select is((select sum(reserved_count) from quota), 0::numeric, 'nothing of it stays reserved, in neither limit');
select is((select pg_temp.begin('one', 6) -> 'refusal'), null, 'six fit');
select is((select sum(reserved_count) from quota), 12::numeric, 'and are reserved in both');
select is(pg_temp.begin('two', 3) #>> '{refusal,details,quota}', 'all connections', 'another connection meets the common limit');
select is((select count(*) from quota where connection = 'two' and reserved_count > 0), 0::bigint, 'and its own gives back what it gave');
select is(pg_temp.begin('two', 11) #>> '{refusal,code}', 'rate_limited', 'what never fits is refused, too');

-- when the window is over
update marketplace.api_quotas set window_started_at = now() - interval '2 h', resets_at = now() - interval '1 h'
where organization_id = md5('red')::uuid;
insert into begun select 3, pg_temp.begin('one', 2);
select results_eq(
  $$ select used_count, reserved_count from quota where connection = 'one' $$, $$ values (0::bigint, 2::bigint) $$,
  'the next one begins with nothing'
);
do $$ begin perform pg_temp.finish(it, '{"spent": 2}') from begun where n = 2 and it ? 'windows'; end $$;
select is((select used_count from quota where connection = 'one'), 0::bigint, 'a report of the former one says nothing about it');

-- when the provider tells its count
create function pg_temp.tell(p_begun jsonb, p_remaining int, p_name text default 'requests', p_limit int default 50) returns void language sql as $$
  select pg_temp.finish(p_begun, jsonb_build_object('observed', jsonb_build_array(jsonb_build_object(
    'name', p_name, 'limit_count', p_limit, 'remaining', p_remaining, 'resets_at', now() + interval '30 minutes'
  ))))
$$;
do $$ begin perform pg_temp.tell(it, 30) from begun where n = 3; end $$;
select results_eq(
  $$ select limit_count, used_count, reserved_count from quota where connection = 'one' $$, $$ values (50::bigint, 20::bigint, 0::bigint) $$,
  'its limit and its count are ours'
);
do $$ begin perform pg_temp.tell(pg_temp.begin(), 35); end $$;
select is((select used_count from quota where connection = 'one'), 20::bigint, 'an answer that was overtaken turns nothing back');
do $$ begin perform pg_temp.finish(pg_temp.begin()); end $$;
select is((select used_count from quota where connection = 'one'), 21::bigint, 'what is not told is counted');
do $$ begin perform pg_temp.tell(pg_temp.begin(), 29); end $$;
select is((select used_count from quota where connection = 'one'), 21::bigint, 'until it is told');

-- where the provider has several limits
do $$ begin perform pg_temp.tell(pg_temp.begin('two'), 4, 'search', 5); end $$;
select results_eq(
  $$ select name, used_count, reserved_count from quota where connection = 'two' order by 1 $$,
  $$ values ('requests', 0::bigint, 0::bigint), ('search', 1, 0) $$,
  'the one that it names is used, and not the one that was assumed'
);
do $$ begin perform pg_temp.begin('two'); end $$;
select is((select reserved_count from quota where name = 'search'), 1::bigint, 'from then on it is reserved from that one');

-- when it asks to be left alone
do $$ begin perform pg_temp.finish(pg_temp.begin(), '{"outcome": "failed", "error_code": "rate_limited", "retry_after_ms": 20000}'); end $$;
select ok(
  (select (pg_temp.begin() #>> '{refusal,retry_after_ms}')::int between 10000 and 20000), 'it is'
);
select is(pg_temp.begin('two') -> 'refusal', null, 'for that connection');

-- what costs nothing
update marketplace.actions set quota_cost = 0 where provider_slug = 'acme';
delete from marketplace.api_quotas where organization_id = md5('red')::uuid;
select is(pg_temp.begin() -> 'windows', '[]', 'reserves nothing');
select is_empty('table quota', 'and leaves no row');

select * from finish();
rollback;
