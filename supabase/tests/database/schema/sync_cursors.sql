begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(16);

-- given a cursor
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('feed = ''Acme''', 'sync_cursors_feed_check', 'a feed has a name of two parts'),
  ('scope = repeat(''x'', 501)', 'sync_cursors_scope_check', 'a scope has a bounded length'),
  ('status = ''stopped''', 'sync_cursors_status_check', 'a cursor has a status of its life'),
  ('reconcile_every = ''9 seconds''', 'sync_cursors_reconcile_every_check', 'it is not looked at without a pause'),
  ('push_count = -1', 'sync_cursors_push_count_check', 'pushes are counted'),
  ('event_count = -1', 'sync_cursors_event_count_check', 'so are events'),
  ('restart_count = -1', 'sync_cursors_restart_count_check', 'so are listings'),
  ('failure_count = -1', 'sync_cursors_failure_count_check', 'so are failures'),
  ('channel_failure_count = -1', 'sync_cursors_channel_failure_count_check', 'and those of its channels'),
  ('lease_id = gen_random_uuid()', 'sync_cursors_lease_check', 'a lease ends'),
  ('status = ''failing''', 'sync_cursors_failing_has_reason_check', 'a failure has a reason'),
  ('last_pulled_at = now()', 'sync_cursors_caught_up_check', 'who reached the end has caught up');
select throws_ok(
  format('update marketplace.sync_cursors set %s where feed = ''acme.changes''', change),
  '23514', format('new row for relation "sync_cursors" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.sync_cursors'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.sync_cursors (organization_id, integration_id, feed)
     select organization_id, integration_id, feed from marketplace.sync_cursors where feed = 'acme.changes' $$,
  '23505', null, 'an account''s feed is followed once'
);
select throws_ok(
  $$ update marketplace.sync_cursors set connection_id = gen_random_uuid() where feed = 'acme.changes' $$,
  '23503', null, 'its connection exists'
);
delete from marketplace.integrations where slug = 'acme-files';
select is_empty(
  $$ select from marketplace.sync_cursors where feed = 'acme.changes' $$, 'a cursor goes with its integration'
);

select * from finish();
rollback;
