begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given an integration without a webhook secret
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create function pg_temp.offer(p_secret text) returns boolean language sql as $$
  select marketplace.offer_webhook_secret(id, p_secret) from marketplace.integrations where slug = 'acme-files'
$$;

-- when secrets are offered, unsigned
select ok(pg_temp.offer('a'), 'an offered secret is put aside');
select ok(not pg_temp.offer('a'), 'once');
select is(marketplace.webhook_config('acme') -> 'secrets', '[]', 'it verifies nothing');
select results_eq(
  $$ select secret from marketplace.offered_webhook_secrets('acme-files') $$,
  array['a'],
  'the operator can see it'
);
select results_eq(
  $$ select valid_until from marketplace.integration_secrets where purpose = 'offered_webhook_1' $$,
  array[now() + interval '7 days'],
  'for a week'
);

-- when many are offered
do $$ begin perform pg_temp.offer(s) from unnest(array['b', 'c', 'd', 'e']) as s; end $$;
select ok(not pg_temp.offer('f'), 'there is room for five');
select set_eq(
  $$ select secret from marketplace.offered_webhook_secrets('acme-files') $$,
  array['a', 'b', 'c', 'd', 'e'],
  'none is pushed out by a stranger'
);

-- when the operator has set the right one
do $$ begin perform marketplace.set_integration_secret('acme-files', 'webhook', 'a'); end $$;
select ok(not pg_temp.offer('g'), 'nothing more is put aside');
select is(
  jsonb_path_query_array(marketplace.webhook_config('acme'), '$.secrets[*].secret'),
  '["a"]', 'the one that was set verifies'
);
select throws_ok(
  $$ select marketplace.offer_webhook_secret('00000000-0000-4000-8000-000000000000', 'x') $$,
  'MK404',
  null,
  'an unknown integration is refused'
);
select throws_ok(
  $$ select marketplace.offered_webhook_secrets('nope') $$,
  'MK404', 'integration ''nope'' is not registered', 'and named'
);

select * from finish();
rollback;
