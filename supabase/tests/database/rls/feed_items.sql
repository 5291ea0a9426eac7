\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(27);

select pg_temp.given_integrations();
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where provider = 'acme';
insert into marketplace.feed_items (cursor_id, item_id, event_type, path, version)
select c.id, '1', 'acme.changed', 'files/a', '1' from marketplace.sync_cursors as c where c.feed = 'acme.changes';

select pg_temp.check_access(
  'feed_items', 'path = path', null,
  p_sees => null,
  p_whose => $$ (select split_part(i.slug, '-', 1) from marketplace.sync_cursors as c join marketplace.integrations as i on i.id = c.integration_id where c.id = cursor_id) $$,
  p_where => $$ item_id = '1' $$
);

select * from finish();
rollback;
