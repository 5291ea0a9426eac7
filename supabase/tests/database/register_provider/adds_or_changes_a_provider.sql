begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- when a provider is registered
select is(
  marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://api.acme.example', 'bearer', '{"prefix": "Bearer"}', p_health_action => 'me.get'
  ),
  'acme', 'a provider is registered by its slug'
);

-- then
select results_eq(
  $$ select name, category, base_url, auth_type, auth_config, request_headers, rate_limit, health_action, response_errors
     from marketplace.providers where slug = 'acme' $$,
  $$ values ('Acme', 'storage', 'https://api.acme.example', 'bearer', '{"prefix": "Bearer"}'::jsonb, '{}'::jsonb, '{}'::jsonb, 'me.get', '{}'::jsonb) $$,
  'with what was passed'
);

-- when it is registered again with something else
update marketplace.providers set webhook_config = '{"verify": {}}' where slug = 'acme';
do $$
begin
  perform marketplace.register_provider('acme', p_base_url => 'https://acme.example/v2');
end
$$;
select results_eq(
  $$ select name, base_url, auth_type, health_action, webhook_config from marketplace.providers
       where slug = 'acme' $$,
  $$ values ('Acme', 'https://acme.example/v2', 'bearer', 'me.get', '{"verify": {}}'::jsonb) $$,
  'what is not passed stays'
);

-- what cannot be registered
select throws_ok(
  $$ select marketplace.register_provider('Acme Inc', 'Acme', 'storage') $$,
  'MK400', 'provider slug ''Acme Inc'' is not a name', 'a slug that is no name'
);
select throws_ok(
  $$ select marketplace.register_provider(null, 'Acme', 'storage') $$,
  'MK400', 'provider slug null is not a name', 'or missing'
);
select throws_ok(
  $$ select marketplace.register_provider('zeta') $$,
  'MK400', 'provider ''zeta'' is new and needs a name and a category', 'a new one without a name'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_base_url => 'acme.example') $$,
  'MK400', null, 'a base URL that is none'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_auth_type => 'magic') $$,
  'MK400', 'auth type ''magic'' of provider acme is unknown', 'an unknown auth type'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_auth_config => '[]') $$,
  'MK400', null, 'auth settings that are no object'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_request_headers => '"x"') $$,
  'MK400', null, 'headers that are none'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_rate_limit => '1') $$,
  'MK400', null, 'rate limits that are none'
);
select throws_ok(
  $$ select marketplace.register_provider('acme', p_response_errors => 'null') $$,
  'MK400',
  'response_errors of provider acme is not a JSON object: null',
  'failures that are none'
);
select is_empty(
  $$ select slug from marketplace.providers where slug = 'zeta' $$,
  'a refused one leaves nothing behind'
);

select * from finish();
rollback;
