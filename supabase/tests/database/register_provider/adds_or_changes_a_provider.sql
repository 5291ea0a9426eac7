begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- when a provider is registered
select is(
  marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://api.acme.example/v1', 'bearer', '{"secrets": {"api_token": {"title": "Token"}}}',
    '{"acme-version": "1"}', '{"quota": {"limit": 1, "window_seconds": 1}}', 'me', '{"pointer": "/error"}', 'https://docs.acme.example'
  ),
  'acme', 'it answers with the slug'
);
-- then
select results_eq(
  $$ select name, category, base_url, auth_type, auth_config, request_headers, rate_limit, health_action, response_errors, docs_url
     from marketplace.providers where slug = 'acme' $$,
  $$ values ('Acme', 'storage', 'https://api.acme.example/v1', 'bearer', '{"secrets": {"api_token": {"title": "Token"}}}'::jsonb,
     '{"acme-version": "1"}'::jsonb, '{"quota": {"limit": 1, "window_seconds": 1}}'::jsonb, 'me', '{"pointer": "/error"}'::jsonb, 'https://docs.acme.example') $$,
  'every column is as passed'
);

-- when its webhooks are configured elsewhere and it is registered again with one setting
update marketplace.providers set webhook_config = '{"verify": {}}', secret_env = 'ACME_SECRET' where slug = 'acme';
do $$ begin perform marketplace.register_provider('acme', p_auth_type => 'oauth2'); end $$;
select results_eq(
  $$ select name, auth_type, base_url, webhook_config, secret_env from marketplace.providers where slug = 'acme' $$,
  $$ values ('Acme', 'oauth2', 'https://api.acme.example/v1', '{"verify": {}}'::jsonb, 'ACME_SECRET') $$,
  'what is not passed stays, webhook settings above all'
);
do $$ begin perform marketplace.register_provider('plain', 'Plain', 'storage'); end $$;
select results_eq(
  $$ select base_url, auth_type, auth_config, health_action from marketplace.providers where slug = 'plain' $$,
  $$ values (null::text, 'none', '{}'::jsonb, null::text) $$,
  'a name and a category are enough'
);

-- then what cannot be a provider is refused, named, with a remedy
select throws_ok(
  $$ select marketplace.register_provider('Acme Inc', 'Acme', 'storage') $$,
  'MK400', 'provider slug ''Acme Inc'' is not a name', 'a slug is a name'
);
select throws_ok($$ select marketplace.register_provider(null, 'Acme', 'storage') $$, 'MK400', null, 'and there is one');
select throws_ok(
  $$ select marketplace.register_provider('fresh') $$,
  'MK400', 'provider ''fresh'' is new and needs a name and a category', 'a new one needs a name'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_base_url => 'ftp://acme.example') $$,
  'MK400', 'base URL ''ftp://acme.example'' of provider acme is not an http(s) URL without query', 'a base URL is a URL'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_auth_type => 'magic') $$,
  'MK400', 'auth type ''magic'' of provider acme is unknown', 'an auth type is a known one'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_rate_limit => '[1]') $$,
  'MK400', 'rate_limit of provider acme is not a JSON object: [1]', 'settings are objects'
);
select ok(
  not has_function_privilege(
    'authenticated', 'marketplace.register_provider(text, text, text, text, text, jsonb, jsonb, jsonb, text, jsonb, text)', 'execute'
  ),
  'a signed-in user registers none'
);

select * from finish();
rollback;
