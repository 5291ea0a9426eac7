begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given an integration without a webhook secret
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create function pg_temp.accept(p_secret text) returns boolean language sql as $$
  select marketplace.accept_hook_secret(id, p_secret) from marketplace.integrations where slug = 'acme-files'
$$;
create temp view accepted as
select jsonb_array_elements(marketplace.webhook_config('acme') -> 'secrets') ->> 'secret' as secret;

-- when, then
select ok(not pg_temp.accept('stranger'), 'a secret that nobody expects is refused: it could be anybody''s');

-- when the operator expects one
do $$ begin perform marketplace.expect_webhook_handshake('acme-files'); end $$;
select ok(pg_temp.accept('first'), 'the first one that comes is kept');
select ok(not pg_temp.accept('second'), 'and closes the door');
select set_eq('table accepted', array['first'], 'a refused one changes nothing');

-- when the operator expects another webhook
do $$ begin perform marketplace.expect_webhook_handshake('acme-files', '1 minute'); end $$;
select ok(pg_temp.accept('second'), 'then a further one is kept');
select set_eq(
  'table accepted',
  array['first', 'second'], 'beside the first: each webhook has its own'
);
update marketplace.integrations
set config = jsonb_build_object('webhook', jsonb_build_object('accept_handshake_until', now() - interval '1 second'))
where slug = 'acme-files';
select ok(not pg_temp.accept('third'), 'and none after the time is over');
select throws_ok(
  $$ select marketplace.expect_webhook_handshake('acme-files', '0') $$,
  'MK400', null, 'the door is not opened for no time'
);
select throws_ok(
  $$ select marketplace.expect_webhook_handshake('nobody') $$,
  'MK404', null, 'nor for an integration that is not there'
);
select throws_ok(
  $$ select marketplace.accept_hook_secret('00000000-0000-4000-8000-000000000000', 'x') $$,
  'MK404',
  'integration 00000000-0000-4000-8000-000000000000 does not exist',
  'an unknown integration is named'
);

select * from finish();
rollback;
