\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_connections();
insert into marketplace.connect_links (connection_id, token_hash, expires_at)
select md5(n)::uuid, sha256(convert_to(n, 'UTF8')), now() from unnest(array['red', 'blue']) as n;

select pg_temp.check_access_by_connection(
  'connect_links', 'scopes = scopes',
  $$ insert into marketplace.connect_links (connection_id, token_hash, expires_at)
     values (md5('red')::uuid, sha256('more'), now()) $$
);

select * from finish();
rollback;
