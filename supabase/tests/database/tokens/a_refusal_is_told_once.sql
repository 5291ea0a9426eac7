begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given an organization that wants to be told, a connection, and an integration's own grant
insert into marketplace.providers (slug, name, category, auth_type)
values ('acme', 'Acme', 'storage', 'oauth2');
do $$
begin
  perform
    marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'),
    marketplace.set_integration_secret('acme-files', 'refresh_token', 'seed');
  perform marketplace.add_notification_endpoint('https://hooks.example.com', array['connection.*']);
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5('1')::uuid, organization_id, id, 'Files', true
from marketplace.integrations where slug = 'acme-files';
do $$
begin
  perform marketplace.open_grant(md5('1')::uuid, 'oauth2', null, 'a', 'r', 'Bearer', '{}', 60);
  perform marketplace.lease_refresh(null, (select id from marketplace.integrations where slug = 'acme-files'));
end
$$;
create temp view told as
select e.resource_path, e.payload ->> 'integration' as integration, e.payload ->> 'error' as error
from marketplace.webhook_events as e
where e.event_type = 'connection.reauthorization_required';

-- when the provider refuses
do $$
begin
  perform marketplace._refuse_grant(t.id, 'acme said no')
  from marketplace.oauth_tokens as t, generate_series(1, 3) where t.connection_id = md5('1')::uuid;
end
$$;

-- then
select results_eq(
  'table told',
  format('values (%L, %L, %L)', 'connections/' || md5('1')::uuid, 'acme-files', 'acme said no'),
  'its owner is told, once, and why'
);
select results_eq(
  $$ select status, error_message from marketplace.connections where id = md5('1')::uuid $$,
  $$ values ('reauthorization_required', 'acme said no') $$,
  'the connection says it, too'
);
select is(
  marketplace.lease_refresh(md5('1')::uuid),
  '{"state": "reauthorization_required", "message": "acme said no"}', 'and so does everybody who asks'
);
select is_empty(
  $$ select from marketplace.claim_expiring_tokens(10) $$, 'nobody tries again'
);

-- when it is an integration's own grant
do $$
begin
  perform marketplace._refuse_grant(t.id, 'acme said no') from marketplace.oauth_tokens as t
  where t.connection_id is null;
end
$$;
select set_eq(
  'select resource_path from told',
  array['connections/' || md5('1')::uuid, 'integrations/acme-files'], 'then it is the integration that is named'
);
select isnt_empty(
  $$ select from marketplace._alerts() where alert = 'reauthorization_required' and subject = 'acme-files' $$,
  'and operators are alerted'
);

select * from finish();
rollback;
