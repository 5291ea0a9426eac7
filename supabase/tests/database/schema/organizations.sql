begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given an organization
insert into marketplace.organizations (slug, name) values ('red', 'Red');

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('slug = ''Red''', 'organizations_slug_check', 'a slug is lower case words and dashes'),
  ('name = ''''', 'organizations_name_check', 'an organization has a name');
select throws_ok(
  format('update marketplace.organizations set %s where slug = ''red''', change),
  '23514', format('new row for relation "organizations" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.organizations'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.organizations (slug, name) values ('red', 'Other') $$,
  '23505', null, 'a slug is unique'
);
select throws_ok(
  $$ update marketplace.organizations set is_default = true where slug = 'red' $$,
  '23505', null, 'there is one default organization'
);
select results_eq(
  $$ select slug from marketplace.organizations where is_default $$,
  array['default'], 'which is there from the start'
);
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
update marketplace.integrations
set organization_id = (select id from marketplace.organizations where slug = 'red')
where slug = 'acme-files';
select throws_ok(
  $$ delete from marketplace.organizations where slug = 'red' $$,
  '23503', null, 'an organization with integrations cannot be deleted by accident'
);

select * from finish();
rollback;
