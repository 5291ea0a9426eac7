begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given an integration that follows its provider, and one that does not
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example/');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage', '{"bucket": "b", "api_base": ""}');
  perform marketplace.register_integration('acme-local', 'Local', 'acme', 'storage', '{"api_base": "http://127.0.0.1:1234/acme/"}');
  perform marketplace.set_integration_secret('acme-files', 'api_token', 't1');
  perform marketplace.set_integration_secret('acme-files', 'client_id', 'c1');
end
$$;

-- then
select is(
  marketplace.integration_context('acme-files') ->> 'base_url',
  'https://acme.example', 'the base URL is the provider''s, without a slash at the end'
);
select is(
  marketplace.integration_context('acme-local') ->> 'base_url',
  'http://127.0.0.1:1234/acme', 'or the integration''s own'
);
select is(
  marketplace.integration_context('acme-files') -> 'credentials',
  '{"api_token": "t1", "client_id": "c1"}', 'its credentials are by purpose'
);
select is(
  marketplace.integration_context('acme-local') -> 'credentials',
  '{}', 'none is an empty object, never null'
);
select results_eq(
  $$ select c ->> 'slug', c ->> 'provider', c -> 'config' ->> 'bucket',
       (c -> 'is_default')::boolean
       from marketplace.integration_context('acme-files') as c $$,
  $$ values ('acme-files', 'acme', 'b', true) $$, 'and what else it is'
);

-- when a secret's time is over, or has not come
update marketplace.integration_secrets set valid_from = now() - interval '1 day', valid_until = now() - interval '1 second' where purpose = 'api_token'
  and integration_id = (select id from marketplace.integrations where slug = 'acme-files');
update marketplace.integration_secrets set valid_from = now() + interval '1 second' where purpose = 'client_id'
  and integration_id = (select id from marketplace.integrations where slug = 'acme-files');
select is(marketplace.integration_context('acme-files') -> 'credentials', '{}', 'it is not given');
select throws_ok(
  $$ select marketplace.integration_context('nope') $$,
  'MK404', 'integration ''nope'' is not registered', 'an unknown integration is named'
);

select * from finish();
rollback;
