begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

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
update marketplace.sync_cursors set cursor = '1' where id = (select id from followed);
create temp table lease as
select leased from marketplace.claim_cursors(100) as leased where (leased ->> 'cursor_id')::uuid = (select id from followed);
create function pg_temp.tell(p_id text, p_path text, p_version text, p_seen text[] default '{}') returns void language sql as $$
  select marketplace.store_changes(
    (leased ->> 'cursor_id')::uuid, (leased ->> 'lease_id')::uuid,
    case when p_id is null then '[]' else jsonb_build_array(jsonb_build_object(
      'dedupe_key', p_id || ':' || coalesce(p_version, 'removed'), 'event_type', 'drive.file.changed', 'resource_path', p_path,
      'item', jsonb_strip_nulls(jsonb_build_object('id', p_id, 'version', p_version))
    )) end,
    '2', true, '{"mode": "listing"}', null, p_seen
  ) from lease
$$;
create function pg_temp.items() returns table (line text) language sql as $$
  select k.item_id || ' ' || k.path || ' ' || k.version from marketplace.known_items((select id from followed), '{a,b,c}') as k
$$;

-- when a feed tells of things
do $$ begin perform pg_temp.tell('a', 'files/a', '1'), pg_temp.tell('b', 'files/b', '1'), pg_temp.tell('a', 'files/a2', '2'); end $$;
select set_eq('select line from pg_temp.items()', array['a files/a2 2', 'b files/b 1'], 'what was told last is known');
do $$ begin perform pg_temp.tell('b', 'files/b', null); end $$;
select set_eq('select line from pg_temp.items()', array['a files/a2 2'], 'what is gone is not');

-- when all is listed
do $$ begin perform pg_temp.tell('b', 'files/b', '3'); end $$;
update marketplace.feed_items set seen_at = now() - interval '1 day' where cursor_id = (select id from followed);
do $$ begin perform pg_temp.tell(null, null, null, '{b}'); end $$;
select results_eq(
  $$ select item_id, path from marketplace.unseen_items((select id from followed), now() - interval '1 minute') $$,
  $$ values ('a', 'files/a2') $$, 'what the listing did not meet is found'
);
select is((select restart_count from followed), 1, 'and a listing is counted once, however many pages it has');
select is_empty($$ select from marketplace.unseen_items(gen_random_uuid(), now()) $$, 'another feed''s things are another''s');

-- when the pull must stop
select lives_ok($$ select marketplace.pause_pull((leased ->> 'cursor_id')::uuid, (leased ->> 'lease_id')::uuid) from lease $$, 'it may stop between two pages');
select results_eq(
  'select lease_id, due_at <= clock_timestamp(), progress from followed', $$ values (null::uuid, true, '{"mode": "listing"}'::jsonb) $$,
  'to be gone on with at once'
);

select * from finish();
rollback;
