begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(14);

-- given two providers, one of them with a default integration and another one
insert into marketplace.providers (slug, name, category, secret_env, max_body_bytes, webhook_config)
values
  ('acme_files', 'Acme', 'storage', 'ACME_WEBHOOK_SECRET', 2048, '{"verify": {"family": "hmac"}, "event": {"type": "x"}}'),
  ('zeta', 'Zeta', 'storage', null, 1048576, '{}');
do $$
begin
  perform marketplace.register_integration('acme-main', 'Main', 'acme_files', 'storage', '{"region": "r"}');
  perform marketplace.register_integration(
    'acme-other', 'Other', 'acme_files', 'storage', '{"webhook": {"verify": {"family": "token"}}}'
  );
  perform marketplace.register_integration(
    'acme-claims', 'Claims', 'acme_files', 'storage', '{"sns_api_base": "https://sns.example", "webhook": {"sns_endpoint": "https://sns.example"}}'
  );
  perform marketplace.register_integration(
    'acme-stand-in', 'Stand-in', 'acme_files', 'storage', '{"sns_api_base": "https://sns.example", "allow_private_network": true}'
  );
  perform marketplace.set_integration_secret('acme-main', 'webhook', 's1');
  perform marketplace.set_integration_secret('acme-main', 'api_token', 'not for webhooks');
end
$$;
create temp table main as select marketplace.webhook_config('acme_files') as config;
create temp table other as select marketplace.webhook_config('acme_files', 'acme-other') as config;

-- then, by provider alone
select is(
  (select config ->> 'integration_slug' from main),
  'acme-main', 'a provider alone means its default integration'
);
select is(
  marketplace.webhook_config('acme-files'),
  (select config from main), '"-" and "_" in the provider''s name are alike'
);
select is(
  (select (config -> 'version')::bigint from main),
  (select config_version from marketplace.integrations where slug = 'acme-main'),
  'it carries the version that ingest_events compares'
);
select results_eq(
  $$ select config -> 'webhook_config', config ->> 'secret_env',
       (config -> 'max_body_bytes')::int, config -> 'config'
       from main $$,
  $$ values ('{"verify": {"family": "hmac"}, "event": {"type": "x"}}'::jsonb, 'ACME_WEBHOOK_SECRET', 2048, '{"region": "r"}'::jsonb) $$,
  'it carries the provider''s settings and the integration''s own'
);
select is(
  (select jsonb_path_query_array(config, '$.secrets[*].secret') from main), '["s1"]',
  'it carries the secrets of webhooks, and no others'
);

-- then, by provider and integration
select is(
  (select config ->> 'integration_slug' from other),
  'acme-other', 'a path can name an integration'
);
select is(
  (select config -> 'webhook_config' from other), '{"verify": {"family": "token"}, "event": {"type": "x"}}',
  'an integration''s webhook settings override those of its provider'
);
select is((select config -> 'config' from other), '{}', 'and are not repeated among its settings');
select is((select config -> 'secrets' from other), '[]', 'no secret is an empty list, never null');

-- then, what there is not
select is(marketplace.webhook_config('nope'), null, 'an unknown provider is null');
select is(
  marketplace.webhook_config('zeta', 'acme-main'),
  null, 'so is an integration of another provider'
);
select results_eq(
  $$ select c -> 'integration_id', c ->> 'provider', c -> 'secrets'
       from marketplace.webhook_config('zeta') as c $$,
  $$ values ('null'::jsonb, 'zeta', '[]'::jsonb) $$,
  'a provider without a default integration has no integration id'
);

select is(
  marketplace.webhook_config('acme_files', 'acme-claims') #> '{webhook_config,sns_endpoint}', null,
  'a stand-in of SNS that an integration names by itself is not believed'
);
select is(
  marketplace.webhook_config('acme_files', 'acme-stand-in') #>> '{webhook_config,sns_endpoint}', 'https://sns.example',
  'one that the operator lets into the network is'
);
select * from finish();
rollback;
