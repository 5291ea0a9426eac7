begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(16);

-- given a rule from files to a backup, both integrations with nothing but an OAuth client
insert into marketplace.organizations (id, slug, name) values (md5('blue')::uuid, 'blue', 'Blue');
insert into marketplace.workflows (slug, name, kind, endpoint) values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_provider('acme', 'Acme', 'storage', 'https://acme.example', 'oauth2');
  perform marketplace.register_action('acme', 'files.get', 'GET', '/files', '{"type": "object", "properties": {}}');
  perform
    marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'),
    marketplace.register_integration('acme-backup', 'Backup', 'acme', 'storage');
  perform
    marketplace.set_integration_secret('acme-files', 'client_id', 'client'),
    marketplace.set_integration_secret('acme-files', 'webhook', 'w');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, destination_integration_id, workflow_id)
select 'Acme mirror', s.id, 'files/**', d.id, w.id
from marketplace.integrations as s, marketplace.integrations as d, marketplace.workflows as w
where s.slug = 'acme-files' and d.slug = 'acme-backup' and w.slug = 'acme-run';
create function pg_temp.connection(p_name text) returns uuid language sql as $$ select md5(p_name)::uuid $$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, is_shared, status)
select pg_temp.connection(c.name), coalesce(md5(nullif(c.organization, ''))::uuid, i.organization_id), i.id, gen_random_uuid(), c.name, c.is_shared, 'active'
from (
  values
  ('ada''s own', 'acme-files', '', false), ('shared', 'acme-files', '', true),
  ('blue one', 'acme-files', 'blue', true), ('backup', 'acme-backup', '', true)
) as c (name, integration, organization, is_shared)
join marketplace.integrations as i on i.slug = c.integration;
do $$
begin
  perform marketplace.open_grant(c.id, 'oauth2', p_access_token => c.name, p_refresh_token => 'r', p_expires_in_s => 3600)
  from marketplace.connections as c
  join marketplace.integrations as i on i.id = c.integration_id
  where i.provider = 'acme';
end
$$;

-- and a job of an event that a private connection's feed told
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, connection_id)
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', pg_temp.connection('ada''s own')
from marketplace.integrations as i where i.slug = 'acme-files';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, e.correlation_id
from marketplace.sync_rules as r
join marketplace.webhook_events as e on e.integration_id = r.source_integration_id
where r.name = 'Acme mirror';
create temp table claimed as select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';

create function pg_temp.told_by(p_name text) returns void language sql as $$
  update marketplace.webhook_events set connection_id = case when p_name is not null then pg_temp.connection(p_name) end
  where event_type = 'file.added'
$$;
create function pg_temp.ask(p_integration text, p_more jsonb default '{}') returns text language sql as $$
  select coalesce(
    a.answer #>> '{refusal,status}' || ' ' || (a.answer #>> '{refusal,code}'),
    (select c.name from marketplace.connections as c where c.id = (a.answer ->> 'connection_id')::uuid),
    'its own: ' || (a.answer #>> '{grant,state}')
  )
  from claimed as c, marketplace.begin_execution(jsonb_build_object(
    'caller', jsonb_build_object('kind', 'job', 'token', c.token), 'integration', p_integration, 'action', 'files.get',
    'request_hash', '00', 'correlation_id', gen_random_uuid()
  ) || p_more) as a (answer)
$$;
create function pg_temp.transfer(p_integration text, p_environment jsonb default '{}') returns text language sql as $$
  select coalesce(
    a.answer #>> '{refusal,code}',
    (select c.name from marketplace.connections as c where c.id = (a.answer ->> 'connection_id')::uuid), 'its own'
  )
  from claimed as c, marketplace.integrations as i, marketplace.job_credentials(c.job_id, i.id, p_environment) as a (answer)
  where i.slug = p_integration
$$;

-- then what told the event is read with, and by nobody else's leave
select is(pg_temp.ask('acme-files'), 'ada''s own', 'calls to the source use the connection whose feed told the event');
select is(pg_temp.transfer('acme-files'), 'ada''s own', 'and so do transfers');
select is(pg_temp.ask('acme-backup'), 'backup', 'calls elsewhere use the one that is shared');
select is(pg_temp.transfer('acme-backup'), 'backup', 'and so do transfers');
select is(
  pg_temp.ask('acme-files', jsonb_build_object('connection_id', pg_temp.connection('blue one'))), '404 connection_not_found',
  'that of another organization cannot be named'
);
select is(
  pg_temp.ask('acme-backup', jsonb_build_object('connection_id', pg_temp.connection('ada''s own'))), '404 connection_not_found',
  'nor a private one for something else'
);

-- when the integration has a credential of its own
do $$ begin perform marketplace.set_integration_secret('acme-files', 'refresh_token', 'r'); end $$;
select is(pg_temp.ask('acme-files'), 'ada''s own', 'what told the event still comes first');
do $$ begin perform pg_temp.told_by(null); end $$;
select is(pg_temp.ask('acme-files'), 'its own: leased', 'an event that came by itself is read with the integration''s own');
select is(pg_temp.transfer('acme-files'), 'its own', 'and so is what it is about');
delete from marketplace.integration_secrets where purpose = 'refresh_token';
select is(pg_temp.ask('acme-files'), 'shared', 'without one, with what is shared: neither a client id nor a webhook''s secret is a credential');
select is(pg_temp.transfer('acme-files', '{"environment_tokens": ["acme"]}'), 'its own', 'the environment may hold one');
update marketplace.integrations set is_default = false where slug = 'acme-files';
select is(pg_temp.transfer('acme-files', '{"environment_tokens": ["acme"]}'), 'shared', 'the default integration''s only');

-- when there are several, or what told it is gone
update marketplace.connections set is_shared = true where name = 'ada''s own';
select is(pg_temp.ask('acme-files'), '409 connection_ambiguous', 'several leave a question');
select is(pg_temp.transfer('acme-files'), 'connection_ambiguous', 'also for transfers');
do $$ begin perform pg_temp.told_by('ada''s own'); end $$;
delete from marketplace.connections where name = 'ada''s own';
select is(pg_temp.ask('acme-files'), '404 connection_not_found', 'nothing stands in for an account that is gone');
do $$ begin perform pg_temp.told_by('blue one'); end $$;
select is(pg_temp.transfer('acme-files'), 'connection_not_found', 'and none of another organization is used');

select * from finish();
rollback;
