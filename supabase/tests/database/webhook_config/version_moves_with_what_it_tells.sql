begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(8);

-- given an integration
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create temp table seen as select 0::bigint as version;
create function pg_temp.has_moved() returns boolean language sql as $$
  update seen set version = i.config_version
  from marketplace.integrations as i, seen as former
  where i.slug = 'acme-files'
  returning i.config_version > former.version
$$;
select ok(pg_temp.has_moved(), 'a version is there');
select ok(not pg_temp.has_moved(), 'it stands still when nothing changes');

-- when, then
update marketplace.integrations set config = '{"webhook": {}}' where slug = 'acme-files';
select ok(pg_temp.has_moved(), 'it moves with the integration''s config');
update marketplace.integrations set status = 'inactive' where slug = 'acme-files';
select ok(pg_temp.has_moved(), 'and its status');
update marketplace.providers set webhook_config = '{"verify": {}}' where slug = 'acme';
select ok(pg_temp.has_moved(), 'and its provider''s webhook settings');
update marketplace.providers set name = 'Acme Inc.' where slug = 'acme';
select ok(not pg_temp.has_moved(), 'but not with its provider''s name');
do $$ begin perform marketplace.set_integration_secret('acme-files', 'webhook', 's1'); end $$;
select ok(pg_temp.has_moved(), 'and with its secrets');
update marketplace.integrations set health_status = 'healthy', error_message = null, health_checked_at = now()
where slug = 'acme-files';
select ok(not pg_temp.has_moved(), 'but not with its health');

select * from finish();
rollback;
