begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(17);

-- given a Drive, and a provider without a feed
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
  perform marketplace.register_integration('acme-chat', 'Chat', 'slack', 'messaging');
  insert into marketplace.organizations (slug, name) values ('tenant', 'Tenant');
  insert into marketplace.connections (id, organization_id, integration_id, name, status, is_shared)
  select md5('theirs')::uuid, o.id, marketplace._integration_id('acme-drive'), 'Theirs', 'active', true
  from marketplace.organizations as o where o.slug = 'tenant';
  perform marketplace.register_integration('acme-code', 'Code', 'github', 'development');
end
$$;
create temp table before as select coalesce(max(id), 0) as id from net.http_request_queue;
create temp view ring as select q.* from net.http_request_queue as q
where q.id > (select id from before) and q.url like '%/marketplace-maintain';
create temp view integration as select * from marketplace.integrations where slug = 'acme-drive';
create temp table first_version as select config_version from integration;

-- when it is followed
create temp table watched as select marketplace.watch('acme-drive') as id;
select results_eq(
  'select c.feed, c.scope, c.status, c.is_active, c.due_at <= now() from marketplace.sync_cursors as c join watched as w on w.id = c.id',
  $$ values ('drive.changes', '', 'pending', true, true) $$, 'its cursor is to be begun at once'
);
select is((select count(*) from ring)::int, 1, 'marketplace-maintain is rung');
select ok((select is_watched from integration), 'its pushes are no events from now on');
select cmp_ok(
  (select config_version from integration), '>', (select config_version from first_version),
  'of which functions that remember its settings hear'
);
select is(
  (select length(marketplace.integration_credentials(id) ->> 'webhook') from integration), 64, 'and it has a secret for its channels'
);
select is(marketplace.watch('acme-drive', 'drive.changes'), (select id from watched), 'to follow it again is to follow it');
select isnt(marketplace.watch('acme-drive', null, 'shared-1'), (select id from watched), 'a shared drive is another feed');

-- when it cannot be
select throws_ok($$ select marketplace.watch('acme-chat') $$, 'MK422', 'slack has no feed of changes', 'a provider may have no feed');
select throws_ok(
  $$ select marketplace.watch('acme-drive', 'gmail.history') $$, 'MK422', 'google_drive has no feed ''gmail.history''', 'or not this one'
);
select throws_ok($$ select marketplace.watch('nobody') $$, 'MK404', null, 'an integration is registered first');
select throws_ok(
  $$ select marketplace.watch('acme-drive', null, '', gen_random_uuid()) $$, 'MK404', null, 'a connection is one of the integration''s'
);
select throws_ok(
  $$ select marketplace.watch('acme-drive', null, '', md5('theirs')::uuid) $$, 'MK422', null, 'of the same organization: its events are read there'
);
select throws_ok(
  $$ select marketplace.watch('acme-code', 'github.deliveries', 'a/b/c') $$, 'MK400', null, 'deliveries are a repository''s or an organization''s'
);

-- when it is followed no longer, and then again
update marketplace.sync_cursors set cursor = '7', status = 'active', due_at = 'infinity', progress = '{"mode": "listing"}' where id = (select id from watched);
select is(marketplace.unwatch('acme-drive'), 1, 'one feed ends; that of the shared drive does not');
select is(marketplace.unwatch('acme-drive'), 0, 'once');
select is(marketplace.watch('acme-drive'), (select id from watched), 'it can be followed again');
select results_eq(
  'select c.cursor, c.progress, c.status, c.due_at <= now() from marketplace.sync_cursors as c join watched as w on w.id = c.id',
  $$ values (null::text, null::jsonb, 'pending', true) $$, 'from that moment on: what changed meanwhile is not told'
);

select * from finish();
rollback;
