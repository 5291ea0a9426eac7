begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(15);

-- when a URL subscribes
create temp table added as
select * from marketplace.add_notification_endpoint('https://ops.example/hook?team=1', array['job.dead', 'sync.*'], 'On call');
create temp view endpoint as select n.* from marketplace.notification_endpoints as n
join added as a on a.endpoint_id = n.id;

-- then
select matches(
  (select signing_secret from added),
  '^whsec_[A-Za-z0-9+/]+=*$', 'it is shown the secret that notifications are signed with'
);
select is_empty(
  'select 1 from endpoint as e, added as a where e::text like ''%'' || a.signing_secret || ''%''',
  'which is kept in Vault only'
);
select results_eq(
  'select w.kind, w.endpoint, w.completion, w.sends_payload, w.allows_private_network, w.is_active from marketplace.workflows as w join endpoint as e on e.workflow_id = w.id',
  $$ values ('http', 'https://ops.example/hook?team=1', 'response', true, false, true) $$,
  'it is a workflow that is done when it answers'
);
select unalike(
  (select w.name from marketplace.workflows as w join endpoint as e on e.workflow_id = w.id),
  '%team=1%', 'whose name does not show the whole URL'
);
select results_eq(
  'select r.event_types, i.provider, i.slug from marketplace.sync_rules as r join endpoint as e on e.rule_id = r.id join marketplace.integrations as i on i.id = r.source_integration_id',
  $$ values (array['job.dead', 'sync.*'], 'marketplace', 'marketplace-default') $$,
  'with a rule over our own events'
);

-- when it subscribes again
create temp table again as
select * from marketplace.add_notification_endpoint('https://ops.example/hook?team=1', array['*']);
select results_eq(
  'select * from again',
  'select endpoint_id, null::text from added', 'it keeps its id, and its secret is not shown again'
);
select results_eq(
  'select e.event_types, r.event_types from endpoint as e join marketplace.sync_rules as r on r.id = e.rule_id', $$ values (array['*'], array['*']) $$,
  'it is told what it asked for last'
);

-- when a tenant subscribes the same URL
insert into marketplace.organizations (slug, name) values ('red', 'Red');
create temp table red as select *
from marketplace.add_notification_endpoint('https://ops.example/hook?team=1', array['*'], '', 'red');
select isnt(
  (select endpoint_id from red),
  (select endpoint_id from added), 'each organization has endpoints of its own'
);
select results_eq(
  'select o.slug from marketplace.sync_rules as r join marketplace.notification_endpoints as n on n.rule_id = r.id join red on red.endpoint_id = n.id join marketplace.organizations as o on o.id = r.organization_id',
  array['red'], 'with rules of its own'
);

-- what cannot be subscribed
select throws_ok(
  $$ select marketplace.add_notification_endpoint('ops.example', array['*']) $$,
  'MK400', 'url ''ops.example'' is not an http(s) URL', 'what is no URL'
);
select throws_ok(
  $$ select marketplace.add_notification_endpoint('https://ops.example', '{}') $$,
  'MK400', null, 'nothing at all'
);
select throws_ok(
  $$ select marketplace.add_notification_endpoint('https://ops.example', array['*'], '', 'nobody') $$,
  'MK404', 'organization ''nobody'' does not exist', 'for nobody'
);

-- when it unsubscribes
create temp table stored as select w.id, w.signing_vault_id from marketplace.workflows as w
join endpoint as e on e.workflow_id = w.id;
do $$ begin perform marketplace.remove_notification_endpoint(endpoint_id) from added; end $$;
select is_empty(
  'select w.id from marketplace.workflows as w join stored as s using (id) union all select id from endpoint',
  'its workflow and rule go'
);
select is_empty(
  'select v.id from vault.secrets as v join stored as s on s.signing_vault_id = v.id',
  'and its secret'
);
select throws_ok(
  'select marketplace.remove_notification_endpoint(endpoint_id) from added',
  'MK404', null, 'it can only go once'
);

select * from finish();
rollback;
