begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

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
select ok(pg_temp.accept('first'), 'the first secret that the provider brings is kept');
select ok(not pg_temp.accept('second'), 'a second one is refused: it could be anybody''s');
select set_eq('table accepted', array['first'], 'and changes nothing');

-- when the operator expects another webhook
update marketplace.integrations
set config = jsonb_build_object('webhook', jsonb_build_object('accept_handshake_until', now() + interval '1 minute'))
where slug = 'acme-files';
select ok(pg_temp.accept('second'), 'until then a further one is kept');
select set_eq(
  'table accepted',
  array['first', 'second'], 'beside the first: each webhook has its own'
);
update marketplace.integrations
set config = jsonb_build_object('webhook', jsonb_build_object('accept_handshake_until', now() - interval '1 second'))
where slug = 'acme-files';
select ok(not pg_temp.accept('third'), 'and not after');
select throws_ok(
  $$ select marketplace.accept_hook_secret('00000000-0000-4000-8000-000000000000', 'x') $$,
  'MK404',
  'integration 00000000-0000-4000-8000-000000000000 does not exist',
  'an unknown integration is named'
);

select * from finish();
rollback;
