begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(21);

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
insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind, channel_id)
select organization_id, integration_id, id, 'drive', 'channel-1' from followed;
create temp view channel as select * from marketplace.watch_channels where channel_id = 'channel-1';
create function pg_temp.push(p_channel text, p_resource text, p_number int, p_state text default 'change') returns text language sql as $$
  select marketplace.note_push(integration_id, p_channel, p_resource, p_number, p_state) from followed
$$;
update marketplace.sync_cursors set cursor = '1', status = 'active', due_at = now() + interval '15 minutes' where id = (select id from followed);

-- when its channel says that it is open, before the provider has answered who it is
select is(pg_temp.push('channel-1', 'resource-1', 1, 'sync'), 'sync', 'the first word is taken');
select is((select resource_id from channel), 'resource-1', 'and names the resource');
select cmp_ok((select due_at from followed), '>', now(), 'nothing has changed');

-- when something has changed
select is(pg_temp.push('channel-1', 'resource-1', 2), 'noted', 'a push is noted');
select ok((select due_at <= clock_timestamp() from followed), 'the cursor is due');
select is((select count(*) from ring)::int, 1, 'and marketplace-maintain is rung');
create temp table written as select c.xmin::text as cursor_xmin, c.ctid::text as cursor_ctid, w.ctid::text as channel_ctid
from marketplace.sync_cursors as c, marketplace.watch_channels as w where c.id = (select id from followed) and w.channel_id = 'channel-1';
select is(pg_temp.push('channel-1', 'resource-1', n), 'coalesced', 'a further push changes nothing') from generate_series(3, 4) as n;
select results_eq(
  $$ select c.ctid::text, w.ctid::text from marketplace.sync_cursors as c, marketplace.watch_channels as w
     where c.id = (select id from followed) and w.channel_id = 'channel-1' $$,
  'select cursor_ctid, channel_ctid from written', 'not a row is written'
);
select is((select count(*) from ring)::int, 1, 'and nobody is rung');
select results_eq('select push_count, last_message_number from channel', 'values (1::bigint, 2::bigint)', 'what made it due is counted');

-- when a pull has begun, it may have passed by what a push is about
create temp table lease as select * from marketplace.claim_cursors(100) as leased where (leased ->> 'cursor_id')::uuid = (select id from followed);
update marketplace.sync_cursors set not_before = clock_timestamp() + interval '5 minutes' where id = (select id from followed);
select is(pg_temp.push('channel-1', 'resource-1', 5), 'noted', 'a push during a pull is noted');
select is((select due_at from followed), (select not_before from followed), 'for after the breath that follows a pull');
select is(pg_temp.push('channel-1', 'resource-1', 6), 'coalesced', 'once');
select is((select count(*) from ring)::int, 1, 'who pulls looks again: nobody is rung');

-- when somebody else pushes
select is(pg_temp.push('channel-2', 'resource-1', 2), 'unknown', 'a channel that is not ours is unknown');
select is(pg_temp.push('channel-1', 'resource-2', 2), 'unknown', 'and so is ours for another resource');
select is(marketplace.note_push(gen_random_uuid(), 'channel-1', 'resource-1', 2, 'change'), 'unchecked', 'without channels nothing is checked');

-- when the push names an account
select is(marketplace.note_account_push((select integration_id from followed), 'ada@example.com'), 'unchecked', 'a mailbox that nobody follows');
update marketplace.sync_cursors set account = 'Ada@example.com', due_at = 'infinity', not_before = '-infinity', lease_id = null, lease_until = null
where id = (select id from followed);
select is(marketplace.note_account_push((select integration_id from followed), 'ada@example.com'), 'noted', 'one that somebody follows, in any spelling');
select is(marketplace.note_account_push((select integration_id from followed), 'ada@example.com'), 'coalesced', 'once');

select * from finish();
rollback;
