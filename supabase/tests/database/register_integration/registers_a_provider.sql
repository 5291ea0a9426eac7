begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(8);

-- given a provider
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');

-- when an integration is registered without an organization
create temp table first as
select marketplace.register_integration('acme-files', 'Files', 'acme', 'storage', '{"bucket": "a"}') as id;

-- then
select results_eq(
  $$ select i.id, i.slug, i.name, i.provider, i.category, i.config, i.status, i.health_status, o.is_default
     from marketplace.integrations as i join marketplace.organizations as o on o.id = i.organization_id
     where i.slug = 'acme-files' $$,
  $$ select id, 'acme-files', 'Files', 'acme', 'storage', '{"bucket": "a"}'::jsonb, 'active',
       'unknown', true
       from first $$,
  'it is active, unprobed, and the platform''s own'
);
select is(
  (select is_default from marketplace.integrations where slug = 'acme-files'), true,
  'the first integration of a provider receives its webhooks'
);

-- when it is registered again, with other settings
select is(
  marketplace.register_integration('acme-files', 'All files', 'acme', 'archive', '{"bucket": "b"}'),
  (select id from first),
  'registering again answers with the same id'
);
select results_eq(
  $$ select name, category, config, is_default from marketplace.integrations
       where slug = 'acme-files' $$,
  $$ values ('All files', 'archive', '{"bucket": "b"}'::jsonb, true) $$,
  'registering again updates name, category and config'
);
select is(
  (select config_version from marketplace.integrations where slug = 'acme-files'), 2::bigint,
  'a changed config moves the version on'
);
do $$
begin
  perform marketplace.register_integration('acme-files', 'All files', 'acme', 'archive', '{"bucket": "b"}');
end
$$;
select is(
  (select config_version from marketplace.integrations where slug = 'acme-files'), 2::bigint,
  'an unchanged one does not'
);

-- when a second one of the provider is registered
do $$
begin
  perform marketplace.register_integration('acme-backup', 'Backup', 'acme', 'storage');
end
$$;
select is(
  (select is_default from marketplace.integrations where slug = 'acme-backup'), false,
  'a second integration of a provider is not its default'
);

-- when a tenant registers one of its own
insert into marketplace.organizations (slug, name) values ('red', 'Red');
do $$
begin
  perform marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red');
end
$$;
select results_eq(
  $$ select o.slug, i.is_default
     from marketplace.integrations as i join marketplace.organizations as o on o.id = i.organization_id
     where i.slug = 'red-files' $$,
  $$ values ('red', false) $$,
  'a tenant''s integration belongs to the tenant and is never the provider''s default'
);

select * from finish();
rollback;
