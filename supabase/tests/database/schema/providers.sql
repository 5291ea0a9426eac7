begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(19);

-- given a provider
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('slug = ''Acme Inc''', 'providers_slug_check', 'a slug is lower case, for it stands in URLs'),
  ('name = ''''', 'providers_name_check', 'a provider has a name'),
  ('category = ''File Storage''', 'providers_category_check', 'a category is a word'),
  ('base_url = ''acme.example''', 'providers_base_url_check', 'a base URL is a URL'),
  ('secret_env = ''acme-secret''', 'providers_secret_env_check', 'a variable is named as variables are'),
  ('max_body_bytes = 1000', 'providers_max_body_bytes_check', 'a body may have a kilobyte at least'),
  ('webhook_config = ''[]''', 'providers_webhook_config_check', 'webhook settings are an object'),
  ('auth_type = ''magic''', 'providers_auth_type_check', 'an auth scheme is one that we know'),
  ('auth_config = ''1''', 'providers_auth_config_check', 'auth settings are an object'),
  ('request_headers = ''[]''', 'providers_request_headers_check', 'so are headers'),
  ('rate_limit = ''null''', 'providers_rate_limit_check', 'so is what is known of rate limits'),
  ('response_errors = ''[]''', 'providers_response_errors_check', 'so is how a failure looks');
select throws_ok(
  format('update marketplace.providers set %s where slug = ''acme''', change),
  '23514', format('new row for relation "providers" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.providers'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select lives_ok(
  $$ update marketplace.providers set base_url = null where slug = 'acme' $$,
  'a provider may have no base URL: then each integration brings its own'
);
select throws_ok(
  $$ insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage') $$,
  '23505', null, 'a slug is unique'
);
select results_eq(
  $$ select webhook_config, max_body_bytes, auth_type from marketplace.providers
       where slug = 'acme' $$, $$ values ('{}'::jsonb, 1048576, 'none') $$,
  'a provider accepts no webhook until it says how, and bodies up to a megabyte'
);
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
select throws_ok(
  $$ delete from marketplace.providers where slug = 'acme' $$,
  '23503', null, 'a provider with integrations cannot be deleted by accident'
);
update marketplace.providers set slug = 'acme_two' where slug = 'acme';
select results_eq(
  $$ select provider from marketplace.integrations where slug = 'acme-files' $$,
  array['acme_two'], 'its integrations follow it to a new slug'
);
select results_eq(
  $$ select updated_at from marketplace.providers where slug = 'acme_two' $$,
  array[now()], 'a change says when'
);

select * from finish();
rollback;
