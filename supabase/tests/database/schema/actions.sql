begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(16);

-- given an action
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.actions (provider_slug, slug, name, method, path)
values ('acme', 'files.get', 'Get a file', 'GET', '/files/{id}');

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('slug = ''get a file''', 'actions_slug_check', 'a slug is a word'),
  ('name = ''''', 'actions_name_check', 'an action has a name'),
  ('method = ''get''', 'actions_method_check', 'a method is written as HTTP does'),
  ('path = ''files''', 'actions_path_check', 'a path begins at the base URL'),
  ('request_schema = ''[]''', 'actions_request_schema_check', 'a schema is an object'),
  ('header_parameters = ''[]''', 'actions_header_parameters_check', 'so is what goes into headers'),
  ('pagination = ''[]''', 'actions_pagination_check', 'so is how pages are asked for'),
  ('body_type = ''xml''', 'actions_body_type_check', 'a body is of a type that we know'),
  ('response_type = ''xml''', 'actions_response_type_check', 'so is an answer'),
  ('quota_cost = -1', 'actions_quota_cost_check', 'a call does not give quota back'),
  ('timeout_ms = 99', 'actions_timeout_ms_check', 'a call may take a tenth of a second at least');
select throws_ok(
  format('update marketplace.actions set %s where provider_slug = ''acme''', change),
  '23514', format('new row for relation "actions" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.actions'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.actions (provider_slug, slug, name, method, path)
       values ('acme', 'files.get', 'Again', 'GET', '/') $$,
  '23505',
  null,
  'an action is unique within its provider'
);
select throws_ok(
  $$ insert into marketplace.actions (provider_slug, slug, name, method, path)
       values ('nope', 'files.get', 'Get', 'GET', '/') $$,
  '23503',
  null,
  'whose provider exists'
);
select results_eq(
  $$ select is_idempotent, is_read_only, body_type, quota_cost from marketplace.actions
       where provider_slug = 'acme' $$, $$ values (false, false, 'json', 1) $$,
  'an action is taken for a write that must not be repeated, unless it says otherwise'
);
delete from marketplace.providers where slug = 'acme';
select is_empty(
  $$ select slug from marketplace.actions where provider_slug = 'acme' $$,
  'actions go with their provider'
);

select * from finish();
rollback;
