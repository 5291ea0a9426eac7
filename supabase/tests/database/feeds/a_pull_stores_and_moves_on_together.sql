begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(25);

-- given a drive that is followed, by a platform that knows where its functions are
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
  perform marketplace.watch('acme-drive');
end
$$;
create temp table before as select coalesce(max(id), 0) as id from net.http_request_queue;
create temp view ring as select q.* from net.http_request_queue as q
where q.id > (select id from before) and q.url like '%/marketplace-maintain';
create temp view followed as select c.* from marketplace.sync_cursors as c
join marketplace.integrations as i on i.id = c.integration_id where i.slug = 'acme-drive';
create function pg_temp.claim() returns jsonb language sql as $$
  select leased from marketplace.claim_cursors(100) as leased where (leased ->> 'cursor_id')::uuid = (select id from followed)
$$;
create function pg_temp.page(p_ids int[], p_version text default '1') returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object(
    'dedupe_key', 'drive.changes:' || n || ':' || p_version, 'event_type', 'drive.file.changed', 'resource_path', 'files/' || n,
    'occurred_at', '2026-01-01T00:00:00Z', 'payload', jsonb_build_object('n', n), 'item', jsonb_build_object('id', n::text, 'version', p_version)
  ) order by n) from unnest(p_ids) as n
$$;
create temp view event as select e.* from marketplace.webhook_events as e where e.integration_id = (select integration_id from followed);

-- when it is claimed
create temp table lease as select pg_temp.claim() as leased;
select is((select leased ->> 'feed' from lease), 'drive.changes', 'a due cursor is leased');
select is((select leased #>> '{integration,slug}' from lease), 'acme-drive', 'with what is needed to pull it');
select ok(
  (select due_at between clock_timestamp() + interval '14 minutes' and clock_timestamp() + interval '16 minutes' from followed),
  'its next reconciliation is planned'
);
select is(pg_temp.claim(), null, 'nobody else gets it');
create function pg_temp.store(p_events jsonb, p_cursor text, p_more boolean, p_progress jsonb default null) returns jsonb language sql as $$
  select marketplace.store_changes((leased ->> 'cursor_id')::uuid, (leased ->> 'lease_id')::uuid, p_events, p_cursor, p_more, p_progress) from lease
$$;

-- when a page is stored
select is(pg_temp.store(pg_temp.page('{1,2}'), 'page-2', true, '{"mode": "pages"}'), '{"stored": 2, "duplicates": 0}', 'each change is an event');
select results_eq('select cursor, progress from followed', $$ values ('page-2', '{"mode": "pages"}'::jsonb) $$, 'the cursor stands behind them');
select is((select count(distinct correlation_id) from event)::int, 2, 'each with a correlation id of its own');
select isnt((select lease_id from followed), null, 'the lease goes on');
select is((select count(*) from event where not processed)::int, 2, 'they wait for routing like any other');

-- when its holder dies before the next page is stored
update marketplace.sync_cursors set lease_until = clock_timestamp() where id = (select id from followed);
create temp table old_lease as table lease;
update lease set leased = pg_temp.claim();
select is((select leased ->> 'cursor' from lease), 'page-2', 'the next one goes on from there');
select is((select leased -> 'progress' from lease), '{"mode": "pages"}', 'with what was left for it');
select throws_ok(
  $$ select marketplace.store_changes((leased ->> 'cursor_id')::uuid, (leased ->> 'lease_id')::uuid, '[]', 'x') from old_lease $$,
  'MK409', null, 'and the dead one stores nothing more'
);
select is(pg_temp.store(pg_temp.page('{2,3}'), 'end', false), '{"stored": 1, "duplicates": 1}', 'what was stored before is told once');
select results_eq(
  'select cursor, progress, status, lease_id, event_count, caught_up_at = pull_started_at from followed',
  $$ values ('end', null::jsonb, 'active', null::uuid, 3::bigint, true) $$, 'the last page ends the pull'
);

-- when a page cannot be stored, then the cursor stays
update marketplace.sync_cursors set due_at = now() where id = (select id from followed);
update lease set leased = pg_temp.claim();
select throws_ok(
  $$ select pg_temp.store('[{"dedupe_key": "k", "event_type": "t", "resource_path": "p", "occurred_at": "yesterday-ish"}]', 'further', false) $$,
  '22007', null, 'a page that is none is refused'
);
select is((select cursor from followed), 'end', 'and the cursor has not moved');
select throws_ok($$ select pg_temp.store('{}', 'x', false) $$, 'MK400', null, 'events are a list');

-- when a pull fails
create function pg_temp.fail(p_wait numeric default null) returns timestamptz language sql as $$
  select marketplace.fail_pull((leased ->> 'cursor_id')::uuid, (leased ->> 'lease_id')::uuid, 'rate_limited', 'Slow down.', p_wait) from lease
$$;
select ok(f.next between clock_timestamp() + interval '4 seconds' and clock_timestamp() + interval '7 seconds', 'it waits some seconds')
from pg_temp.fail() as f (next);
select results_eq('select status, error_code, failure_count, lease_id from followed', $$ values ('failing', 'rate_limited', 1, null::uuid) $$, 'and says why');
update marketplace.sync_cursors set due_at = now(), failure_count = 30 where id = (select id from followed);
update lease set leased = pg_temp.claim();
select ok(pg_temp.fail() < clock_timestamp() + interval '19 minutes', 'never much longer than a quarter of an hour');
update marketplace.sync_cursors set due_at = now() where id = (select id from followed);
update lease set leased = pg_temp.claim();
select ok(pg_temp.fail(3600000) > clock_timestamp() + interval '59 minutes', 'unless the provider says so');
select is(marketplace._mark_due((select id from followed)), false, 'a push does not hurry it');
update marketplace.sync_cursors set due_at = now() where id = (select id from followed);
update lease set leased = pg_temp.claim();
do $$ begin perform pg_temp.store('[]', 'end', false); end $$;
select results_eq('select status, error_code, failure_count from followed', $$ values ('active', null::text, 0) $$, 'a pull that goes well forgets it');

-- when it is followed no longer, or its integration is inactive
update marketplace.sync_cursors set due_at = now() where id = (select id from followed);
update marketplace.integrations set status = 'inactive' where slug = 'acme-drive';
select is(pg_temp.claim(), null, 'an inactive integration is not pulled');
update marketplace.integrations set status = 'active' where slug = 'acme-drive';
update lease set leased = pg_temp.claim();
do $$ begin perform marketplace.unwatch('acme-drive'); end $$;
select throws_ok($$ select pg_temp.store('[]', 'x', false) $$, 'MK409', null, 'nor stored when nobody follows any more');

select * from finish();
rollback;
