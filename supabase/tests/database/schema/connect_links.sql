begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(4);

-- given a link
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5('given')::uuid, organization_id, id, 'given', true from marketplace.integrations where slug = 'acme-files';
insert into marketplace.connect_links (connection_id, token_hash, expires_at)
values (md5('given')::uuid, sha256('x'), now());

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('token_hash = ''x''', 'connect_links_token_hash_check', 'what is kept of a link is a hash');
select throws_ok(
  format('update marketplace.connect_links set %s where connection_id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "connect_links" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.connect_links'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.connect_links (connection_id, token_hash, expires_at)
       values (md5('given')::uuid, sha256('x'), now()) $$,
  '23505',
  null,
  'a link is unique'
);
delete from marketplace.connections where id = md5('given')::uuid;
select is_empty(
  $$ select id from marketplace.connect_links where token_hash = sha256('x') $$,
  'links go with their connection'
);

select * from finish();
rollback;
