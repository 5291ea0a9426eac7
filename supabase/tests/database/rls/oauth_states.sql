\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_connections();
insert into marketplace.oauth_states (connection_id, state_hash, browser_hash)
select md5(n)::uuid, sha256(convert_to(n, 'UTF8')), sha256('browser') from unnest(array['red', 'blue']) as n;

select pg_temp.check_access_by_connection(
  'oauth_states', 'scopes = scopes',
  $$ insert into marketplace.oauth_states (connection_id, state_hash, browser_hash)
     values (md5('red')::uuid, sha256('more'), sha256('browser')) $$
);

select * from finish();
rollback;
