begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given a quota
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.api_quotas (organization_id, integration_id, name, limit_count, resets_at)
select organization_id, id, 'given', 100, now() + interval '1 hour' from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('name = ''''', 'api_quotas_name_check', 'a quota has a name'),
  ('limit_count = 0', 'api_quotas_limit_count_check', 'a limit is more than nothing'),
  ('used_count = -1', 'api_quotas_used_count_check', 'use is counted up'),
  ('reserved_count = -1', 'api_quotas_reserved_count_check', 'so is what is reserved'),
  ('observed_count = -1', 'api_quotas_observed_count_check', 'and what the provider tells'),
  ('resets_at = window_started_at - interval ''1 second''', 'api_quotas_window_check', 'a window does not end before it begins');
select throws_ok(
  format('update marketplace.api_quotas set %s where name = ''given''', change),
  '23514', format('new row for relation "api_quotas" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.api_quotas'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.api_quotas (organization_id, integration_id, name, limit_count, resets_at)
     select organization_id, integration_id, name, 1, now() from marketplace.api_quotas where name = 'given' $$,
  '23505', null, 'an integration has a quota once'
);
select throws_ok(
  $$ update marketplace.api_quotas set integration_id = gen_random_uuid() where name = 'given' $$,
  '23503', null, 'of an integration that exists'
);
select throws_ok(
  $$ update marketplace.api_quotas set connection_id = gen_random_uuid() where name = 'given' $$,
  '23503', null, 'and of a connection that exists'
);
delete from marketplace.integrations where slug = 'acme-files';
select is_empty(
  $$ select id from marketplace.api_quotas where name = 'given' $$,
  'quotas go with it'
);

select * from finish();
rollback;
