begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given an endpoint
do $$
begin
  perform marketplace.add_notification_endpoint('https://given.example', array['*']);
end
$$;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('url = ''given.example''', 'notification_endpoints_url_check', 'a URL is one'),
  ('event_types = ''{}''', 'notification_endpoints_event_types_check', 'an endpoint wants to know something');
select throws_ok(
  format('update marketplace.notification_endpoints set %s where url = ''https://given.example''', change),
  '23514', format('new row for relation "notification_endpoints" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.notification_endpoints'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.notification_endpoints (organization_id, url, event_types, workflow_id, rule_id)
     select organization_id, url, event_types, workflow_id, rule_id from marketplace.notification_endpoints where url = 'https://given.example' $$,
  '23505', null, 'an organization has an endpoint once'
);
select throws_ok(
  $$ update marketplace.notification_endpoints set rule_id = gen_random_uuid()
       where url = 'https://given.example' $$,
  '23503',
  null,
  'its rule exists'
);
delete from marketplace.sync_rules
where id = (select rule_id from marketplace.notification_endpoints where url = 'https://given.example');
select is_empty(
  $$ select id from marketplace.notification_endpoints where url = 'https://given.example' $$,
  'an endpoint goes with its rule'
);

select * from finish();
rollback;
