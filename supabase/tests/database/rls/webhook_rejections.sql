\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.webhook_rejections (provider, reason, minute) values ('acme', 'x', now());

select pg_temp.check_access(
  'webhook_rejections', 'reason = reason',
  $$ insert into marketplace.webhook_rejections (provider, reason, minute) values ('acme', 'y', now()) $$,
  p_sees => null, p_all => array['acme'], p_whose => 'provider', p_where => $$ provider = 'acme' $$
);

select * from finish();
rollback;
