begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given a webhook
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.provider_webhooks (organization_id, integration_id, kind, target)
select organization_id, id, 'github.repository', 'acme/files' from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('kind = ''s3.object''', 'provider_webhooks_kind_check', 'a webhook is of a known kind'),
  ('target = ''''', 'provider_webhooks_target_check', 'it has a target'),
  ('status = ''open''', 'provider_webhooks_status_check', 'and a status of its life'),
  ('failure_count = -1', 'provider_webhooks_failure_count_check', 'failures are counted'),
  ('lease_id = gen_random_uuid()', 'provider_webhooks_lease_check', 'a lease ends'),
  ('status = ''active''', 'provider_webhooks_active_has_hook_check', 'one that is there has an id'),
  ('status = ''failing''', 'provider_webhooks_failing_has_reason_check', 'a failure has a reason');
select throws_ok(
  format('update marketplace.provider_webhooks set %s where target = ''acme/files''', change),
  '23514', format('new row for relation "provider_webhooks" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.provider_webhooks'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.provider_webhooks (organization_id, integration_id, kind, target)
     select organization_id, integration_id, kind, target from marketplace.provider_webhooks where target = 'acme/files' $$,
  '23505', null, 'a target has one webhook of an integration'
);
delete from marketplace.integrations where slug = 'acme-files';
select is_empty(
  $$ select from marketplace.provider_webhooks where target = 'acme/files' $$, 'a webhook goes with its integration'
);

select * from finish();
rollback;
