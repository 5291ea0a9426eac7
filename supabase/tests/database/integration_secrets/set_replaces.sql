begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given an integration with two secrets
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.set_integration_secret('acme-files', 'api_token', 'old');
  perform marketplace.set_integration_secret('acme-files', 'channel', 'kept');
end
$$;
create temp view integration as select * from marketplace.integrations where slug = 'acme-files';
create temp table before as
select i.config_version, s.vault_secret_id
from integration as i join marketplace.integration_secrets as s on s.integration_id = i.id and s.purpose = 'api_token';

-- when one is set anew
do $$ begin perform marketplace.set_integration_secret('acme-files', 'api_token', 'new'); end $$;

-- then
select is(
  marketplace.integration_credentials((select id from integration)),
  '{"api_token": "new", "channel": "kept"}',
  'the new value replaces the former one of its purpose only'
);
select is(
  (select count(*) from marketplace.integration_secrets where integration_id = (select id from integration))::int, 2,
  'no reference to the former one is left'
);
select is_empty(
  $$ select id from vault.secrets where id = (select vault_secret_id from before) $$,
  'the former one is gone from Vault'
);
select cmp_ok(
  (select config_version from integration), '>', (select config_version from before),
  'the integration''s version moves on'
);

-- what cannot be set
select throws_ok(
  $$ select marketplace.set_integration_secret('nope', 'api_token', 'x') $$,
  'MK404', 'integration ''nope'' is not registered', 'an unknown integration is named'
);
select throws_ok(
  $$ select marketplace.set_integration_secret('acme-files', 'api_token', '') $$,
  'MK400', 'the api_token secret of integration ''acme-files'' is empty',
  'an empty secret is refused'
);
select throws_ok(
  $$ select marketplace.set_integration_secret('acme-files', 'API token', 'x') $$,
  '23514', null, 'a purpose is a lower case word'
);

select * from finish();
rollback;
