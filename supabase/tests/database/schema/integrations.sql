begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given an integration
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('slug = ''Acme Files''', 'integrations_slug_check', 'a slug is lower case words and dashes'),
  ('name = ''''', 'integrations_name_check', 'an integration has a name'),
  ('category = ''File Storage''', 'integrations_category_check', 'a category is a word'),
  ('config = ''[]''', 'integrations_config_check', 'settings are an object'),
  ('status = ''broken''', 'integrations_status_check', 'it is active, inactive or in error'),
  ('health_status = ''fine''', 'integrations_health_status_check', 'its health is unknown, healthy, degraded or unhealthy');
select throws_ok(
  format('update marketplace.integrations set %s where slug = ''acme-files''', change),
  '23514', format('new row for relation "integrations" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.integrations'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.integrations (organization_id, slug, name, provider, category)
     select organization_id, slug, 'Again', provider, category from marketplace.integrations where slug = 'acme-files' $$,
  '23505', null, 'a slug is unique'
);
select throws_ok(
  $$ insert into marketplace.integrations (organization_id, slug, name, provider, category, is_default)
     select organization_id, 'acme-second', 'Second', provider, category, true from marketplace.integrations where slug = 'acme-files' $$,
  '23505', null, 'a provider has one default integration'
);
select throws_ok(
  $$ update marketplace.integrations set provider = 'nope' where slug = 'acme-files' $$,
  '23503', null, 'of a provider that exists'
);
select throws_ok(
  $$ update marketplace.integrations set organization_id = gen_random_uuid()
       where slug = 'acme-files' $$,
  '23503', null, 'and an organization'
);

select * from finish();
rollback;
