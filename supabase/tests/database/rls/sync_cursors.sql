\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_integrations();
insert into marketplace.sync_cursors (organization_id, integration_id, feed)
select organization_id, id, 'acme.changes' from marketplace.integrations where provider = 'acme';

select pg_temp.check_access(
  'sync_cursors', 'scope = scope',
  $$ insert into marketplace.sync_cursors (organization_id, integration_id, feed, scope)
     select organization_id, integration_id, feed, 'more' from marketplace.sync_cursors where feed = 'acme.changes' $$
);

select * from finish();
rollback;
