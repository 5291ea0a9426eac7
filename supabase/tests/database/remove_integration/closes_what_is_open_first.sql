begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(27);

-- given an integration with a channel and a webhook, and one with nothing
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
  perform marketplace.register_integration('acme-code', 'Code', 'github', 'development');
  perform marketplace.register_integration('acme-files', 'Files', 'aws_s3', 'storage', '{"bucket": "files", "sns_topic_name": "uploads"}');
  perform marketplace.watch('acme-drive');
  perform marketplace.ensure_webhook('acme-code', 'acme/code');
  perform marketplace.set_integration_secret('acme-drive', 'api_token', 'token of ours');
end
$$;
delete from marketplace.provider_webhooks as h using marketplace.integrations as i where i.id = h.integration_id and i.slug not like 'acme-%';
update marketplace.sync_cursors as c set cursor = '1', status = 'active', due_at = now() + interval '1 hour', lease_id = null, lease_until = null
from marketplace.integrations as i where i.id = c.integration_id and i.slug like 'acme-%';
create temp view drive as select * from marketplace.integrations where slug = 'acme-drive';
create temp view code as select * from marketplace.integrations where slug = 'acme-code';
create function pg_temp.channel() returns jsonb language sql as $$
  select t from marketplace.claim_channel_tasks(100) as t where t #>> '{integration,slug}' = 'acme-drive'
$$;
create function pg_temp.hook() returns jsonb language sql as $$
  select t from marketplace.claim_webhooks(100) as t where t #>> '{integration,slug}' = 'acme-code'
$$;
create temp table opened as select pg_temp.channel() as t;
do $$
declare
  v_hook jsonb := pg_temp.hook();
begin
  perform marketplace.channel_opened((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, 'resource', now() + interval '7 days') from opened;
  perform marketplace.record_webhook((v_hook ->> 'id')::uuid, (v_hook ->> 'lease_id')::uuid, '12', '{push}', v_hook ->> 'address', (v_hook ->> 'proof_id')::uuid);
end
$$;
select is(pg_temp.channel(), null, 'an open channel is left alone');

-- when the integration is switched off
update marketplace.integrations set status = 'inactive' where slug in ('acme-drive', 'acme-code');
select is((pg_temp.hook() ->> 'is_wanted')::boolean, false, 'its webhook is to be taken away');
create temp table stopped as select pg_temp.channel() as t;
select results_eq($$ select t ->> 'task', t ->> 'resource_id' from stopped $$, $$ values ('stop', 'resource') $$, 'its channel is to be stopped');
select ok((select marketplace.channel_stopped((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid) from stopped), 'and is');
select is(pg_temp.channel(), null, 'no other is opened');
update marketplace.integrations set status = 'active' where slug in ('acme-drive', 'acme-code');
create temp table again as select pg_temp.channel() as t;
select is((select t ->> 'task' from again), 'open', 'until it is on again');
do $$
begin
  perform marketplace.channel_opened((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, 'resource', now() + interval '7 days') from again;
  update marketplace.provider_webhooks as h set lease_id = null, lease_until = null where h.integration_id = (select id from code);
end
$$;

-- who closes may use an integration that is switched off, nobody else
update marketplace.integrations set status = 'inactive' where slug = 'acme-drive';
create function pg_temp.begin_as(p_more jsonb) returns text language sql as $$
  select marketplace.begin_execution(
    '{"caller": {"kind": "service"}, "integration": "acme-drive", "action": "channels.stop", "parameters": {}, "request_hash": "00", "pages": 1}'::jsonb
      || jsonb_build_object('correlation_id', gen_random_uuid()) || p_more
  ) #>> '{refusal,code}'
$$;
select is(pg_temp.begin_as('{}'), 'integration_inactive', 'it can be used for nothing');
select is(pg_temp.begin_as('{"allows_inactive": true}'), null, 'but to close what is open');
update marketplace.integrations set status = 'active' where slug = 'acme-drive';

-- when it is removed
select is(marketplace.remove_integration('acme-files'), 'removed', 'with nothing open it goes at once');
select is(marketplace.remove_integration('acme-drive'), 'removing', 'else it is wound down');
select is(marketplace.remove_integration('acme-drive'), 'removing', 'asked twice, it is the same');
select is((select status from drive), 'inactive', 'it is switched off at once');
select is(marketplace.finish_removals(), 0, 'and stays while something is open');
select isnt(marketplace.integration_credentials((select id from drive)), '{}', 'with its credentials');
select throws_ok($$ select marketplace.watch('acme-drive') $$, 'MK409', 'integration ''acme-drive'' is being removed', 'it follows nothing new');
select throws_ok(
  $$ select marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage') $$, 'MK409', 'integration ''acme-drive'' is being removed', 'and is not registered again'
);
update marketplace.integrations set removal_requested_at = now() - interval '6 minutes' where slug = 'acme-drive';
select alike(
  (select message from marketplace.v_alerts where alert = 'removal_waiting' and subject = 'acme-drive'), '%marketplace.remove_integration(slug, p_force => true)%', 'what takes long is told'
);
create temp table ended as select pg_temp.channel() as t;
select is((select t ->> 'task' from ended), 'stop', 'its channel is to be stopped');
do $$ begin perform marketplace.channel_stopped((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid) from ended; end $$;
select is(marketplace.finish_removals(), 1, 'then it goes');
select is_empty('table drive', 'for good');

-- a webhook likewise, and the sweep sees to it
select is(marketplace.remove_integration('acme-code'), 'removing', 'a webhook keeps it, too');
create temp table gone as select pg_temp.hook() as t;
select results_eq($$ select (t ->> 'is_wanted')::boolean, t ->> 'hook_id' from gone $$, $$ values (false, '12') $$, 'it is to be taken away');
do $$
begin
  perform marketplace.record_webhook((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, null) from gone;
  perform marketplace.sweep_feeds();
end
$$;
select is_empty('table code', 'then the integration goes');

-- what is in use, or cannot be closed
do $$
begin
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
  perform marketplace.watch('acme-drive');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme', d.id, (select w.id from marketplace.workflows as w limit 1) from drive as d;
select throws_ok($$ select marketplace.remove_integration('acme-drive') $$, 'MK409', 'integration ''acme-drive'' is used by the rules ''Acme''', 'rules keep it');
select is((select status from drive), 'active', 'as it was');
select is(marketplace.remove_integration('acme-drive', p_force => true), 'removed', 'whoever insists');
select is_empty('table drive', 'takes it away with them');

select * from finish();
rollback;
