begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(2);

-- given a thing that a feed has told of
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where slug = 'acme-files';
insert into marketplace.feed_items (cursor_id, item_id, event_type, path, version)
select id, '1', 'acme.changed', 'files/a', '1' from marketplace.sync_cursors where feed = 'acme.changes';

-- then
select throws_ok(
  $$ insert into marketplace.feed_items (cursor_id, item_id, event_type, path, version)
     select id, '1', 'acme.changed', 'files/b', '2' from marketplace.sync_cursors where feed = 'acme.changes' $$,
  '23505', null, 'it is remembered once'
);
delete from marketplace.sync_cursors where feed = 'acme.changes';
select is_empty($$ select from marketplace.feed_items where item_id = '1' $$, 'and goes with its cursor');

select * from finish();
rollback;
