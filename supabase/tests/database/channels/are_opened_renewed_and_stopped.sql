begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(33);

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
delete from marketplace.sync_cursors where id <> (select id from followed);
create temp view channel as select * from marketplace.watch_channels where cursor_id = (select id from followed);
create temp table task (n serial, task jsonb);
create function pg_temp.claim() returns int language sql as $$
  with claimed as (insert into task (task) select t from marketplace.claim_channel_tasks() as t returning 1) select count(*)::int from claimed
$$;
create function pg_temp.latest() returns jsonb language sql as 'select task from task order by n desc limit 1';
create function pg_temp.opened(p_expires interval default '7 days') returns text language sql as $$
  select marketplace.channel_opened((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, 'resource-1', clock_timestamp() + p_expires) from pg_temp.latest() as t
$$;

-- when the feed is not begun
select is(pg_temp.claim(), 0, 'a feed that is not begun has nothing to be told');
update marketplace.sync_cursors set cursor = '1', status = 'active', due_at = 'infinity' where id = (select id from followed);

-- when it is
select ok(marketplace.has_channel_tasks(), 'a feed without a channel wants one');
select is(pg_temp.claim(), 1, 'one is to be opened');
select results_eq(
  $$ select t ->> 'task', t ->> 'address', length(t ->> 'token'), (t ->> 'lifetime_seconds')::int, t ->> 'cursor' from pg_temp.latest() as t $$,
  $$ values ('open', 'https://project.example/functions/v1/marketplace-webhook/google_drive/acme-drive', 64, 604800, '1') $$,
  'with all that the provider must be told'
);
select results_eq('select status, resource_id from channel', $$ values ('pending', null::text) $$, 'its row is there before the provider is asked');
select is(pg_temp.claim(), 0, 'nobody else asks meanwhile');
select is(pg_temp.opened(), 'active', 'then it is open');
select ok(
  (select renew_after between now() + interval '5 days' and now() + interval '6 days' from channel), 'and renewed a good while before it ends'
);
select ok((select due_at <= clock_timestamp() + interval '2 seconds' from followed), 'one more look finds what changed before it was open');
select is(marketplace.has_channel_tasks(), false, 'now nothing is to be done');

-- when it ends before long
update marketplace.watch_channels set renew_after = now() where status = 'active';
select ok(marketplace.has_channel_tasks(), 'a channel is renewed in time');
select is(pg_temp.claim(), 1, 'another is to be opened');
select set_eq('select status from channel', array['active', 'pending'], 'while the former is open still');
select is(pg_temp.opened(), 'active', 'then there are two');
select set_eq('select status from channel', array['active', 'replaced'], 'and the former is dispensable');
select is(pg_temp.claim(), 1, 'it is to be stopped');
select results_eq($$ select t ->> 'task', t ->> 'resource_id', t ->> 'token' from pg_temp.latest() as t $$, $$ values ('stop', 'resource-1', null::text) $$, 'by its id and its resource');
select ok((select marketplace.channel_stopped((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid) from pg_temp.latest() as t), 'then it is stopped');
select set_eq('select status from channel', array['active', 'stopped'], 'one is left');
select is(pg_temp.claim(), 0, 'and nothing to do');

-- when the secret that it sends along is no longer the newest
do $$ begin perform marketplace.rotate_integration_secret('acme-drive', 'webhook', 'another secret of ours', interval '1 day'); end $$;
select is(pg_temp.claim(), 1, 'it is renewed');
select is(pg_temp.latest() ->> 'token', 'another secret of ours', 'with the new one');

-- when whoever asked never came back
update marketplace.watch_channels set lease_until = now() where status = 'pending';
select is(pg_temp.claim(), 2, 'another is opened, and the lost one stopped');
select results_eq(
  $$ select task ->> 'task', task ->> 'resource_id' from task order by n desc limit 1 $$, $$ values ('stop', 'resource-1') $$,
  'by the resource that all channels of the feed have'
);
select is(
  (select marketplace.channel_opened((task ->> 'id')::uuid, (task ->> 'lease_id')::uuid, 'resource-1', now() + interval '1 day')
   from task where n = (select max(n) - 2 from task)),
  'stopping', 'an answer that comes too late opens nothing'
);

-- when the provider refuses
delete from task where task ->> 'task' = 'stop';
select ok(
  (select marketplace.channel_failed((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, 'no https') from pg_temp.latest() as t) > clock_timestamp() + interval '14 seconds',
  'it is asked again later'
);
select results_eq('select channel_failure_count, channel_error from followed', $$ values (1, 'no https') $$, 'and the reason is known');
select is((select count(*) from channel where status = 'failed')::int, 1, 'what was refused is not open');
select is(pg_temp.claim(), 0, 'not before its time');

-- when nobody follows any more
do $$ begin perform marketplace.unwatch('acme-drive'); end $$;
update marketplace.watch_channels set retry_at = now(), lease_until = null, lease_id = null where stopped_at is null;
select is(pg_temp.claim(), 2, 'all that is open is stopped');
select ok(bool_and(marketplace.channel_stopped((task ->> 'id')::uuid, (task ->> 'lease_id')::uuid)), 'each')
from (select task from task order by n desc limit 2) as t;
update marketplace.sync_cursors set updated_at = now() where false;
alter table marketplace.sync_cursors disable trigger sync_cursors_touch;
update marketplace.sync_cursors set updated_at = now() - interval '2 hours' where id = (select id from followed);
select is(marketplace.forget_channels(), 1, 'then the feed is forgotten');
select is((select is_watched from marketplace.integrations where slug = 'acme-drive'), false, 'and a push is an event again');

select * from finish();
rollback;
