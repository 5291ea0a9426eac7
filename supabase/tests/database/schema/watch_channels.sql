begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given a channel
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where slug = 'acme-files';
insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind, channel_id)
select organization_id, integration_id, id, 'drive', 'given' from marketplace.sync_cursors where feed = 'acme.changes';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('kind = ''slack''', 'watch_channels_kind_check', 'a channel is of a known kind'),
  ('channel_id = ''''', 'watch_channels_channel_id_check', 'it has an id'),
  ('status = ''open''', 'watch_channels_status_check', 'and a status of its life'),
  ('failure_count = -1', 'watch_channels_failure_count_check', 'failures are counted'),
  ('push_count = -1', 'watch_channels_push_count_check', 'so are pushes'),
  ('lease_id = gen_random_uuid()', 'watch_channels_lease_check', 'a lease ends'),
  ('status = ''active''', 'watch_channels_active_is_known_check', 'an open channel has a resource and an end'),
  ('status = ''stopped''', 'watch_channels_stopped_check', 'a stopped one was stopped some time');
select throws_ok(
  format('update marketplace.watch_channels set %s where channel_id = ''given''', change),
  '23514', format('new row for relation "watch_channels" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.watch_channels'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind)
     select organization_id, integration_id, cursor_id, kind from marketplace.watch_channels where channel_id = 'given' $$,
  '23505', null, 'one channel is asked for at a time'
);
update marketplace.watch_channels
set status = 'active', resource_id = 'r', expires_at = now(), renew_after = now()
where channel_id = 'given';
select throws_ok(
  $$ insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind, status, resource_id, expires_at, renew_after)
     select organization_id, integration_id, cursor_id, kind, status, 'r', now(), now() from marketplace.watch_channels where channel_id = 'given' $$,
  '23505', null, 'a cursor has one active channel'
);
delete from marketplace.sync_cursors where feed = 'acme.changes';
select is_empty(
  $$ select from marketplace.watch_channels where channel_id = 'given' $$, 'a channel goes with its cursor'
);

select * from finish();
rollback;
