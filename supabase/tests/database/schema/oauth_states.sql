begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given an authorization under way
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5('given')::uuid, organization_id, id, 'given', true from marketplace.integrations where slug = 'acme-files';
insert into marketplace.oauth_states (connection_id, state_hash, browser_hash)
values (md5('given')::uuid, sha256('x'), sha256('y'));

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('state_hash = ''x''', 'oauth_states_state_hash_check', 'what is kept of a state is a hash'),
  ('browser_hash = ''x''', 'oauth_states_browser_hash_check', 'so is what is kept of the browser');
select throws_ok(
  format('update marketplace.oauth_states set %s where connection_id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "oauth_states" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.oauth_states'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.oauth_states (connection_id, state_hash, browser_hash)
       values (md5('given')::uuid, sha256('x'), sha256('z')) $$,
  '23505',
  null,
  'a state is unique'
);
select results_eq(
  $$ select expires_at - created_at from marketplace.oauth_states where state_hash = sha256('x') $$,
  array[interval '10 minutes'],
  'it lives for ten minutes'
);
delete from marketplace.connections where id = md5('given')::uuid;
select is_empty(
  $$ select connection_id from marketplace.oauth_states where state_hash = sha256('x') $$,
  'states go with their connection'
);

select * from finish();
rollback;
