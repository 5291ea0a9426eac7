\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where provider = 'acme';
insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind)
select c.organization_id, c.integration_id, c.id, 'drive' from marketplace.sync_cursors as c where c.feed = 'acme.changes';

select pg_temp.check_access(
  'watch_channels', 'failure_count = failure_count',
  $$ insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind, status)
     select organization_id, integration_id, cursor_id, kind, 'stopping' from marketplace.watch_channels
     where organization_id in (md5('red')::uuid, md5('blue')::uuid) $$
);

select * from finish();
rollback;
