begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given a connection
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5('given')::uuid, organization_id, id, 'given', true from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('name = ''''', 'connections_name_check', 'a connection has a name'),
  ('status = ''lost''', 'connections_status_check', 'it is pending, active, to be renewed, revoked or in error'),
  ('metadata = ''[]''', 'connections_metadata_check', 'its settings are an object'),
  ('is_shared = false', 'connections_organization_shares_check', 'what is the organizations is shared'),
  ('status = ''error''', 'connections_refused_has_reason_check', 'what is in error says why'),
  ('status = ''reauthorization_required''', 'connections_refused_has_reason_check', 'so does what is to be renewed');
select throws_ok(
  format('update marketplace.connections set %s where id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "connections" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.connections'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select lives_ok(
  $$ update marketplace.connections set user_id = gen_random_uuid(), is_shared = false
       where id = md5('given')::uuid $$,
  'what is a user''s need not be shared'
);
select throws_ok(
  $$ update marketplace.connections set integration_id = gen_random_uuid()
       where id = md5('given')::uuid $$,
  '23503', null, 'its integration exists'
);
select results_eq(
  $$ select status, is_renewable, metadata from marketplace.connections
       where id = md5('given')::uuid $$,
  $$ values ('pending', false, '{}'::jsonb) $$,
  'it waits to be authorised'
);
delete from marketplace.integrations where slug = 'acme-files';
select is_empty(
  $$ select id from marketplace.connections where id = md5('given')::uuid $$,
  'connections go with their integration'
);

select * from finish();
rollback;
